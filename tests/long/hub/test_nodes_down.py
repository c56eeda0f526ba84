"""A node dies under a server that waits, starts or runs: its user is told why, and nothing is left."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from qmio_jupyter.testing.home import wait_until
from qmio_jupyter.testing.hub import Hub, Kernel
from qmio_jupyter.testing.slurm import MiniSlurm, NodeSpec
from qmio_jupyter.testing.visitor import Visitor
from tests.integration.hub.test_both_or_neither import NAME, nothing_is_left
from tests.integration.hub.test_start_and_stop import BELL
from tests.long.hub.test_failures import Asked, booting, deaf

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def cluster(site: Path) -> Iterator[MiniSlurm]:
    """A cluster of one node that is taken for dead soon."""
    directory = Path(tempfile.mkdtemp(dir=site)) / "slurm"
    directory.parent.chmod(0o755)
    directory.mkdir()
    made = MiniSlurm(directory, nodes=(NodeSpec("n1"),), slurmd_timeout_s=5)
    try:
        made.start()
        yield made
    finally:
        made.stop()


def set_state(cluster: MiniSlurm, state: str) -> None:
    """Have the operator set the node's state."""
    argv = ["/usr/bin/scontrol", "update", "nodename=n1", f"state={state}"]
    if state in ("down", "drain"):
        argv.append("reason=test")
    subprocess.run(argv, check=True, env=cluster.environ, stdin=subprocess.DEVNULL)


def repair(cluster: MiniSlurm) -> None:
    # A node whose slurmd was away comes back by itself.
    if any(node.state != "idle" for node in cluster.slurm().nodes()):
        with contextlib.suppress(subprocess.CalledProcessError):
            set_state(cluster, "resume")
    cluster.wait_idle()


def test_a_node_that_is_down_while_a_job_waits(make_hub: Callable[..., Hub], cluster: MiniSlurm) -> None:
    hub = make_hub()
    user = hub.user(NAME)
    set_state(cluster, "drain")
    try:
        asked = Asked(hub, user)
        wait_until(lambda: [one for one in hub.journal() if one["bound"] == "yes"], "the job waits", 60)
        told: list[dict[str, Any]] = []
        threading.Thread(target=hub.progress, args=(user, 120.0, told), daemon=True).start()
        wait_until(lambda: any("down" in one["message"] for one in told), "she is told", 60)
    finally:
        repair(cluster)
    assert asked.answer() == ""
    hub.api(f"users/{user}/server", "DELETE")
    nothing_is_left(hub, cluster)


@pytest.mark.parametrize("how", ["set down", "slurmd killed"])
def test_a_node_that_goes_down_under_a_server_that_starts(
    how: str, make_hub: Callable[..., Hub], cluster: MiniSlurm, here: Path
) -> None:
    python, arrived = deaf(here)
    hub = make_hub(python=python)
    try:
        with booting(hub, arrived) as asked:
            if how == "set down":
                set_state(cluster, "down")
            else:
                cluster.stop_node("n1")
            why = asked.answer()
            assert "he node failed" in why, why
    finally:
        if how == "slurmd killed":
            cluster.start_node("n1")
        repair(cluster)
    nothing_is_left(hub, cluster)


@pytest.mark.parametrize("how", ["set down", "slurmd killed"])
def test_a_node_that_goes_down_under_a_server_that_runs(
    how: str, make_hub: Callable[..., Hub], cluster: MiniSlurm
) -> None:
    hub = make_hub(poll_interval=1)
    user = hub.user(NAME)
    assert hub.ask_for_server(user, device="echo") == ""
    try:
        ident = hub.server_api(user, "kernels", "POST", {"name": "python3"})["id"]
        kernel = Kernel(
            f"ws{hub.url.removeprefix('http')}/user/{user}/api/kernels/{ident}/channels", hub.token
        )
        assert "50" in kernel.run(f"%%qpu --shots 50\n{BELL}")
        kernel.close()
        if how == "set down":
            set_state(cluster, "down")
        else:
            cluster.stop_node("n1")
        wait_until(lambda: hub.api(f"users/{user}")["server"] is None, "the hub notices", 90)
    finally:
        if how == "slurmd killed":
            cluster.start_node("n1")
        repair(cluster)
    assert "Your last server ended: the node failed" in Visitor(hub, NAME).form()
    nothing_is_left(hub, cluster)
    assert hub.ask_for_server(user, device="echo") == ""
    hub.api(f"users/{user}/server", "DELETE")
    nothing_is_left(hub, cluster)
