"""One start, brought about step by step: the shell around the saga. Each step is on disk before it is taken."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from qmio_jupyter.errors import HubError, QmioError
from qmio_jupyter.hub import saga as s
from qmio_jupyter.hub import sealing
from qmio_jupyter.hub.check import Request
from qmio_jupyter.hub.journal import Entry
from qmio_jupyter.hub.names import Account
from qmio_jupyter.hub.office import Office
from qmio_jupyter.hub.saga import Mark, Saga, Step
from qmio_jupyter.hub.waiting import Waiting
from qmio_jupyter.hub.words import is_hopeless, why
from qmio_jupyter.slurm.adapter import Submitted
from qmio_jupyter.slurm.cache import Answer
from qmio_jupyter.slurm.jobs import Job
from qmio_jupyter.slurm.requests import JobRequest

if TYPE_CHECKING:
    from qmio_jupyter.hub.certificates import Authority

#: What every job runs; all that differs is in its environment.
SCRIPT = b'#!/bin/sh\nexec "$QMIO_HUB_PYTHON" -I -m qmio_jupyter.hub.node\n'
#: Seconds beyond the job's time for which a grant is promised: the time a job may wait, and some more.
PATIENCE_S = 3600.0
#: Seconds between two looks at the job while its server is starting.
LOOK_S = 5.0


class Start:
    """A server from the click to its end.

    Parameters
    ----------
    office : Office
        What the hub's spawners share.
    entry : Entry
        The saga and whose it is.
    request : Request
        What was asked for and checked.
    account : Account
        The user's unix account.
    tenant : str
        Who is charged at the gateway, ``account/user``.
    on_write : callable
        Called with the saga whenever it is written down, for the hub's own database.
    is_ours : callable
        Finds out whether who listens at an address and port is this start's server, and no other.
    token : str
        The server's API token.
    secrets : mapping, optional
        What the node is handed through MUNGE; None where it gets it through its environment.
    munge_socket : str
        munged's socket at the hub; empty: as libmunge finds it.
    authority : Authority, optional
        Signs the server's certificate; None without internal TLS.
    ports : sequence of int
        Ports at which its server may listen; empty: any.
    server_s : float
        Seconds a server may take to accept connections once it has said where it listens.
    """

    def __init__(
        self,
        office: Office,
        entry: Entry,
        request: Request,
        account: Account,
        tenant: str,
        on_write: Callable[[Saga], None],
        is_ours: Callable[[str, int], Awaitable[bool]],
        token: str = "",
        secrets: Mapping[str, str] | None = None,
        munge_socket: str = "",
        authority: Authority | None = None,
        ports: Sequence[int] = (),
        server_s: float = 120.0,
    ) -> None:
        self._is_ours = is_ours
        self._server_s = server_s
        #: Ports its server may listen at; empty: any.
        self.ports = ports
        #: What the node is handed, sealed; None: it has it from its environment.
        self._secrets = secrets
        self._munge_socket = munge_socket
        self._authority = authority
        #: The server's API token: what its reports are known by. In memory only.
        self.token = token
        self.office, self.entry, self.request, self.account, self.tenant = (
            office,
            entry,
            request,
            account,
            tenant,
        )
        #: What the user is told now.
        self.waiting = Waiting(stage="granting", partition=request.partition)
        self._on_write = on_write
        self._sbatch: asyncio.Future[Submitted] | None = None
        #: When sbatch answered, on the clock of the shared query.
        self.submitted_s = 0.0
        #: Set by whatever the node reports.
        self._news = asyncio.Event()
        self._failure = ""

    @property
    def saga(self) -> Saga:
        """Where it stands."""
        return self.entry.saga

    # ------------------------------------------------------------ forward

    async def bring_about(self, environ: Mapping[str, str]) -> tuple[str, int]:
        """Take every step; return where the server listens.

        Parameters
        ----------
        environ : mapping
            What the job is given; sbatch itself has nothing else in its environment.

        Raises
        ------
        QmioError
            Why it did not come about. Nothing has been undone yet.
        """
        self._write(self.saga)
        while (step := s.next_step(self.saga)) is not Step.READY:
            begun = s.begun(self.saga, step, self.office.now_ms())
            if begun != self.saga:
                self._write(begun)
            match step:
                case Step.GRANT:
                    await self._grant()
                case Step.SUBMIT:
                    await self._submit(environ, tuple(environ))
                case Step.FIND:
                    await self._find()
                case Step.BIND:
                    await self._bind()
                case Step.AWAIT_RUNNING | Step.AWAIT_SERVER:
                    await self.wait_for_news()
                case _:
                    raise HubError("the start is being undone", code="hub.ended")
        await self._until_it_answers()
        return self.saga.address, self.saga.port

    async def _until_it_answers(self) -> None:
        """Wait until the server accepts connections, and shows that it is ours; its job may end before it does."""
        watching = asyncio.ensure_future(self._watch())
        try:
            await self._until_it_accepts(watching)
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)

    async def _watch(self) -> None:
        """Look at the job again and again; ends with why it is over."""
        while True:
            await asyncio.sleep(LOOK_S)
            await self._look()

    async def _until_it_accepts(self, watching: asyncio.Future[None]) -> None:
        """Try to connect, while somebody watches the job: Slurm may be slow to answer when the server is not."""
        began_s = self.office.cluster.now_s()
        address, port = self.saga.address, self.saga.port
        while not (await _accepts(address, port) and await self._is_ours(address, port)):
            self._heed_failure()
            if watching.done():
                watching.result()
            if self.office.cluster.now_s() - began_s > self._server_s:
                raise HubError(
                    f"the server on node {self.saga.node} does not answer at {address}:{port}",
                    code="hub.server",
                    hint="See its log, ~/.local/state/qmio/server.log; a firewall may be between it and the hub.",
                )
            await asyncio.sleep(0.1)

    def _heed_failure(self) -> None:
        if self._failure:
            raise HubError(self._failure, code="hub.ended", hint="Start again, or tell the administrator.")

    async def _grant(self) -> None:
        request = self.request
        await self.office.promises.create(
            self.saga.grant_id,
            uid=self.account.uid,
            tenant=self.tenant,
            ttl_s=request.walltime_min * 60 + PATIENCE_S,
            devices=[request.device],
            kind=request.kind,
        )
        self._write(s.granted(self.saga))

    async def _submit(self, environ: Mapping[str, str], export: tuple[str, ...]) -> None:
        self.waiting = msgspec.structs.replace(self.waiting, stage="submitting")
        request = self.request
        wanted = JobRequest(
            name=self.saga.job_name,
            partition=request.partition,
            account=request.account,
            qos=request.qos,
            reservation=request.reservation,
            nodes=1,
            tasks=1,
            cpus_per_task=request.cores,
            memory_mb=request.memory_mib,
            gres=",".join(filter(None, (f"gpu:{request.gpus}" if request.gpus else "", request.gres))),
            licences=f"{request.licence}:1" if request.licence else "",
            limit_min=request.walltime_min,
            output="/dev/null",
            directory=self.account.home,
            export=export,
            requeue=False,
        )
        # It goes on when this task is cancelled: whoever undoes waits for it first.
        self._sbatch = asyncio.ensure_future(
            self.office.cluster.submit(SCRIPT, wanted, user=self.account.name, environ=environ)
        )
        try:
            found = await asyncio.shield(self._sbatch)
        except QmioError as error:
            if error.code != "slurm.unreachable":
                self._write(s.refused(self.saga))
            raise
        self.submitted_s = self.office.cluster.now_s()
        cluster = found.cluster or await self.office.cluster.name()
        self._write(s.submitted(self.saga, str(found.job_id), cluster))

    async def _find(self) -> None:
        """Look for a job whose sbatch gave no answer."""
        answer = await self.office.cluster.jobs(after_s=self.office.cluster.now_s())
        jobs = answer.named(self.saga.job_name)
        if not jobs:
            raise HubError("Slurm did not take the job", code="hub.unanswered", retryable=True)
        self._write(s.submitted(self.saga, str(jobs[0].job_id), await self.office.cluster.name()))

    async def _bind(self) -> None:
        saga = self.saga
        await self.office.promises.bind(saga.grant_id, cluster=saga.cluster, job_id=saga.job_id)
        # The node may have reported meanwhile.
        self._write(s.bound(self.saga))
        if not self.saga.is_running:
            self.waiting = msgspec.structs.replace(self.waiting, stage="pending", reason="None")

    async def wait_for_news(self) -> None:
        """Wait for a report of the node, or look at Slurm; at most once per its shared query."""
        self._heed_failure()
        self._news.clear()
        look = asyncio.ensure_future(self._look())
        news = asyncio.ensure_future(self._news.wait())
        try:
            await asyncio.wait({look, news}, return_when=asyncio.FIRST_COMPLETED)
            if look.done():
                look.result()
                # The next query is not due yet: a report comes sooner.
                await asyncio.wait({news}, timeout=2.0)
        finally:
            news.cancel()
            look.cancel()
        self._heed_failure()

    async def _look(self) -> None:
        # Both at once: who of gateway and Slurm is away does not hide what the other says.
        device, answer = await asyncio.gather(
            self.office.device_now(self.request.device, self.tenant), self._asked()
        )
        if answer is None:
            last = self.office.cluster.cache.last
            silent_s = self.office.cluster.now_s() - (self.submitted_s if last is None else last.asked_s)
            self.waiting = msgspec.structs.replace(
                self.waiting, unanswered_s=max(1.0, silent_s), device=device
            )
            return
        job = answer.by_id.get(int(self.saga.job_id))
        if job is None or not goes_on(self.saga, job):
            raise await self._ended()
        self._heed(job, answer)
        self.waiting = msgspec.structs.replace(self.waiting, device=device, unanswered_s=0.0)

    async def _ended(self) -> HubError:
        """Return why there is no job any more, as well as Slurm says it."""
        how = await self.office.how_ended(self.saga)
        self._heed_failure()
        return HubError(
            f"{how}, before the server was there",
            code="hub.ended",
            hint="Start again; if it ends again, tell the administrator.",
        )

    async def _asked(self) -> Answer | None:
        """Return all jobs; None where Slurm could not be asked, for whatever reason: that ends no start."""
        try:
            return await self.office.cluster.jobs(after_s=self.submitted_s)
        except QmioError:
            return None

    def _heed(self, job: Job, answer: Answer) -> None:
        """Take note of what Slurm says of the job."""
        if job.is_running:
            if not self.saga.is_running:
                self._runs(job.nodes[0] if job.nodes else "")
            return
        if job.is_waiting and is_hopeless(job.reason):
            raise HubError(
                f"this job will never start: {why(job.reason)[0]}", code="hub.option", hint=why(job.reason)[1]
            )
        start_s = None if job.start_ms is None else max(0.0, (job.start_ms - self.office.now_ms()) / 1000)
        self.waiting = msgspec.structs.replace(
            self.waiting,
            stage="pending" if not self.saga.is_running else self.waiting.stage,
            partition=job.partition,
            reason=job.reason or "None",
            ahead=self.office.places(answer).get(job.job_id),
            start_s=start_s,
        )

    def _runs(self, node: str) -> None:
        self._write(s.running(self.saga, node))
        self.waiting = msgspec.structs.replace(self.waiting, stage="opening", node=node, unanswered_s=0.0)

    # ------------------------------------------------------------ what the node reports

    async def is_node(self, node: str, credential: str, request: str = "") -> bool:
        """Return whether a credential was made by this start's user, for this start, job, node and request."""
        if self._secrets is None or not self.saga.job_id:
            return False
        try:
            await asyncio.to_thread(
                sealing.check,
                credential,
                self.saga.grant_id,
                self.saga.job_id,
                node,
                uid=self.account.uid,
                hub_uid=os.getuid(),
                path=self._munge_socket,
                request=request,
            )
        except QmioError as error:
            if error.retryable:
                raise
            return False
        return True

    async def sealed(self) -> str:
        """Return the server's secrets for its user alone; empty where it has them from its environment."""
        if self._secrets is None:
            return ""
        return await asyncio.to_thread(
            sealing.seal, self._secrets, uid=self.account.uid, path=self._munge_socket
        )

    async def certified(self, request: str, address: str) -> dict[str, str]:
        """Return the server's certificate, and whose clients it is to answer; nothing without internal TLS.

        Raises
        ------
        AuthError
            If the request is not good.
        """
        if self._authority is None:
            return {}
        lasts_s = self.request.walltime_min * 60.0
        made = await asyncio.to_thread(
            self._authority.sign, request, address=address, lasts_s=lasts_s, now_ms=self.office.now_ms()
        )
        return {"certificate": made, "authorities": self._authority.trusted}

    async def hello(self, node: str) -> str:
        """Take note that the job runs on `node`; return the address at which its server is to listen."""
        address = await self.office.cluster.address_of(node)
        if self.saga.is_undoing:
            raise HubError("this start is being undone", code="hub.ended")
        if not self.saga.is_running:
            self._runs(node)
        self._news.set()
        return address

    async def address(self) -> str:
        """Return the address of the node it runs on, as Slurm has it."""
        return await self.office.cluster.address_of(self.saga.node)

    def opened(self) -> None:
        """Take note that the session is open and the server is being started."""
        self.waiting = msgspec.structs.replace(self.waiting, stage="starting")
        self._news.set()

    def listening(self, address: str, port: int) -> None:
        """Take note of where the server listens."""
        self._write(s.reported(self.saga, address, port))
        self._news.set()

    def failed(self, why_not: str) -> None:
        """Take note that the node could not do its part."""
        # The code in front is the node's; the hub's own comes before it.
        self._failure = re.sub(r"\A\[[a-z_.]+\] ", "", why_not)
        self._news.set()

    # ------------------------------------------------------------ back

    async def undo(self) -> asyncio.Task[None]:
        """Turn round; return the task that takes everything back."""
        self.waiting = msgspec.structs.replace(self.waiting, stage="undoing")
        if self._sbatch is not None and not self._sbatch.done():
            await asyncio.wait({self._sbatch})
        if self._sbatch is not None and self.saga.job is Mark.MAYBE and not self._sbatch.cancelled():
            error = self._sbatch.exception()
            if error is None:
                self._write(s.submitted(self.saga, str(self._sbatch.result().job_id)))
        return self.office.undoer.undo(self.entry)

    def _write(self, saga: Saga) -> None:
        self.entry = msgspec.structs.replace(self.entry, saga=saga)
        self.office.journal.write(self.entry)
        self._on_write(saga)


def goes_on(saga: Saga, job: Job | None) -> bool:
    """Return whether this is the start's job, and on the node from which its server reported.

    The node is the server's own word until Slurm has said it: one that names a node that is not its job's would have
    the hub's proxy lead elsewhere, and is ended.
    """
    if job is None or job.name != saga.job_name:
        return False
    return not (job.is_running and saga.node and job.nodes) or saga.node in job.nodes


async def _accepts(address: str, port: int) -> bool:
    """Return whether somebody accepts connections there."""
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(address, port), 2.0)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True
