"""One cached query of all jobs for everybody who asks: at most one ``squeue`` in five seconds per process.

The first who asks starts it, in a thread of its own; all who ask meanwhile wait for the same answer. A query
that failed is an error for those who waited for it and changes nothing: the last answer stays what it was.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, InvalidStateError
from types import MappingProxyType

import msgspec

from qmio_jupyter.errors import QmioError
from qmio_jupyter.slurm.complaints import unreachable
from qmio_jupyter.slurm.jobs import Job, called

#: Seconds between the starts of two queries.
INTERVAL_S = 5.0


class Answer(msgspec.Struct, frozen=True):
    """What one query found. Times in seconds of the cache's clock."""

    #: When the query began: what happened later may be missing.
    asked_s: float
    jobs: tuple[Job, ...]
    by_id: Mapping[int, Job]

    def called(self, name: str) -> tuple[Job, ...]:
        """Return the jobs that `name` may mean; see `jobs.called`."""
        return called(self.jobs, name)

    def named(self, name: str) -> tuple[Job, ...]:
        """Return the jobs of this job name."""
        return tuple(job for job in self.jobs if job.name == name)


class JobCache:
    """The jobs of the cluster, not older than anybody needs, and not asked for more often than allowed.

    Parameters
    ----------
    query : callable
        Returns all jobs, or raises `SlurmError`; called in a thread of the cache's own, never twice at once.
    interval_s : float
        Seconds from the start of one query to the start of the next, at least.
    clock : callable
        Seconds, monotonic.
    """

    def __init__(
        self,
        query: Callable[[], Iterable[Job]],
        *,
        interval_s: float = INTERVAL_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._query = query
        self._interval_s = interval_s
        self._clock = clock
        self._changed = threading.Condition()
        self._last: Answer | None = None
        #: The query under way: when it began, and its answer to come.
        self._current: tuple[float, Future[Answer]] | None = None
        #: The query that has not begun.
        self._next: Future[Answer] | None = None
        self._started_s: float | None = None
        self._is_closed = False
        #: Queries made, for figures.
        self.queries = 0

    @property
    def last(self) -> Answer | None:
        """The last good answer, however old; None before the first."""
        return self._last

    def fresh(self, max_age_s: float = INTERVAL_S) -> Future[Answer]:
        """Return the future of an answer to a query that began at most `max_age_s` ago, or begins from now on.

        Any number of callers share one query. The future raises what the query raised; it is never to be cancelled.
        """
        return self._since(self._clock() - max_age_s)

    def after(self, moment_s: float) -> Future[Answer]:
        """Return the future of an answer to a query that began at `moment_s` of the cache's clock, or later."""
        return self._since(moment_s)

    def now_s(self) -> float:
        """Return the cache's clock."""
        return self._clock()

    def get(self, max_age_s: float = INTERVAL_S, *, timeout_s: float = 30.0) -> Answer:
        """Return an answer at most so old, waiting for it in this thread.

        Raises
        ------
        SlurmError
            ``slurm.unreachable`` where Slurm could not be asked in time.
        """
        try:
            return self.fresh(max_age_s).result(timeout_s)
        except TimeoutError:
            raise unreachable("squeue", f"no answer within {timeout_s:g} s") from None

    async def wait(self, max_age_s: float = INTERVAL_S) -> Answer:
        """Return an answer at most so old; cancelling one who waits disturbs nobody else."""
        return await asyncio.shield(asyncio.wrap_future(self.fresh(max_age_s)))

    def close(self) -> None:
        """Make no more queries; those who wait get an error. Idempotent."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
            current = self._current
        if current is not None:
            # Its command may take its whole time yet; who waits for it is not to.
            _settle(current[1], None, _ending())

    def _since(self, moment_s: float) -> Future[Answer]:
        with self._changed:
            last = self._last
            if last is not None and last.asked_s >= moment_s:
                done: Future[Answer] = Future()
                done.set_result(last)
                return done
            if self._current is not None and self._current[0] >= moment_s:
                return self._current[1]
            if self._next is None:
                following: Future[Answer] = Future()
                # Taken for running: no caller can cancel it for the others.
                following.set_running_or_notify_cancel()
                if self._is_closed:
                    following.set_exception(_ending())
                    return following
                self._next = following
                threading.Thread(target=self._ask, args=(following,), name="squeue", daemon=True).start()
            return self._next

    def _ask(self, future: Future[Answer]) -> None:
        """Wait until a query is allowed, make it, and tell everybody."""
        with self._changed:
            while not self._is_closed and self._waits():
                pass
            self._next = None
            if self._is_closed:
                future.set_exception(_ending())
                return
            asked_s = self._started_s = self._clock()
            self._current = (asked_s, future)
            self.queries += 1
        failed: BaseException | None = None
        answer: Answer | None = None
        try:
            found = tuple(self._query())
            answer = Answer(asked_s, found, MappingProxyType({job.job_id: job for job in found}))
        except QmioError as error:
            failed = error
        except BaseException as error:  # noqa: BLE001 - whoever waits hears of it, whatever it is
            failed = unreachable("squeue", f"{type(error).__name__}: {error}")
        with self._changed:
            self._current = None
            if answer is not None:
                self._last = answer
            self._changed.notify_all()
        _settle(future, answer, failed)

    def _waits(self) -> bool:
        """Wait for a change or the time; return whether a query is still not allowed. The lock is held."""
        if self._current is not None:
            self._changed.wait()
            return True
        if self._started_s is None:
            return False
        left_s = self._started_s + self._interval_s - self._clock()
        if left_s <= 0:
            return False
        self._changed.wait(left_s)
        return True


def _settle(future: Future[Answer], answer: Answer | None, failed: BaseException | None) -> None:
    """End a future, unless closing the cache has ended it already."""
    with contextlib.suppress(InvalidStateError):
        if answer is not None:
            future.set_result(answer)
        else:
            future.set_exception(failed)


def _ending() -> QmioError:
    return unreachable("squeue", "this process is ending")
