"""Secrets of every party are looked for wherever somebody else might read them: files, logs, processes, core files."""

from __future__ import annotations

import base64
import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from qmio_jupyter.auth.keys import read_keys
from qmio_jupyter.testing.centre import ECHO, Centre
from qmio_jupyter.testing.home import wait_until
from qmio_jupyter.testing.hub import Hub
from qmio_jupyter.testing.node_files import NodeFiles
from qmio_jupyter.testing.slurm import MiniSlurm

pytestmark = pytest.mark.timeout(240)
NAME = "ana <'\"&> garcía"
BELL = 'OPENQASM 3.0; include "stdgates.inc"; qubit[2] q; bit[2] c; h q[0]; cx q[0], q[1]; c = measure q;'
#: Prints what only her own programs know.
HERS = """
import glob, json, os
(path,) = glob.glob(f"/tmp/qmio-{os.getuid()}/jobs/*-{os.environ['SLURM_JOB_ID']}-*/session.key")
print(json.dumps({"token": os.environ["JUPYTERHUB_API_TOKEN"], "path": path, "key": json.load(open(path))["secret"],
                  "server": os.getppid()}))
"""


@pytest.fixture
def with_cores() -> Iterator[None]:
    """Have what is started here leave core files, if it lets itself be told."""
    before = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (before[1], before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_CORE, before)


@pytest.fixture
def loud(tmp_path: Path, cluster: MiniSlurm, with_cores: None) -> Iterator[Centre]:
    """A gateway that logs all it can; it is told of jobs' ends by a node."""
    (tmp_path / "centre").mkdir()
    (tmp_path / "files").mkdir()
    files = NodeFiles(tmp_path / "files")
    more = 'log_level = "debug"\n' + Centre.verifier(cluster)
    made = Centre(tmp_path / "centre", agents=ECHO + files.gateway_keys, more=more)
    yield made.start()
    made.stop()


@pytest.fixture
def hub(
    tmp_path: Path, cluster: MiniSlurm, loud: Centre, python: str, users: dict[str, str] | None
) -> Iterator[Hub]:
    (tmp_path / "hub").mkdir()
    made = Hub(tmp_path / "hub", cluster, loud, python=python, users=users)
    yield made.start()
    made.stop()
    cluster.cancel_all()


class Secrets:
    """What must be nowhere but where it belongs.

    Parameters
    ----------
    hub : Hub
        With one running server.
    """

    def __init__(self, hub: Hub, hers: dict[str, Any]) -> None:
        state = hub.centre.root / "home"
        agent = next(state.rglob("agent-echo.key"))
        own = {
            "the hub's key": hub.centre.hub_key_file,
            "the gateway's key": state / "state" / "server.key",
            "the agent's key": agent,
        }
        self.texts = {name: read_keys(path).secret.encode() for name, path in own.items()}
        self.texts["her session's key"] = str(hers["key"]).encode()
        self.texts["her server's token"] = str(hers["token"]).encode()
        cookie = (hub.root / "cookie").read_text().strip()
        self.texts["the hub's cookie secret"] = cookie.encode()
        self.texts["a MUNGE credential"] = b"MUNGE:AwQ"
        self.texts |= {
            f"{name}, in base64": base64.b64encode(text)
            for name, text in self.texts.items()
            if "MUNGE" not in name
        }
        self.at_home = {*own.values(), hub.root / "cookie", Path(hers["path"])}

    def found(self, looked: dict[str, bytes]) -> list[tuple[str, str]]:
        """Return where which of them is."""
        return [
            (name, where)
            for where, text in looked.items()
            for name, secret in self.texts.items()
            if secret in text
        ]


def files_of(places: list[Path], but: set[Path]) -> dict[str, bytes]:
    found = {}
    for place in places:
        for path in place.rglob("*"):
            if path.is_file() and not path.is_symlink() and path not in but:
                found[str(path)] = path.read_bytes()
    return found


def processes(but: Callable[[int], bool]) -> dict[str, bytes]:
    """Return arguments and environments of all processes of this machine but some."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        for name in ("cmdline", "environ"):
            try:
                if name == "environ" and but(process.stat().st_uid):
                    continue
                found[f"{process}/{name}"] = (process / name).read_bytes()
            except OSError:
                continue
    return found


def said_by_slurm(cluster: MiniSlurm, job_id: int) -> dict[str, bytes]:
    commands = cluster.commands()
    asked = (
        [commands.squeue, "-a", "-o", "%all"],
        [commands.squeue, "-a", "-O", "JobID,Comment:500,AdminComment:500,Command:500,Name:200,WorkDir:300"],
        [commands.squeue, "-a", "--json"],
        [commands.scontrol, "show", "-dd", "job", str(job_id)],
        [commands.scontrol, "show", "step"],
        [commands.scontrol, "show", "config"],
        [commands.scontrol, "write", "batch_script", str(job_id), "-"],
    )
    return {
        " ".join(argv): subprocess.run(
            argv, env=commands.environment(), capture_output=True, check=False
        ).stdout
        for argv in asked
    }


def system_logs() -> dict[str, bytes]:
    found = {
        str(path): path.read_bytes()[-4_000_000:]
        for path in Path("/var/log").rglob("*")
        if path.is_file() and path.suffix not in (".gz", ".xz")
    }
    journal = subprocess.run(
        ["/bin/sh", "-c", "journalctl --no-pager -n 20000 2>/dev/null || true"],
        capture_output=True,
        check=False,
    )
    return found | {"the journal": journal.stdout}


def test_no_secret_is_where_somebody_else_could_read_it(
    hub: Hub, cluster: MiniSlurm, users: dict[str, str] | None, site: Path
) -> None:
    user = hub.user(NAME)
    assert hub.ask_for_server(user, device="echo") == ""
    (job,) = cluster.slurm().jobs()
    with hub.kernel(user) as kernel:
        hers = json.loads(kernel.run(HERS).strip().splitlines()[-1])
        assert "100" in kernel.run(f"%%qpu --shots 100\n{BELL}")
        secrets = Secrets(hub, hers)
        places = [hub.root, hub.centre.root, cluster.directory, site / "homes"]
        looked = files_of(places, secrets.at_home) | said_by_slurm(cluster, job.job_id) | system_logs()
        # With one uid for all her processes are not told from others'.
        looked |= processes(lambda uid: uid == job.uid)
        for name in (
            "hub.sqlite",
            "ledger.sqlite",
            "hub.log",
            "gateway.jsonl",
            "slurmctld.log",
            "server.log",
        ):
            assert any(where.endswith(name) for where in looked), f"{name} was looked at"
        assert any(str(job.job_id).encode() in text for where, text in looked.items() if "squeue" in where)
        assert secrets.found(looked) == []
        # And the search finds what is there: her own process has her token.
        assert secrets.found(processes(lambda uid: uid != job.uid))
    hub.api(f"users/{user}/server", "DELETE")
    wait_until(lambda: hub.api(f"users/{user}")["server"] is None, "the server is stopped")
    assert secrets.found(files_of(places, secrets.at_home)) == [], "nor when it has ended"


def test_who_crashes_leaves_no_core_file(hub: Hub, cluster: MiniSlurm, tmp_path: Path) -> None:
    if Path("/proc/sys/kernel/core_pattern").read_text().startswith(("|", "/")):
        pytest.skip("core files of this machine do not go where a process works")
    control = tmp_path / "control"
    control.mkdir()
    subprocess.run([sys.executable, "-c", "import os; os.abort()"], cwd=control, check=False)
    if not list(control.glob("core*")):
        pytest.skip("this machine writes no core files")
    user = hub.user(NAME)
    assert hub.ask_for_server(user, device="echo") == ""
    with hub.kernel(user) as kernel:
        hers = json.loads(kernel.run(HERS).strip().splitlines()[-1])
        crash(outside(int(kernel.run("import os; print(os.getpid())").strip()), cluster))
    assert hub._process is not None
    for pid in (outside(int(hers["server"]), cluster), hub._process.pid, hub.centre.pid):
        crash(pid)


def crash(pid: int) -> None:
    """Have a process end as one that crashes; it leaves nothing where it works."""
    where = Path(f"/proc/{pid}/cwd").readlink()
    before = set(where.glob("core*"))
    os.kill(pid, signal.SIGABRT)
    wait_until(lambda: _is_gone(pid), f"{pid} is gone")
    assert set(where.glob("core*")) == before, where


def outside(pid: int, cluster: MiniSlurm) -> int:
    """Return what this machine calls a process that its job calls `pid`: the cluster counts its own."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            environ = (process / "environ").read_bytes()
            (line,) = [
                one for one in (process / "status").read_text().splitlines() if one.startswith("NSpid")
            ]
        except (OSError, ValueError):
            continue
        if line.split()[-1] == str(pid) and str(cluster.directory).encode() in environ:
            return int(process.name)
    raise AssertionError(f"no process {pid} of the cluster")


def _is_gone(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return True
    return stat.rpartition(")")[2].split()[0] == "Z"
