"""A home of its own for tests with real processes: a ``QMIO_HOME``, its embedded gateway, and a clean end."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import psutil

from qmio_jupyter.config import connection
from qmio_jupyter.config.connection import ConnectionFile
from qmio_jupyter.config.places import places


class Home:
    """One ``QMIO_HOME`` and the processes that live in it.

    Parameters
    ----------
    path : Path
        A directory that does not exist yet, or an empty one of mode 0700.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._places = places(self.environ())

    def environ(self, **extra: str) -> dict[str, str]:
        """Return this process's environment, with ``QMIO_HOME`` and `extra`, without other ``QMIO_*``."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("QMIO_")}
        return kept | {"QMIO_HOME": str(self.path)} | extra

    def gateway(self) -> ConnectionFile | None:
        """Return the running gateway's connection file, None if no gateway runs."""
        try:
            written = connection.read(self._places.connection_file)
        except Exception:  # noqa: BLE001 - absent, half gone: no gateway
            return None
        return written if psutil.pid_exists(written.pid) else None

    def kill_gateway(self) -> int:
        """Send SIGKILL to the gateway, wait until it is gone, return its process id."""
        written = self.gateway()
        assert written is not None, "no gateway runs"
        process = psutil.Process(written.pid)
        process.kill()
        process.wait(10)
        return written.pid

    def processes(self) -> list[psutil.Process]:
        """Return the processes that run with this home, besides this one."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.pid != os.getpid() and process.environ().get("QMIO_HOME") == str(self.path):
                    found.append(process)
            except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
                continue
        return found

    def logs(self) -> str:
        """Return the ends of all logs, for a failed test's report."""
        return "\n".join(
            f"--- {path.name}\n{path.read_text(errors='replace')[-4000:]}"
            for path in sorted(self._places.state.glob("*.[lj]*"))
            if path.suffix in (".log", ".jsonl")
        )

    def stop(self, within_s: float = 10.0) -> list[str]:
        """Stop the gateway as ``jupyter qmio down`` does by signal; return what was still there after `within_s`.

        Whatever is left is killed, so that no test leaves a process behind.
        """
        written = self.gateway()
        if written is not None:
            os.kill(written.pid, signal.SIGTERM)
        until = time.monotonic() + within_s
        while (left := self.processes()) and time.monotonic() < until:
            time.sleep(0.02)
        names = [
            f"{process.pid} {' '.join(process.cmdline()[1:6])}" for process in left if process.is_running()
        ]
        for process in left:
            process.kill()
        psutil.wait_procs(left, timeout=5)
        return names
