"""The writer: group commit over any backend, completions in order, failures that stop the line.

Owns the queue between the gateway's loop and the disk. It knows neither SQL nor records' meaning. Batches are written
by a thread of its own; a lone one may be written in its caller's, where two hand-overs between threads would take
longer than the disk does.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import Protocol

from qmio_jupyter.core.records import Record
from qmio_jupyter.errors import StoreError
from qmio_jupyter.store import guards

#: Bounds of one transaction: what is queued beyond them goes into the next.
MAX_BATCHES = 512
MAX_RECORDS = 4096
#: A commit in the caller's thread that takes longer shows a slow disk: for `WARY_S` the writer's thread has them all.
SLOW_S = 0.02
WARY_S = 5.0


class Backend(Protocol):
    """A transactional place that one thread at a time touches: the writer's, or that of a commit made at once."""

    def begin(self) -> None:
        """Open a transaction (and whatever a failure closed)."""
        ...

    def apply(self, batch: Sequence[Record]) -> None:
        """Write `batch` in the open transaction; raises if a guard or the disk says no."""
        ...

    def commit(self) -> None:
        """Make the transaction durable."""
        ...

    def rollback(self) -> None:
        """Undo the open transaction, if there is one. Does not raise."""
        ...

    def close(self) -> None:
        """Release everything. Does not raise."""
        ...


class _Work:
    """One batch on its way to the disk."""

    __slots__ = ("batch", "future", "line")

    def __init__(self, batch: Sequence[Record], line: int) -> None:
        self.batch = batch
        #: Which line it was queued in; a failure closes its line, `resume` opens the next.
        self.line = line
        self.future: Future[None] = Future()
        # A commit cannot be called back: the future is never cancelled from outside.
        self.future.set_running_or_notify_cancel()


class GroupWriter:
    """Commits batches in the order of the calls, many to a transaction, in a thread of its own.

    Parameters
    ----------
    backend : Backend
        Where batches go; used by this writer alone from now on, and closed by it.
    name : str
        The thread's name.
    clock : callable, optional
        Monotonic seconds.
    """

    def __init__(self, backend: Backend, *, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._backend = backend
        self._clock = clock
        self._queue: SimpleQueue[_Work | None] = SimpleQueue()
        # Guards `_line`, `_closed` and `_queued` against each other and the queue's order. Held while writing only
        # by a commit made at once, when the thread has nothing to write.
        self._lock = threading.Lock()
        self._line = 0
        self._closed = False
        # Batches that the thread has not finished.
        self._queued = 0
        self._wary_until = 0.0
        # Whoever writes has these: the last line that a failure closed, and why.
        self._broken_line = -1
        self._cause: StoreError | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def commit(self, batch: Sequence[Record], *, at_once: bool = False) -> Future[None]:
        """Queue `batch`; the future ends once it is durable, or with `StoreError` if it never will be.

        With `at_once` it may be written before this returns, in the caller's thread: if nothing else is queued, and
        the disk has been quick.
        """
        with self._lock:
            work = _Work(batch, self._line)
            if not self._closed:
                if at_once and not self._queued and (began := self._clock()) >= self._wary_until:
                    self._write([work])
                    ended = self._clock()
                    if ended - began > SLOW_S:
                        self._wary_until = ended + WARY_S
                else:
                    self._queued += 1
                    self._queue.put(work)
                return work.future
        work.future.set_exception(guards.closed())
        return work.future

    def resume(self) -> None:
        """Open a new line: batches queued from now on are tried again."""
        with self._lock:
            self._line += 1

    def close(self) -> None:
        """Write what is queued, close the backend, and end the thread. Idempotent."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        try:
            while self._turn():
                pass
        finally:
            self._backend.close()

    def _turn(self) -> bool:
        """Take one group off the queue and end its futures; False when it was the last."""
        work = self._queue.get()
        group: list[_Work] = []
        records = 0
        while work is not None:
            group.append(work)
            records += len(work.batch)
            if len(group) >= MAX_BATCHES or records >= MAX_RECORDS:
                break
            try:
                work = self._queue.get_nowait()
            except Empty:
                break
        self._write(group)
        with self._lock:
            self._queued -= len(group)
        return work is not None

    def _write(self, group: list[_Work]) -> None:
        """Commit a group together, or else each alone in order."""
        # Lines only rise along the queue: what a failure left behind stands in front.
        first = 0
        while first < len(group) and group[first].line <= self._broken_line:
            first += 1
        for work in group[:first]:
            self._refuse(work)
        group = group[first:]
        if not group:
            return
        error = self._transaction(group)
        if error is None:
            for work in group:
                work.future.set_result(None)
            return
        for work in group:
            if work.line <= self._broken_line:
                self._refuse(work)
                continue
            # A group of one has had its own transaction already.
            error = self._transaction([work]) if len(group) > 1 else error
            if error is None:
                work.future.set_result(None)
            else:
                self._broken_line, self._cause = work.line, error
                work.future.set_exception(error)

    def _transaction(self, group: list[_Work]) -> StoreError | None:
        """Write `group` in one transaction; return why not, with nothing changed."""
        batches = [work.batch for work in group if work.batch]
        if not batches:
            return None
        try:
            self._backend.begin()
            for batch in batches:
                self._backend.apply(batch)
            self._backend.commit()
        # Whatever it was, the thread must live and somebody waits for the future.
        except BaseException as error:  # noqa: BLE001
            self._backend.rollback()
            if isinstance(error, StoreError):
                return error
            failure = StoreError(
                "the ledger could not be written", detail=f"{type(error).__name__}: {error}", retryable=True
            )
            failure.__cause__ = error
            return failure
        return None

    def _refuse(self, work: _Work) -> None:
        work.future.set_exception(guards.not_resumed(self._cause))
