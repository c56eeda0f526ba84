"""Files that only their owner may read: written atomically, mode 0600; refused if others could read them.

Keys and connection files are such; and what is in memory is kept out of files. May not: know what is in them.
"""

from __future__ import annotations

import os
import resource
import secrets
import stat
from pathlib import Path

from qmio_jupyter.errors import ConfigError

#: A secret file larger than this is not one of ours.
MAX_BYTES = 64 * 1024


def write_private(path: Path, data: bytes, *, replace: bool = True, owner: int | None = None) -> bool:
    """Write `data` to `path` with mode 0600, all or nothing, on disk when this returns.

    Parameters
    ----------
    replace : bool
        False leaves an existing file as it is.
    owner : int, optional
        The uid whose file it is to be; this process's when None. Only root may give files away.

    Returns
    -------
    bool
        Whether `path` now holds `data`: False only where `replace` is False and the file existed.

    Raises
    ------
    ConfigError
        ``config.file`` if it cannot be written.
    """
    # O_EXCL on an unguessable name: no link laid out by somebody else is followed, even in a shared place.
    beside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                os.fchmod(file.fileno(), 0o600)
                file.write(data)
                file.flush()
                if owner is not None:
                    os.fchown(file.fileno(), owner, -1)
                os.fsync(file.fileno())
            if replace:
                beside.replace(path)
                return True
            # A hard link fails if the name is taken, where a rename would replace it.
            path.hardlink_to(beside)
            return True
        finally:
            beside.unlink(missing_ok=True)
    except FileExistsError:
        return False
    except OSError as problem:
        raise ConfigError(
            f"{path} cannot be written ({problem.strerror})",
            code="config.file",
            hint="Check the directory and its owner.",
        ) from None


def leave_no_core_file(*, for_good: bool = False) -> None:
    """Have this process, and those it starts, write no core file when it crashes: there may be keys in its memory.

    Parameters
    ----------
    for_good : bool
        Also take away the right to allow them again; else whoever debugs may (``ulimit -c``).
    """
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0 if for_good else hard))


def read_private(path: Path) -> bytes:
    """Return the content of a file that only this user can read.

    The checks are made on the open descriptor, so that the file checked is the file read.

    Raises
    ------
    ConfigError
        ``config.file`` if it is missing, no regular file, too large, or a symbolic link;
        ``config.permissions`` if it belongs to another user or its mode is wider than 0600.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as problem:
        raise ConfigError(
            f"{path} cannot be read ({problem.strerror})",
            code="config.file",
            hint="Check the path and its owner.",
        ) from None
    try:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            raise ConfigError(f"{path} is not a plain file", code="config.file", hint="Check the path.")
        if facts.st_uid != os.geteuid():
            raise ConfigError(
                f"{path} belongs to another user (uid {facts.st_uid})",
                code="config.permissions",
                hint="Use a file of your own.",
            )
        if facts.st_mode & 0o177:
            raise ConfigError(
                f"{path} has mode {stat.S_IMODE(facts.st_mode):04o}, wider than 0600",
                code="config.permissions",
                hint=f"chmod 600 {path} (and make a new key if others may have read it).",
            )
        if facts.st_size > MAX_BYTES:
            raise ConfigError(f"{path} is too large for a secret", code="config.file", hint="Check the path.")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(MAX_BYTES + 1)
    finally:
        os.close(descriptor)
