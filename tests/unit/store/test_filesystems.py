"""Which file system holds a path, from the text of ``mountinfo``."""

from __future__ import annotations

import pytest

from qmio_jupyter.model.filesystems import REMOTE, is_remote, mounted_type

TABLE = (
    "21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
    "30 21 0:40 / /home rw,nosuid shared:2 master:1 - nfs4 srv:/home rw,addr=10.0.0.1\n"
    "31 30 0:41 / /home/local rw - xfs /dev/sdb rw\n"
    "32 21 0:42 /sub /mnt/with\\040space rw - lustre mds@tcp:/fs rw\n"
    "33 21 0:43 / /data rw - ext4 /dev/sdc rw\n"
    "34 33 0:44 / /data rw - beegfs beegfs_nodev rw\n"
    "no mount line\n"
    "35 21 0:45 short\n"
)


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "ext4"),
        ("/tmp/x", "ext4"),
        ("/home", "nfs4"),
        ("/home/ana/.local/state", "nfs4"),
        ("/homely", "ext4"),
        ("/home/local/x", "xfs"),
        ("/mnt/with space/x", "lustre"),
        ("/mnt/with", "ext4"),
        ("/data/x", "beegfs"),
    ],
)
def test_the_longest_mount_point_counts_and_the_last_of_two(path: str, kind: str) -> None:
    assert mounted_type(TABLE, path) == kind
    assert is_remote(TABLE, path) is (kind in REMOTE)


def test_nothing_known_is_local() -> None:
    assert mounted_type("", "/x") == ""
    assert not is_remote("", "/x")
