"""A full disk refuses with a retryable error, loses nothing, and the ledger goes on once there is room."""

from __future__ import annotations

import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from qmio_jupyter.core.records import ProgramStored, TaskInserted
from qmio_jupyter.errors import StoreError
from qmio_jupyter.store.sqlite import SqliteStore
from qmio_jupyter.testing import ledgers
from qmio_jupyter.testing.stores import commit, refused


def fill(store: SqliteStore, size: int = 40_000) -> tuple[int, StoreError]:
    """Commit a task and a large program each time until the disk is full; return how many were accepted."""
    for number in range(10_000):
        blob = ledgers.program(f"{number}" + "x" * size)
        batch = [
            TaskInserted(task=ledgers.new_task(number)),
            ProgramStored(tenant="physics/ana", program=blob, stored_ms=1),
        ]
        error = store.commit(batch).exception(60)
        if error is not None:
            assert isinstance(error, StoreError)
            return number, error
    raise AssertionError("the disk never got full")


def check_whole(store: SqliteStore, accepted: int) -> None:
    """Every accepted batch is there, whole, and nothing of the one that failed."""
    state = store.load_live()
    assert [task.task_id for task in state.tasks] == [ledgers.task_id(number) for number in range(accepted)]
    assert len(state.programs) == accepted


def test_the_limit_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "ledger" / "ledger.sqlite"
    store = SqliteStore(path, max_bytes=1_000_000)
    try:
        accepted, error = fill(store)
        assert 5 <= accepted < 30
        assert error.retryable
        assert error.detail == "SQLITE_FULL"
        assert "Free some space" in error.hint
        check_whole(store, accepted)
        # Still full: refused again, also after a resume; reading works all the while.
        refused(store.commit([TaskInserted(task=ledgers.new_task(accepted))]))
        store.resume()
        big = ledgers.program("y" * 100_000)
        refused(store.commit([ProgramStored(tenant="physics/ana", program=big, stored_ms=1)]))
        check_whole(store, accepted)
    finally:
        store.close()
    store = SqliteStore(path, max_bytes=2_000_000)
    try:
        commit(store, ProgramStored(tenant="physics/ana", program=big, stored_ms=1))
        assert len(store.load_live().programs) == accepted + 1
    finally:
        store.close()


def test_writes_that_fail(tmp_path: Path) -> None:
    """Beyond the limit the kernel refuses each write (EFBIG), in the middle of a transaction."""
    store = SqliteStore(tmp_path / "ledger" / "ledger.sqlite")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
        try:
            accepted, error = fill(store)
            assert 5 <= accepted < 30
            assert error.retryable
            check_whole(store, accepted)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        refused(store.commit([TaskInserted(task=ledgers.new_task(accepted))]))
        store.resume()
        commit(store, TaskInserted(task=ledgers.new_task(accepted)))
        assert len(store.load_live().tasks) == accepted + 1
    finally:
        store.close()


def test_a_connection_that_broke_is_made_anew(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "ledger" / "ledger.sqlite")
    try:
        commit(store, TaskInserted(task=ledgers.new_task(1)))
        assert store._backend._connection is not None
        store._backend._connection.close()
        refused(store.commit([TaskInserted(task=ledgers.new_task(2))]))
        store.resume()
        commit(store, TaskInserted(task=ledgers.new_task(3)))
        assert [task.task_id for task in store.load_live().tasks] == [ledgers.task_id(1), ledgers.task_id(3)]
    finally:
        store.close()


@pytest.fixture
def small_disk(tmp_path: Path, may_mount: None) -> Iterator[Path]:
    """Return a directory on a file system of 2 MB of its own."""
    place = tmp_path / "small"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m,mode=0700", "tmpfs", str(place)], check=True)
    yield place
    subprocess.run(["umount", str(place)], check=True)


@pytest.mark.root
def test_a_disk_that_is_really_full(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(600_000))
    path = small_disk / "ledger" / "ledger.sqlite"
    store = SqliteStore(path)
    try:
        accepted, error = fill(store)
        assert accepted >= 5
        assert error.retryable
        check_whole(store, accepted)
        queued = [store.commit([TaskInserted(task=ledgers.new_task(1000 + number))]) for number in range(5)]
        for future in queued:
            refused(future)
        check_whole(store, accepted)
        # No room yet: `resume` does not help by itself.
        store.resume()
        # As large as the one that did not fit, and what was written beside it.
        blob = ledgers.program("z" * 100_000)
        refused(store.commit([ProgramStored(tenant="physics/ana", program=blob, stored_ms=1)]))
        ballast.unlink()
        refused(store.commit([ProgramStored(tenant="physics/ana", program=blob, stored_ms=1)]))
        store.resume()
        commit(store, ProgramStored(tenant="physics/ana", program=blob, stored_ms=1))
        assert store.program("physics/ana", blob.digest) == blob
    finally:
        store.close()
    store = SqliteStore(path)
    try:
        assert len(store.load_live().tasks) == accepted
        assert len(store.load_live().programs) == accepted + 1
    finally:
        store.close()


@pytest.mark.root
def test_no_room_to_open(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    with pytest.raises(OSError, match="No space"):
        ballast.write_bytes(bytes(4 * 2**20))
    path = small_disk / "ledger" / "ledger.sqlite"
    with pytest.raises(StoreError) as caught:
        SqliteStore(path)
    assert caught.value.retryable
    ballast.unlink()
    store = SqliteStore(path)
    try:
        commit(store, TaskInserted(task=ledgers.new_task(1)))
    finally:
        store.close()
