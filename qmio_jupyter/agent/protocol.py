"""The agent's side of the conversation with the gateway, sans-I/O: no clock, no socket, no randomness.

The shell (and the simulator) feeds it packets and times and gets events and packets. What it promises:

- a repeated dispatch never runs twice: it is acknowledged again, or its end is sent again;
- never more claims than credit: what comes over it is given back;
- a new gateway epoch, a reconnect or a long silence leads to hello and a fresh announcement of what it holds;
- every claim is renewed each third of its lease, until the gateway has recorded how it ended;
- an end is sent again, at growing bounded intervals, until it is recorded or the claim proves not to be ours;
- an aborted run is stopped and reported as cancelled; a claim that the welcome disowns is dropped silently;
- a dry run is answered once, beside all claims, and stopped when nobody waits for it any more;
- a lease that surely lapsed stops nothing (a late result is still good), but the shell is told.

Times are float seconds of the caller's monotonic clock. The file is long because it is one state machine, and
every part of it reads and moves the same claims.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import Final

from qmio_jupyter.agent.ends import failed, message_bytes, not_an_agent, too_large
from qmio_jupyter.agent.estimates import Estimates, refused
from qmio_jupyter.agent.events import AbortRun, Announced, Event, LeaseLapsed, Refused, StartRun
from qmio_jupyter.agent.held import HeldClaim, Life
from qmio_jupyter.agent.shelf import Shelf
from qmio_jupyter.errors import LimitError, QmioError, from_code
from qmio_jupyter.model.access import Role
from qmio_jupyter.model.device import DeviceDescription, DeviceState, Snapshot
from qmio_jupyter.model.dry_run import DryRun
from qmio_jupyter.model.ids import AgentId
from qmio_jupyter.model.result import Outcome, TaskResult
from qmio_jupyter.model.task import ClaimRef, ErrorInfo, TaskState
from qmio_jupyter.wire.messages import (
    AgentAnnounce,
    AgentWelcome,
    ClaimAbort,
    ClaimDispatch,
    ClaimFinish,
    ClaimGiveBack,
    ClaimHeld,
    ClaimProgress,
    ClaimRecorded,
    ClaimRenew,
    ClaimRenewed,
    ClaimStarted,
    Envelope,
    EstimateAsk,
    EstimateDrop,
    Failure,
    Hello,
    Limits,
    Message,
    Packet,
    Ping,
    Pong,
    ProgramData,
    ProgramGet,
    Restarted,
    SnapshotData,
    SnapshotGet,
    Welcome,
)

#: First and longest wait before something unanswered is sent again.
RETRY_S: Final = 1.0
RETRY_LONGEST_S: Final = 10.0
#: Idle time after which the link is tried with a ping.
PING_S: Final = 2.0
#: Silence after which the gateway may have forgotten this connection: hello again on the next sign of life.
SILENCE_S: Final = 8.0
#: How long word that a claim is held, or has started, waits for its end: a short run needs one message, not three.
WORD_S: Final = 0.02
#: Shortest time between two renewals that only bring a new stage, and how long the first of them waits.
STAGE_S: Final = 1.0
FIRST_STAGE_S: Final = 0.1
#: How long missing programs are asked for before the claim is given back.
FETCH_S: Final = 30.0
#: Claims remembered after they ended, so that a late duplicate of their dispatch does nothing.
REMEMBERED: Final = 4096
#: Share of the gateway's message limit that a message with a result may fill: the gateway sends the result on
#: to clients, in a message of its own.
_RESULT_SHARE: Final = 0.95


class AgentProtocol:
    """One agent's conversation with its gateway, over any number of links, one at a time.

    Parameters
    ----------
    agent : str
        Name, stable over restarts.
    incarnation : int
        Rises with every start (its clock in ms at start).
    description : DeviceDescription
        The device it hosts.
    state : DeviceState
        The device's state now.
    snapshot : Snapshot or None
        The device's current snapshot.
    credit : int
        Claims it may hold at once.
    software : str
        ``name/version``, for the gateway's log.
    """

    def __init__(
        self,
        agent: AgentId,
        incarnation: int,
        description: DeviceDescription,
        state: DeviceState,
        snapshot: Snapshot | None = None,
        credit: int = 1,
        *,
        software: str = "",
    ) -> None:
        self._agent = agent
        self._incarnation = incarnation
        self._description = description
        self._state = state
        self._snapshot = snapshot
        self._credit = credit
        self._software = software

        self._now = 0.0
        self._out: list[Packet] = []
        self._last_id = 0
        self._sequence = 0
        self._limits = Limits()
        self._claims: dict[ClaimRef, HeldClaim] = {}
        #: Ends the gateway has recorded (True), or that it disowned (False); oldest first.
        self._over: OrderedDict[ClaimRef, bool] = OrderedDict()
        self._estimates = Estimates()
        self._shelf = Shelf()
        if snapshot is not None:
            self._shelf.keep(snapshot)

        self._is_up = False
        self._is_announced = False
        #: True until the latest announcement is answered (also while a known agent announces a change).
        self._is_greeting = False
        self._epoch = -1
        self._lease_s = 15.0
        self._handshake_id = 0
        self._handshake_due = 0.0
        self._handshake_wait = RETRY_S
        self._is_hello_done = False
        self._heard_at = 0.0
        self._ping_due = 0.0
        self._renew_due = 0.0
        self._renew_sent: dict[int, tuple[float, tuple[ClaimRef, ...]]] = {}
        self._fetches: dict[int, ClaimRef] = {}
        self._finals: dict[int, ClaimRef] = {}

    # ------------------------------------------------------------ what it knows

    @property
    def epoch(self) -> int:
        """Newest epoch of the gateway it has heard of; -1 before the first."""
        return self._epoch

    @property
    def is_announced(self) -> bool:
        """True while the gateway is known to know it."""
        return self._is_announced

    @property
    def credit(self) -> int:
        """Claims it may hold at once."""
        return self._credit

    @property
    def holding(self) -> tuple[ClaimRef, ...]:
        """Claims it would announce: everything whose end is not recorded and that is not disowned."""
        return tuple(c.ref for c in self._claims.values() if c.life is not Life.DROPPED)

    @property
    def running(self) -> tuple[ClaimRef, ...]:
        """Claims the shell works on, those being stopped included."""
        return tuple(c.ref for c in self._claims.values() if c.life.takes_place)

    @property
    def is_quiet(self) -> bool:
        """True if nothing runs and no end waits to be recorded."""
        return not self._claims

    def has_lapsed(self, ref: ClaimRef) -> bool:
        """Return whether the lease of a held claim has surely lapsed."""
        claim = self._claims.get(ref)
        return claim is not None and claim.has_lapsed

    # ------------------------------------------------------------ the link

    def link_up(self, now_s: float) -> None:
        """Take up a new or re-established connection: hello, then announce."""
        self._now = now_s
        self._is_up = True
        self._heard_at = now_s
        self._greet()

    def link_down(self, now_s: float) -> None:
        """Note that the connection is gone. Runs go on."""
        self._now = now_s
        self._is_up = False
        self._is_announced = False
        self._is_greeting = False
        self._out.clear()
        self._estimates.orphan()
        self._forget_requests()

    def outgoing(self) -> list[Packet]:
        """Return the packets to send, in order, and forget them."""
        out, self._out = self._out, []
        return out

    def next_deadline(self) -> float | None:
        """Return when `tick` is next due; None if only a packet or a command can change anything."""
        due = [c.renewed_at + self._lease_s for c in self._claims.values() if not c.has_lapsed]
        due += [c.fetch_until for c in self._claims.values() if self._wants_fetch(c)]
        if self._is_up:
            if self._is_greeting:
                due.append(self._handshake_due)
            if self._is_announced:
                due.append(self._ping_due)
                if self._claims:
                    due.append(self._renew_due)
                due += [c.final_due for c in self._claims.values() if c.final is not None]
                due += [c.fetch_due for c in self._claims.values() if self._wants_fetch(c)]
                due += [c.word_due for c in self._claims.values() if c.word_due is not None]
        return min(due, default=None)

    def tick(self, now_s: float) -> list[Event]:
        """Do what is due."""
        self._now = max(self._now, now_s)
        events = self._watch_leases() + self._estimates.leftover()
        if self._is_up and self._is_greeting and self._now >= self._handshake_due:
            self._greet_again()
        if self._is_up and self._is_announced:
            self._send_due()
        return events

    def _watch_leases(self) -> list[Event]:
        """Note what surely lapsed; give back what waited for its programs in vain."""
        events: list[Event] = []
        for claim in list(self._claims.values()):
            if not claim.has_lapsed and self._now >= claim.renewed_at + self._lease_s:
                claim.has_lapsed = True
                if claim.life.takes_place:
                    events.append(LeaseLapsed(claim.ref))
            if self._wants_fetch(claim) and self._now >= claim.fetch_until:
                self._end(claim, ClaimGiveBack(ref=claim.ref, reason="its programs did not come"))
        return events

    def _send_due(self) -> None:
        for claim in self._claims.values():
            if claim.final is not None and self._now >= claim.final_due:
                self._send_final(claim)
            if self._wants_fetch(claim) and self._now >= claim.fetch_due:
                self._send_fetch(claim)
            if claim.word_due is not None and self._now >= claim.word_due:
                self._give_word(claim)
        if self._claims and self._now >= self._renew_due:
            for claim in self._claims.values():
                if claim.has_started and claim.life is Life.RUNNING:
                    self._say(ClaimStarted(ref=claim.ref))  # the first one may have been lost
            self._send_renew()
        if self._now >= self._ping_due:
            self._request(Ping())

    # ------------------------------------------------------------ what the shell says

    def started(self, ref: ClaimRef) -> None:
        """Say that a run has really begun."""
        claim = self._claims.get(ref)
        if claim is not None and claim.life is Life.RUNNING and not claim.has_started:
            claim.has_started = True
            if claim.word_due is None:
                claim.word_due = self._now + WORD_S

    def stage(self, ref: ClaimRef, stage: str) -> None:
        """Say in a word what a run is doing; travels with a renewal, at most once a second."""
        claim = self._claims.get(ref)
        if claim is not None and claim.life is Life.RUNNING and claim.stage != stage:
            claim.stage = stage
            due = max(self._last_renewal() + STAGE_S, self._now + FIRST_STAGE_S)
            self._renew_due = min(self._renew_due, due)

    def progress(self, ref: ClaimRef, result: TaskResult) -> None:
        """Pass on cumulative partial counts; the newest is kept for after a reconnect."""
        claim = self._claims.get(ref)
        if claim is None or claim.life is not Life.RUNNING:
            return
        progress = ClaimProgress(ref=ref, result=result)
        if not self._fits(progress):
            return
        claim.has_started = True
        claim.word_due = None  # counts say it as well
        claim.progress = result
        self._say(progress)

    def finished(self, ref: ClaimRef, outcome: Outcome) -> list[Event]:
        """Say how a run ended; returns what may start in its place. Sent until the gateway has it on disk.

        A run that was to be stopped is reported as cancelled, unless it completed first.
        """
        claim = self._claims.get(ref)
        if claim is None or not claim.life.takes_place:
            return []
        if claim.life is Life.DROPPED:
            self._forget(ref, is_recorded=False)
            return self._start_ready()
        if claim.life is Life.STOPPING and outcome.state is not TaskState.COMPLETED:
            outcome = Outcome(state=TaskState.CANCELLED, device_s=outcome.device_s)
        final = ClaimFinish(ref=ref, outcome=outcome)
        if not self._fits(final):
            final = too_large(final, message_bytes(final), self._limits.message_bytes)
        self._end(claim, final)
        return self._start_ready()

    def unsent(self, packet: Packet, error: LimitError) -> None:
        """Take note that a packet of `outgoing` was too large to be sent, and never will be.

        The limits may be others by now than when the run ended: its task must end all the same, and say why.
        """
        body = packet.envelope.body
        claim = self._claims.get(body.ref) if isinstance(body, ClaimFinish | ClaimProgress) else None
        if claim is None:
            return
        if isinstance(body, ClaimProgress):
            claim.progress = None
        elif isinstance(claim.final, ClaimFinish) and claim.final.outcome.error_code != error.code:
            size = message_bytes(body)
            self._end(claim, too_large(claim.final, size, self._limits.message_bytes))

    def estimated(self, number: int, outcome: DryRun | QmioError) -> None:
        """Say what came of a dry run; it is said once, and to nobody if the link has changed since."""
        answer = self._estimates.answered(number, outcome)
        if answer is None:
            return
        if not self._fits(answer):
            error = LimitError(
                "the dry run is too large to be told", code="limit.size", hint="Ask item by item."
            )
            answer = refused(number, error)
        self._send(answer, 0)

    def give_back(self, ref: ClaimRef, reason: str) -> list[Event]:
        """Hand a claim back, unrun or stopped; costs the task no attempt."""
        claim = self._claims.get(ref)
        if claim is None or claim.life is Life.ENDED:
            return []
        match claim.life:
            case Life.DROPPED:
                self._forget(ref, is_recorded=False)
            case Life.STOPPING:
                self._end(claim, ClaimFinish(ref=ref, outcome=Outcome(state=TaskState.CANCELLED)))
            case _:
                self._end(claim, ClaimGiveBack(ref=ref, reason=reason))
        return self._start_ready()

    def device_changed(
        self,
        state: DeviceState,
        snapshot: Snapshot | None,
        *,
        credit: int | None = None,
        description: DeviceDescription | None = None,
    ) -> None:
        """Announce again where the device's state, snapshot, credit or description is another one."""
        before = (self._state, self._snapshot, self._credit, self._description)
        self._state, self._snapshot = state, snapshot
        if credit is not None:
            self._credit = credit
        if description is not None:
            self._description = description
        if snapshot is not None:
            self._shelf.keep(snapshot)
        if before != (self._state, self._snapshot, self._credit, self._description) and self._is_hello_done:
            self._announce()

    # ------------------------------------------------------------ what the gateway says

    def receive(self, packet: Packet, now_s: float) -> list[Event]:
        """Take one packet from the gateway. What makes no sense to an agent is ignored."""
        self._now = max(self._now, now_s)
        if not self._is_up:
            return []
        silence = self._now - self._heard_at
        self._heard_at = self._now
        self._ping_due = self._now + PING_S
        body = packet.envelope.body
        re = packet.envelope.re
        if silence > SILENCE_S and self._is_announced:
            self._greet()
        return self._answer(body, re, packet)

    def _answer(self, body: Message, re: int, packet: Packet) -> list[Event]:
        match body:
            case Welcome():
                return self._welcomed(body, re)
            case AgentWelcome():
                return self._announced(body, re)
            case ClaimDispatch():
                return self._dispatched(body, packet)
            case ClaimAbort():
                return self._abort([body.ref], is_ours=True)
            case ClaimRenewed():
                return self._renewed(body, re)
            case ClaimRecorded():
                self._finals.pop(re, None)
                self._recorded(body.ref)
                return []
            case ProgramData():
                self._fetched(packet, re)
                return self._start_ready()
            case SnapshotData():
                self._shelf.keep(body.snapshot)
                return self._start_ready()
            case EstimateAsk():
                return self._asked(body, packet)
            case EstimateDrop():
                return self._estimates.drop(body.number)
            case Restarted() | Pong():
                self._note_epoch(body.epoch)
                return []
            case Failure():
                return self._failed(body.error, re)
            case _:
                return []

    def _welcomed(self, welcome: Welcome, re: int) -> list[Event]:
        if re != self._handshake_id or self._is_hello_done:
            return []
        self._epoch = max(self._epoch, welcome.epoch)
        self._limits = welcome.limits
        if welcome.role is not Role.AGENT:
            self._handshake_id = 0
            return [Refused(not_an_agent(welcome.role))]
        self._is_hello_done = True
        self._handshake_wait = RETRY_S
        self._announce()
        return []

    def _announced(self, welcome: AgentWelcome, re: int) -> list[Event]:
        if re != self._handshake_id or welcome.epoch < self._epoch:
            return []
        was_announced = self._is_announced
        self._is_announced = True
        self._is_greeting = False
        self._handshake_id = 0
        self._handshake_wait = RETRY_S
        self._epoch = welcome.epoch
        self._lease_s = welcome.lease_s
        events: list[Event] = [] if was_announced else [Announced(welcome.epoch, welcome.lease_s)]
        events += self._abort(welcome.abort, is_ours=False)
        for claim in self._claims.values():
            if claim.life is Life.DROPPED:
                continue
            if claim.life is Life.RUNNING and claim.has_started:
                self._say(ClaimStarted(ref=claim.ref))
                if claim.progress is not None:
                    self._say(ClaimProgress(ref=claim.ref, result=claim.progress))
            if claim.final is not None:
                self._send_final(claim)
        if self._claims:
            self._send_renew()
        return events + self._start_ready()

    def _asked(self, ask: EstimateAsk, packet: Packet) -> list[Event]:
        events, answer = self._estimates.ask(ask, packet, self._description, self._snapshot)
        if answer is not None:
            self._send(answer, 0)
        return events

    def _dispatched(self, dispatch: ClaimDispatch, packet: Packet) -> list[Event]:
        self._take_programs(packet)
        if dispatch.snapshot is not None:
            self._shelf.keep(dispatch.snapshot)
        ref = dispatch.ref
        claim = self._claims.get(ref)
        if claim is not None:
            self._repeat(claim)
            return self._start_ready()
        if ref in self._over:
            # A late duplicate. If its end is on disk there is nothing to say; if we only dropped it and the
            # gateway still counts on us, handing it back heals that at once.
            if not self._over[ref]:
                self._answer_only(ref, ClaimGiveBack(ref=ref, reason="it was dropped here"))
            return []
        events = self._supersede(ref)
        if sum(c.life.takes_credit for c in self._claims.values()) >= self._credit:
            self._answer_only(ref, ClaimGiveBack(ref=ref, reason="no credit left"))
            return events
        claim = HeldClaim(
            ref=ref,
            dispatch=dispatch,
            renewed_at=self._now,
            fetch_due=self._now,
            fetch_until=self._now + FETCH_S,
            word_due=self._now + WORD_S,
        )
        if not self._claims:
            self._renew_due = self._now + dispatch.lease_s / 3
        self._claims[ref] = claim
        self._fill(claim)
        if self._wants_fetch(claim) and self._is_announced:
            self._send_fetch(claim)
        return events + self._start_ready()

    def _repeat(self, claim: HeldClaim) -> None:
        """Answer a duplicate dispatch of a claim that is here."""
        if claim.life is Life.DROPPED:
            return
        if claim.final is not None:
            self._send_final(claim)
            return
        self._give_word(claim)

    def _give_word(self, claim: HeldClaim) -> None:
        """Say that a claim is here, or has started (which says both)."""
        claim.word_due = None
        if claim.life not in (Life.WAITING, Life.RUNNING):
            return  # what is being stopped has its end to say
        self._say(ClaimStarted(ref=claim.ref) if claim.has_started else ClaimHeld(ref=claim.ref))

    def _supersede(self, ref: ClaimRef) -> list[Event]:
        """Drop older claims of the same task: a newer one proves that they are no longer ours."""
        return self._abort(
            [
                old
                for old in self._claims
                if old.task_id == ref.task_id and (old.epoch, old.attempt) < (ref.epoch, ref.attempt)
            ],
            is_ours=False,
        )

    def _answer_only(self, ref: ClaimRef, final: ClaimFinish | ClaimGiveBack) -> None:
        """Owe the gateway the end of a claim that never ran here."""
        self._over.pop(ref, None)
        claim = HeldClaim(ref=ref, renewed_at=self._now)
        self._claims[ref] = claim
        self._end(claim, final)

    def _renewed(self, renewed: ClaimRenewed, re: int) -> list[Event]:
        sent = self._renew_sent.pop(re, None)
        if sent is None:
            return []
        at, refs = sent
        for ref in refs:
            claim = self._claims.get(ref)
            if claim is not None and ref not in renewed.abort:
                claim.renewed_at = max(claim.renewed_at, at)
                claim.has_lapsed = self._now >= claim.renewed_at + self._lease_s
        return self._abort(renewed.abort, is_ours=True)

    def _abort(self, refs: Iterable[ClaimRef], *, is_ours: bool) -> list[Event]:
        """Stop claims: reported as cancelled where the gateway waits for that, else dropped silently."""
        events: list[Event] = []
        for ref in refs:
            claim = self._claims.get(ref)
            if claim is None:
                if is_ours and ref not in self._over:
                    # Aborted before its dispatch came: the gateway waits for the end of it all the same.
                    cancelled = Outcome(state=TaskState.CANCELLED)
                    self._answer_only(ref, ClaimFinish(ref=ref, outcome=cancelled))
                continue
            match claim.life:
                case Life.WAITING if is_ours:
                    self._end(claim, ClaimFinish(ref=ref, outcome=Outcome(state=TaskState.CANCELLED)))
                case Life.ENDED if is_ours:
                    self._send_final(claim)
                case Life.WAITING | Life.ENDED:
                    self._forget(ref, is_recorded=False)
                case Life.RUNNING:
                    claim.life = Life.STOPPING if is_ours else Life.DROPPED
                    events.append(AbortRun(ref))
                case Life.STOPPING if not is_ours:
                    claim.life = Life.DROPPED
                case _:
                    pass
        return events + self._start_ready()

    def _recorded(self, ref: ClaimRef) -> None:
        claim = self._claims.get(ref)
        if claim is not None and claim.life is Life.ENDED:
            self._forget(ref, is_recorded=True)

    def _failed(self, info: ErrorInfo, re: int) -> list[Event]:
        error = from_code(info.code, info.message, hint=info.hint, retryable=info.retryable)
        if re and re == self._handshake_id:
            self._handshake_id = 0
            return [Refused(error)]
        if (ref := self._finals.pop(re, None)) is not None:
            self._final_refused(ref, error)
        elif (ref := self._fetches.pop(re, None)) is not None:
            return self._fetch_refused(ref, error)
        elif self._renew_sent.pop(re, None) is not None and not error.retryable:
            self._greet()
        return []

    def _final_refused(self, ref: ClaimRef, error: QmioError) -> None:
        claim = self._claims.get(ref)
        if claim is None or claim.final is None:
            return
        if error.code in ("task.stale_claim", "task.unknown"):
            self._forget(ref, is_recorded=False)
        elif error.retryable:
            return
        elif error.code.startswith(("auth", "gateway")):
            self._greet()
        elif isinstance(claim.final, ClaimFinish) and claim.final.outcome.state is TaskState.COMPLETED:
            # The gateway will not take this result: the task must still end, and say why.
            device_s = claim.final.outcome.device_s
            self._end(claim, failed(ref, error, f"the gateway refused the result: {error.message}", device_s))

    def _fetch_refused(self, ref: ClaimRef, error: QmioError) -> list[Event]:
        claim = self._claims.get(ref)
        if claim is None or claim.life is not Life.WAITING:
            return []
        if error.code in ("task.stale_claim", "task.unknown"):
            self._forget(ref, is_recorded=False)
        elif error.code == "program.missing":
            self._end(claim, failed(ref, error, error.message))
        return self._start_ready()

    def _note_epoch(self, epoch: int) -> None:
        if epoch > self._epoch:
            self._epoch = epoch
            self._greet()

    # ------------------------------------------------------------ greeting

    def _greet(self) -> None:
        """Begin the handshake from its start."""
        self._handshake_wait = RETRY_S
        self._forget_requests()
        self._is_announced = False
        self._is_hello_done = False
        self._is_greeting = True
        self._hello()

    def _greet_again(self) -> None:
        """Send the unanswered half of the handshake once more."""
        self._handshake_wait = min(2 * self._handshake_wait, RETRY_LONGEST_S)
        if self._is_hello_done and self._handshake_id:
            self._announce()
        else:
            self._is_hello_done = False
            self._hello()

    def _hello(self) -> None:
        self._handshake_id = self._request(Hello(software=self._software))
        self._handshake_due = self._now + self._handshake_wait

    def _announce(self) -> None:
        self._sequence += 1
        self._is_greeting = True
        self._handshake_id = self._request(
            AgentAnnounce(
                agent=self._agent,
                incarnation=self._incarnation,
                sequence=self._sequence,
                description=self._description,
                state=self._state,
                credit=self._credit,
                holding=self.holding,
                snapshot=self._snapshot,
                software=self._software,
            )
        )
        self._handshake_due = self._now + self._handshake_wait

    def _forget_requests(self) -> None:
        self._handshake_id = 0
        self._renew_sent.clear()
        self._fetches.clear()
        self._finals.clear()

    # ------------------------------------------------------------ claims

    def _start_ready(self) -> list[Event]:
        """Start what is complete, in order of arrival, while there is a place for it."""
        events: list[Event] = []
        places = self._credit - sum(c.life.takes_place for c in self._claims.values())
        for claim in self._claims.values():
            if claim.life is not Life.WAITING:
                continue
            self._fill(claim)
            if places <= 0 or not claim.is_ready or self._is_task_in_place(claim.ref):
                continue
            claim.life = Life.RUNNING
            places -= 1
            events.append(StartRun(claim.run(), claim.ref))
        return events

    def _is_task_in_place(self, ref: ClaimRef) -> bool:
        return any(
            c.life.takes_place and c.ref.task_id == ref.task_id and c.ref != ref
            for c in self._claims.values()
        )

    def _end(self, claim: HeldClaim, final: ClaimFinish | ClaimGiveBack) -> None:
        claim.life = Life.ENDED
        claim.final = final
        claim.word_due = None
        claim.progress = None
        claim.programs = {}
        claim.final_wait = RETRY_S
        if self._is_announced:
            self._send_final(claim)

    def _forget(self, ref: ClaimRef, *, is_recorded: bool) -> None:
        self._claims.pop(ref, None)
        self._over[ref] = is_recorded
        while len(self._over) > REMEMBERED:
            self._over.popitem(last=False)

    def _fill(self, claim: HeldClaim) -> None:
        for digest in claim.lacking():
            program = self._shelf.program(digest)
            if program is not None:
                claim.programs[digest] = program
        if claim.lacks_snapshot:
            claim.snapshot = self._shelf.snapshot(claim.snapshot_id)

    def _wants_fetch(self, claim: HeldClaim) -> bool:
        return claim.life is Life.WAITING and not claim.is_ready

    def _fetched(self, packet: Packet, re: int) -> None:
        """Take programs that were asked for; a large set comes in several answers."""
        self._take_programs(packet)
        ref = self._fetches.pop(re, None)
        claim = self._claims.get(ref) if ref is not None else None
        if claim is not None and packet.attachments and self._wants_fetch(claim):
            claim.fetch_until = self._now + FETCH_S
            self._send_fetch(claim)

    def _take_programs(self, packet: Packet) -> None:
        arrived = self._shelf.take(packet)
        for claim in self._claims.values():
            if claim.life is Life.WAITING:
                claim.programs.update({d: arrived[d] for d in claim.lacking() if d in arrived})

    # ------------------------------------------------------------ sending

    def _request(self, body: Message) -> int:
        self._last_id += 1
        self._send(body, self._last_id)
        return self._last_id

    def _fits(self, body: Message) -> bool:
        return message_bytes(body) <= self._limits.message_bytes * _RESULT_SHARE

    def _send(self, body: Message, number: int) -> None:
        if self._is_up:
            self._ping_due = self._now + PING_S
            self._out.append(Packet(Envelope(body=body, id=number)))

    def _say(self, body: Message) -> None:
        """Send what has no reply, if the gateway knows us; the rest of the protocol makes up for a loss."""
        if self._is_hello_done:
            self._send(body, 0)

    def _send_final(self, claim: HeldClaim) -> None:
        if claim.final is None or not self._is_announced:
            return
        self._finals = {number: ref for number, ref in self._finals.items() if ref != claim.ref}
        self._finals[self._request(claim.final)] = claim.ref
        claim.final_due = self._now + claim.final_wait
        claim.final_wait = min(2 * claim.final_wait, RETRY_LONGEST_S)

    def _send_fetch(self, claim: HeldClaim) -> None:
        lacking = claim.lacking()
        if lacking:
            self._fetches[self._request(ProgramGet(ref=claim.ref, digests=lacking))] = claim.ref
        if claim.lacks_snapshot:
            self._fetches[self._request(SnapshotGet(snapshot_id=claim.snapshot_id))] = claim.ref
        claim.fetch_due = self._now + 2 * RETRY_S

    def _send_renew(self) -> None:
        """Renew everything held."""
        held = [c for c in self._claims.values() if c.life is not Life.DROPPED]
        self._renew_due = self._now + self._lease_s / 3
        if not held:
            return
        refs = tuple(c.ref for c in held)
        number = self._request(ClaimRenew(refs=refs, stages=tuple(c.stage for c in held)))
        self._renew_sent[number] = (self._now, refs)
        for old in [n for n, (at, _) in self._renew_sent.items() if at < self._now - 2 * self._lease_s]:
            del self._renew_sent[old]

    def _last_renewal(self) -> float:
        return max((at for at, _ in self._renew_sent.values()), default=self._now - STAGE_S)
