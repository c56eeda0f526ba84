"""Where a ledger may lie, who may read it, and who has it open."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from qmio_jupyter.core.records import ProgramStored, TaskInserted
from qmio_jupyter.errors import ConfigError, StoreError
from qmio_jupyter.model.filesystems import REMOTE
from qmio_jupyter.model.task import TaskState
from qmio_jupyter.store.sqlite import SqliteStore
from qmio_jupyter.testing import ledgers
from qmio_jupyter.testing.stores import commit


def modes(directory: Path) -> dict[str, int]:
    return {entry.name: stat.S_IMODE(entry.stat().st_mode) for entry in directory.iterdir()}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "ledger.sqlite"


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_nobody_else_may_read_it(path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        store = SqliteStore(path)
        try:
            commit(store, TaskInserted(task=ledgers.new_task(1)))
            assert modes(path.parent) == {
                "ledger.sqlite": 0o600,
                "ledger.sqlite-wal": 0o600,
                "ledger.sqlite-shm": 0o600,
                "ledger.sqlite.lock": 0o600,
            }
            assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        finally:
            store.close()
    finally:
        os.umask(before)


def test_a_clean_stop_leaves_one_database_and_no_thread(path: Path) -> None:
    threads = threading.active_count()
    store = SqliteStore(path)
    assert threading.active_count() == threads + 1
    commit(store, TaskInserted(task=ledgers.new_task(1)))
    store.close()
    assert threading.active_count() == threads
    assert set(modes(path.parent)) == {"ledger.sqlite", "ledger.sqlite.lock"}


def test_a_directory_open_to_others_is_refused(path: Path) -> None:
    path.parent.mkdir(mode=0o700)
    path.parent.chmod(0o750)
    with pytest.raises(ConfigError, match=r"open to other users.*0750.*chmod 700") as caught:
        SqliteStore(path)
    assert caught.value.code == "config.permissions"
    assert list(path.parent.iterdir()) == []


@pytest.mark.root
def test_somebody_elses_directory_is_refused(path: Path) -> None:
    if os.geteuid() != 0:
        from tests.conftest import missing

        missing("root")
    path.parent.mkdir(mode=0o700)
    os.chown(path.parent, 12345, 12345)
    with pytest.raises(ConfigError, match="uid 12345"):
        SqliteStore(path)


@pytest.mark.parametrize("kind", sorted(REMOTE))
def test_a_network_file_system_is_refused(path: Path, kind: str) -> None:
    mountinfo = (
        "21 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw\n"
        f"40 21 0:50 / {path.parent.parent} rw shared:7 - {kind} server:/home rw\n"
    )
    with pytest.raises(ConfigError, match=kind) as caught:
        SqliteStore(path, mountinfo=mountinfo)
    assert "QMIO_HOME" in caught.value.hint
    assert not path.exists()


def test_a_local_disk_under_a_network_one_is_accepted(path: Path) -> None:
    mountinfo = (
        "21 1 0:50 / / rw - nfs4 server:/root rw\n"
        f"40 21 8:1 / {path.parent.parent} rw master:2 - tmpfs tmpfs rw\n"
    )
    SqliteStore(path, mountinfo=mountinfo).close()


def test_a_link_to_a_network_file_system_is_seen_through(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir(mode=0o700)
    (tmp_path / "near").symlink_to(tmp_path / "far")
    mountinfo = f"40 21 0:50 / {tmp_path / 'far'} rw - lustre server:/home rw\n"
    with pytest.raises(ConfigError, match="lustre"):
        SqliteStore(tmp_path / "near" / "ledger.sqlite", mountinfo=mountinfo)


def test_a_second_store_is_refused_and_harms_nothing(path: Path) -> None:
    store = SqliteStore(path)
    try:
        with pytest.raises(StoreError, match="in use by another gateway"):
            SqliteStore(path)
        script = (
            "import sys; from pathlib import Path; from qmio_jupyter.store.sqlite import SqliteStore\n"
            "SqliteStore(Path(sys.argv[1]))"
        )
        other = subprocess.run(
            [sys.executable, "-c", script, str(path)], capture_output=True, text=True, timeout=60, check=False
        )
        assert other.returncode != 0
        assert "in use by another gateway" in other.stderr
        commit(store, TaskInserted(task=ledgers.new_task(1)))
        assert len(store.load_live().tasks) == 1
    finally:
        store.close()
    SqliteStore(path).close()


def test_another_programs_database_is_refused(path: Path) -> None:
    path.parent.mkdir(mode=0o700)
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE theirs (x)")
    connection.commit()
    connection.close()
    with pytest.raises(ConfigError, match="another program"):
        SqliteStore(path)
    # The refusal lets go of everything: the next try gives the same answer, not "in use".
    with pytest.raises(ConfigError, match="another program"):
        SqliteStore(path)


def test_a_file_that_is_no_database_is_refused(path: Path) -> None:
    path.parent.mkdir(mode=0o700)
    path.write_bytes(b"this is no database at all" * 100)
    with pytest.raises(StoreError, match="not a database"):
        SqliteStore(path)


def test_a_newer_ledger_is_refused(path: Path) -> None:
    SqliteStore(path).close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 9999")
    connection.close()
    with pytest.raises(ConfigError, match="newer version"):
        SqliteStore(path)


def test_a_link_in_place_of_the_database_is_refused(path: Path, tmp_path: Path) -> None:
    path.parent.mkdir(mode=0o700)
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError):
        SqliteStore(path)
    assert not (tmp_path / "elsewhere").exists()


def test_reads_cannot_write(path: Path) -> None:
    store = SqliteStore(path)
    try:
        with pytest.raises(StoreError, match="readonly"):
            store._reader.all("INSERT INTO usage VALUES ('a', 'b', 0, 0)", ())
    finally:
        store.close()


def test_the_database_is_as_durable_as_promised(path: Path) -> None:
    store = SqliteStore(path)
    try:
        connection = store._backend._connection
        assert connection is not None
        pragmas = ("journal_mode", "synchronous", "foreign_keys")
        assert [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in pragmas] == ["wal", 2, 1]
    finally:
        store.close()


def test_a_row_that_cannot_be_read_is_an_error_in_one_line(path: Path) -> None:
    store = SqliteStore(path)
    task = ledgers.new_task(1)
    commit(store, TaskInserted(task=task))
    store.close()
    connection = sqlite3.connect(path)
    connection.execute("UPDATE tasks SET task = x'c1'")
    connection.commit()
    connection.close()
    store = SqliteStore(path)
    try:
        for read in (store.load_live, lambda: store.task(task.task_id, None)):
            with pytest.raises(StoreError) as caught:
                read()
            assert not caught.value.retryable
            assert "\n" not in str(caught.value)
    finally:
        store.close()


def test_a_partial_result_takes_no_room_after_the_final_one(path: Path) -> None:
    store = SqliteStore(path)
    try:
        task = ledgers.moved(ledgers.new_task(1), TaskState.CLAIMED)
        commit(store, TaskInserted(task=task))
        commit(store, ledgers.result_of(task, is_final=False))
        assert store._reader.all("SELECT count(*) FROM partials", ()) == [(1,)]
        commit(store, ledgers.result_of(task, revision=2))
        assert store._reader.all("SELECT count(*) FROM partials", ()) == [(0,)]
    finally:
        store.close()


def test_the_write_ahead_log_is_folded_in(path: Path) -> None:
    """30 MB of commits with readers in between leave a log of a few megabytes."""
    store = SqliteStore(path)
    try:
        for number in range(300):
            program = ledgers.program(f"{number}" + "x" * 100_000)
            commit(store, ProgramStored(tenant="physics/ana", program=program, stored_ms=1))
            assert store.program("physics/ana", program.digest) == program
        assert path.with_name("ledger.sqlite-wal").stat().st_size < 8 * 2**20
        assert path.stat().st_size > 20 * 2**20
    finally:
        store.close()
