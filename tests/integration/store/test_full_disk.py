"""A real gateway on a disk that is really full: refuses retryably, loses nothing accepted, and goes on."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from qmio_jupyter.client.spec import build_spec
from qmio_jupyter.client.sync import Client, TaskHandle, connect, mint_task_id
from qmio_jupyter.errors import QmioError
from qmio_jupyter.model.ids import digest
from qmio_jupyter.model.program import OCTETS, Program
from qmio_jupyter.model.task import TaskOptions, TaskState

SOON_S = 60.0
SETTINGS = """
[[gateway.agents]]
device = "echo"
driver = "echo"
workers = 0
"""


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A home whose state directory is a file system of 6 MB of its own."""
    home = tmp_path / "home"
    state = home / "state"
    state.mkdir(parents=True)
    home.chmod(0o700)
    mount = ["mount", "-t", "tmpfs", "-o", "size=6m,mode=0700", "tmpfs", str(state)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        from tests.conftest import missing

        missing("the right to mount a small file system")
    (home / "config.toml").write_text(SETTINGS)
    yield home
    processes = list(processes_of(home))
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.terminate()
    _, left = psutil.wait_procs(processes, timeout=SOON_S)
    for process in left:
        process.kill()
    psutil.wait_procs(left, timeout=SOON_S)
    subprocess.run(["umount", str(state)], check=True)
    assert left == []


def processes_of(home: Path) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get("QMIO_HOME") == str(home) and "gateway" in process.cmdline():
                yield process


@pytest.fixture
def client(home: Path) -> Iterator[Client]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("QMIO_")}
    environ = {**kept, "QMIO_HOME": str(home), "QMIO_CONFIG": str(home / "config.toml")}
    client = connect(environ=environ, timeout_s=SOON_S)
    yield client
    client.close()


def submit(
    client: Client, text: str, *, size: int = 0, seconds: float = 0.0, task_id: str | None = None
) -> TaskHandle:
    data = text.encode() + bytes(size)
    program = Program(digest=digest(data), media_type=OCTETS, data=data)
    options = TaskOptions(device_options=(("seconds", str(seconds)),))
    spec = build_spec([program], device="echo", shots=10, options=options, label=text)
    return client.submit(spec, [program], task_id=task_id, timeout_s=SOON_S)


def fill(state: Path) -> Path:
    """Leave no room at all."""
    ballast = state / "ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    return ballast


def patiently(ask: Callable[[], TaskHandle]) -> TaskHandle:
    """Ask until it is accepted; every refusal on the way must say that this may help."""
    deadline = time.monotonic() + SOON_S
    while True:
        try:
            return ask()
        except QmioError as error:
            if not error.retryable or time.monotonic() > deadline:
                raise
        time.sleep(0.05)


@pytest.mark.root
def test_a_full_disk_under_a_running_gateway(home: Path, client: Client) -> None:
    assert submit(client, "before").wait(SOON_S).state is TaskState.COMPLETED
    waiting = [submit(client, f"waiting {number}", seconds=0.5) for number in range(3)]
    epoch = client.ping()
    ballast = fill(home / "state")
    late = mint_task_id()
    with pytest.raises(QmioError) as caught:
        # The log of the ledger has some room left inside: this is more than it.
        submit(client, "late", size=5_000_000, task_id=late)
    assert (caught.value.code, caught.value.retryable) == ("store", True)
    with pytest.raises(QmioError) as caught:
        submit(client, "later", size=5_000_000)
    assert caught.value.retryable
    ballast.unlink()
    # The same id again, as a user's script would: it was not accepted before.
    again = patiently(lambda: submit(client, "late", size=100_000, task_id=late))
    for handle in [*waiting, again]:
        assert handle.wait(SOON_S).state is TaskState.COMPLETED
    assert client.ping() > epoch
    labels = sorted(view.label for view in client.tasks())
    assert labels == ["before", "late", "waiting 0", "waiting 1", "waiting 2"]
