"""The connection file: ours alone, for this host and boot, whole or not at all."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import msgspec
import pytest

from qmio_jupyter.config import connection
from qmio_jupyter.config.connection import ConnectionFile
from qmio_jupyter.errors import ConfigError
from qmio_jupyter.private_files import read_private, write_private
from tests.conftest import missing


def sample(**changes: object) -> ConnectionFile:
    return msgspec.structs.replace(
        ConnectionFile(
            host=connection.this_host(),
            boot_id=connection.this_boot(),
            pid=os.getpid(),
            endpoint="tcp://127.0.0.1:4567",
            server_key="s" * 40,
            public_key="p" * 40,
            secret_key="very-secret" + "k" * 29,
            uid=os.getuid(),
            gateway="local",
            started_ms=1,
        ),
        **changes,
    )


def refused(path: Path, code: str) -> str:
    with pytest.raises(ConfigError) as caught:
        connection.read(path)
    assert caught.value.code == code
    assert caught.value.hint
    assert "\n" not in caught.value.one_line()
    return caught.value.message


def test_written_0600_and_read_back(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        connection.write(tmp_path / "c.json", sample())
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "c.json").stat().st_mode) == 0o600
    assert connection.read(tmp_path / "c.json") == sample()
    assert [p.name for p in tmp_path.iterdir()] == ["c.json"]


def test_a_reader_never_sees_half_a_file(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    connection.write(path, sample())
    wanted = threading.Event()

    def rewrite() -> None:
        for number in range(60):
            connection.write(path, sample(started_ms=number, gateway="g" * (1 + number * 50)))
        wanted.set()

    writer = threading.Thread(target=rewrite)
    writer.start()
    reads = 0
    while not wanted.is_set():
        connection.read(path)
        reads += 1
    writer.join()
    assert reads > 0


def test_the_secret_does_not_show_in_its_repr() -> None:
    assert "very-secret" not in repr(sample())
    assert "very-secret" not in str([sample()])


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o700, 0o666])
def test_a_wider_mode_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "c.json"
    connection.write(path, sample())
    path.chmod(mode)
    assert f"{mode:04o}" in refused(path, "config.permissions")


def test_a_narrower_mode_is_fine(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    connection.write(path, sample())
    path.chmod(0o400)
    assert connection.read(path) == sample()


@pytest.mark.root
def test_another_users_file_is_refused(tmp_path: Path) -> None:
    if os.getuid() != 0:
        missing("root, to give a file away,")
    path = tmp_path / "c.json"
    connection.write(path, sample())
    os.chown(path, 12345, 12345)
    assert "another user" in refused(path, "config.permissions")


def test_a_link_is_refused(tmp_path: Path) -> None:
    connection.write(tmp_path / "real.json", sample())
    (tmp_path / "c.json").symlink_to(tmp_path / "real.json")
    refused(tmp_path / "c.json", "config.file")


def test_a_pipe_does_not_hang_the_reader(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "c.json", 0o600)
    refused(tmp_path / "c.json", "config.file")


def test_another_hosts_file_is_refused(tmp_path: Path) -> None:
    connection.write(tmp_path / "c.json", sample(host="some-other-node"))
    assert "some-other-node" in refused(tmp_path / "c.json", "config.other_host")


def test_a_file_of_an_earlier_boot_is_refused(tmp_path: Path) -> None:
    connection.write(tmp_path / "c.json", sample(boot_id="00000000-0000-0000-0000-000000000000"))
    refused(tmp_path / "c.json", "config.other_host")


def test_another_uid_inside_is_refused(tmp_path: Path) -> None:
    connection.write(tmp_path / "c.json", sample(uid=os.getuid() + 1))
    refused(tmp_path / "c.json", "config.permissions")


def test_another_version_is_refused(tmp_path: Path) -> None:
    connection.write(tmp_path / "c.json", sample(version=99))
    assert "99" in refused(tmp_path / "c.json", "config.file")


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"{}", b"\xff\xfe", b'{"version": "x"}', b"null"])
def test_rubbish_is_refused(tmp_path: Path, data: bytes) -> None:
    write_private(tmp_path / "c.json", data)
    refused(tmp_path / "c.json", "config.file")


def test_missing_and_huge(tmp_path: Path) -> None:
    refused(tmp_path / "c.json", "config.file")
    write_private(tmp_path / "c.json", b" " * ((1 << 20) + 1))
    assert "too large" in refused(tmp_path / "c.json", "config.file")


def test_unknown_fields_of_a_newer_minor_are_skipped(tmp_path: Path) -> None:
    raw = msgspec.to_builtins(sample()) | {"later": 1}
    write_private(tmp_path / "c.json", msgspec.json.encode(raw))
    assert connection.read(tmp_path / "c.json") == sample()


def test_liveness(tmp_path: Path) -> None:
    assert connection.is_alive(sample())
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    assert not connection.is_alive(sample(pid=child))


def test_a_secret_that_cannot_be_written_says_where(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be written"):
        write_private(tmp_path / "no" / "where", b"x")
    (tmp_path / "dir").mkdir()
    with pytest.raises(ConfigError):
        write_private(tmp_path / "dir", b"x")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["dir"]
    with pytest.raises(ConfigError, match="not a plain file"):
        read_private(tmp_path / "dir")
