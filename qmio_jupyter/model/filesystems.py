"""File systems as the kernel names them, and which of them are remote.

SQLite's WAL mode needs shared memory and locks that remote file systems do not give, and secret files do not
belong there; `config` chooses directories by this list and `store` refuses by it. Pure text in, words out:
whoever calls has read ``/proc/self/mountinfo``.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath

#: Types (third word after the dash in ``mountinfo``) whose files live on another host.
REMOTE = frozenset(
    {
        "9p",
        "afs",
        "beegfs",
        "ceph",
        "cifs",
        "fuse.ceph",
        "fuse.glusterfs",
        "fuse.juicefs",
        "fuse.sshfs",
        "glusterfs",
        "gpfs",
        "lustre",
        "ncpfs",
        "nfs",
        "nfs4",
        "orangefs",
        "panfs",
        "pvfs2",
        "smb3",
        "smbfs",
        "wekafs",
    }
)

_OCTAL = re.compile(r"\\([0-7]{3})")


def mounted_type(mountinfo: str, path: str) -> str:
    r"""Return the type of the file system that holds `path`, ``""`` if `mountinfo` does not tell.

    Parameters
    ----------
    mountinfo : str
        Contents of ``/proc/self/mountinfo``.
    path : str
        Absolute path without symbolic links; it need not exist.

    Examples
    --------
    >>> table = "21 1 8:1 / / rw - ext4 /dev/sda rw\n22 21 0:40 / /home rw - nfs4 srv:/home rw"
    >>> mounted_type(table, "/home/ana/.qmio"), mounted_type(table, "/tmp")
    ('nfs4', 'ext4')
    """
    where = PurePosixPath(path)
    best, depth = "", -1
    for line in mountinfo.splitlines():
        left, dash, right = line.partition(" - ")
        fields, words = left.split(" "), right.split(" ")
        if not dash or len(fields) < 5:
            continue
        mount = PurePosixPath(_OCTAL.sub(lambda match: chr(int(match[1], 8)), fields[4]))
        # A later mount on the same directory hides the earlier one.
        if len(mount.parts) >= depth and where.is_relative_to(mount):
            best, depth = words[0], len(mount.parts)
    return best


def is_remote(mountinfo: str, path: str) -> bool:
    """Return whether `path` lies on a file system of :data:`REMOTE`; an unknown place counts as local."""
    return mounted_type(mountinfo, path) in REMOTE
