"""Where we keep things: node-local, ours alone, and never through somebody else's link."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from qmio_jupyter.config.filesystems import filesystem_type, is_network
from qmio_jupyter.config.places import places, private_directory
from qmio_jupyter.errors import ConfigError
from qmio_jupyter.model.filesystems import REMOTE
from tests.conftest import missing

LOCAL = "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"


def mounted(path: Path, kind: str) -> str:
    escaped = str(path).replace(" ", "\\040")
    return LOCAL + f"40 22 0:40 / {escaped} rw,relatime shared:9 master:3 - {kind} server:/home rw\n"


def environ(tmp_path: Path, **more: str) -> dict[str, str]:
    home = tmp_path / "home"
    home.mkdir(exist_ok=True)
    return {"HOME": str(home), **more}


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def test_runtime_dir_of_xdg_and_state_below_home(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir(mode=0o700)
    found = places(environ(tmp_path, XDG_RUNTIME_DIR=str(run)), mountinfo=LOCAL)
    assert found.runtime == run / "qmio"
    assert found.state == tmp_path / "home/.local/state/qmio"
    assert mode(found.runtime) == mode(found.state) == 0o700
    assert found.notes == ()


def test_without_xdg_the_runtime_dir_is_per_user_in_tmp(tmp_path: Path) -> None:
    found = places(environ(tmp_path), mountinfo=LOCAL, tmp=tmp_path, system=tmp_path / "none")
    assert found.runtime == tmp_path / f"qmio-{os.getuid()}"


def test_sessions_with_and_without_xdg_share_one_place(tmp_path: Path) -> None:
    run, tmp = tmp_path / "run", tmp_path / "tmp"
    run.mkdir(mode=0o700)
    tmp.mkdir()

    def runtime(**env: str) -> Path:
        return places(environ(tmp_path, **env), mountinfo=LOCAL, tmp=tmp, system=run).runtime

    assert runtime() == runtime(XDG_RUNTIME_DIR=str(run)) == run / "qmio"
    # A gateway that was started before the login session made its directory keeps its place.
    earlier = private_directory(tmp / f"qmio-{os.getuid()}")
    (earlier / "connection.json").touch()
    assert runtime() == runtime(XDG_RUNTIME_DIR=str(run)) == earlier
    (run / "qmio/connection.json").touch()
    assert runtime() == run / "qmio"


def test_umask_does_not_widen_and_is_not_needed(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        found = places(environ(tmp_path), mountinfo=LOCAL, tmp=tmp_path, system=tmp_path / "none")
    finally:
        os.umask(before)
    assert mode(found.runtime) == mode(found.state) == 0o700


def test_qmio_home_overrides_both(tmp_path: Path) -> None:
    found = places({"QMIO_HOME": str(tmp_path / "q"), "XDG_RUNTIME_DIR": "/nowhere"}, mountinfo=LOCAL)
    assert (found.runtime, found.state) == (tmp_path / "q/run", tmp_path / "q/state")
    assert mode(tmp_path / "q") == 0o700


@pytest.mark.parametrize("kind", sorted(REMOTE))
def test_a_network_home_leads_to_a_node_local_state_dir_and_one_line(tmp_path: Path, kind: str) -> None:
    env = environ(tmp_path)
    local = tmp_path / "tmp"
    local.mkdir()
    found = places(env, mountinfo=mounted(tmp_path / "home", kind), tmp=local, system=tmp_path / "none")
    assert found.state == local / f"qmio-{os.getuid()}-state"
    assert mode(found.state) == 0o700
    (note,) = found.notes
    assert "network file system" in note
    assert str(found.state) in note
    assert "\n" not in note


def test_a_network_runtime_dir_is_not_used(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    local = tmp_path / "tmp"
    local.mkdir()
    found = places(
        environ(tmp_path, XDG_RUNTIME_DIR=str(run)),
        mountinfo=mounted(run, "nfs4"),
        tmp=local,
        system=tmp_path / "none",
    )
    assert found.runtime.parent == local


def test_a_named_network_home_is_used_with_a_warning(tmp_path: Path) -> None:
    root = tmp_path / "q"
    found = places({"QMIO_HOME": str(root)}, mountinfo=mounted(tmp_path, "lustre"))
    assert found.runtime == root / "run"
    assert "network file system" in found.notes[0]


def test_a_link_planted_in_tmp_is_refused(tmp_path: Path) -> None:
    target = tmp_path / "elsewhere"
    target.mkdir(mode=0o700)
    (tmp_path / f"qmio-{os.getuid()}").symlink_to(target)
    with pytest.raises(ConfigError, match="symbolic link") as caught:
        places(environ(tmp_path), mountinfo=LOCAL, tmp=tmp_path, system=tmp_path / "none")
    assert caught.value.code == "config.permissions"
    assert list(target.iterdir()) == []


def test_a_dangling_link_is_refused_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "d").symlink_to(tmp_path / "made-by-the-attacker")
    with pytest.raises(ConfigError, match="symbolic link"):
        private_directory(tmp_path / "d")
    assert not (tmp_path / "made-by-the-attacker").exists()


def test_a_directory_open_to_others_is_refused(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d").chmod(0o750)
    with pytest.raises(ConfigError, match="open to others"):
        private_directory(tmp_path / "d")


def test_a_file_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "d").touch(mode=0o600)
    with pytest.raises(ConfigError, match="not a directory"):
        private_directory(tmp_path / "d")


def test_a_directory_planted_by_another_user_is_an_error_that_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    somebody = os.getuid() + 1
    monkeypatch.setattr(os, "getuid", lambda: somebody)
    planted = tmp_path / f"qmio-{somebody}"
    planted.mkdir(mode=0o700)
    exists = Path.exists

    def closed(path: Path) -> bool:
        if path.parent == planted:
            raise PermissionError(13, "Permission denied", str(path))
        return exists(path)

    monkeypatch.setattr(Path, "exists", closed)
    with pytest.raises(ConfigError, match="another user") as caught:
        places(environ(tmp_path), mountinfo=LOCAL, tmp=tmp_path, system=tmp_path / "none")
    assert caught.value.code == "config.permissions"
    assert "QMIO_HOME" in caught.value.hint


@pytest.mark.root
def test_another_users_directory_is_refused(tmp_path: Path) -> None:
    if os.getuid() != 0:
        missing("root, to give a directory away,")
    (tmp_path / "d").mkdir(mode=0o700)
    os.chown(tmp_path / "d", 12345, 12345)
    with pytest.raises(ConfigError, match="another user"):
        private_directory(tmp_path / "d")


def test_links_into_a_network_mount_are_followed(tmp_path: Path) -> None:
    spaced = tmp_path / "net home"
    spaced.mkdir()
    (tmp_path / "link").symlink_to(spaced)
    assert is_network(tmp_path / "link" / "x", mounted(spaced, "nfs"))
    assert not is_network(tmp_path / "other", mounted(spaced, "nfs"))


def test_this_machine_has_a_mount_table() -> None:
    assert filesystem_type(Path("/proc/self")) == "proc"
    assert not is_network(Path("/proc/self"))
