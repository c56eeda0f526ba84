"""A home of its own for tests with real processes: a ``QMIO_HOME``, its embedded gateway, and a clean end."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import psutil

from qmio_jupyter.auth.keys import key_id, keys_at
from qmio_jupyter.config import connection
from qmio_jupyter.config.connection import ConnectionFile
from qmio_jupyter.config.places import places
from qmio_jupyter.config.settings import ClientSettings, GatewayAddress
from qmio_jupyter.core.records import EnrolmentSaved
from qmio_jupyter.model.access import Enrolment, Role
from qmio_jupyter.model.keys import KeyPair
from qmio_jupyter.store.sqlite import SqliteStore


class Home:
    """One ``QMIO_HOME`` and the processes that live in it.

    Parameters
    ----------
    path : Path
        A directory that does not exist yet, or an empty one of mode 0700.
    settings : str
        The settings file, TOML; none when empty.
    """

    def __init__(self, path: Path, settings: str = "") -> None:
        self.path = path
        self._settings = path / "config.toml" if settings else None
        self._places = places(self.environ())
        if self._settings is not None:
            self._settings.write_text(settings)

    def environ(self, **extra: str) -> dict[str, str]:
        """Return this process's environment, with ``QMIO_HOME`` and `extra`, without other ``QMIO_*``."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("QMIO_")}
        if self._settings is not None:
            kept["QMIO_CONFIG"] = str(self._settings)
        return kept | {"QMIO_HOME": str(self.path)} | extra

    def admit(self, name: str, tenant: str) -> KeyPair:
        """Enrol another user, as an operator does, before the gateway is first started; return her keys.

        Her key file is ``NAME.key`` in the home, for the settings of her client.
        """
        keys = keys_at(self.path / f"{name}.key")
        enrolment = Enrolment(
            key=key_id(keys.public), role=Role.USER, uid=os.getuid(), tenant=tenant, note=name
        )
        store = SqliteStore(self._places.ledger)
        try:
            store.commit([EnrolmentSaved(enrolment=enrolment)], at_once=True).result(10)
        finally:
            store.close()
        return keys

    def client_of(self, name: str) -> ClientSettings:
        """Return the settings with which an admitted user reaches the running gateway."""
        written = self.gateway()
        assert written is not None, "no gateway runs"
        address = GatewayAddress(
            endpoint=written.endpoint, server_key=written.server_key, key_file=str(self.path / f"{name}.key")
        )
        return ClientSettings(gateways=(address,), start_embedded=False)

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
