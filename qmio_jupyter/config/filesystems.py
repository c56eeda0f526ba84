"""Whether a path lies on a network file system, where locks and WAL files do not work."""

from __future__ import annotations

import os
from pathlib import Path

from qmio_jupyter.model.filesystems import is_remote, mounted_type

MOUNTINFO = Path("/proc/self/mountinfo")


def mount_table() -> str:
    """Return the process's own mount table; empty on a system without one."""
    try:
        return MOUNTINFO.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return ""


def is_network(path: Path, mountinfo: str | None = None) -> bool:
    """Return whether `path`, symbolic links followed, lies on a network file system.

    Parameters
    ----------
    path : Path
        Absolute; need not exist.
    mountinfo : str, optional
        For tests; the process's own mount table when None.
    """
    return is_remote(mount_table() if mountinfo is None else mountinfo, os.path.realpath(path))


def filesystem_type(path: Path) -> str:
    """Return the type of the file system that holds `path`, empty if unknown."""
    return mounted_type(mount_table(), os.path.realpath(path))
