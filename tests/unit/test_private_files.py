"""Files only their owner may read."""

from __future__ import annotations

import os
import resource
import stat
import subprocess
import sys

import pytest

from qmio_jupyter.errors import ConfigError
from qmio_jupyter.private_files import MAX_BYTES, read_private, write_private


def refused(path) -> str:
    with pytest.raises(ConfigError) as told:
        read_private(path)
    assert str(path) in told.value.message
    assert told.value.hint
    return told.value.code


def test_written_with_0600_whatever_the_umask(tmp_path):
    path = tmp_path / "secret"
    before = os.umask(0)
    try:
        assert write_private(path, b"x")
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_private(path) == b"x"


def test_an_existing_wide_open_file_is_replaced_not_reused(tmp_path):
    path = tmp_path / "secret"
    path.write_bytes(b"old")
    path.chmod(0o666)
    with path.open("rb") as reader:
        write_private(path, b"new")
        assert reader.read() == b"old"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_an_existing_file_can_be_left_alone(tmp_path):
    path = tmp_path / "secret"
    assert write_private(path, b"first", replace=False)
    assert not write_private(path, b"second", replace=False)
    assert read_private(path) == b"first"
    assert [entry.name for entry in tmp_path.iterdir()] == ["secret"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o610, 0o644, 0o666, 0o777, 0o700])
def test_refused_if_wider_than_0600(tmp_path, mode):
    path = tmp_path / "secret"
    write_private(path, b"x")
    path.chmod(mode)
    assert refused(path) == "config.permissions"


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_accepted_if_only_the_owner_has_rights(tmp_path, mode):
    path = tmp_path / "secret"
    write_private(path, b"x")
    path.chmod(mode)
    assert read_private(path) == b"x"


def test_refused_if_it_belongs_to_somebody_else(tmp_path, monkeypatch):
    path = tmp_path / "secret"
    write_private(path, b"x")
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
    assert refused(path) == "config.permissions"


def test_refused_if_it_is_a_link(tmp_path):
    target = tmp_path / "target"
    write_private(target, b"x")
    link = tmp_path / "secret"
    link.symlink_to(target)
    assert refused(link) == "config.file"


def test_refused_if_it_is_missing_a_directory_or_a_pipe(tmp_path):
    assert refused(tmp_path / "none") == "config.file"
    (tmp_path / "folder").mkdir(mode=0o700)
    assert refused(tmp_path / "folder") == "config.file"
    os.mkfifo(tmp_path / "pipe", 0o600)
    assert refused(tmp_path / "pipe") == "config.file"


def test_refused_if_too_large(tmp_path):
    path = tmp_path / "secret"
    write_private(path, bytes(MAX_BYTES))
    assert len(read_private(path)) == MAX_BYTES
    write_private(path, bytes(MAX_BYTES + 1))
    assert refused(path) == "config.file"


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path, monkeypatch):
    path = tmp_path / "secret"
    write_private(path, b"old")

    def full(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ConfigError, match="No space left") as told:
        write_private(path, b"new")
    assert told.value.code == "config.file"
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["secret"]


def test_a_missing_directory_is_told(tmp_path):
    with pytest.raises(ConfigError) as told:
        write_private(tmp_path / "none" / "secret", b"x")
    assert told.value.code == "config.file"


@pytest.mark.parametrize("for_good", [False, True])
def test_no_core_file_is_left_by_a_process_or_those_it_starts(for_good: bool) -> None:
    program = (
        "import resource, subprocess, sys\n"
        "from qmio_jupyter.private_files import leave_no_core_file\n"
        f"leave_no_core_file(for_good={for_good})\n"
        "subprocess.run([sys.executable, '-c', 'import resource; print(*resource.getrlimit(4))'], check=True)\n"
    )
    before = resource.getrlimit(resource.RLIMIT_CORE)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0", "0" if for_good else str(before[1])]
