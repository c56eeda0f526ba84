"""Real kernels, a real gateway, real agents, each test file in a home of its own."""

from __future__ import annotations

import os
import queue
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.manager import KernelManager

from qmio_jupyter.testing.homes import Home

WAIT_S = 30.0


class Outcome:
    """What a cell did: its reply, its outputs as a front end would hold them, and its streams."""

    def __init__(self, reply: dict[str, Any], outputs: list[dict[str, Any]], updates: int) -> None:
        self.status: str = reply["content"]["status"]
        self.reply = reply["content"]
        self.outputs = outputs
        #: How many times a shown output was replaced.
        self.updates = updates
        self.errors = [o for o in outputs if o["output_type"] == "error"]
        texts = [
            o["text"] if o["output_type"] == "stream" else o.get("data", {}).get("text/plain", "")
            for o in outputs
        ]
        self.text = "\n".join(texts)

    def ok(self) -> Outcome:
        """Return itself if the cell went well."""
        assert self.status == "ok", re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(self.reply.get("traceback", [])))
        return self


class Kernel:
    """A kernel with a blocking client that keeps outputs by display id."""

    def __init__(self, environ: dict[str, str], cwd: Path) -> None:
        self.manager = KernelManager(kernel_name="python3")
        self._environ, self._cwd = environ, cwd
        self._states: dict[str, tuple[list[dict[str, Any]], list[int]]] = {}
        self.manager.start_kernel(env=environ, cwd=str(cwd))
        self._connect()

    def _connect(self) -> None:
        self._states.clear()  # message ids start again with the client
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=WAIT_S)

    def start(self, code: str) -> str:
        """Send a cell; return its message id."""
        return self.client.execute(code)

    def wait(
        self, msg_id: str, *, until: Callable[[Outcome], bool] | None = None, timeout_s: float = WAIT_S
    ) -> Outcome:
        """Wait for a cell's end (or until its outputs satisfy `until`) and return what it did."""
        outputs, updates = self._states.setdefault(msg_id, ([], [0]))
        deadline = time.monotonic() + timeout_s
        idle = False
        while not idle:
            left = deadline - time.monotonic()
            assert left > 0, f"the cell did not end; so far: {outputs}"
            try:
                message = self.client.get_iopub_msg(timeout=left)
            except queue.Empty:
                continue
            if message["parent_header"].get("msg_id") != msg_id:
                continue
            idle = _take(message, outputs, updates)
            if until is not None and not idle:
                so_far = Outcome({"content": {"status": "busy"}}, outputs, updates[0])
                if until(so_far):
                    return so_far
        while True:  # the cell has ended
            reply = self.client.get_shell_msg(timeout=WAIT_S)
            if reply["parent_header"].get("msg_id") == msg_id:
                found = Outcome(reply, outputs, updates[0])
                assert until is None or until(found), f"the cell ended before that: {found.ok().text}"
                return found

    def run(self, code: str) -> Outcome:
        """Run a cell to its end."""
        return self.wait(self.start(code))

    def value(self, expression: str) -> Any:
        """Return the value of an expression, by its repr."""
        import ast

        outcome = self.run(f"print(repr({expression}))").ok()
        # The first use of a kernel may say that a gateway is started.
        return ast.literal_eval(outcome.text.strip().splitlines()[-1])

    def interrupt(self) -> None:
        """Interrupt as a front end's stop button does."""
        self.manager.interrupt_kernel()

    def restart(self) -> None:
        """Restart as a front end does: the process is killed."""
        self.client.stop_channels()
        before = self._process()
        self.manager.restart_kernel(now=True)
        before.wait(WAIT_S)
        self._connect()

    def die(self) -> None:
        """Kill the kernel's process with SIGKILL, and start another in its place."""
        pid = self.manager.provisioner.pid
        assert pid
        os.kill(pid, signal.SIGKILL)
        until = time.monotonic() + WAIT_S
        while self.manager.is_alive():
            assert time.monotonic() < until, "the kernel outlived SIGKILL"
            time.sleep(0.01)
        self.restart()

    def complete(self, code: str, cursor: int | None = None) -> list[str]:
        """Return what a Tab offers."""
        reply = self.client.complete(
            code, len(code) if cursor is None else cursor, reply=True, timeout=WAIT_S
        )
        return list(reply["content"]["matches"])

    def close(self) -> None:
        """Shut the kernel down."""
        self.client.stop_channels()
        process = self._process()
        self.manager.shutdown_kernel(now=True)
        # The manager gives up waiting after five seconds; on a busy machine that can be too early.
        process.wait(WAIT_S)
        self.manager.cleanup_resources()

    def _process(self) -> subprocess.Popen[bytes]:
        """Return the kernel's process, to be collected even where the manager does not."""
        process = self.manager.provisioner.process
        assert process is not None
        return process


def _take(message: dict[str, Any], outputs: list[dict[str, Any]], updates: list[int]) -> bool:
    """Apply a message to the outputs; return whether the kernel is idle again."""
    kind, content = message["msg_type"], message["content"]
    if kind == "status":
        return bool(content["execution_state"] == "idle")
    if kind == "update_display_data":
        updates[0] += 1
        for output in outputs:
            if output.get("id") == content["transient"]["display_id"]:
                output["data"] = content["data"]
    elif kind == "stream":
        outputs.append({"output_type": "stream", "text": content["text"]})
    elif kind in ("display_data", "execute_result"):
        outputs.append(
            {
                "output_type": kind,
                "data": content["data"],
                "id": content.get("transient", {}).get("display_id"),
            }
        )
    elif kind == "error":
        outputs.append({"output_type": "error", **content})
    return False


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A home whose gateway is stopped at the end, with nothing left behind."""
    found = Home(tmp_path_factory.mktemp("home") / "qmio")
    yield found
    assert found.stop() == []


@pytest.fixture(scope="module")
def kernels(home: Home, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Kernel]]:
    """Start kernels with the extension loaded and the gateway running; they are shut down at the end.

    A first cell says that it starts a gateway; whichever test is the first, its cells say it no more.
    """
    tmp_path = tmp_path_factory.mktemp("kernels")
    started: list[Kernel] = []

    def start() -> Kernel:
        kernel = Kernel(home.environ(IPYTHONDIR=str(tmp_path / "ipython")), tmp_path)
        started.append(kernel)
        kernel.run("%load_ext qmio_jupyter").ok()
        kernel.run("%qpu devices").ok()
        return kernel

    yield start
    for kernel in started:
        kernel.close()


@pytest.fixture(scope="module")
def kernel(kernels: Callable[[], Kernel]) -> Kernel:
    """One kernel with the extension loaded, shared by a file's tests."""
    return kernels()
