"""Where every node has its own address: second nodes, components, and keys that were carried from node to node."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from qmio_jupyter.auth.keys import read_keys
from qmio_jupyter.config.places import node_local
from qmio_jupyter.model.access import Role
from qmio_jupyter.testing.centre import Centre
from qmio_jupyter.testing.door import Door, refusal
from qmio_jupyter.testing.slurm import MiniSlurm, mini_slurm, missing, until
from qmio_jupyter.wire import messages as m
from tests.conftest import missing as fail_or_skip

#: Prints the session and where it is as one line of JSON, and stays.
SHOW = """
import json, os, time
from qmio_jupyter.client.sync import connect
client = connect(timeout_s=60)
one = client.session()
told = {"job": one.job_id, "key": one.key, "addresses": one.addresses, "node": os.environ["SLURMD_NODENAME"]}
print(json.dumps(told), flush=True)
time.sleep(300)
"""


@pytest.fixture(scope="module")
def spread() -> Iterator[MiniSlurm]:
    if lacking := missing():
        fail_or_skip(f"{lacking} (python tools/slurm.py)")
    with mini_slurm(own_addresses=True) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def gateway(spread: MiniSlurm, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    more = (
        f'verifier = "slurm"\n[gateway.slurm]\nconfig = "{spread.conf}"\nmunge_socket = "{spread.munge_socket}"\n'
        "interval_s = 1.0\n"
    )
    centre = Centre(tmp_path_factory.mktemp("centre"), more=more).start()
    yield centre.address()
    centre.stop()


@pytest.fixture
def submit(spread: MiniSlurm, gateway: Any, tmp_path: Path) -> Iterator[Any]:
    """Submit components with one `SHOW` for each of their nodes; return what the programs tell, by node."""
    show = tmp_path / "show.py"
    show.write_text(SHOW)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("QMIO_", "SLURM_"))}
    environ = kept | spread.environ | {
        "QMIO_GATEWAY": gateway.endpoint, "QMIO_GATEWAY_KEY": gateway.server_key, "QMIO_DEVICE": "echo",
    }  # fmt: skip
    sbatch, srun = shutil.which("sbatch"), shutil.which("srun")
    assert sbatch is not None
    assert srun is not None

    def done(count: int, *components: list[str], groups: str = "") -> tuple[int, dict[str, Any]]:
        argv = [sbatch, "--parsable", f"--output={tmp_path}/%j.out", f"--chdir={tmp_path}"]
        command = f"{srun} {groups} {sys.executable} {show}"
        for number, component in enumerate(components):
            argv += [":"] if number else []
            argv += ["--mem=100", *component]
            argv += [f"--wrap={command}"] if number == 0 else []
        job_id = int(subprocess.run(argv, env=environ, capture_output=True, text=True, check=True).stdout)
        out = tmp_path / f"{job_id}.out"

        def told() -> list[dict[str, Any]]:
            lines = out.read_text().splitlines() if out.exists() else []
            found = [json.loads(line) for line in lines if line.startswith("{")]
            return found if len(found) == count else []

        try:
            found = until(told, "they tell", seconds=60)
        except AssertionError as error:
            raise AssertionError(
                f"{error}: {out.read_text() if out.exists() else spread.slurm().jobs()}"
            ) from None
        return job_id, {one["node"]: one for one in found}

    yield done
    spread.cancel_all()


def key_of(cluster: MiniSlurm, job_id: int, node: str) -> Any:
    return read_keys(node_local() / "jobs" / f"{cluster.cluster}-{job_id}-0-{node}" / "session.key")


def role_at(gateway: Any, keys: Any, address: str) -> Role:
    door = Door(gateway, keys, source=address)
    try:
        welcome = door.ask(m.Hello())
        assert isinstance(welcome, m.Welcome)
        return welcome.role
    finally:
        door.close()


def test_the_second_node_of_a_job_proves_itself_and_a_third_is_none_of_it(
    spread: MiniSlurm, gateway: Any, submit: Any
) -> None:
    job_id, told = submit(2, ["-N2", "-n2", "--nodelist=n1,n2"])
    assert {one["job"] for one in told.values()} == {str(job_id)}
    assert told["n1"]["key"] != told["n2"]["key"]
    for one in told.values():
        assert {"127.0.1.1", "127.0.1.2"} <= set(one["addresses"])
        assert "127.0.1.3" not in one["addresses"]
    second = key_of(spread, job_id, "n2")
    assert role_at(gateway, second, "127.0.1.2") is Role.USER
    assert role_at(gateway, second, "127.0.1.3") is Role.NONE
    door = Door(gateway, second, cluster=spread.cluster, source="127.0.1.3")
    made_there = spread.directory / "run" / "munged-127.0.1.3.sock"
    try:
        code, message = refusal(door.prove(str(job_id), made_there))
    finally:
        door.close()
    assert (code, "no node of job" in message) == ("auth.credential", True)


def test_a_component_of_a_heterogeneous_job_is_its_own_job(
    spread: MiniSlurm, gateway: Any, submit: Any
) -> None:
    job_id, told = submit(2, ["-n1", "--nodelist=n1"], ["-n1", "--nodelist=n2"], groups="--het-group=0-1")
    assert (told["n1"]["job"], told["n2"]["job"]) == (str(job_id), str(job_id + 1))
    assert role_at(gateway, key_of(spread, job_id, "n2"), "127.0.1.2") is Role.USER
    assert role_at(gateway, key_of(spread, job_id, "n2"), "127.0.1.1") is Role.NONE, (
        "another component's node"
    )


def test_a_key_carried_to_another_job_of_the_same_user_stays_the_first_jobs(
    spread: MiniSlurm, gateway: Any, submit: Any
) -> None:
    first, _ = submit(1, ["-n1", "--nodelist=n1"])
    second, _ = submit(1, ["-n1", "--nodelist=n2"])
    carried = key_of(spread, first, "n1")
    assert role_at(gateway, carried, "127.0.1.1") is Role.USER
    assert role_at(gateway, carried, "127.0.1.2") is Role.NONE
    assert role_at(gateway, key_of(spread, second, "n2"), "127.0.1.2") is Role.USER
