"""The gateway is killed with ``kill -9`` at every step of a server's life, and started again.

The start goes on to its end, or nothing of it is left and its user is told why; a server that runs goes on.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from qmio_jupyter.testing.centre import Centre
from qmio_jupyter.testing.home import wait_until
from qmio_jupyter.testing.hub import Hub
from qmio_jupyter.testing.slurm import MiniSlurm
from tests.integration.hub.test_both_or_neither import NAME, nothing_is_left, script
from tests.integration.hub.test_start_and_stop import BELL
from tests.long.hub.test_failures import Asked

pytestmark = pytest.mark.timeout(300)

#: Steps at which the gateway is killed before the server is there.
_STEPS = ["granting", "submitting", "binding", "running", "opened"]


@pytest.mark.parametrize("step", _STEPS)
def test_gateway_killed(
    step: str, make_hub: Callable[..., Hub], centre: Centre, cluster: MiniSlurm, here: Path, python: str
) -> None:
    arrived, go = here / "arrived", here / "go"
    hold = f"touch {arrived}; until [ -e {go} ]; do sleep 0.1; done"
    commands = cluster.commands()
    sbatch, settings = commands.sbatch, dict[str, Any]()
    if step == "submitting":
        sbatch = script(here / "sbatch", f'{hold}; exec {sbatch} "$@"')
    elif step == "binding":
        sbatch = script(here / "sbatch", f'{sbatch} "$@"; {hold}')
    elif step == "running":
        settings["python"] = script(here / "python", f'{hold}; exec {python} "$@"')
    elif step == "opened":
        held = script(here / "server", f'{hold}; exec {python} -m jupyterhub.singleuser "$@"')
        settings["cmd"] = [held]
    hub = make_hub(slurm={"config": commands.config, "sbatch": sbatch}, **settings)
    user = hub.user(NAME)
    # The devices have been seen: the next thing that the gateway is asked is the grant.
    hub.ask_for_server(user, device="nothing")
    if step == "granting":
        centre.pause()
    asked = Asked(hub, user)
    told: list[dict[str, Any]] = []
    if step == "granting":
        wait_until(lambda: [one for one in hub.journal() if one["grant"] == "maybe"], "it is granting", 30)
    else:
        wait_until(arrived.exists, f"it is {step}", 60)
    centre.kill()
    if step == "running":
        watcher = threading.Thread(target=hub.progress, args=(user, 90.0, told), daemon=True)
        watcher.start()
        wait_until(
            lambda: any("gateway of device echo does not answer" in one["message"] for one in told),
            "she is told",
            60,
        )
    go.touch()
    centre.start()
    assert asked.answer() == ""
    with hub.kernel(user) as kernel:
        assert "50" in kernel.run(f"%%qpu --shots 50\n{BELL}")
    (job,) = cluster.slurm().jobs()
    assert job.licences == {"qpu_echo": 1}
    hub.api(f"users/{user}/server", "DELETE")
    nothing_is_left(hub, cluster)


def test_a_gateway_that_never_comes_back_leaves_nothing_of_a_start(
    make_hub: Callable[..., Hub], centre: Centre, cluster: MiniSlurm, here: Path
) -> None:
    arrived, go = here / "arrived", here / "go"
    commands = cluster.commands()
    sbatch = script(
        here / "sbatch",
        f'{commands.sbatch} "$@"; touch {arrived}; until [ -e {go} ]; do sleep 0.1; done',
    )
    hub = make_hub(slurm={"config": commands.config, "sbatch": sbatch})
    user = hub.user(NAME)
    asked = Asked(hub, user)
    wait_until(arrived.exists, "it is submitted", 60)
    centre.kill()
    go.touch()
    why = asked.answer()
    assert "gateway" in why, why
    # The debt to the gateway stays written down; no job waits for it.
    wait_until(lambda: not cluster.slurm().jobs(), "the job is gone", 60)
    assert [one["grant"] for one in hub.journal()] == ["yes"]
    centre.start()
    nothing_is_left(hub, cluster)


def test_a_gateway_that_is_away_while_a_server_runs_and_stops(
    make_hub: Callable[..., Hub], centre: Centre, cluster: MiniSlurm
) -> None:
    hub = make_hub(poll_interval=1)
    user = hub.user(NAME)
    assert hub.ask_for_server(user, device="echo") == ""
    with hub.kernel(user) as kernel:
        kernel.run("x = 41")
        centre.kill()
        assert kernel.run("print(x + 1)").strip() == "42"
        timer = threading.Timer(2.0, centre.start)
        timer.start()
        # It was sent while there was no gateway, and is answered by the next one.
        assert "50" in kernel.run(f"%%qpu --shots 50\n{BELL}")
        timer.join()
    centre.kill()
    hub.api(f"users/{user}/server", "DELETE")
    wait_until(lambda: not cluster.slurm().jobs(), "the job is gone", 60)
    wait_until(lambda: hub.api(f"users/{user}")["server"] is None, "the server is stopped", 60)
    assert {one.used for one in cluster.slurm().licences()} == {0}
    assert len(hub.journal()) == 1
    centre.start()
    nothing_is_left(hub, cluster)


def test_what_is_owed_is_paid_by_the_next_hub_process_though_nobody_comes(
    make_hub: Callable[..., Hub], centre: Centre, cluster: MiniSlurm
) -> None:
    hub = make_hub()
    user = hub.user(NAME)
    assert hub.ask_for_server(user, device="echo") == ""
    centre.kill()
    hub.api(f"users/{user}/server", "DELETE")
    wait_until(lambda: hub.api(f"users/{user}")["server"] is None, "the server is stopped", 60)
    assert len(hub.journal()) == 1
    hub.kill()
    centre.start()
    assert len(hub.journal()) == 1
    hub.start()
    wait_until(lambda: not hub.journal(), "the grant is revoked", 60)
    nothing_is_left(hub, cluster)
