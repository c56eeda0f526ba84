"""The client's side of the wire protocol, sans-I/O: both shells and the simulator drive this one object.

One file, because greeting, proving, requests and events are phases of one conversation and share its few numbers.

A shell tells it what happened (`link_up`, `link_down`, `receive`, `tick`) with the time of its own monotonic
clock, sends what `outgoing` gives, and acts on the events. The protocol greets first and again after every
reconnect or epoch change, re-sends what is unanswered (every such request is idempotent), pings when idle,
notices lost events, and ends every request: with an answer, a refusal or its deadline.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from qmio_jupyter.client.events import (
    Answered,
    ClientEvent,
    GatewayChanged,
    PartialArrived,
    ProofWanted,
    Refused,
    TaskChanged,
    TaskLost,
)
from qmio_jupyter.client.watching import Watchlist
from qmio_jupyter.errors import (
    AuthError,
    DeadlineError,
    GatewayError,
    LimitError,
    ProtocolError,
    QmioError,
    from_code,
)
from qmio_jupyter.model.access import Role
from qmio_jupyter.model.ids import TaskId
from qmio_jupyter.wire.codec import attach, encode
from qmio_jupyter.wire.frames import check_frames
from qmio_jupyter.wire.limits import check_request
from qmio_jupyter.wire.messages import (
    MAJOR,
    OLDEST_MAJOR,
    Failure,
    GatewayStop,
    Hello,
    Limits,
    Message,
    Packet,
    Ping,
    Pong,
    Restarted,
    SessionChallenge,
    SessionClose,
    SessionNonce,
    SessionOpen,
    SessionState,
    TaskAccepted,
    TaskEvent,
    TaskForget,
    TaskPartial,
    TaskShown,
    TaskSubmit,
    TaskWatch,
    Welcome,
)

#: A silent link is pinged after this long.
PING_S = 2.0
#: An unanswered hello or request is sent again after this long, then after twice as long, up to
#: `RESEND_MAX_S`.
RESEND_S = 2.0
RESEND_MAX_S = 30.0
#: Bytes per second that any line is believed to carry.
SLOW_BYTES_S = 2**20
#: A failed handshake explains a missed deadline for so long; with nobody there at all, none follows it.
REFUSED_S = 10.0
#: Pause before a request is repeated that the gateway could not take because it is stopping or restarting.
RETRY_S = 0.5

#: A proof is looked into for so long: Slurm is asked at most every five seconds, and may be slow.
PROOF_S = 60.0

#: Requests that must not reach a second gateway process: refused, not re-sent, when the link goes down.
_ONCE = (GatewayStop, SessionClose)
_RETRY_CODES = frozenset({"gateway.restarted", "gateway.stopping"})


class _Phase(Enum):
    DOWN = "down"
    GREETING = "greeting"
    PROVING = "proving"
    READY = "ready"


#: Phases in which the link is up and requests wait.
_NOT_READY = (_Phase.GREETING, _Phase.PROVING)


class _Request:
    __slots__ = ("body", "deadline", "greeted", "packet", "patience", "pause", "resend_at", "sent", "wait_s")

    def __init__(self, packet: Packet, deadline: float, wait_s: float) -> None:
        self.packet = packet
        self.body = packet.envelope.body
        self.deadline = deadline
        #: What the caller allowed, for the message of its deadline.
        self.wait_s = wait_s
        self.sent = False
        self.resend_at = 0.0
        #: A large message is given the time a slow line takes to carry it.
        self.patience = RESEND_S + sum(map(len, packet.attachments)) / SLOW_BYTES_S
        self.pause = self.patience
        #: Greeting under which it last failed for want of a session.
        self.greeted = -1


class ClientProtocol:
    """One user's conversation with one gateway, over whatever links come and go.

    Parameters
    ----------
    software : str
        ``name/version`` told to the gateway.
    """

    def __init__(self, *, software: str = "") -> None:
        self._software = software
        #: True: a welcome without a session is answered with a proof. Set by the shell, for each link.
        self.proves = False
        #: Number of the question or proof that is not answered yet; 0: none.
        self._proof = 0
        #: Why the last proof was not taken, while another may be.
        self._proof_error: QmioError | None = None
        self._phase = _Phase.DOWN
        self._welcome: Welcome | None = None
        self._requests: dict[int, _Request] = {}
        self._questions: dict[int, TaskId] = {}
        self._watches = Watchlist()
        self._outbox: list[Packet] = []
        self._last_number = 0
        #: Numbers of the hellos of this greeting: an answer to any of them is one.
        self._hellos: set[int] = set()
        self._hello_at = 0.0
        self._hello_pause = RESEND_S
        self._hello_error: QmioError | None = None
        #: Why and when the last handshake failed, since the link was up.
        self._refusal: tuple[str, float] | None = None
        self._greetings = 0
        self._heard_at = 0.0
        self._ping_at = 0.0

    # ------------------------------------------------------------------ what a shell may look at

    @property
    def welcome(self) -> Welcome | None:
        """The last welcome: limits, epoch, role, session. None before the first."""
        return self._welcome

    @property
    def ready(self) -> bool:
        """True while greeted: requests go out at once."""
        return self._phase is _Phase.READY

    @property
    def busy(self) -> bool:
        """True while a request is unanswered."""
        return bool(self._requests)

    @property
    def watching(self) -> bool:
        """True while a task that has not ended is watched."""
        return bool(self._watches)

    def silence_s(self, now_s: float) -> float:
        """Return for how long nothing was heard, since the link came up at the latest."""
        return max(0.0, now_s - self._heard_at)

    # ------------------------------------------------------------------ what happens

    def link_up(self, now_s: float) -> None:
        """Take note that the link works (again), possibly to another gateway process: greet."""
        self._heard_at = now_s
        self._refusal = None
        self._greet(now_s)

    def link_refused(self, why: str, now_s: float) -> None:
        """Take note that something is there, but that the handshake with it failed. The link is tried again."""
        self._refusal = (why, now_s)

    def link_down(self, now_s: float) -> list[ClientEvent]:
        """Take note that the link is gone: requests wait for the next one.

        Those that must not reach another gateway process (stop, close) are refused.
        """
        self._heard_at = max(self._heard_at, now_s)
        self._phase = _Phase.DOWN
        self._outbox.clear()
        events: list[ClientEvent] = []
        for ticket, request in list(self._requests.items()):
            if isinstance(request.body, _ONCE) and request.sent:
                del self._requests[ticket]
                error = GatewayError("the gateway went away before it answered", retryable=True)
                events.append(Refused(ticket=ticket, error=error))
            request.sent = False
        return events

    def request(
        self,
        body: Message,
        blobs: Sequence[tuple[str, bytes]] = (),
        *,
        deadline_s: float,
        now_s: float,
    ) -> int:
        """Ask the gateway; return the ticket that `Answered` or `Refused` will name.

        Parameters
        ----------
        body : Message
            The request.
        blobs : sequence of (media type, bytes)
            Its attachments.
        deadline_s : float
            Seconds from now after which it is refused with `DeadlineError`.
        now_s : float
            Seconds of the shell's monotonic clock.
        """
        ticket = self._number()
        packet = attach(body, blobs, id=ticket)
        self._requests[ticket] = _Request(packet, now_s + deadline_s, deadline_s)
        if self._phase is _Phase.READY:
            self._requests[ticket].resend_at = now_s
        elif self._phase is _Phase.GREETING and self._hello_error is not None:
            self._greet(now_s)
        return ticket

    def abandon(self, ticket: int) -> None:
        """Forget a request; a late answer is ignored. What it asked for may still have happened."""
        self._requests.pop(ticket, None)

    def refuse_all(self, error: QmioError) -> list[ClientEvent]:
        """End every request with `error`: there is no gateway to ask, and none will come."""
        refused = [Refused(ticket=ticket, error=error) for ticket in self._requests]
        self._requests.clear()
        return list(refused)

    def watch(self, task_id: TaskId, now_s: float) -> None:
        """Watch a task from now on: `TaskChanged` follows. A `TaskWatch` or `TaskSubmit` does the same."""
        if task_id not in self._watches:
            self._watches.add(task_id, now_s)
            if task_id in self._watches:
                self._ask(task_id, now_s)

    def unwatch(self, task_id: TaskId) -> None:
        """Ignore a task's events from now on."""
        self._watches.drop(task_id)

    def receive(self, packet: Packet, now_s: float) -> list[ClientEvent]:
        """Take in one packet of the gateway."""
        self._heard_at = now_s
        envelope = packet.envelope
        body = envelope.body
        if envelope.re == 0:
            return self._event(body, now_s)
        if envelope.re in self._hellos:
            return self._greeted(body, now_s)
        if envelope.re == self._proof:
            return self._proving(body, now_s)
        if envelope.re in self._questions:
            return self._question_answered(envelope.re, body, now_s)
        if isinstance(body, Pong):
            self._check_epoch(body.epoch, now_s)
        if envelope.re in self._requests:
            return self._reply(envelope.re, packet, now_s)
        return []

    def tick(self, now_s: float) -> list[ClientEvent]:
        """Do what is due; call it at the latest at :meth:`next_deadline`, and before :meth:`outgoing`."""
        events: list[ClientEvent] = []
        late = [ticket for ticket, request in self._requests.items() if request.deadline <= now_s]
        for ticket in late:
            request = self._requests.pop(ticket)
            events.append(Refused(ticket=ticket, error=self._late(request, now_s)))
        if self._phase in _NOT_READY and self._hello_at <= now_s:
            self._phase = _Phase.GREETING
            self._say_hello(now_s)
        if self._phase is not _Phase.READY:
            return events
        due = [one for one in self._requests.items() if not one[1].sent or one[1].resend_at <= now_s]
        for ticket, request in due:
            events.extend(self._send(ticket, request, now_s))
        for task_id in self._watches.due(now_s):
            self._ask(task_id, now_s)
        if max(self._heard_at, self._ping_at) + PING_S <= now_s:
            self._ping_at = now_s
            self._post(Ping(), self._number())
        return events

    def outgoing(self) -> list[Packet]:
        """Return, once, the packets to send now, in order."""
        packets, self._outbox = self._outbox, []
        return packets

    def next_deadline(self) -> float | None:
        """Return when :meth:`tick` has something to do, in seconds of the shell's clock; None for never."""
        times = [request.deadline for request in self._requests.values()]
        if self._phase is _Phase.READY:
            times.append(max(self._heard_at, self._ping_at) + PING_S)
            times += [r.resend_at if r.sent else 0.0 for r in self._requests.values()]
            ask_at = self._watches.next_deadline()
            if ask_at is not None:
                times.append(ask_at)
        elif self._phase in _NOT_READY:
            times.append(self._hello_at)
        return min(times, default=None)

    # ------------------------------------------------------------------ greeting

    def _greet(self, now_s: float) -> None:
        self._phase = _Phase.GREETING
        self._hello_pause = RESEND_S
        self._hello_error = None
        self._greetings += 1
        self._hellos.clear()
        self._outbox.clear()
        for request in self._requests.values():
            request.sent = False
        self._say_hello(now_s)

    def _say_hello(self, now_s: float) -> None:
        number = self._number()
        self._hellos.add(number)
        self._hello_at = now_s + self._hello_pause
        self._hello_pause = min(2 * self._hello_pause, RESEND_MAX_S)
        self._post(Hello(software=self._software), number)

    def _greeted(self, body: Message, now_s: float) -> list[ClientEvent]:
        if self._phase is not _Phase.GREETING:
            return []
        if isinstance(body, Failure):
            return self._hello_refused(_error(body))
        if not isinstance(body, Welcome) or not OLDEST_MAJOR <= body.major <= MAJOR:
            return self._hello_refused(
                ProtocolError(
                    "the gateway answered hello with something else than a welcome we understand",
                    hint="Update the older side.",
                    code="wire.version",
                )
            )
        if self.proves and body.session is None and body.role is Role.NONE:
            return self._ask_to_prove(now_s)
        self._proof_error = None
        changed = self._welcome is None or self._welcome.epoch != body.epoch
        self._welcome = body
        self._hello_error = None
        self._phase = _Phase.READY
        self._ping_at = now_s
        self._questions.clear()
        self._watches.ask_all(now_s)
        for request in self._requests.values():
            request.pause = request.patience
        return [GatewayChanged(epoch=body.epoch, welcome=body)] if changed else []

    def _hello_refused(self, error: QmioError) -> list[ClientEvent]:
        if error.retryable:
            return []
        self._hello_error = error
        return self.refuse_all(error)

    # ------------------------------------------------------------------ proving who this is

    def prove(self, proof: SessionOpen | QmioError, now_s: float) -> list[ClientEvent]:
        """Answer `ProofWanted`: with the proof, or with why there is none."""
        if self._phase is not _Phase.PROVING:
            return []
        if isinstance(proof, QmioError):
            return self._not_proved(proof, now_s)
        self._send_in_proof(proof, now_s)
        return []

    def _ask_to_prove(self, now_s: float) -> list[ClientEvent]:
        self._phase = _Phase.PROVING
        self._send_in_proof(SessionChallenge(), now_s)
        return []

    def _send_in_proof(self, body: SessionChallenge | SessionOpen, now_s: float) -> None:
        self._proof = self._number()
        # Sent once: a nonce is good once. What is not answered by then is begun anew with a hello.
        self._hello_at = now_s + PROOF_S
        self._post(body, self._proof)

    def _proving(self, body: Message, now_s: float) -> list[ClientEvent]:
        self._proof = 0
        if self._phase is not _Phase.PROVING:
            return []
        if isinstance(body, SessionNonce):
            return [ProofWanted(nonce=body)]
        if isinstance(body, SessionState):
            # The connection is another person's to the gateway now: it wants a hello of that one.
            self._phase = _Phase.GREETING
            self._say_hello(now_s)
            return []
        if isinstance(body, Failure):
            return self._not_proved(_error(body), now_s)
        return []

    def _not_proved(self, error: QmioError, now_s: float) -> list[ClientEvent]:
        self._phase = _Phase.GREETING
        self._hello_at = now_s + RESEND_S
        self._proof_error = error
        return self._hello_refused(error)

    def _wants_greeting(self, error: QmioError) -> bool:
        """Return whether a request failed because the gateway does not know this client, or not any more."""
        return error.code == "auth.session" or (self.proves and error.code == "auth.role")

    def _check_epoch(self, epoch: int, now_s: float) -> None:
        if self._phase is _Phase.READY and self._welcome is not None and self._welcome.epoch != epoch:
            self._greet(now_s)

    # ------------------------------------------------------------------ requests

    def _send(self, ticket: int, request: _Request, now_s: float) -> list[ClientEvent]:
        if request.sent and isinstance(request.body, _ONCE):
            request.resend_at = request.deadline
            return []
        error = _over_limit(request.packet, self._welcome.limits if self._welcome else Limits())
        if error is not None:
            del self._requests[ticket]
            return [Refused(ticket=ticket, error=error)]
        request.sent = True
        request.resend_at = now_s + request.pause
        request.pause = max(request.patience, min(2 * request.pause, RESEND_MAX_S))
        self._outbox.append(request.packet)
        return []

    def _reply(self, ticket: int, packet: Packet, now_s: float) -> list[ClientEvent]:
        body = packet.envelope.body
        request = self._requests[ticket]
        if isinstance(body, Failure):
            error = _error(body)
            if error.code in _RETRY_CODES and not isinstance(request.body, _ONCE):
                request.sent = True
                request.resend_at = now_s + RETRY_S
                return []
            if self._wants_greeting(error) and request.greeted < 0:
                request.greeted = self._greetings
                self._greet(now_s)
                return []
            del self._requests[ticket]
            return [Refused(ticket=ticket, error=error)]
        del self._requests[ticket]
        events: list[ClientEvent] = [
            Answered(ticket=ticket, body=body, attachments=packet.attachments),
        ]
        if isinstance(body, TaskAccepted | TaskShown):
            if isinstance(request.body, TaskSubmit | TaskWatch) and not body.view.state.is_final:
                self._watches.add(body.view.task_id, now_s)
            if self._watches.observe(body.view, now_s, event=False):
                events.append(TaskChanged(view=body.view))
        elif isinstance(request.body, TaskForget):
            self._watches.forget(request.body.task_id)
        return events

    def _late(self, request: _Request, now_s: float) -> QmioError:
        tag = str(request.body.__struct_config__.tag)
        if self._phase is _Phase.DOWN and self._refusal is not None:
            why, at = self._refusal
            if now_s - at < REFUSED_S:
                return AuthError(
                    f"no link within {request.wait_s:.3g} s ({tag}): the handshake failed with {why}",
                    hint="Its server key is another, or this key is not enrolled: see `jupyter qmio doctor`, and "
                    "take the gateway's present connection file.",
                    retryable=True,
                )
        if self._phase in _NOT_READY and self._proof_error is not None:
            return self._proof_error
        where = "the gateway did not answer" if self._phase is _Phase.READY else "no gateway could be reached"
        return DeadlineError(
            f"{where} within {request.wait_s:.3g} s ({tag})",
            hint="Check `jupyter qmio status`; accepted tasks go on.",
        )

    # ------------------------------------------------------------------ events and questions

    def _event(self, body: Message, now_s: float) -> list[ClientEvent]:
        match body:
            case TaskEvent(view=view, result=result):
                if self._watches.observe(view, now_s, event=True):
                    return [TaskChanged(view=view, result=result)]
            case TaskPartial(result=result):
                if self._watches.observe_partial(result, now_s):
                    return [PartialArrived(result=result)]
            case Restarted(epoch=epoch):
                self._check_epoch(epoch, now_s)
            case _:  # An event of a newer minor version: not for us.
                pass
        return []

    def _ask(self, task_id: TaskId, now_s: float) -> None:
        if self._phase is not _Phase.READY:
            return
        number = self._number()
        self._questions[number] = task_id
        self._watches.asked(task_id, number, now_s)
        self._post(TaskWatch(task_id=task_id, deliver=True), number)

    def _question_answered(self, number: int, body: Message, now_s: float) -> list[ClientEvent]:
        task_id = self._questions.pop(number)
        self._watches.answered(task_id, number, now_s)
        if isinstance(body, TaskShown):
            if self._watches.observe(body.view, now_s, event=False):
                return [TaskChanged(view=body.view)]
        elif isinstance(body, Failure):
            error = _error(body)
            if self._wants_greeting(error):
                self._greet(now_s)
            elif error.code == "task.unknown" and task_id in self._watches:
                self._watches.drop(task_id)
                return [TaskLost(task_id=task_id, error=error)]
        return []

    # ------------------------------------------------------------------ packets

    def _number(self) -> int:
        self._last_number += 1
        return self._last_number

    def _post(self, body: Message, number: int) -> None:
        self._outbox.append(attach(body, id=number))


def _error(body: Failure) -> QmioError:
    info = body.error
    return from_code(info.code, info.message, hint=info.hint, retryable=info.retryable)


def _over_limit(packet: Packet, limits: Limits) -> LimitError | None:
    """Return why this gateway would not take `packet`: it would drop an oversized frame without a word."""
    try:
        check_request(packet, limits)
        check_frames(encode(packet), limits.message_bytes)
    except LimitError as error:
        return error
    return None
