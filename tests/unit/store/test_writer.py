"""Group commit by itself: a backend that fails where it is told to."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import Future

import pytest

from qmio_jupyter.core.records import EpochSaved, Record
from qmio_jupyter.errors import StoreError
from qmio_jupyter.store import writer as room
from qmio_jupyter.store.writer import GroupWriter


class FakeBackend:
    """Keeps committed transactions; batches named in `bad` fail, and commits numbered in `bad_commits`."""

    def __init__(self) -> None:
        self.committed: list[list[int]] = []
        self.open: list[int] | None = None
        self.bad: dict[int, BaseException] = {}
        self.bad_commits: dict[int, BaseException] = {}
        self.begun = 0
        self.closed = False
        self.threads: set[int] = set()
        #: The first transaction has begun; it is held until the test has queued what it wants grouped.
        self.entered = threading.Event()
        self.gate = threading.Event()

    def begin(self) -> None:
        self.entered.set()
        assert self.gate.wait(60)
        assert self.open is None
        self.threads.add(threading.get_ident())
        self.begun += 1
        self.open = []

    def apply(self, batch: Sequence[Record]) -> None:
        assert self.open is not None
        for record in batch:
            assert isinstance(record, EpochSaved)
            if record.epoch in self.bad:
                raise self.bad[record.epoch]
            self.open.append(record.epoch)

    def commit(self) -> None:
        assert self.open is not None
        if self.begun in self.bad_commits:
            raise self.bad_commits[self.begun]
        self.committed.append(self.open)
        self.open = None

    def rollback(self) -> None:
        self.open = None

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def backend() -> FakeBackend:
    return FakeBackend()


def queue(writer: GroupWriter, backend: FakeBackend, numbers: Sequence[int]) -> list[Future[None]]:
    """Queue one batch per number behind a transaction that holds the writer, so that they form one group."""
    first = writer.commit([EpochSaved(epoch=0)])
    assert backend.entered.wait(60)
    futures = [writer.commit([EpochSaved(epoch=number)]) for number in numbers]
    backend.gate.set()
    first.result(60)
    return futures


def test_what_is_queued_shares_a_transaction(backend: FakeBackend) -> None:
    writer = GroupWriter(backend, name="test")
    for future in queue(writer, backend, range(1, 11)):
        future.result(60)
    writer.close()
    assert backend.committed == [[0], list(range(1, 11))]
    assert backend.closed


def test_a_group_is_bounded(backend: FakeBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "MAX_BATCHES", 4)
    writer = GroupWriter(backend, name="test")
    futures = queue(writer, backend, range(1, 21))
    writer.close()
    assert all(future.exception() is None for future in futures)
    assert [len(group) for group in backend.committed] == [1, 4, 4, 4, 4, 4]
    assert [number for group in backend.committed for number in group] == list(range(21))


def test_a_group_is_bounded_in_records(backend: FakeBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "MAX_RECORDS", 6)
    writer = GroupWriter(backend, name="test")
    first = writer.commit([EpochSaved(epoch=0)])
    assert backend.entered.wait(60)
    futures = [first, *(writer.commit([EpochSaved(epoch=number)] * 3) for number in range(10))]
    backend.gate.set()
    writer.close()
    assert all(future.exception() is None for future in futures)
    assert [len(group) for group in backend.committed] == [1, 6, 6, 6, 6, 6]


def test_the_good_ones_before_a_bad_one_are_kept(backend: FakeBackend) -> None:
    backend.bad[5] = StoreError("guard")
    writer = GroupWriter(backend, name="test")
    futures = queue(writer, backend, range(1, 9))
    writer.close()
    assert [future.exception() is None for future in futures] == [True] * 4 + [False] * 4
    assert futures[4].exception() is backend.bad[5]
    assert backend.committed == [[0], [1], [2], [3], [4]]


@pytest.mark.parametrize("error", [OSError(28, "No space left"), ValueError("defect"), SystemExit(1)])
def test_any_error_is_a_store_error_and_the_thread_lives(backend: FakeBackend, error: BaseException) -> None:
    backend.bad[2] = error
    writer = GroupWriter(backend, name="test")
    _, bad, behind = queue(writer, backend, [1, 2, 3])
    caught = bad.exception(60)
    assert isinstance(caught, StoreError)
    assert caught.retryable
    assert type(error).__name__ in caught.detail
    assert isinstance(behind.exception(60), StoreError)
    writer.resume()
    writer.commit([EpochSaved(epoch=9)]).result(60)
    writer.close()
    assert backend.committed[-1] == [9]


def test_a_group_whose_commit_fails_is_tried_one_by_one(backend: FakeBackend) -> None:
    """Transaction 2 is the group; then each batch has its own, as a passing fault lets it."""
    backend.bad_commits[2] = OSError(5, "I/O error")
    writer = GroupWriter(backend, name="test")
    futures = queue(writer, backend, [1, 2, 3])
    writer.close()
    assert all(future.exception() is None for future in futures)
    assert backend.committed == [[0], [1], [2], [3]]


def test_a_batch_that_was_alone_is_not_tried_twice(backend: FakeBackend) -> None:
    backend.bad_commits[2] = OSError(5, "I/O error")
    writer = GroupWriter(backend, name="test")
    (future,) = queue(writer, backend, [1])
    writer.close()
    assert isinstance(future.exception(), StoreError)
    assert backend.begun == 2
    assert backend.committed == [[0]]


def test_lines_in_one_group(backend: FakeBackend) -> None:
    """A failure refuses what stood behind it in its line, not what was queued after `resume`."""
    backend.bad[2] = StoreError("guard")
    writer = GroupWriter(backend, name="test")
    first = writer.commit([EpochSaved(epoch=0)])
    assert backend.entered.wait(60)
    old = [writer.commit([EpochSaved(epoch=number)]) for number in (1, 2, 3)]
    writer.resume()
    new = [writer.commit([EpochSaved(epoch=number)]) for number in (4, 5)]
    backend.gate.set()
    writer.close()
    outcomes = [future.exception() is None for future in [first, *old, *new]]
    assert outcomes == [True, True, False, False, True, True]
    assert backend.committed == [[0], [1], [4], [5]]


def test_only_the_writer_thread_touches_the_backend(backend: FakeBackend) -> None:
    writer = GroupWriter(backend, name="test")
    queue(writer, backend, range(1, 4))
    writer.close()
    assert len(backend.threads) == 1
    assert threading.get_ident() not in backend.threads


def test_empty_batches_need_no_transaction_but_keep_their_place(backend: FakeBackend) -> None:
    writer = GroupWriter(backend, name="test")
    order: list[str] = []
    full = writer.commit([EpochSaved(epoch=1)])
    full.add_done_callback(lambda _: order.append("full"))
    empty = writer.commit([])
    empty.add_done_callback(lambda _: order.append("empty"))
    backend.gate.set()
    writer.close()
    assert order == ["full", "empty"]
    assert backend.begun == 1


def test_many_threads_may_commit(backend: FakeBackend) -> None:
    backend.gate.set()
    writer = GroupWriter(backend, name="test")
    futures: list[Future[None]] = []

    def work(base: int) -> None:
        futures.extend([writer.commit([EpochSaved(epoch=base + number)]) for number in range(100)])

    threads = [threading.Thread(target=work, args=(1000 * index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    writer.close()
    assert all(future.exception() is None for future in futures)
    assert len({number for group in backend.committed for number in group}) == 400


def test_no_thread_is_left(backend: FakeBackend) -> None:
    backend.gate.set()
    before = threading.active_count()
    writers = [GroupWriter(FakeBackend(), name=f"test-{index}") for index in range(5)]
    for writer in writers:
        writer.close()
        writer.close()
    assert threading.active_count() == before


def test_a_lone_batch_is_written_by_its_caller(backend: FakeBackend) -> None:
    backend.gate.set()
    writer = GroupWriter(backend, name="test")
    future = writer.commit([EpochSaved(epoch=1)], at_once=True)
    assert future.done()
    assert backend.threads == {threading.get_ident()}
    writer.close()
    assert backend.committed == [[1]]


def test_a_batch_behind_others_keeps_its_place(backend: FakeBackend) -> None:
    writer = GroupWriter(backend, name="test")
    first = writer.commit([EpochSaved(epoch=1)])
    assert backend.entered.wait(60)
    second = writer.commit([EpochSaved(epoch=2)], at_once=True)
    assert not second.done()
    backend.gate.set()
    second.result(60)
    assert first.done()
    assert threading.get_ident() not in backend.threads
    writer.close()
    assert backend.committed == [[1], [2]]


def test_after_a_slow_commit_the_thread_has_them_for_a_while(backend: FakeBackend) -> None:
    backend.gate.set()
    now = [0.0]
    reads: list[float] = []

    def clock() -> float:
        reads.append(now[0])
        if len(reads) == 2:  # the end of the first commit
            now[0] += 2 * room.SLOW_S
        return now[0]

    writer = GroupWriter(backend, name="test", clock=clock)
    writer.commit([EpochSaved(epoch=1)], at_once=True)
    backend.threads.clear()
    writer.commit([EpochSaved(epoch=2)], at_once=True).result(60)
    assert threading.get_ident() not in backend.threads
    now[0] += room.WARY_S + 1
    while not (future := writer.commit([EpochSaved(epoch=3)], at_once=True)).done():
        future.result(60)  # the thread was not through with the one before it
    writer.close()
    assert [number for group in backend.committed for number in group] == sorted(
        number for group in backend.committed for number in group
    )
    assert threading.get_ident() in backend.threads


def test_a_failure_at_once_stops_the_line_as_any_other(backend: FakeBackend) -> None:
    backend.gate.set()
    backend.bad[1] = StoreError("guard")
    writer = GroupWriter(backend, name="test")
    assert writer.commit([EpochSaved(epoch=1)], at_once=True).exception() is backend.bad[1]
    assert "resume" in str(writer.commit([EpochSaved(epoch=2)], at_once=True).exception())
    assert "resume" in str(writer.commit([EpochSaved(epoch=3)]).exception(60))
    writer.resume()
    writer.commit([EpochSaved(epoch=4)], at_once=True).result(60)
    writer.close()
    assert backend.committed == [[4]]
