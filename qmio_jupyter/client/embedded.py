"""Starting the embedded gateway: detached from the process that wants it, its output in the log file."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from qmio_jupyter.config import connection, settings
from qmio_jupyter.config.places import Places
from qmio_jupyter.config.settings import Settings
from qmio_jupyter.errors import ConfigError, GatewayError

#: What is run; `-P` keeps the user's working directory off the module path.
ARGV = ("-P", "-m", "qmio_jupyter.cli.daemon", "gateway", "--embedded")
#: A log larger than this is set aside before a start.
LOG_BYTES = 10 * 2**20
#: After the process ended, how long the connection file is still waited for where no lock tells of a rival.
GRACE_S = 1.0
LOCKS = Path("/proc/locks")


class Starter:
    """Starts a gateway and watches it come up, without ever blocking.

    Two starters may race: the gateway's own lock lets one live; the other process ends, and both callers
    find the same connection file.
    """

    def __init__(
        self, found: Places, environ: Mapping[str, str], say: Callable[[str], None], timeout_s: float
    ) -> None:
        self._places = found
        # Its agents run elsewhere in the file system: a relative path would mean another file to them.
        relative = ("QMIO_HOME", "QMIO_CONFIG")
        absolute = {
            name: str(Path(environ[name]).expanduser().absolute()) for name in relative if environ.get(name)
        }
        self._environ = {**environ, **absolute}
        self._say = say
        self._timeout_s = timeout_s
        self._pid = 0
        #: Started earlier, given up for dead, and not collected yet.
        self._dying: set[int] = set()
        self._deadline: float | None = None
        self._ended: float | None = None
        self._status = 0

    def step(self, now_s: float, *, wanted: bool) -> None:
        """Start the gateway if it is `wanted` and not starting; reap what ended.

        Raises
        ------
        GatewayError
            ``gateway.start``: it ended, or is not up in time. The next call may try again.
        ConfigError
            The settings name a driver that is not installed.
        """
        self.reap(now_s)
        if self._deadline is None:
            if wanted:
                self._spawn(now_s)
            return
        if (
            self._ended is not None
            and now_s - self._ended >= GRACE_S
            and not is_locked(self._places.lock_file)
        ):
            self._fail(f"it ended with status {self._status}")
        if now_s >= self._deadline:
            self._fail(f"it was not up after {self._timeout_s:g} s")

    def done(self) -> None:
        """Take note that the gateway is up (ours or a rival's)."""
        self._deadline = None

    def reap(self, now_s: float) -> None:
        """Collect a started process that ended, so that it does not stay a zombie."""
        self._dying = {pid for pid in self._dying if _status_of(pid) is None}
        if not self._pid:
            return
        status = _status_of(self._pid)
        if status is not None:
            self._pid = 0
            self._ended = now_s
            self._status = status

    def _spawn(self, now_s: float) -> None:
        # The gateway would start, and its agent end with a line in a log that nobody reads.
        if (configured := self._configured()) is not None:
            settings.check_drivers(configured)
        log = self._places.gateway_log
        if self._pid:
            # It is dead for all who look; while a thread of it has not ended, the system does not give it to us yet.
            self._dying.add(self._pid)
        try:
            self._pid = self._spawn_into(log)
        except OSError as problem:
            raise GatewayError(
                f"the embedded gateway could not be started ({problem})",
                hint=f"Check {log}",
                code="gateway.start",
            ) from problem
        self._deadline = now_s + self._timeout_s
        self._ended = None
        self._status = 0
        for note in self._places.notes:
            self._say(note)
        self._say(
            f"Starting a gateway of your own on {connection.this_host()}: it is shared by your notebooks "
            f"and terminals here, and stops when idle (log: {log})."
        )

    def _configured(self) -> Settings | None:
        """Return the settings, None where they cannot be read: the gateway itself says why, and ends."""
        try:
            return settings.load(self._environ)
        except ConfigError:
            return None

    def _spawn_into(self, log: Path) -> int:
        if log.exists() and log.stat().st_size > LOG_BYTES:
            log.replace(log.with_suffix(".log.1"))
        append = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
        return os.posix_spawn(
            sys.executable,
            [sys.executable, *ARGV],
            self._environ,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, str(log), append, 0o600),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ],
            setsid=True,
        )

    def _fail(self, why: str) -> None:
        self._deadline = None
        log = self._places.gateway_log
        tail = log.read_bytes()[-4096:] if log.exists() else b""
        raise GatewayError(
            f"the embedded gateway did not start: {why}{_last_words(tail)}",
            hint=f"See {log}",
            code="gateway.start",
        )


def _status_of(pid: int) -> int | None:
    """Return the exit status of a child, collecting it; None while it has not ended."""
    try:
        ended, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:  # Somebody else collected it, as a forked child or a SIGCHLD handler would.
        return 0
    return os.waitstatus_to_exitcode(status) if ended else None


def is_locked(path: Path) -> bool:
    """Return whether a process holds a lock on `path`: looked up, so that no starting gateway is disturbed."""
    try:
        info = path.stat()
        locks = LOCKS.read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    name = f"{os.major(info.st_dev):02x}:{os.minor(info.st_dev):02x}:{info.st_ino}"
    return any(name in line.split() for line in locks.splitlines())


def _last_words(tail: bytes) -> str:
    lines = [line.strip() for line in tail.decode("utf-8", "replace").splitlines() if line.strip()]
    return f" ({lines[-1][:200]})" if lines else ""
