"""Loopback, a 0600 connection file, CURVE always: another user of the node can neither read nor submit.

With a real gateway process and a real second unix user (a bare uid: no account is made).
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from qmio_jupyter.client.sync import Client, connect
from qmio_jupyter.config import connection
from qmio_jupyter.config.places import Places, places
from qmio_jupyter.config.settings import ClientSettings
from qmio_jupyter.gateway.roles import ALLOWED
from qmio_jupyter.model.access import Role
from qmio_jupyter.model.ids import digest
from qmio_jupyter.model.program import OCTETS, Program
from qmio_jupyter.model.task import Item, TaskSpec, TaskState
from qmio_jupyter.wire.codec import MESSAGES

#: `nobody` on Debian; any uid but ours will do.
STRANGER = 65_534
DEADLINE_S = 30.0
CONFIG = """
[[gateway.agents]]
device = "echo"
driver = "echo"
workers = 0
"""


class Lab:
    """One user's gateway and client, in a directory that others may enter."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "config.toml").write_text(CONFIG)
        self.environ = {name: value for name, value in os.environ.items() if not name.startswith("QMIO_")}
        self.environ |= {"QMIO_HOME": str(root / "home"), "QMIO_CONFIG": str(root / "config.toml")}
        self.places: Places = places(self.environ)
        with (root / "output").open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "qmio_jupyter.cli.daemon", "gateway", "--embedded"],
                env=self.environ,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self.client: Client | None = None

    def connect(self) -> Client:
        end = time.monotonic() + DEADLINE_S
        while not self.places.connection_file.exists():
            assert self.process.poll() is None, (self.root / "output").read_text()
            assert time.monotonic() < end, "the gateway does not listen"
            time.sleep(0.01)
        settings = ClientSettings(start_embedded=False)
        self.client = connect(settings=settings, environ=self.environ, timeout_s=DEADLINE_S)
        return self.client

    def pids(self) -> list[int]:
        gateway = psutil.Process(self.process.pid)
        return [gateway.pid, *(child.pid for child in gateway.children(recursive=True))]

    def close(self) -> None:
        if self.client is not None:
            self.client.close()
        family = [psutil.Process(pid) for pid in self.pids()] if self.process.poll() is None else []
        self.process.send_signal(signal.SIGTERM)
        try:
            assert self.process.wait(DEADLINE_S) == 0, (self.root / "output").read_text()
        finally:
            for process in family:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            self.process.wait(DEADLINE_S)


@pytest.fixture
def lab() -> Iterator[Lab]:
    # Not tmp_path: its parents are closed to others, which would prove nothing about ours.
    root = Path(tempfile.mkdtemp(prefix="qmio-other-user-"))
    root.chmod(0o755)
    try:
        lab = Lab(root)
        try:
            yield lab
        finally:
            lab.close()
    finally:
        shutil.rmtree(root)


def spec(label: str) -> tuple[TaskSpec, Program]:
    program = Program(digest=digest(b"mine alone"), media_type=OCTETS, data=b"mine alone")
    return TaskSpec(device="echo", items=(Item(program=program.digest, shots=10),), label=label), program


def test_everything_the_gateway_makes_is_its_users_alone(lab):
    client = lab.connect()
    task, program = spec("private")
    assert client.submit(task, [program]).wait(DEADLINE_S).state is TaskState.COMPLETED
    home = lab.root / "home"
    made = [home, *home.rglob("*")]
    assert lab.places.connection_file in made
    assert lab.places.ledger in made
    for path in made:
        facts = path.lstat()
        assert facts.st_uid == os.getuid(), path
        assert stat.S_IMODE(facts.st_mode) == (0o700 if path.is_dir() else 0o600), path
    written = connection.read(lab.places.connection_file)
    assert written.endpoint.startswith("tcp://127.0.0.1:")
    listening = [
        held.laddr.ip
        for pid in lab.pids()
        for held in psutil.Process(pid).net_connections()
        if held.status == psutil.CONN_LISTEN
    ]
    assert listening == ["127.0.0.1"]


@pytest.mark.root
@pytest.mark.slow
@pytest.mark.parametrize("directories", ["as made", "opened by mistake"])
def test_another_user_of_the_node_can_neither_read_nor_submit(lab, directories):
    if os.geteuid() != 0:
        from tests.conftest import missing

        missing("root, for a second unix user,")
    client = lab.connect()
    task, program = spec("private")
    handle = client.submit(task, [program])
    assert handle.wait(DEADLINE_S).state is TaskState.COMPLETED
    written = connection.read(lab.places.connection_file)
    home = lab.root / "home"
    files = [path for path in home.rglob("*") if path.is_file()]
    folders = [home, *(path for path in home.rglob("*") if path.is_dir())]
    if directories == "opened by mistake":
        # The files then have to hold on their own.
        for folder in folders:
            folder.chmod(0o711)
    canary = lab.root / "canary"
    canary.write_text("sings")
    facts = {
        "uid": STRANGER,
        "endpoint": written.endpoint,
        "server_key": written.server_key,
        "files": [str(path) for path in files],
        "directories": [str(path) for path in folders],
        "pids": lab.pids(),
        "canary": str(canary),
    }
    child = subprocess.run(
        [sys.executable, "-P", str(Path(__file__).with_name("other_user.py")), json.dumps(facts)],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert child.returncode == 0, child.stderr
    told = json.loads(child.stdout)

    assert (told["uid"], told["canary"]) == (STRANGER, "sings")
    for deed in ("listed", "read", "written", "planted", "signalled", "environ", "heard"):
        assert told[deed] == [], deed
    # What everybody can see of our processes holds no secret.
    assert told["cmdlines"]
    assert not any(written.secret_key in line for line in told["cmdlines"])
    assert told["role"] == Role.NONE
    assert told["large"] == "limit.size"
    assert told["pong"] == "Pong"

    open_to_all = {tag for tag, roles in ALLOWED.items() if Role.NONE in roles}
    assert open_to_all == {"hello", "ping", "session.challenge", "session.open"}
    answers = told["answers"]
    assert set(answers) == set(MESSAGES)
    # The sample of hello asks for versions of the future.
    assert answers.pop("hello") == "wire.version"
    assert answers.pop("ping") == "Pong"
    # An embedded gateway takes no proofs yet, and knows its user's key already.
    assert {answers.pop(tag) for tag in ("session.challenge", "session.open")} <= {
        "not_yet",
        "auth.credential",
    }
    # Every other request is refused for its sender; what is no request at all, for what it is.
    assert answers == {tag: "auth.role" if tag in ALLOWED else "wire.unsupported" for tag in answers}

    # Nothing happened to the user's own.
    assert lab.process.poll() is None
    assert [view.task_id for view in client.tasks()] == [handle.task_id]
    assert client.show(handle.task_id).label == "private"
    assert client.submit(task, [program]).wait(DEADLINE_S).state is TaskState.COMPLETED
