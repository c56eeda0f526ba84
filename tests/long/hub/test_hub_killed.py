"""The hub is killed with ``kill -9`` at every step of a start; the next hub process leaves nothing of it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from qmio_jupyter.slurm.requests import JobRequest
from qmio_jupyter.testing.centre import Centre
from qmio_jupyter.testing.home import wait_until
from qmio_jupyter.testing.hub import Hub
from qmio_jupyter.testing.slurm import MiniSlurm
from tests.integration.hub.test_both_or_neither import NAME, WITHIN_S, ask, nothing_is_left, script

pytestmark = pytest.mark.timeout(300)

#: Steps at which the hub is killed.
_STEPS = ["granting", "submitting", "submitted", "binding", "pending", "opening"]


@pytest.mark.parametrize("step", _STEPS)
def test_hub_killed(
    step: str, make_hub: Callable[..., Hub], centre: Centre, cluster: MiniSlurm, here: Path
) -> None:
    settings: dict[str, Any] = {}
    held = cluster.commands().sbatch
    arrived = here / "arrived"
    sbatch = cluster.commands().sbatch
    config = cluster.commands().config
    if step == "submitting":
        held = script(here / "sbatch", f'touch {arrived}; sleep 3; exec {sbatch} "$@"')
    elif step == "submitted":
        held = script(here / "sbatch", f'{sbatch} "$@" >/dev/null; touch {arrived}; sleep 600')
    elif step == "binding":
        held = script(here / "sbatch", f'touch {arrived}; sleep 1; exec {sbatch} "$@"')
    elif step == "opening":
        settings["python"] = script(here / "python", f"touch {arrived}; sleep 600")
    elif step == "pending":
        settings["limits"] = {"cores": 4, "walltime_min": 5}
    settings["slurm"] = {"config": config, "sbatch": held}
    hub = make_hub(**settings)
    user = hub.user(NAME)
    if step == "pending":
        fill(cluster)
    asking = threading.Thread(target=ask, args=(hub, user), daemon=True)
    if step == "granting":
        # The devices have been seen: the next thing that the gateway is asked is the grant.
        hub.ask_for_server(user, device="nothing")
        centre.pause()
    asking.start()
    wait_until(lambda: reached(step, hub, cluster, arrived, centre), f"it is {step}", 30)
    hub.kill()
    centre.resume()
    asking.join(30)
    hub.start()
    hub.api(f"users/{user}")
    if step == "pending":
        wait_until(lambda: not named(cluster), "the job is cancelled", WITHIN_S)
        cluster.cancel_all()
    nothing_is_left(hub, cluster)
    assert hub.api(f"users/{user}")["server"] is None


def named(cluster: MiniSlurm) -> list[str]:
    return [job.name for job in cluster.slurm().jobs() if job.name.startswith("qmio-g-")]


def fill(cluster: MiniSlurm) -> None:
    """Leave no room in the cluster."""
    for node in cluster.nodes:
        wanted = JobRequest(
            name=f"full-{node}", cpus_per_task=4, limit_min=10, output="/dev/null", directory="/tmp"
        )
        cluster.slurm().submit(b"#!/bin/sh\nexec sleep 600\n", wanted)
    wait_until(lambda: all(job.is_running for job in cluster.slurm().jobs()), "the cluster is full")


def reached(step: str, hub: Hub, cluster: MiniSlurm, arrived: Path, centre: Centre) -> bool:
    sagas = hub.journal()
    if not sagas:
        return False
    saga = sagas[0]
    if step == "granting":
        return bool(saga["grant"] == "maybe")
    if step in ("submitting", "submitted"):
        return arrived.exists() and saga["job"] == "maybe"
    if step == "binding":
        if arrived.exists():
            centre.pause()
        return bool(saga["job"] == "yes")
    if step == "pending":
        return bool(saga["bound"] == "yes") and bool(named(cluster))
    return arrived.exists() and bool(saga["is_running"])
