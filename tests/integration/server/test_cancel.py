"""Cancel a task through the Jupyter server: what runs ends, and the page hears how it stands."""

from __future__ import annotations

import contextlib
import queue
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.blocking.client import BlockingKernelClient

from qmio_jupyter._version import __version__
from qmio_jupyter.client.spec import build_spec
from qmio_jupyter.client.sync import Client, connect
from qmio_jupyter.client.sync_handle import TaskHandle
from qmio_jupyter.model.task import TaskOptions, TaskState
from qmio_jupyter.testing import runs
from qmio_jupyter.testing.home import Home, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

ENDS_S = 30.0
#: An emulated Qmio that takes its time: two milliseconds a shot.
EMULATED = """
[gateway]
idle_s = 120
[[gateway.agents]]
device = "fake-qmio"
driver = "emulator"
options = { t0_s = "0.2", repetition_s = "0.002", readout_s = "0", batch_shots = "100" }
[client]
default_device = "fake-qmio"
timeout_s = 60
"""
GHZ = runs.qasm3("qubit[3] q; bit[3] c; h q[0]; cx q[0], q[1]; cx q[1], q[2]; c = measure q;")


@pytest.fixture
def emulated(tmp_path_factory: pytest.TempPathFactory, start_gateway: Any) -> Iterator[Home]:
    """A home with an emulated Qmio."""
    found = Home(tmp_path_factory.mktemp("emulated"), EMULATED)
    start_gateway(found)
    yield found
    found.sweep()


@pytest.fixture
def client(emulated: Home) -> Iterator[Client]:
    """Another program of the user's."""
    with connect(environ=emulated.environ, start=False) as found:
        yield found


def test_a_paced_run_is_cancelled_while_its_counts_come_in(
    emulated: Home, client: Client, serve: Any
) -> None:
    server = serve(emulated)
    spec = build_spec([GHZ], device="fake-qmio", shots=50_000, options=TaskOptions(pace="real"))
    handle = client.submit(spec, [GHZ])
    wait_until(lambda: handle.partial is not None, "counts come in", ENDS_S)
    answer = server.cancel(handle.task_id)
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("application/json")
    assert answer.body == {
        "task_id": handle.task_id,
        "state": "cancelling",
        "revision": answer.body["revision"],
    }
    view = handle.wait(ENDS_S)
    assert view.state is TaskState.CANCELLED
    assert view.revision > answer.body["revision"]
    partial = handle.partial
    assert partial is not None
    assert partial.shots_done < 50_000
    # Once more: it has ended and stays as it is.
    again = server.cancel(handle.task_id)
    assert (again.status, again.body["state"], again.body["revision"]) == (200, "cancelled", view.revision)


def test_many_at_once_are_all_cancelled_over_one_link(
    shared: Home, server: Any, submit_running: Callable[[Home], TaskHandle]
) -> None:
    handle = submit_running(shared)
    with connect(environ=shared.environ, start=False) as other:
        spec = build_spec(
            [GHZ], device="echo", shots=10, options=TaskOptions(device_options=(("seconds", "60"),))
        )
        handles = [handle, *(other.submit(spec, [GHZ]) for _ in range(30))]
        server.health()
        before = other.gateway().connections
        with ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(lambda one: server.cancel(one.task_id), handles))
        assert {answer.status for answer in answers} == {200}
        assert [answer.body["task_id"] for answer in answers] == [one.task_id for one in handles]
        for one in handles:
            assert one.wait(ENDS_S).state is TaskState.CANCELLED
        assert other.gateway().connections == before


class Cell:
    """A cell that blocks a kernel which the Jupyter server itself started."""

    def __init__(self, server: Any, code: str) -> None:
        made = server.ask("POST", "api/kernels", body=b'{"name": "python3"}')
        assert made.status == 201, made.body
        self.client = BlockingKernelClient()
        runtime = server.environ["JUPYTER_RUNTIME_DIR"]
        self.client.load_connection_file(f"{runtime}/kernel-{made.body['id']}.json")
        self.client.start_channels(hb=False)
        wait_until(self._hears, "the kernel is heard", ENDS_S)
        self.text = ""
        self._id = self.client.execute(code)

    def _hears(self) -> bool:
        self.client.kernel_info()
        with contextlib.suppress(queue.Empty):
            return bool(self.client.get_iopub_msg(timeout=0.5))
        return False

    def end(self) -> str:
        """Return the cell's status, once it has ended; `text` is then all it said."""
        until = time.monotonic() + ENDS_S
        while True:
            message = self.client.get_iopub_msg(timeout=max(0.1, until - time.monotonic()))
            if message["parent_header"].get("msg_id") == self._id:
                self.text += str(message["content"])
                if message["content"].get("execution_state") == "idle":
                    return self._status()

    def _status(self) -> str:
        while True:
            reply = self.client.get_shell_msg(timeout=ENDS_S)
            if reply["parent_header"].get("msg_id") == self._id:
                return str(reply["content"]["status"])

    def close(self) -> None:
        """Leave the kernel to its server."""
        self.client.stop_channels()


def ours(home: Home) -> list[str]:
    """Return the command lines of our processes in a home."""
    found = []
    for pid in home.processes():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            found.append(Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " "))
    return [line for line in found if "qmio_jupyter" in line]


PROGRAM = "OPENQASM 3.0; qubit q; bit c; c = measure q;"
CELL = f"""
get_ipython().run_line_magic("load_ext", "qmio_jupyter")
get_ipython().run_cell_magic("qpu", "-d echo --device-option seconds=60", {PROGRAM!r})
"""


def test_a_cell_that_blocks_its_kernel_is_cancelled_from_outside(home: Home, serve: Any) -> None:
    """The gateway is started by the kernel, long after the server: both find the same one."""
    server = serve(home)
    assert server.health().body == {"version": __version__, "gateway": False}
    assert ours(home) == [], "nothing is started by asking"
    cell = Cell(server, CELL)
    try:
        wait_until(lambda: home.connection() is not None, "the kernel started a gateway", ENDS_S)
        with connect(environ=home.environ, start=False, timeout_s=30) as watcher:

            def running() -> str:
                views = watcher.tasks(1)
                return views[0].task_id if views and views[0].state is TaskState.RUNNING else ""

            wait_until(running, "the cell's task runs", ENDS_S)
            task_id = running()
            assert server.health().body == {"version": __version__, "gateway": True}
            assert server.cancel(task_id).status == 200
            assert cell.end() == "error"
            assert watcher.show(task_id).state is TaskState.CANCELLED
        assert task_id in cell.text
    finally:
        cell.close()
    assert server.stop() == 0


def test_it_works_in_jupyterlab_below_a_base_url(
    shared: Home, serve: Any, submit_running: Callable[[Home], TaskHandle]
) -> None:
    """As a hub's servers are: the routes are where the page's `baseUrl` leads."""
    server = serve(shared, "--ServerApp.base_url=/user/marie/", module="jupyterlab")
    assert server.health().body == {"version": __version__, "gateway": True}
    handle = submit_running(shared)
    assert server.cancel(handle.task_id).status == 200
    assert handle.wait(ENDS_S).state is TaskState.CANCELLED
    server.base = "/"
    assert server.health().status == 404


def test_the_extension_is_listed_as_enabled_and_valid(shared: Home, server: Any) -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "jupyter_server.extension.serverextension", "list"],
        cwd=shared.root,
        env=server.environ | {"NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    words = (done.stdout + done.stderr).replace("\x1b[32m", "").replace("\x1b[0m", "").split()
    assert " ".join(words).count(f"qmio_jupyter {__version__} OK") == 1
    assert " ".join(words).count("qmio_jupyter enabled") == 1
