"""Takes back what a start has begun, as often as it takes: the gateway or Slurm may be away, and nothing is forgotten.

The journal holds the debt until nothing is left. While the gateway or Slurm does not answer, it is tried again and
again; that is the one place where the hub waits for them without a deadline. A gateway that is away keeps no job: it
is cancelled meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import msgspec

from qmio_jupyter.errors import QmioError
from qmio_jupyter.hub import saga as s
from qmio_jupyter.hub.cluster import Cluster
from qmio_jupyter.hub.journal import Entry, Journal
from qmio_jupyter.hub.promises import Promises
from qmio_jupyter.hub.saga import Mark, Step

#: An sbatch whose outcome is unknown can still have its effect for so long: its own deadline, and some more.
SETTLE_MS = 60_000
#: Pauses between two tries, in seconds.
PAUSES_S = (0.5, 1.0, 2.0, 5.0, 10.0)

_log = logging.getLogger("jupyterhub.qmio")


class Undoer:
    """Undoes starts, each in a task of its own.

    Parameters
    ----------
    cluster, promises, journal
        What there is to undo at, and where it is written down.
    now_ms : callable
        Milliseconds since the Unix epoch.
    """

    def __init__(
        self, cluster: Cluster, promises: Promises, journal: Journal, now_ms: Callable[[], int]
    ) -> None:
        self._cluster, self._promises, self._journal, self._now_ms = cluster, promises, journal, now_ms
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def undo(self, entry: Entry) -> asyncio.Task[None]:
        """Return the task that undoes a start; it goes on whoever waits for it and whoever does not."""
        grant_id = entry.saga.grant_id
        running = self._tasks.get(grant_id)
        if running is None:
            entry = msgspec.structs.replace(entry, saga=s.undoing(entry.saga))
            self._journal.write(entry)
            running = asyncio.ensure_future(self._undo(entry))
            self._tasks[grant_id] = running
            running.add_done_callback(lambda _: self._tasks.pop(grant_id, None))
        return running

    @property
    def busy(self) -> tuple[str, ...]:
        """Grants whose starts are being undone."""
        return tuple(self._tasks)

    async def _undo(self, entry: Entry) -> None:
        tries = 0
        while (step := s.next_step(entry.saga)) is not Step.CLEAN:
            try:
                saga = await self._step(entry, step)
            except QmioError as error:
                entry = await self._meanwhile(entry)
                pause_s = PAUSES_S[min(tries, len(PAUSES_S) - 1)]
                tries += 1
                _log.warning(
                    "%s of %s: %s; again in %g s", step.value, entry.saga.job_name, error.one_line(), pause_s
                )
                await asyncio.sleep(pause_s)
                continue
            if saga == entry.saga:
                await asyncio.sleep(0.5)
                continue
            tries = 0
            entry = msgspec.structs.replace(entry, saga=saga)
            self._journal.write(entry)
        self._journal.forget(entry.saga.grant_id)
        _log.info("nothing is left of %s", entry.saga.job_name)

    async def _meanwhile(self, entry: Entry) -> Entry:
        """Undo what does not need what is away; return where it then stands."""
        step = s.undo_meanwhile(entry.saga)
        if step is Step.CLEAN:
            return entry
        try:
            saga = await self._step(entry, step)
        except QmioError:
            return entry
        entry = msgspec.structs.replace(entry, saga=saga)
        self._journal.write(entry)
        return entry

    async def _step(self, entry: Entry, step: Step) -> s.Saga:
        saga = entry.saga
        if step is Step.REVOKE:
            await self._promises.revoke(saga.grant_id)
            return s.revoked(saga)
        await self._cluster.cancel(saga.job_name, owner=entry.owner)
        answer = await self._cluster.jobs(after_s=self._cluster.now_s())
        if answer.named(saga.job_name):
            return saga
        is_settled = saga.job is Mark.YES or self._now_ms() - saga.submitted_ms >= SETTLE_MS
        return s.cancelled(saga) if is_settled else saga
