"""Whatever fails on the way, whoever dies: no job, no grant, no note is left, and the user is told why."""

from __future__ import annotations

import shlex
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from qmio_jupyter.testing.home import wait_until
from qmio_jupyter.testing.hub import Hub
from qmio_jupyter.testing.slurm import MiniSlurm

pytestmark = pytest.mark.timeout(180)
NAME = "ana <'\"&> garcía"
WITHIN_S = 75.0


def nothing_is_left(hub: Hub, cluster: MiniSlurm) -> None:
    slurm = cluster.slurm()
    wait_until(lambda: not hub.journal(), "the journal is empty", WITHIN_S)
    assert slurm.jobs() == ()
    assert {one.used for one in slurm.licences()} == {0}


def script(path: Path, text: str) -> str:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.deaf
def test_no_session_no_server(make_hub: Callable[..., Hub], cluster: MiniSlurm) -> None:
    hub = make_hub()
    user = hub.user(NAME)
    why = hub.ask_for_server(user, device="echo")
    assert "session" in why or "gateway" in why, why
    nothing_is_left(hub, cluster)
    assert hub.api(f"users/{user}")["server"] is None


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"device": "nothing"}, "o device 'nothing'"),
        ({"cores": 99}, "at most 4"),
        ({"walltime_min": 10**6}, "the hub allows"),
        ({"account": "physics"}, "keeps no accounts"),
        ({"partition": "$(touch /tmp/x)"}, "at most 64 letters"),
        ({"req_partition": "all"}, "is no option"),
        ({"cmd": ["/bin/sh"]}, "is no option"),
    ],
)
def test_what_cannot_be_had_is_refused_before_anything_is_submitted(
    shared_hub: Hub, cluster: MiniSlurm, options: dict[str, Any], says: str
) -> None:
    def submissions() -> int:
        log = (cluster.directory / "log" / "slurmctld.log").read_text()
        return log.count("_slurm_rpc_submit_batch_job")

    before = submissions()
    assert says in shared_hub.ask_for_server(shared_hub.user(NAME), **options)
    assert shared_hub.journal() == []
    assert submissions() == before


def test_a_name_without_an_account_is_refused(shared_hub: Hub, users: dict[str, str] | None) -> None:
    if users is None:
        pytest.skip("with one uid for all, every name has an account")
    assert "has no account on this cluster" in shared_hub.ask_for_server(
        shared_hub.user("root"), device="echo"
    )


def ask(hub: Hub, user: str) -> None:
    """Ask for a server at a hub that will be killed."""
    try:
        hub.ask_for_server(user, device="echo")
    except (OSError, ValueError):
        return


def test_no_secret_passes_through_slurm(make_hub: Callable[..., Hub], cluster: MiniSlurm, here: Path) -> None:
    kept = here / "env"
    hub = make_hub(python=script(here / "python", f"env > {shlex.quote(str(kept))}; sleep 600"))
    user = hub.user(NAME)
    asking = threading.Thread(target=ask, args=(hub, user), daemon=True)
    asking.start()
    wait_until(lambda: kept.exists() and "QMIO_GRANT" in kept.read_text(), "the job runs")
    environ = dict(line.partition("=")[::2] for line in kept.read_text().splitlines())
    assert environ["QMIO_HUB_GRANT"].startswith("g-")
    assert "JUPYTERHUB_API_TOKEN" not in environ
    assert "JPY_API_TOKEN" not in environ
    assert "key" not in environ["QMIO_GATEWAY"]
    assert str(hub.centre.hub_key_file) not in kept.read_text()
    hub.api(f"users/{user}/server", "DELETE")
    asking.join(30)
