"""The `Verifier` over the one cached query: what a job is, where it runs, whose it is, what licences it holds."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from qmio_jupyter.errors import SlurmError
from qmio_jupyter.model.addresses import normal
from qmio_jupyter.model.allocation import AllocationFacts, JobRun
from qmio_jupyter.slurm.cache import INTERVAL_S, Answer, JobCache
from qmio_jupyter.slurm.cluster import Node
from qmio_jupyter.slurm.complaints import unreachable
from qmio_jupyter.slurm.jobs import BETWEEN, Job

#: Account in the tenant of a job that has none: a cluster without accounting.
NO_ACCOUNT = "slurm"
#: Seconds for which the nodes' addresses are taken to be as they were.
NODES_S = 300.0
#: Seconds that an answer to a new question may take, the wait for its turn included.
PATIENCE_S = 40.0
#: Seconds for which it is remembered that an epilog ran: no answer that is used is so old.
_EPILOG_S = 120.0


def tenant(account: str, user: str) -> str:
    """Return who is charged, ``account/user``; an empty account stands for a cluster without accounting.

    Whoever promises a session to a job, or books a device for its user, means the tenant that the job will prove.
    """
    return f"{account or NO_ACCOUNT}/{user}"


def tenant_of(job: Job) -> str:
    """Return who is charged for what a job does, as Slurm has it."""
    return tenant(job.account, job.user)


class SlurmVerifier:
    """Answers from Slurm who runs what where; usable from any thread.

    Parameters
    ----------
    cluster : callable
        Returns the cluster's name, or raises `SlurmError`; asked until it is known. Jobs of others are unknown.
    cache : JobCache
        All jobs.
    nodes : callable
        Returns the cluster's nodes, or raises `SlurmError`.
    aliases : mapping
        More addresses of nodes, by name: those of networks that Slurm does not know.
    lookup : callable, optional
        The addresses of a host's name; the resolver's when None.
    clock : callable
        Seconds, monotonic.
    """

    def __init__(
        self,
        cluster: Callable[[], str],
        cache: JobCache,
        nodes: Callable[[], Iterable[Node]],
        *,
        aliases: Mapping[str, Iterable[str]] | None = None,
        lookup: Callable[[str], Iterable[str]] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ask_cluster = cluster
        self._cluster = ""
        self._cache = cache
        self._nodes = nodes
        self._aliases = {name: tuple(more) for name, more in (aliases or {}).items()}
        self._lookup = lookup or addresses_of
        self._clock = clock
        self._lock = threading.Lock()
        self._addresses: dict[str, tuple[str, ...]] = {}
        self._looked_s: float | None = None
        #: When jobs' epilogs ran, by cluster and id, of the cache's clock.
        self._ended_s: dict[tuple[str, int], float] = {}

    def cluster(self) -> str:
        """Return the cluster's name."""
        if not self._cluster:
            self._cluster = self._ask_cluster()
        return self._cluster

    def facts(self, cluster: str, job_id: str, *, restarts: int = 0) -> tuple[AllocationFacts, ...]:
        """Return all that `job_id` may mean; see `ports.Verifier`.

        Raises
        ------
        SlurmError
            ``slurm.unreachable`` (retryable): Slurm could not be asked, which says nothing of any job.
        """
        if cluster != self.cluster():
            return ()
        moment_s = self._cache.now_s()
        answer = self._cache.get(INTERVAL_S, timeout_s=PATIENCE_S)
        jobs = self._still(answer, job_id)
        is_there = any(job.is_running and job.restarts == restarts for job in jobs)
        if not is_there and answer.asked_s < moment_s:
            # It may have started, or have been put back into the queue and started again, since that was asked.
            jobs = self._still(self._after(moment_s), job_id)
        return tuple(self._of(job) for job in jobs)

    def has_ended(self, cluster: str, job_id: str) -> None:
        """Take in that this job's epilog has run; see `ports.Verifier`."""
        now_s = self._cache.now_s()
        with self._lock:
            self._ended_s = {key: at_s for key, at_s in self._ended_s.items() if now_s - at_s < _EPILOG_S}
            self._ended_s[cluster, _number(job_id)] = now_s

    def _still(self, answer: Answer, job_id: str) -> tuple[Job, ...]:
        """Return what `job_id` may mean, without the jobs whose epilogs have run since Slurm was asked."""
        with self._lock:
            return tuple(
                job
                for job in answer.called(job_id)
                if self._ended_s.get((self._cluster, job.job_id), answer.asked_s) <= answer.asked_s
            )

    def ended(self, runs: Sequence[JobRun]) -> tuple[JobRun, ...]:
        """Return those of `runs` that are over; see `ports.Verifier`."""
        answer = self._cache.get(INTERVAL_S, timeout_s=PATIENCE_S)
        return tuple(run for run in runs if not _goes_on(answer.by_id.get(_number(run.job_id)), run))

    def _after(self, moment_s: float) -> Answer:
        try:
            return self._cache.after(moment_s).result(PATIENCE_S)
        except TimeoutError:
            raise unreachable("squeue", f"no answer within {PATIENCE_S:g} s") from None

    def _of(self, job: Job) -> AllocationFacts:
        return AllocationFacts(
            cluster=self.cluster(),
            job_id=str(job.job_id),
            uid=job.uid,
            tenant=tenant_of(job),
            state=job.state,
            running=job.is_running,
            nodes=job.nodes,
            addresses=self._where(job.nodes) if job.is_running else (),
            licences=tuple(job.licences),
            submit_ms=job.submit_ms,
            restarts=job.restarts,
            ends_ms=job.end_ms,
        )

    def _where(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return the addresses of nodes, looked up anew if one is not known."""
        with self._lock:
            is_old = self._looked_s is None or self._clock() - self._looked_s > NODES_S
            if is_old or any(name not in self._addresses for name in names):
                self._look_up()
            found = [address for name in names for address in self._addresses.get(name, ())]
        return tuple(dict.fromkeys(found))

    def _look_up(self) -> None:
        try:
            nodes = list(self._nodes())
        except SlurmError:
            # What was known is better than nothing; a node that was not known stays so, and its job unproved.
            if not self._addresses:
                raise
            return
        self._addresses = {
            node.name: tuple(
                dict.fromkeys(
                    normal(address)
                    for name in (node.address, node.hostname)
                    for address in self._lookup(name)
                )
            )
            + self._aliases.get(node.name, ())
            for node in nodes
        }
        self._looked_s = self._clock()


def _number(job_id: str) -> int:
    return int(job_id) if job_id.isascii() and job_id.isdigit() else -1


def _goes_on(job: Job | None, run: JobRun) -> bool:
    """Return whether this is that run of a job, and it still has its nodes."""
    if job is None or (job.submit_ms, job.restarts) != (run.submit_ms, run.restarts):
        return False
    return job.is_running or (job.state in BETWEEN and job.state != "COMPLETING")


def addresses_of(name: str) -> tuple[str, ...]:
    """Return the addresses of a host; empty for a name that nobody knows."""
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except OSError:
        return ()
    return tuple(dict.fromkeys(str(one[4][0]) for one in found))
