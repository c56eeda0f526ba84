"""Back up, upgrade, remove: the rest of the guide; nothing is left."""

from __future__ import annotations

import pwd
import tarfile
from pathlib import Path

from qmio_jupyter.testing.host import Host


def test_a_backup_holds_what_cannot_be_made_anew(host: Host) -> None:
    host.follow("Back up")
    path = Path("/var/backups/qmio.tar.gz")
    assert path.stat().st_mode & 0o777 == 0o600
    with tarfile.open(path) as archive:
        names = set(archive.getnames())
    wanted = {
        "etc/qmio/config.toml",
        "etc/jupyterhub/jupyterhub_config.py",
        "var/lib/qmio/state/server.key",
        "var/lib/qmio/state/ledger.sqlite",
        "var/lib/jupyterhub/hub.key",
        "var/lib/jupyterhub/jupyterhub.sqlite",
    }
    assert wanted <= names


def test_after_an_upgrade_everything_is_good(host: Host) -> None:
    output = host.follow("Upgrade")
    assert " site.node.session" in output
    assert "wrong " not in output


def test_nothing_is_left(host: Host) -> None:
    host.follow("Remove")
    for path in ("/etc/qmio", "/etc/jupyterhub", "/var/lib/qmio", "/var/lib/jupyterhub", "/opt/qmio"):
        assert not Path(path).exists()
    assert not {"qmio", "jupyterhub"} & {one.pw_name for one in pwd.getpwall()}
    names = [path.read_text().split("\0")[0] for path in Path("/proc").glob("[0-9]*/cmdline")]
    assert not [name for name in names if name.startswith("/opt/qmio")]
