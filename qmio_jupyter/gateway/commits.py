"""Turns on their way to the disk: batches to the store, tickets back to the loop, in order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future

from qmio_jupyter.core.records import Record
from qmio_jupyter.gateway.metrics import Figures
from qmio_jupyter.gateway.release import Releases
from qmio_jupyter.gateway.turn import Output, Turn
from qmio_jupyter.ports import TaskStore

#: Called in the loop for each batch heard of, with its records if they are on disk and count, else with none.
OnEnded = Callable[[tuple[Record, ...]], None]
#: Called in the loop, once per failure, with the outputs that will never leave and the error.
OnFailure = Callable[[list[Output], BaseException], None]


class Commits:
    """Hands batches to the store and learns, in the loop, what became of them.

    Parameters
    ----------
    store : TaskStore
        Whose futures end in its own thread, in the order of the commits.
    releases : Releases
        Where turns wait for their commit.
    loop : AbstractEventLoop
        The loop this object lives in.
    on_ended, on_failure : callable
        See above.
    figures : Figures
        Counters.
    """

    def __init__(
        self,
        store: TaskStore,
        releases: Releases,
        loop: asyncio.AbstractEventLoop,
        *,
        on_ended: OnEnded,
        on_failure: OnFailure,
        figures: Figures,
    ) -> None:
        self._store = store
        self._releases = releases
        self._loop = loop
        self._on_ended = on_ended
        self._on_failure = on_failure
        self._figures = figures
        # Rises with every failure: what was committed before it no longer counts.
        self._generation = 0
        #: Batches given to the store and not yet heard of.
        self.under_way = 0

    def submit(self, turn: Turn, *, at_once: bool = False) -> bool:
        """Hold a turn's outputs until its records are on disk; return True if they already are.

        Parameters
        ----------
        at_once : bool
            The loop has nothing else to do: the store may write before this returns. Then `on_ended` is not called.
        """
        if not turn.records:
            if turn.outputs:
                self._releases.hold(turn)
            return False
        ticket = self._releases.hold(turn)
        # What outruns its commit leaves while the writer's thread is at it.
        at_once = at_once and not self._releases.has_early
        generation = self._generation
        future = self._store.commit(turn.records, at_once=at_once)
        if at_once and future.done() and future.exception() is None:
            self._figures.commits += 1
            self._releases.committed(ticket)
            return True
        self.under_way += 1

        def ended(future: Future[None]) -> None:
            self._loop.call_soon_threadsafe(self._ended, future, generation, ticket, turn.records)

        future.add_done_callback(ended)
        return False

    def _ended(self, future: Future[None], generation: int, ticket: int, records: tuple[Record, ...]) -> None:
        self.under_way -= 1
        error = future.exception()
        if generation != self._generation:
            self._on_ended(())
        elif error is None:
            self._figures.commits += 1
            self._releases.committed(ticket)
            self._on_ended(records)
        else:
            self._figures.failed_commits += 1
            self._on_failure(self.abandon(), error)

    def abandon(self) -> list[Output]:
        """Forget all turns that wait, whatever becomes of their records; return what will never leave."""
        self._generation += 1
        return self._releases.drop()
