"""The embedded gateway: raced, killed, stopped, started again, while somebody waits."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import threading
from pathlib import Path

import msgspec
import pytest

from qmio_jupyter.client.aio import AsyncClient
from qmio_jupyter.client.spec import build_spec
from qmio_jupyter.client.sync import TaskHandle, connect
from qmio_jupyter.config import connection
from qmio_jupyter.config.settings import ClientSettings, GatewayAddress
from qmio_jupyter.errors import DeadlineError, GatewayError, QmioError
from qmio_jupyter.model.ids import digest
from qmio_jupyter.model.program import OCTETS, Program
from qmio_jupyter.model.task import TaskOptions, TaskSpec, TaskState
from qmio_jupyter.testing.home import ECHO_ONLY, Home, wait_until
from tests.conftest import missing

PROGRAM = Program(digest=digest(b"x"), media_type=OCTETS, data=b"x")


def spec(seconds: float = 0.0) -> TaskSpec:
    options = TaskOptions(device_options=(("seconds", str(seconds)),))
    return build_spec([PROGRAM], device="echo", shots=100, options=options)


class Waiter:
    """Waits for a task in a thread of its own, as a cell does."""

    def __init__(self, handle: TaskHandle) -> None:
        self.outcome: object = None
        self.running = threading.Event()
        self._thread = threading.Thread(target=self._wait, args=(handle,))
        self._thread.start()

    def _wait(self, handle: TaskHandle) -> None:
        def look(view: object, partial: object) -> None:
            if handle.state is TaskState.RUNNING:
                self.running.set()

        try:
            self.outcome = handle.wait(60, look).state
        except QmioError as error:
            self.outcome = error

    def end(self) -> object:
        self._thread.join(70)
        assert not self._thread.is_alive()
        return self.outcome


def gateways(home: Home) -> list[int]:
    """Return the processes that are called gateway."""
    found = []
    for pid in home.processes():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if b"gateway" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"):
                found.append(pid)
    return found


def test_five_processes_that_race_get_one_gateway(home: Home) -> None:
    program = (
        "from qmio_jupyter.client.sync import connect\n"
        "with connect(on_note=lambda line: None, timeout_s=60) as client:\n"
        "    print(client.gateway().started_ms, client.ping())\n"
    )
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", program], env=home.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for _ in range(5)
    ]
    outputs = [racer.communicate(timeout=90) for racer in racers]
    assert [racer.returncode for racer in racers] == [0] * 5, outputs
    assert len({output for output, _ in outputs}) == 1
    written = home.connection()
    assert written is not None
    # An agent that is being started is called like its gateway for a moment; those that lost the race are going.
    wait_until(lambda: gateways(home) == [written.pid], "one gateway is left")
    assert home.cli("down").returncode == 0
    assert home.processes() == []


def test_the_start_is_told_in_one_line_and_only_when_it_happens(home: Home) -> None:
    said: list[str] = []
    with connect(environ=home.environ, on_note=said.append):
        pass
    with connect(environ=home.environ, on_note=said.append):
        pass
    (line,) = said
    assert "gateway" in line
    assert "\n" not in line


def test_a_wait_goes_on_when_the_gateway_is_killed(home: Home) -> None:
    with connect(environ=home.environ) as client:
        handle = client.submit(spec(3.0), [PROGRAM])
        waiter = Waiter(handle)
        assert waiter.running.wait(20)
        before = client.ping()
        killed = home.kill()
        # Nobody starts it but the client that waits.
        assert waiter.end() is TaskState.COMPLETED
        assert client.ping() > before
        assert client.result(handle.task_id).shots == 100
        written = home.connection()
        assert written is not None
        assert written.pid != killed


def test_a_wait_goes_on_when_somebody_else_starts_the_gateway(home: Home) -> None:
    assert home.cli("up").returncode == 0
    with connect(environ=home.environ, start=False) as client:
        handle = client.submit(spec(3.0), [PROGRAM])
        waiter = Waiter(handle)
        assert waiter.running.wait(20)
        home.kill()
        assert home.cli("up").returncode == 0
        assert waiter.end() is TaskState.COMPLETED


def test_an_asyncio_wait_goes_on_too(home: Home) -> None:
    async def user() -> TaskState:
        async with AsyncClient(environ=home.environ) as client:
            handle = await client.submit(spec(2.0), [PROGRAM])
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(None, home.kill)
            return (await handle.wait(60)).state

    assert asyncio.run(user()) is TaskState.COMPLETED


def test_a_gateway_stopped_on_purpose_stays_stopped_for_those_who_wait(home: Home) -> None:
    assert home.cli("up").returncode == 0
    with connect(environ=home.environ) as client:
        handle = client.submit(spec(60.0), [PROGRAM])
        waiter = Waiter(handle)
        assert waiter.running.wait(20)
        assert home.cli("down").returncode == 0
        wait_until(lambda: client.unreachable_s > 1.5, "the client has noticed and looked")
        assert home.processes() == []
        # Who asks something new gets a gateway again, and with it the queued task.
        assert client.show(handle.task_id).task_id == handle.task_id
        client.cancel(handle.task_id)
        assert waiter.end() is TaskState.CANCELLED


def test_a_request_made_while_the_gateway_is_dead_is_answered(home: Home) -> None:
    with connect(environ=home.environ) as client:
        before = client.ping()
        home.kill()
        assert client.ping(60) > before


def test_waiting_without_a_gateway_ends(home: Home) -> None:
    assert home.cli("up").returncode == 0
    impatient = Home(home.root, ECHO_ONLY.replace("timeout_s = 20", "timeout_s = 20\nunreachable_s = 1.5"))
    with connect(environ=impatient.environ, start=False) as client:
        handle = client.submit(spec(60.0), [PROGRAM])
        waiter = Waiter(handle)
        assert home.cli("down").returncode == 0
        error = waiter.end()
        assert isinstance(error, GatewayError)
        assert handle.task_id in error.hint


def test_a_start_that_cannot_work_fails_with_the_reason(home: Home) -> None:
    # The client is given its settings; only the gateway meets the wrong table.
    settings = home.client_settings
    broken = Home(home.root, ECHO_ONLY.replace('driver = "echo"', 'driver = "echo"\ncolour = "red"'))
    with pytest.raises(GatewayError) as caught:
        connect(environ=broken.environ, settings=settings, timeout_s=30)
    assert caught.value.code == "gateway.start"
    assert "colour" in caught.value.message
    assert broken.processes() == []


def test_a_stale_file_of_a_reused_process_id_is_seen_through(home: Home) -> None:
    assert home.cli("up").returncode == 0
    written = home.connection()
    assert written is not None
    home.kill()
    wait_until(lambda: not home.processes(), "the agent has followed its gateway")
    stranger = subprocess.Popen(["/bin/sleep", "60"], env={})
    try:
        connection.write(home.places.connection_file, msgspec.structs.replace(written, pid=stranger.pid))
        assert connection.is_alive(msgspec.structs.replace(written, pid=stranger.pid))
        with connect(environ=home.environ, timeout_s=60) as client:
            assert client.gateway().epoch > 1
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_an_idle_gateway_ends_by_itself_and_leaves_nothing(home: Home) -> None:
    hasty = Home(home.root, ECHO_ONLY.replace("idle_s = 120", "idle_s = 3"))
    with connect(environ=hasty.environ) as client:
        handle = client.submit(spec(2.0), [PROGRAM])
        assert handle.wait(30).state is TaskState.COMPLETED
        assert hasty.connection() is not None
    wait_until(lambda: not hasty.processes(), "the gateway has ended")
    assert hasty.connection() is None
    # The next one finds everything where it was.
    with connect(environ=hasty.environ) as client:
        assert client.result(client.resolve("last")).task_id == handle.task_id


STRANGER = """
import os, sys
from pathlib import Path

from qmio_jupyter.auth.keys import new_keys
from qmio_jupyter.client.locate import Target
from qmio_jupyter.client.spec import build_spec
from qmio_jupyter.client.sync import Client
from qmio_jupyter.config.settings import ClientSettings
from qmio_jupyter.errors import AuthError
from qmio_jupyter.model.ids import digest
from qmio_jupyter.model.program import OCTETS, Program

path, endpoint, server_key = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
os.setgroups([]); os.setgid(65534); os.setuid(65534)
for look in (path.read_bytes, lambda: list(path.parent.iterdir()), lambda: path.write_bytes(b"x")):
    try:
        look()
    except PermissionError:
        continue
    sys.exit("a file could be used")


class There:
    def __init__(self):
        self.target = Target(endpoint, server_key, new_keys())

    def locate(self, now_s, demand):
        return self.target

    def linked(self):
        pass


program = Program(digest=digest(b"x"), media_type=OCTETS, data=b"x")
spec = build_spec([program], device="echo", shots=1)
with Client(settings=ClientSettings(timeout_s=20), locator=There()) as client:
    for use in (client.tasks, client.devices, client.stop_gateway, lambda: client.submit(spec, [program])):
        try:
            use()
        except AuthError:
            continue
        sys.exit("a request was answered")
"""


@pytest.mark.root
def test_another_user_can_neither_read_nor_submit(home: Home) -> None:
    if os.getuid() != 0:
        missing("root, for a second unix user,")
    assert home.cli("up").returncode == 0
    for directory in (home.root, *home.root.parents):
        # The test's own directories must not be what keeps the stranger out.
        if directory.stat().st_mode & 0o005 != 0o005 and str(directory) != "/":
            directory.chmod(directory.stat().st_mode | 0o055)
    written = home.connection()
    assert written is not None
    argv = [
        sys.executable,
        "-c",
        STRANGER,
        str(home.places.connection_file),
        written.endpoint,
        written.server_key,
    ]
    done = subprocess.run(argv, capture_output=True, check=False, timeout=90)
    assert done.returncode == 0, done.stderr.decode()
    with connect(environ=home.environ, start=False) as client:
        assert client.tasks() == ()


def test_a_cancel_asked_for_while_the_gateway_was_away_is_done_when_it_is_back(home: Home) -> None:
    assert home.cli("up").returncode == 0
    with connect(environ=home.environ, start=False, timeout_s=30) as client:
        handle = client.submit(spec(seconds=60), [PROGRAM])
        home.kill()
        with pytest.raises(DeadlineError):
            handle.cancel(timeout_s=0.5)
        client.cancel_later(handle.task_id, 60)
        assert home.cli("up").returncode == 0
        assert handle.wait(30).state is TaskState.CANCELLED


def test_the_next_configured_gateway_is_used_when_the_first_is_gone(home: Home, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = Home(tmp_path / "other")
    try:
        assert home.cli("up").returncode == 0
        assert other.cli("up").returncode == 0
        addresses = tuple(
            GatewayAddress(connection_file=str(one.places.connection_file)) for one in (home, other)
        )
        settings = ClientSettings(gateways=addresses, timeout_s=30)
        with connect(settings=settings, environ=home.environ) as client:
            first = client.gateway()
            home.kill()
            second = client.gateway()
            assert second.started_ms != first.started_ms
            assert client.submit(spec(), [PROGRAM]).wait(20).state is TaskState.COMPLETED
            with connect(environ=other.environ, start=False) as there:
                assert there.gateway().started_ms == second.started_ms
    finally:
        other.sweep()
