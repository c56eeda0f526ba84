"""A user's home for tests with real processes: its own places and settings, and a look at what is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from qmio_jupyter.config import connection
from qmio_jupyter.config.connection import ConnectionFile
from qmio_jupyter.config.places import Places, places
from qmio_jupyter.config.settings import ClientSettings, load
from qmio_jupyter.errors import ConfigError

#: Settings of a home unless a test gives others: one quick device.
ECHO_ONLY = """
[gateway]
idle_s = 120
[[gateway.agents]]
device = "echo"
driver = "echo"
credit = 16
workers = 0
[client]
default_device = "echo"
timeout_s = 20
"""
#: How long anything in a test may take before it counts as hung.
PATIENCE_S = 30.0


class Home:
    """A directory that holds one user's gateway, and nothing of the real user's.

    Parameters
    ----------
    root : Path
        An empty directory of the test's own.
    settings : str
        Content of the settings file.
    """

    def __init__(self, root: Path, settings: str = ECHO_ONLY) -> None:
        self.root = root
        config = root / "config.toml"
        config.write_text(settings)
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("QMIO_", "XDG_"))}
        self.environ = kept | {"QMIO_HOME": str(root / "home"), "QMIO_CONFIG": str(config), "HOME": str(root)}

    @property
    def places(self) -> Places:
        """The home's directories."""
        return places(self.environ)

    @property
    def client_settings(self) -> ClientSettings:
        """The settings a client of this home has."""
        return load(self.environ).client

    def connection(self) -> ConnectionFile | None:
        """Return the connection file, None while there is none."""
        try:
            return connection.read(self.places.connection_file)
        except ConfigError:
            return None

    def cli(
        self, *args: str, stdin: bytes = b"", timeout_s: float = 60.0
    ) -> subprocess.CompletedProcess[bytes]:
        """Run ``jupyter qmio`` with `args`; return exit code, standard output and error."""
        return subprocess.run(
            self.argv(*args),
            input=stdin,
            capture_output=True,
            env=self.environ,
            cwd=self.root,
            timeout=timeout_s,
            check=False,
        )

    def argv(self, *args: str) -> list[str]:
        """Return the command line of ``jupyter qmio`` with `args`."""
        return [sys.executable, "-m", "qmio_jupyter.cli.main", *args]

    def json(self, *args: str, stdin: bytes = b"") -> object:
        """Run a command that must succeed with ``--json``; return its document."""
        done = self.cli(*args, "--json", stdin=stdin)
        if done.returncode != 0:
            raise AssertionError(f"{args}: exit code {done.returncode}: {done.stderr.decode()}")
        return msgspec.json.decode(done.stdout)

    def processes(self) -> list[int]:
        """Return the ids of all live processes that belong to this home, whoever started them."""
        mark = f"QMIO_HOME={self.environ['QMIO_HOME']}".encode()
        found = []
        for directory in Path("/proc").iterdir():
            if not directory.name.isdigit() or int(directory.name) == os.getpid():
                continue
            try:
                words = (directory / "environ").read_bytes().split(b"\0")
                state = (directory / "stat").read_text(errors="replace").rpartition(")")[2].split()[0]
            except OSError:
                continue
            if mark in words and state != "Z":
                found.append(int(directory.name))
        return found

    def kill(self) -> int:
        """Kill -9 the gateway and wait until it is gone; return its process id."""
        written = self.connection()
        if written is None:
            raise AssertionError("no gateway to kill")
        os.kill(written.pid, signal.SIGKILL)
        wait_until(lambda: not connection.is_alive(written), "the gateway is gone")
        return written.pid

    def sweep(self) -> list[int]:
        """Kill whatever is left of this home; return what was."""
        left = self.processes()
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        wait_until(lambda: not self.processes(), "nothing is left of the home")
        return left


def wait_until(condition: Callable[[], object], what: str, timeout_s: float = PATIENCE_S) -> None:
    """Wait until `condition` holds; fail, naming `what`, after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() >= deadline:
            raise AssertionError(f"not within {timeout_s:g} s: {what}")
        time.sleep(0.02)


def one_line(stderr: bytes, ignore: Sequence[str] = ("Starting a gateway",)) -> str:
    """Return the one line of an error on standard error, fail if there are more."""
    lines = [line for line in stderr.decode().splitlines() if not line.startswith(tuple(ignore))]
    if len(lines) != 1:
        raise AssertionError(f"one line was expected: {lines}")
    return lines[0]
