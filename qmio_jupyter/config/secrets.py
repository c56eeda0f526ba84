"""Files that only their owner may read: written atomically with 0600, refused when others could read them."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

from qmio_jupyter.errors import ConfigError

#: A secret file is never larger than this.
MAX_BYTES = 1 << 20


def write_secret(path: Path, data: bytes) -> None:
    """Replace `path` by a 0600 file holding `data`, in one step; a reader sees the old or the new one.

    Raises
    ------
    ConfigError
        ``config.file`` if it cannot be written.
    """
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # mkstemp makes it 0600
    except OSError as problem:
        raise _unwritable(path, problem) from problem
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as problem:
        temporary.unlink(missing_ok=True)
        raise _unwritable(path, problem) from problem


def read_secret(path: Path) -> bytes:
    """Return the content of a secret file.

    Raises
    ------
    ConfigError
        ``config.file`` if it is missing, unreadable, a symbolic link or not a plain file;
        ``config.permissions`` if it belongs to another user or its mode is wider than 0600.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as problem:
        raise ConfigError(
            f"{path} cannot be read ({problem.strerror})",
            hint="Check the path and its owner.",
            code="config.file",
        ) from problem
    try:
        info = os.fstat(descriptor)
        if not stat.S_ISREG(info.st_mode):
            raise ConfigError(f"{path} is not a plain file", hint="Check the path.", code="config.file")
        if info.st_uid != os.getuid():
            raise ConfigError(
                f"{path} belongs to another user (uid {info.st_uid})",
                hint="Use a file of your own.",
                code="config.permissions",
            )
        if info.st_mode & 0o177:
            raise ConfigError(
                f"{path} can be read by others (mode {stat.S_IMODE(info.st_mode):04o})",
                hint=f"chmod 600 {path}",
                code="config.permissions",
            )
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            data = file.read(MAX_BYTES + 1)
    finally:
        os.close(descriptor)
    if len(data) > MAX_BYTES:
        raise ConfigError(
            f"{path} is too large for a secret file", hint="Check the path.", code="config.file"
        )
    return data


def _unwritable(path: Path, problem: OSError) -> ConfigError:
    return ConfigError(
        f"{path} cannot be written ({problem.strerror})",
        hint="Check the directory and its owner.",
        code="config.file",
    )
