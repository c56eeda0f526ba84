"""The desk: everything between a packet and the core, and between the core and a packet. Sans-I/O.

The shell (the service, or the simulator) gives it packets with the peer that the transport authenticated,
commits the records of the :class:`Turn` it gets back, and then releases the turn's outputs in order through
:meth:`Desk.release`. Roles are checked here by the frame's key, never by the connection.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from qmio_jupyter.core import effects as fx
from qmio_jupyter.core import inputs as ins
from qmio_jupyter.core.core import Core
from qmio_jupyter.errors import QmioError
from qmio_jupyter.gateway import refusals
from qmio_jupyter.gateway.admission import refusal
from qmio_jupyter.gateway.caller import Caller, Identity
from qmio_jupyter.gateway.estimates import Estimates
from qmio_jupyter.gateway.links import Links
from qmio_jupyter.gateway.metrics import Figures
from qmio_jupyter.gateway.outgoing import Change, Outgoing
from qmio_jupyter.gateway.proofs import Proofs
from qmio_jupyter.gateway.questions import Questions
from qmio_jupyter.gateway.reads import answer
from qmio_jupyter.gateway.roles import UNANSWERED
from qmio_jupyter.gateway.sessions import (
    allocation,
    may_be_used_from,
    opens_session,
    renews_session,
    session_by_proof,
)
from qmio_jupyter.gateway.shipping import Shipping
from qmio_jupyter.gateway.translate import to_input
from qmio_jupyter.gateway.troubles import Troubles
from qmio_jupyter.gateway.turn import Output, Read, Relay, Send, Turn, join, packet, reply, request_of
from qmio_jupyter.gateway.verifying import Admitted
from qmio_jupyter.gateway.watchers import Watchers
from qmio_jupyter.model.access import Enrolment, Role, Session
from qmio_jupyter.model.addresses import normal
from qmio_jupyter.model.allocation import JobRun, JobSecret
from qmio_jupyter.model.ids import DeviceName, KeyId, Tenant
from qmio_jupyter.model.task import Task, TaskView
from qmio_jupyter.ports import Peer, TaskStore
from qmio_jupyter.wire import messages as m
from qmio_jupyter.wire.limits import UNKNOWN_PEER


class Desk:
    """Packets in, turns out.

    Parameters
    ----------
    core : Core
        Built from the ledger. Commit :meth:`start`'s records before anything else.
    identity : Identity
        What the gateway says of itself.
    ids : callable
        Mints an id from a prefix (sessions); the simulator gives a seeded one.
    figures : Figures, optional
        Counters.
    nonces : callable, optional
        Returns that many random bytes: sessions may be opened by proof. None: they may not.
    """

    def __init__(
        self,
        core: Core,
        *,
        identity: Identity,
        ids: Callable[[str], str],
        figures: Figures | None = None,
        nonces: Callable[[int], bytes] | None = None,
    ) -> None:
        self.core = core
        self.identity = identity
        self.figures = figures or Figures()
        #: True once somebody who may has asked the gateway to stop.
        self.is_stopping = False
        self._ids = ids
        self._links = Links()
        self._watchers = Watchers()
        self._estimates = Estimates()
        #: Sessions to be opened by proof: the shell looks into them and says what they are worth.
        self.proofs = Proofs(
            identity.server_key,
            identity.uid,
            nonces,
            secret_of=self._secret_of,
            kinds=identity.proofs,
        )
        self._ended: list[m.AllocationEnd] = []
        self._shipping = Shipping(message_bytes=identity.limits.message_bytes)
        self._outgoing = Outgoing(self._links, self._watchers, self.figures, self._session_of)
        #: Devices that the shell cannot start; it tells of them here.
        self.troubles = Troubles()
        self._questions = Questions(core, identity, self._watchers, self.figures, self.troubles)
        self._questions.connections = self._links.__len__

    # ------------------------------------------------------------ life

    def start(self) -> Turn:
        """Return the turn that must be on disk before anything is received: epoch, re-armed leases."""
        return Turn(tuple(self.core.start_records()))

    def enrol(self, enrolments: Iterable[Enrolment], now_ms: int) -> Turn:
        """Enrol keys that the shell itself vouches for (the owner's, the embedded agents')."""
        origin = ins.Origin(0, 0, self.identity.key)
        return join(
            self._turn(self.core.handle(ins.EnrolKey(origin=origin, enrolment=enrolment), now_ms))
            for enrolment in enrolments
        )

    def suspend(self) -> None:
        """Refuse everything, retryably, until :meth:`adopt`: a commit failed."""
        self._questions.store_ok = False

    @property
    def is_suspended(self) -> bool:
        """True between a failed commit and :meth:`adopt`."""
        return not self._questions.store_ok

    def adopt(self, core: Core) -> Turn:
        """Go on with a core reloaded from the ledger; return what tells every connection.

        The core's first records are on disk already: its epoch must not be heard of before.
        """
        self.core = self._questions.core = core
        self._questions.store_ok = True
        self._shipping.reset()
        self._links.renew()
        restarted = packet(m.Restarted(epoch=core.epoch))
        return Turn((), tuple(Send(connection, restarted) for connection in self._links))

    def next_deadline(self) -> int | None:
        """Return when :meth:`tick` is due, ms; None: never by itself."""
        core_ms = None if self.is_suspended else self.core.next_deadline()
        estimates_ms = self._estimates.next_deadline()
        if core_ms is None or estimates_ms is None:
            return core_ms if estimates_ms is None else estimates_ms
        return min(core_ms, estimates_ms)

    @property
    def connections(self) -> int:
        """Number of connections of keys that have a role."""
        return len(self._links)

    def is_idle(self) -> bool:
        """Return whether nobody but agents is connected and no task is live."""
        if any(self._role_of(connection) is not Role.AGENT for connection in self._links):
            return False
        return self.core.live_tasks == 0

    def is_known(self, key: KeyId) -> bool:
        """Return whether a key has a role. May be called from another thread."""
        enrolment = self.core.enrolment(key)
        if enrolment is None:
            return self.core.has_session(key)
        return enrolment.role is not Role.NONE

    def is_user(self, key: KeyId) -> bool:
        """Return whether a key is a user's."""
        enrolment = self.core.enrolment(key)
        return self.core.has_session(key) if enrolment is None else enrolment.role is Role.USER

    def has_announced(self, device: DeviceName) -> bool:
        """Return whether a device has ever been announced, and is not merely expected."""
        views = self.core.devices(None)
        return any(view.description.name == device and view.description.driver for view in views)

    def limits_of(self, peer: Peer) -> m.Limits:
        """Return what a peer may send, to be checked before it is decoded."""
        return self.identity.limits if self.is_known(peer.key) else UNKNOWN_PEER

    # ------------------------------------------------------------ inputs

    def receive(self, connection: int, peer: Peer, packet: m.Packet, now_ms: int) -> Turn:
        """Take one packet in.

        Parameters
        ----------
        connection : int
            The transport's number of the connection: where replies go, never who asks.
        peer : Peer
            Who sent this frame, as the transport authenticated it.
        packet : Packet
            Decoded, its attachments checked against their digests.
        now_ms : int
            The gateway's time.
        """
        self.figures.messages += 1
        caller = self._caller(connection, peer, packet.envelope.id, now_ms)
        if caller is None:
            self.figures.ignored += 1
            return Turn()
        failure = refusal(
            caller,
            packet,
            self.identity.limits,
            is_greeted=self._links.is_greeted(connection),
            is_suspended=self.is_suspended,
            is_stopping=self.is_stopping,
        )
        if failure is not None:
            return self._refuse(caller, refusals.misplaced() if caller.is_misplaced else failure)
        body = packet.envelope.body
        if body.__struct_config__.tag in UNANSWERED:
            caller = msgspec.structs.replace(caller, request=0)
        if isinstance(body, m.Hello):
            return self._hello(caller, body, now_ms)
        if isinstance(body, m.SessionChallenge):
            return _only(self.proofs.challenge(caller, now_ms))
        if isinstance(body, m.SessionOpen | m.AllocationAdmit | m.AllocationEnd):
            return self._of_job(caller, body, now_ms)
        if isinstance(body, m.GatewayStop):
            return self._stop(caller)
        if isinstance(body, m.EstimateAnswer):
            return _only(self._estimates.answer(caller, body))
        if isinstance(body, m.TaskSubmit | m.TaskEstimate):
            failure = self._trouble(caller, body)
            if failure is not None:
                return self._refuse(caller, failure)
        renewal = None if self.is_suspended else self._renewal(caller, now_ms)
        request = to_input(caller.origin, packet)
        if isinstance(body, m.TaskEstimate):
            turn = _only(
                self._estimates.ask(
                    caller,
                    packet,
                    self.core.quote,
                    epoch=self.core.epoch,
                    limits=self.identity.limits,
                    now_ms=now_ms,
                )
            )
        elif request is None:
            turn = _only(self._questions.ask(caller, body))
        else:
            turn = self._decide(caller, request, now_ms)
            if isinstance(body, m.TaskSubmit) and body.deliver:
                self._watchers.deliver(connection, body.task_id)
        return turn if renewal is None else join((renewal, turn))

    def malformed(self, connection: int, peer: Peer, error: QmioError, request: int, now_ms: int) -> Turn:
        """Answer a message that could not be decoded; one without a readable number is only counted."""
        self.figures.messages += 1
        caller = self._caller(connection, peer, request, now_ms)
        if caller is None or request == 0:
            self.figures.ignored += 1
            return Turn()
        return self._refuse(caller, refusals.as_failure(error))

    def proved(self, number: int, outcome: Admitted | QmioError, now_ms: int) -> Turn:
        """Take in what a proof of `proofs` is worth: a session, or why not."""
        proof = self.proofs.settle(number)
        if proof is None:
            return Turn()
        caller = Caller(proof.connection, proof.request, proof.key, Role.NONE)
        if self.is_suspended or self.is_stopping:
            return self._refuse(caller, refusals.not_stored() if self.is_suspended else refusals.stopping())
        if isinstance(outcome, QmioError):
            if outcome.retryable:
                # Slurm or MUNGE was slow, not she: her five seconds begin anew.
                self._links.forget_stranger(proof.key)
            return self._refuse(caller, refusals.as_failure(outcome))
        opening = session_by_proof(proof, outcome, self.identity.session_lease_s, self._ids)
        return self._turn(self.core.handle(opening, now_ms))

    def ended(self, runs: Iterable[JobRun], now_ms: int) -> Turn:
        """Take in that runs of Slurm jobs are over: their sessions end, their tasks go on."""
        if self.is_suspended:
            return Turn()
        return join(
            self._turn(
                self.core.handle(
                    ins.EndJobSessions(
                        cluster=run.cluster, job_id=run.job_id, run=(run.submit_ms, run.restarts)
                    ),
                    now_ms,
                )
            )
            for run in runs
        )

    def take_ended(self) -> list[m.AllocationEnd]:
        """Return, once, the Slurm jobs whose epilogs have said that they are over."""
        ended, self._ended = self._ended, []
        return ended

    def disconnected(self, connection: int, now_ms: int) -> Turn:
        """Forget a connection that is known to be gone. Its claims stay until their leases lapse."""
        self._forget(connection)
        if self.is_suspended:
            return Turn()
        return self._turn(self.core.handle(ins.Disconnected(connection=connection), now_ms))

    def tick(self, now_ms: int) -> Turn:
        """Let time pass: for open dry runs, and in the core."""
        late = Turn((), tuple(self._estimates.due(now_ms)))
        if self.is_suspended:
            return late
        turn = self._turn(self.core.handle(ins.Tick(), now_ms))
        return join((late, turn)) if late.outputs else turn

    # ------------------------------------------------------------ release

    def release(self, output: Output, store: TaskStore) -> list[tuple[int, m.Packet]]:
        """Return what to send for an output whose turn is on disk: (connection, packet), at most one."""
        if isinstance(output, Send):
            return [(output.connection, output.packet)]
        if isinstance(output, Read):
            body = answer(output, store, self._live_view)
            return [(output.connection, packet(body, re=output.request))]
        if isinstance(output, Relay):
            return [self._relay(output, store)]
        filled = self._shipping.fill(output, store)
        return [] if filled is None else [(output.connection, filled)]

    def _relay(self, relay: Relay, store: TaskStore) -> tuple[int, m.Packet]:
        """Return the question for its agent; or, if its programs are gone, the answer that says so."""
        filled = self._shipping.relay(relay, store)
        if isinstance(filled, m.Packet):
            return relay.agent, filled
        self._estimates.give_up(relay.message.number)
        return relay.connection, packet(filled, re=relay.request)

    def refuse_lost(self, lost: Iterable[Output], *, is_undone: bool = True) -> list[tuple[int, m.Packet]]:
        """Return a retryable refusal for every request whose answer will never leave.

        Parameters
        ----------
        is_undone : bool
            A failed commit undid it; False: its records may be on their way to the disk.
        """
        failure = refusals.not_stored() if is_undone else refusals.undecided()
        lost = list(lost)
        for output in lost:
            if isinstance(output, Relay):
                self._estimates.give_up(output.message.number)
        return [
            (output.connection, packet(failure, re=request_of(output)))
            for output in lost
            if request_of(output)
        ]

    # ------------------------------------------------------------ who may what

    def _caller(self, connection: int, peer: Peer, request: int, now_ms: int) -> Caller | None:
        """Find out who asks; None for a stranger whose time or allowance is used up."""
        key = peer.key
        enrolment = self.core.enrolment(key)
        role = Role.USER if enrolment is None else enrolment.role
        session = self.core.session_of(key) if role is Role.USER else None
        address = normal(peer.address)
        is_misplaced = session is not None and not may_be_used_from(session, address)
        if is_misplaced or (enrolment is None and session is None):
            role = Role.NONE
        known = self._links.key(connection)
        if role is Role.NONE:
            if known is not None:
                self._forget(connection)
            if not self._links.admits_stranger(key, now_ms):
                return None
            return Caller(
                connection, request, key, role, enrolment, is_misplaced=is_misplaced, address=address
            )
        if known != key:
            # New, or a routing id that somebody else used before: nothing of that one may leak.
            self._forget(connection)
            self._links.add(connection, key, now_ms)
            self._links.forget_stranger(key)
        return Caller(connection, request, key, role, enrolment, session, address=address)

    def _session_of(self, key: KeyId) -> Session | None:
        return self.core.session_of(key)

    def _secret_of(self, cluster: str, job_id: str, node: str) -> JobSecret | None:
        return self.core.job_secret(cluster, job_id, node)

    def _role_of(self, connection: int) -> Role:
        key = self._links.key(connection)
        if key is None:
            return Role.NONE
        enrolment = self.core.enrolment(key)
        if enrolment is None:
            return Role.USER if self.core.has_session(key) else Role.NONE
        return enrolment.role

    def _trouble(self, caller: Caller, body: m.TaskSubmit | m.TaskEstimate) -> m.Failure | None:
        """Refuse what would wait for an agent that cannot be started; what was accepted before, stays so."""
        if isinstance(body, m.TaskSubmit) and self.core.view(body.task_id, caller.tenant) is not None:
            return None
        return self.troubles.refusal(body.spec.device, self.core.devices)

    # ------------------------------------------------------------ sessions

    def _hello(self, caller: Caller, body: m.Hello, now_ms: int) -> Turn:
        welcome = self._questions.welcome(caller, body, now_ms)
        if isinstance(welcome, m.Welcome):
            self._links.greet(caller.connection)
        opening = opens_session(caller, self.identity.session_lease_s, self._ids)
        if opening is None or not isinstance(welcome, m.Welcome):
            return Turn((), (reply(caller.connection, caller.request, welcome),))

        def to_welcome(answer: m.Message) -> m.Message:
            if not isinstance(answer, m.SessionState):
                return answer
            opened = msgspec.structs.replace(caller, session=answer.session)
            return self._questions.welcome(opened, body, now_ms)

        return self._decide(caller, opening, now_ms, to_welcome)

    def _renewal(self, caller: Caller, now_ms: int) -> Turn | None:
        renewing = renews_session(caller, self.identity.session_lease_s, now_ms)
        return None if renewing is None else self._turn(self.core.handle(renewing, now_ms))

    def _of_job(
        self, caller: Caller, body: m.SessionOpen | m.AllocationAdmit | m.AllocationEnd, now_ms: int
    ) -> Turn:
        """Take in what a Slurm job says of itself, or its node's prolog or epilog of it."""
        if isinstance(body, m.SessionOpen):
            return _only(self.proofs.open(caller, body, now_ms))
        if not self.proofs.are_taken:
            return self._refuse(caller, refusals.no_proofs())
        if isinstance(body, m.AllocationEnd):
            self._ended.append(body)
        return self._decide(caller, allocation(caller, body, self.identity.controllers), now_ms)

    def _stop(self, caller: Caller) -> Turn:
        session = caller.session
        owner = self.identity.owner_uid
        if caller.role is Role.USER and (owner is None or session is None or session.uid != owner):
            return self._refuse(caller, refusals.wrong_role(caller.role, "gateway.stop"))
        self.is_stopping = True
        return Turn((), (reply(caller.connection, caller.request, m.Done()),))

    # ------------------------------------------------------------ core and back

    def _decide(self, caller: Caller, request: ins.Input, now_ms: int, change: Change | None = None) -> Turn:
        """Hand a request to the core and turn its step into a turn."""
        if isinstance(request, ins.Submit | ins.PutPrograms) and request.programs and caller.tenant:
            self._shipping.keep(caller.tenant, request.programs)
        return self._turn(self.core.handle(request, now_ms), caller.tenant, change)

    def _turn(self, step: fx.Step, tenant: Tenant | None = None, change: Change | None = None) -> Turn:
        return self._outgoing.turn(step, self.core.epoch, tenant, change)

    def _refuse(self, caller: Caller, failure: m.Failure) -> Turn:
        self.figures.refused += 1
        if not caller.request:
            return Turn()
        return Turn((), (reply(caller.connection, caller.request, failure),))

    def _live_view(self, task: Task) -> TaskView | None:
        """Return the core's view of a task if it shows no more than is on disk."""
        view = self.core.view(task.task_id, task.owner.tenant)
        return view if view is not None and view.revision == task.revision else None

    def _forget(self, connection: int) -> None:
        self._links.drop(connection)
        self._estimates.disconnected(connection)
        self._watchers.drop(connection)
        self._shipping.drop(connection)


def _only(output: Output | None) -> Turn:
    return Turn() if output is None else Turn((), (output,))
