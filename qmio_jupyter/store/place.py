"""Where a ledger may lie, and who has it open."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from qmio_jupyter.errors import ConfigError, StoreError
from qmio_jupyter.model.filesystems import REMOTE, mounted_type


def check_place(path: Path, mountinfo: str | None) -> None:
    """Refuse a directory where a ledger is not safe; make it if it is missing."""
    directory = path.parent
    if not directory.exists():
        directory.parent.mkdir(parents=True, exist_ok=True)
        directory.mkdir(mode=0o700, exist_ok=True)
        _sync_directory(directory.parent)
    table = Path("/proc/self/mountinfo").read_text(encoding="utf-8") if mountinfo is None else mountinfo
    kind = mounted_type(table, str(directory.resolve()))
    if kind in REMOTE:
        raise ConfigError(
            f"{directory} is on a network file system ({kind}), where the ledger is not safe",
            hint="Set QMIO_HOME to a directory on a local disk.",
        )
    status = directory.stat()
    if status.st_uid != os.geteuid():
        raise ConfigError(
            f"{directory} belongs to another user (uid {status.st_uid})",
            hint="Use a directory of your own.",
            code="config.permissions",
        )
    if status.st_mode & 0o077:
        raise ConfigError(
            f"{directory} is open to other users (mode {status.st_mode & 0o777:04o})",
            hint=f"chmod 700 {directory}",
            code="config.permissions",
        )


def _sync_directory(directory: Path) -> None:
    """Put a directory's new entries on disk; SQLite does so for the files inside its own."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def take_lock(path: Path) -> int:
    """Return the descriptor that keeps every other process from opening the ledger; the kernel frees it.

    A file of its own: SQLite's POSIX locks on the database would be lost with any descriptor of it we close.
    """
    lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise StoreError(
            f"{path} is in use by another gateway", hint="Stop that one first: jupyter qmio down."
        ) from error
    return lock
