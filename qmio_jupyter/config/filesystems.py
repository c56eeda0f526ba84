"""On what kind of file system a path lies. Locks and WAL files do not work on a network one."""

from __future__ import annotations

import os
from pathlib import Path

#: File system types, as /proc names them, that more than one host may mount at once.
NETWORK_TYPES = frozenset(
    {
        "nfs",
        "nfs4",
        "lustre",
        "gpfs",
        "beegfs",
        "cifs",
        "smb3",
        "smbfs",
        "fuse.sshfs",
        "fuse.glusterfs",
        "fuse.ceph",
        "fuse.juicefs",
        "ceph",
        "afs",
        "9p",
        "orangefs",
        "pvfs2",
        "panfs",
        "wekafs",
        "glusterfs",
    }
)

MOUNTINFO = Path("/proc/self/mountinfo")


def filesystem_type(path: Path, mountinfo: str) -> str:
    """Return the type of the file system that `path`, or its nearest existing parent, lies on.

    Parameters
    ----------
    path : Path
        Absolute; symbolic links in it are followed.
    mountinfo : str
        Content of ``/proc/self/mountinfo``. The deepest mount point wins; of two at one place the later.

    Returns
    -------
    str
        Empty if no mount point holds the path.
    """
    real = os.path.realpath(path)
    best, found = -1, ""
    for line in mountinfo.splitlines():
        before, separator, after = line.partition(" - ")
        fields = before.split()
        if not separator or len(fields) < 5:
            continue
        mount = _unescape(fields[4])
        inside = mount == "/" or real == mount or real.startswith(mount + "/")
        if inside and len(mount) >= best:
            best, found = len(mount), after.split()[0]
    return found


def is_network(path: Path, mountinfo: str | None = None) -> bool:
    """Return whether `path` lies on a network file system.

    Parameters
    ----------
    path : Path
        Absolute; need not exist.
    mountinfo : str, optional
        For tests; the process's own mount table when None. A system without one counts as local.
    """
    if mountinfo is None:
        try:
            mountinfo = MOUNTINFO.read_text(encoding="utf-8", errors="surrogateescape")
        except OSError:
            return False
    return filesystem_type(path, mountinfo) in NETWORK_TYPES


def _unescape(text: str) -> str:
    """Undo the kernel's octal escapes for blank, tab, newline and backslash."""
    for code, char in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(code, char)
    return text
