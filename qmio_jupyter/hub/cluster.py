"""Slurm as the hub uses it: calls in threads, one shared query of jobs, and what a form offers, kept for some seconds.

However many users wait, there is at most one ``squeue`` in five seconds (`JobCache`); partitions, nodes, licences and
reservations are asked for when somebody looks at a form, at most once in `OFFER_S`, associations once in `ACCOUNTS_S`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from qmio_jupyter.errors import SlurmError
from qmio_jupyter.slurm.accounts import Association, Qos
from qmio_jupyter.slurm.adapter import Slurm, Submitted
from qmio_jupyter.slurm.cache import Answer, JobCache
from qmio_jupyter.slurm.cluster import Licence, Node, Partition, Reservation
from qmio_jupyter.slurm.commands import SlurmCommands
from qmio_jupyter.slurm.jobs import Ending
from qmio_jupyter.slurm.requests import JobRequest

#: Seconds for which what a form shows of the cluster is good enough.
OFFER_S = 10.0
#: Seconds for which a user's associations are.
ACCOUNTS_S = 120.0
#: Seconds for which it is not tried again what Slurm has not answered.
FAILED_S = 3.0

T = TypeVar("T")


class Picture(msgspec.Struct, frozen=True):
    """The cluster at one moment."""

    partitions: Sequence[Partition]
    nodes: Sequence[Node]
    reservations: Sequence[Reservation]
    licences: Sequence[Licence]


class Cluster:
    """One Slurm cluster, for all spawners of a hub.

    Parameters
    ----------
    commands : SlurmCommands
        How the commands are called.
    has_accounts : bool
        Whether the cluster keeps accounts (slurmdbd); without, nobody is asked for one.
    """

    def __init__(self, commands: SlurmCommands, *, has_accounts: bool = False) -> None:
        self.slurm = Slurm(commands)
        self.cache = JobCache(self.slurm.jobs)
        self._has_accounts = has_accounts
        self._kept: dict[str, tuple[float, asyncio.Future[Any]]] = {}

    # ------------------------------------------------------------ jobs

    async def submit(
        self, script: bytes, request: JobRequest, *, user: str, environ: Mapping[str, str]
    ) -> Submitted:
        """Submit for `user`; after ``slurm.unreachable`` the job may exist all the same."""
        return await asyncio.to_thread(self.slurm.submit, script, request, user=user, environ=environ)

    async def jobs(self, *, after_s: float | None = None) -> Answer:
        """Return all jobs, at most five seconds old; not older than `after_s` of `now_s` where that is given."""
        future = self.cache.fresh() if after_s is None else self.cache.after(max(after_s, self.now_s() - 5.0))
        shared = asyncio.wrap_future(future)
        # Who waits may be gone when Slurm could not be asked: then nobody needs to hear of it.
        shared.add_done_callback(lambda done: done.cancelled() or done.exception())
        return await asyncio.shield(shared)

    async def ending(self, job_id: int, name: str) -> Ending | None:
        """Return how a job ended; None where Slurm does not say so."""
        try:
            return await asyncio.to_thread(self.slurm.ending, job_id, name)
        except SlurmError:
            return None

    async def cancel(self, name: str, *, owner: str) -> None:
        """Cancel the owner's jobs of this name; none is no error."""
        await asyncio.to_thread(self.slurm.cancel_named, name, owner=owner, user=owner)

    def now_s(self) -> float:
        """Return the clock of the shared query."""
        return self.cache.now_s()

    async def name(self) -> str:
        """Return the cluster's name."""
        return await self._keep("name", 3600.0, self.slurm.cluster_name)

    async def address_of(self, node: str) -> str:
        """Return the address at which Slurm reaches a node.

        Raises
        ------
        SlurmError
            ``slurm.refused`` if there is no such node.
        """
        for max_age_s in (300.0, OFFER_S):
            nodes = await self._keep("nodes", max_age_s, self.slurm.nodes)
            for one in nodes:
                if one.name == node:
                    return str(one.address)
        raise SlurmError(f"the cluster has no node {node[:64]!r}", code="slurm.refused")

    # ------------------------------------------------------------ what there is

    async def picture(self) -> Picture:
        """Return partitions, nodes, reservations and licences."""
        found = await asyncio.gather(
            self._keep("partitions", OFFER_S, self.slurm.partitions),
            self._keep("nodes", OFFER_S, self.slurm.nodes),
            self._keep("reservations", OFFER_S, self.slurm.reservations),
            self._keep("licences", OFFER_S, self.slurm.licences),
        )
        return Picture(*found)

    async def associations(self, user: str) -> Sequence[Association] | None:
        """Return the user's associations on this cluster; None where it keeps none."""
        if not self._has_accounts:
            return None
        name, found = await asyncio.gather(
            self.name(),
            self._keep(f"associations {user}", ACCOUNTS_S, lambda: self.slurm.associations(user)),
        )
        # One accounting may serve several clusters; its names are in small letters.
        return [one for one in found if one.cluster.lower() == name.lower()]

    async def qos(self) -> Sequence[Qos]:
        """Return the QOS there are, with their limits; none where the cluster keeps no accounts."""
        if not self._has_accounts:
            return ()
        return await self._keep("qos", ACCOUNTS_S, self.slurm.qos)

    async def _keep(self, what: str, max_age_s: float, ask: Callable[[], T]) -> T:
        """Return what `ask` returned not long ago, or ask once for everybody who waits now."""
        asked_s, future = self._kept.get(what, (float("-inf"), None))
        now_s = time.monotonic()
        if future is not None and future.done():
            good_s = max_age_s if future.exception() is None else min(FAILED_S, max_age_s)
            if now_s - asked_s > good_s:
                future = None
        # One that is still being asked is waited for by everybody, however slow Slurm is.
        if future is None:
            future = asyncio.ensure_future(asyncio.to_thread(ask))
            self._kept[what] = (now_s, future)
        found: T = await asyncio.shield(future)
        return found

    def close(self) -> None:
        """Ask nothing more."""
        self.cache.close()
