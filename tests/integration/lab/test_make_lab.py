"""`make lab` for a headless user serves the quickstart beside a gateway; Ctrl-C leaves nothing behind."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[3]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


def free_port() -> int:
    """Return a loopback port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(condition: Callable[[], object], what: str, deadline_s: float) -> object:
    """Return the condition's first true value; fail after the deadline."""
    end = time.monotonic() + deadline_s
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    pytest.fail(f"{what}: not within {deadline_s} s")


def processes_of(home: Path) -> list[psutil.Process]:
    """Return the processes that run with this QMIO_HOME."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("QMIO_HOME") == str(home) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


class Lab:
    """A running `make lab`."""

    def __init__(self, home: Path) -> None:
        self.home, self.port, self.token = home, free_port(), secrets.token_hex(16)
        options = f"--no-browser --allow-root --port {self.port} --IdentityProvider.token={self.token}"
        self.log = (home / "make-lab.log").open("wb")
        env = {k: v for k, v in os.environ.items() if not k.startswith(("JUPYTER", "MAKE", "MFLAGS"))}
        env |= {"QMIO_HOME": str(home), "JUPYTER_RUNTIME_DIR": str(home / "jupyter-runtime")}
        self.process = subprocess.Popen(
            ["make", "lab", f"ARGS={options}"],
            cwd=ROOT,
            env=env,
            stdout=self.log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )

    def get(self, path: str) -> tuple[int, bytes]:
        """Return (status, body) of a GET with the token; (0, b"") while nothing listens."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", headers={"Authorization": f"token {self.token}"}
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as reply:
                return reply.status, reply.read()
        except urllib.error.HTTPError as error:
            return error.code, b""
        except OSError:
            return 0, b""

    def ready(self) -> bool:
        """Return whether the Lab answers; fail at once if it has died."""
        if self.process.poll() is not None:
            pytest.fail(f"make lab ended with {self.process.returncode}: {self.output()}")
        return self.get("/lab")[0] == 200

    def interrupt(self) -> None:
        """Press Ctrl-C: the terminal signals the whole foreground group."""
        os.killpg(self.process.pid, signal.SIGINT)

    def output(self) -> str:
        """Return what it has printed so far."""
        return (self.home / "make-lab.log").read_text(errors="replace")

    def close(self) -> None:
        """End whatever is left."""
        self.log.close()
        for process in processes_of(self.home):
            process.kill()
        self.process.wait(10)


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    """Start `make lab` in a home of its own."""
    running = Lab(tmp_path)
    yield running
    running.close()


def test_a_headless_user_gets_the_quickstart_and_ctrl_c_leaves_nothing(lab: Lab) -> None:
    until(lab.ready, "JupyterLab answers", 120)
    status, body = lab.get("/api/contents/quickstart.ipynb?content=0")
    assert status == 200, lab.output()
    assert json.loads(body)["name"] == "quickstart.ipynb"
    # The gateway and its agents are up beside it.
    names = until(
        lambda: [" ".join(p.cmdline()) for p in processes_of(lab.home) if p.is_running()], "processes", 20
    )
    assert any("daemon" in name and "gateway" in name for name in names), names

    lab.interrupt()
    lab.process.wait(60)
    until(lambda: not processes_of(lab.home), "every process has ended", 30)
    left = [p for p in lab.home.rglob("*") if p.is_socket() or p.name.startswith("connection")]
    assert left == []
