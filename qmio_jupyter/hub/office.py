"""What all spawners of one hub share: the cluster, the link to the gateway, the journal, and the starts under way."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from qmio_jupyter.config.settings import GatewayAddress
from qmio_jupyter.display.eta import is_founded
from qmio_jupyter.errors import QmioError
from qmio_jupyter.hub.cluster import Cluster
from qmio_jupyter.hub.journal import Journal
from qmio_jupyter.hub.promises import Promises
from qmio_jupyter.hub.saga import Saga
from qmio_jupyter.hub.undoing import Undoer
from qmio_jupyter.hub.waiting import DeviceNow
from qmio_jupyter.hub.words import ending
from qmio_jupyter.model.access import Booking
from qmio_jupyter.model.device import DeviceView
from qmio_jupyter.private_files import leave_no_core_file
from qmio_jupyter.slurm.cache import Answer
from qmio_jupyter.slurm.commands import SlurmCommands
from qmio_jupyter.slurm.jobs import Job

if TYPE_CHECKING:
    from qmio_jupyter.hub.door import Door
    from qmio_jupyter.hub.starting import Start

#: Seconds for which devices and bookings are kept for everybody who waits.
DEVICES_S = 3.0

_log = logging.getLogger("jupyterhub.qmio")


class Office:
    """One per hub process and configuration; made by the first spawner.

    Parameters
    ----------
    commands : SlurmCommands
        How Slurm is called.
    gateways : sequence of GatewayAddress
        The gateway, with the hub's own key file.
    journal : Path
        Directory of the journal.
    has_accounts : bool
        Whether the cluster keeps accounts.
    """

    _offices: ClassVar[dict[Path, Office]] = {}

    def __init__(
        self,
        commands: SlurmCommands,
        gateways: Sequence[GatewayAddress],
        journal: Path,
        *,
        has_accounts: bool = False,
    ) -> None:
        # The hub's memory holds its key and everybody's tokens.
        leave_no_core_file()
        self.cluster = Cluster(commands, has_accounts=has_accounts)
        self.promises = Promises(gateways)
        self.journal = Journal(journal)
        self.undoer = Undoer(self.cluster, self.promises, self.journal, self.now_ms)
        #: Starts and running servers by grant.
        self.starts: dict[str, Start] = {}
        #: Why the last server of a (user, server name) ended, if nobody had asked for that; told with the next form.
        self.ends: dict[tuple[str, str], str] = {}
        #: With internal TLS: where nodes report; opened when the first server is started.
        self.door: Door | None = None
        self._seen: tuple[float, tuple[DeviceView, ...], tuple[Booking, ...]] = (float("-inf"), (), ())
        self._looking: asyncio.Task[None] | None = None
        self._placed: tuple[Answer, dict[int, int]] | None = None

    @classmethod
    def of(cls, journal: Path, make: Callable[[], Office]) -> Office:
        """Return the office of this journal, made when it is first asked for."""
        if journal not in cls._offices:
            cls._offices[journal] = make()
        return cls._offices[journal]

    @classmethod
    def all(cls) -> tuple[Office, ...]:
        """Return the offices of this process."""
        return tuple(cls._offices.values())

    @staticmethod
    def now_ms() -> int:
        """Return milliseconds since the Unix epoch."""
        return time.time_ns() // 1_000_000

    async def how_ended(self, saga: Saga) -> str:
        """Return how the job of a start has ended, in words, as well as Slurm says it."""
        found = await self.cluster.ending(int(saga.job_id), saga.job_name)
        return "the Slurm job ended" if found is None else ending(found.state, found.reason)

    def sweep(self, known: set[str]) -> list[str]:
        """Undo every start that is written down and not among `known`; return their grants.

        To be called once, when the hub has loaded its running servers: whatever else is in the journal was begun or
        being undone when an earlier hub process ended.
        """
        left = [entry for entry in self.journal.entries() if entry.saga.grant_id not in known]
        for entry in left:
            self.undoer.undo(entry)
        return [entry.saga.grant_id for entry in left]

    def places(self, answer: Answer) -> dict[int, int]:
        """Return by the id of each job that waits how many Slurm looks at before it in its partition's queue.

        Made once for all who wait: each of a thousand counting for herself would keep the hub busy.
        """
        if self._placed is None or self._placed[0] is not answer:
            self._placed = (answer, places_of(answer.jobs))
        return self._placed[1]

    async def devices(self) -> tuple[DeviceView, ...]:
        """Return the devices, at most `DEVICES_S` old."""
        await self._look()
        return self._seen[1]

    async def device_now(self, name: str, tenant: str) -> DeviceNow | None:
        """Return what a waiting user is told of her device; None where the gateway has none of this name.

        A gateway that is away is not waited for: nobody's job is looked at later for it.
        """
        try:
            await asyncio.wait_for(self._look(), DEVICES_S)
        except (QmioError, TimeoutError):
            return DeviceNow(name=name, state="")
        for view in self._seen[1]:
            if view.description.name == name:
                return device_now(view, self._seen[2], tenant, self.now_ms())
        return None

    async def _look(self) -> None:
        if time.monotonic() - self._seen[0] < DEVICES_S:
            return
        if self._looking is None or self._looking.done():
            self._looking = asyncio.ensure_future(self._ask())
        await asyncio.shield(self._looking)

    async def _ask(self) -> None:
        devices, bookings = await asyncio.gather(self.promises.devices(), self.promises.bookings())
        self._seen = (time.monotonic(), devices, bookings)


def places_of(jobs: Iterable[Job]) -> dict[int, int]:
    """Return by id how many jobs that wait in the same partition come before each job that waits."""
    waiting = sorted(
        (job for job in jobs if job.is_waiting), key=lambda job: (-job.priority, job.submit_ms, job.job_id)
    )
    counts: Counter[str] = Counter()
    found = {}
    for job in waiting:
        found[job.job_id] = counts[job.partition]
        counts[job.partition] += 1
    return found


def device_now(view: DeviceView, bookings: Sequence[Booking], tenant: str, now_ms: int) -> DeviceNow:
    """Return a device with the bookings that keep this tenant away, the one that holds now and the next one."""
    name = view.description.name
    others = [
        one
        for one in bookings
        if one.device == name
        and one.cancelled_ms is None
        and one.until_ms > now_ms
        and not _is_for(one, tenant)
    ]
    holding = [one for one in others if one.from_ms <= now_ms]
    coming = sorted((one for one in others if one.from_ms > now_ms), key=lambda one: one.from_ms)
    until_ms = max((one.until_ms for one in holding), default=None)
    first = next(iter(holding or coming), None)
    return DeviceNow(
        name=name,
        state=str(view.state.value),
        tasks=view.queued + view.running,
        cleared_s=None
        if view.cleared is None or not is_founded(view.cleared)
        else (view.cleared.p50_s, view.cleared.p90_s),
        booked_s=None if until_ms is None else (until_ms - now_ms) / 1000,
        next_booking_s=None if holding or not coming else (coming[0].from_ms - now_ms) / 1000,
        booked_for="" if first is None else str(first.kind.value),
    )


def _is_for(booking: Booking, tenant: str) -> bool:
    holder = booking.holder
    return holder is not None and (tenant == holder or tenant.startswith(f"{holder}/"))
