"""What a user sees when something is away or taken from her, and that nothing is left of her start."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from qmio_jupyter.slurm.requests import JobRequest
from qmio_jupyter.testing.centre import Centre
from qmio_jupyter.testing.home import wait_until
from qmio_jupyter.testing.hub import Hub, Kernel
from qmio_jupyter.testing.slurm import MiniSlurm
from qmio_jupyter.testing.visitor import Visitor
from tests.integration.hub.test_both_or_neither import NAME, WITHIN_S, nothing_is_left, script

pytestmark = pytest.mark.timeout(180)


@contextmanager
def full(cluster: MiniSlurm) -> Iterator[None]:
    """Leave no core of the cluster free for a while."""
    slurm = cluster.slurm()
    for node in cluster.nodes:
        wanted = JobRequest(
            name=f"full-{node}", cpus_per_task=4, limit_min=10, output="/dev/null", directory="/tmp"
        )
        slurm.submit(b"#!/bin/sh\nexec sleep 600\n", wanted)
    wait_until(lambda: all(job.is_running for job in slurm.jobs()), "the cluster is full")
    try:
        yield
    finally:
        for job in slurm.jobs():
            if job.name.startswith("full-"):
                slurm.cancel(job.job_id)


class Asked:
    """A user who waits for her server."""

    def __init__(self, hub: Hub, user: str) -> None:
        self.why = "still waiting"

        def ask() -> None:
            self.why = hub.ask_for_server(user, device="echo")

        self._thread = threading.Thread(target=ask, daemon=True)
        self._thread.start()

    def answer(self) -> str:
        """Return what she was told in the end."""
        self._thread.join(120)
        return self.why


def test_the_operator_cancels_a_job_that_waits(make_hub: Callable[..., Hub], cluster: MiniSlurm) -> None:
    hub = make_hub()
    user = hub.user(NAME)
    with full(cluster):
        asked = Asked(hub, user)
        wait_until(lambda: [s for s in hub.journal() if s["bound"] == "yes"], "the job waits")
        cluster.slurm().cancel(int(hub.journal()[0]["job_id"]))
        assert "he Slurm job was cancelled, before the server was there" in asked.answer()
    wait_until(lambda: not cluster.slurm().jobs(), "the cluster is empty")
    nothing_is_left(hub, cluster)


def test_no_resources_for_ever(make_hub: Callable[..., Hub], cluster: MiniSlurm) -> None:
    hub = make_hub(start_timeout=20)
    user = hub.user(NAME)
    with full(cluster):
        why = hub.ask_for_server(user, device="echo", cores=4)
        assert "Your job did not start within 16 s: no node of this size is free yet" in why, why
        assert "smaller request" in why
        wait_until(
            lambda: not [job for job in cluster.slurm().jobs() if job.name.startswith("qmio-g-")],
            "her job is gone",
            WITHIN_S,
        )
    wait_until(lambda: not cluster.slurm().jobs(), "the cluster is empty")
    nothing_is_left(hub, cluster)
    # Nothing stands in the way of the next try.
    assert hub.ask_for_server(user, device="echo") == ""
    hub.api(f"users/{user}/server", "DELETE")
    nothing_is_left(hub, cluster)


@contextmanager
def booting(hub: Hub, arrived: Path) -> Iterator[Asked]:
    """Have a user whose job runs, and whose server never comes."""
    asked = Asked(hub, hub.user(NAME))
    wait_until(arrived.exists, "her job runs", 60)
    yield asked


def deaf(here: Path) -> tuple[str, Path]:
    """Return an interpreter that does nothing, and the file that says that it was started."""
    arrived = here / "arrived"
    return script(here / "python", f"touch {arrived}; exec sleep 600"), arrived


def test_the_operator_cancels_a_job_whose_server_is_starting(
    make_hub: Callable[..., Hub], cluster: MiniSlurm, here: Path
) -> None:
    python, arrived = deaf(here)
    hub = make_hub(python=python)
    with booting(hub, arrived) as asked:
        cluster.slurm().cancel(int(hub.journal()[0]["job_id"]))
        assert "he Slurm job was cancelled, before the server was there" in asked.answer()
    nothing_is_left(hub, cluster)


def test_a_walltime_that_is_reached_while_the_server_is_starting(
    make_hub: Callable[..., Hub], cluster: MiniSlurm, here: Path
) -> None:
    python, arrived = deaf(here)
    hub = make_hub(python=python, limits={"cores": 1, "walltime_min": 1})
    with booting(hub, arrived) as asked:
        assert "he Slurm job's time was up" in asked.answer()
    nothing_is_left(hub, cluster)


def test_slurm_away_while_a_job_waits_costs_nobody_her_place(
    make_hub: Callable[..., Hub], cluster: MiniSlurm
) -> None:
    hub = make_hub()
    user = hub.user(NAME)
    with full(cluster):
        asked = Asked(hub, user)
        wait_until(lambda: [s for s in hub.journal() if s["bound"] == "yes"], "the job waits")
        job_id = int(hub.journal()[0]["job_id"])
        told: list[dict[str, Any]] = []
        watcher = threading.Thread(target=hub.progress, args=(user, 90.0, told), daemon=True)
        watcher.start()
        cluster.stop_controller()
        try:
            wait_until(
                lambda: any("place in the queue is kept" in one["message"] for one in told), "she is told", 60
            )
        finally:
            cluster.start_controller()
        assert job_id in [job.job_id for job in cluster.slurm().jobs()]
    assert asked.answer() == ""
    watcher.join(10)
    assert told[-1].get("ready")
    hub.api(f"users/{user}/server", "DELETE")
    nothing_is_left(hub, cluster)


def test_slurm_away_before(make_hub: Callable[..., Hub], cluster: MiniSlurm) -> None:
    hub = make_hub()
    user = hub.user(NAME)
    cluster.stop_controller()
    try:
        assert "Slurm could not be asked" in hub.ask_for_server(user, device="echo")
    finally:
        cluster.start_controller()
    cluster.wait_idle()
    nothing_is_left(hub, cluster)
    assert hub.ask_for_server(user, device="echo") == ""
    hub.api(f"users/{user}/server", "DELETE")


def test_the_gateway_away_before(make_hub: Callable[..., Hub], cluster: MiniSlurm, centre: Centre) -> None:
    hub = make_hub()
    user = hub.user(NAME)
    centre.kill()
    assert hub.ask_for_server(user, device="echo") != ""
    nothing_is_left(hub, cluster)
    centre.start()
    wait_until(lambda: not hub.ask_for_server(user, device="echo"), "the device is there again")
    hub.api(f"users/{user}/server", "DELETE")


def test_the_gateway_goes_away_before_the_session_is_open(
    make_hub: Callable[..., Hub], cluster: MiniSlurm, centre: Centre
) -> None:
    hub = make_hub()
    user = hub.user(NAME)
    with full(cluster):
        asked = Asked(hub, user)
        wait_until(lambda: [s for s in hub.journal() if s["bound"] == "yes"], "the job waits")
        centre.kill()
        centre.start()
    assert asked.answer() == ""
    hub.api(f"users/{user}/server", "DELETE")
    nothing_is_left(hub, cluster)


@pytest.mark.timeout(420)
def test_a_user_is_warned_before_her_walltime_is_reached(
    make_hub: Callable[..., Hub], cluster: MiniSlurm
) -> None:
    hub = make_hub(poll_interval=1)
    user = hub.user(NAME)
    assert hub.ask_for_server(user, device="echo", walltime_min=2) == ""
    ident = hub.server_api(user, "kernels", "POST", {"name": "python3"})["id"]
    kernel = Kernel(f"ws{hub.url.removeprefix('http')}/user/{user}/api/kernels/{ident}/channels", hub.token)
    # So short a job is warned of with its first cell.
    assert "Your Slurm job's time is up in 2 min" in kernel.run("1")
    assert kernel.run("1").strip() == "1"
    # A cell that still runs a minute before the end.
    shown = kernel.run(
        "import os, time\ntime.sleep(int(os.environ['SLURM_JOB_END_TIME']) - time.time() - 55)"
    )
    assert "Your Slurm job's time is up in 60 s" in shown, shown
    kernel.close()
    wait_until(lambda: hub.api(f"users/{user}")["server"] is None, "the hub notices", 200)
    assert "Your last server ended: the Slurm job&#x27;s time was up" in Visitor(hub, NAME).form()
    nothing_is_left(hub, cluster)
