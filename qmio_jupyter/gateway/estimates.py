"""Dry runs on their way to an agent and back. Sans-I/O; nothing of them is kept.

A question goes to one agent of its device, under a number that no other life of this gateway uses: an answer that
was meant for somebody else matches nothing. The asker gets one reply: the answer, or why there is none, at the
latest a little after her deadline. What an agent says is checked as a stranger's words are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import msgspec

from qmio_jupyter.core.requests import Quote
from qmio_jupyter.errors import CODES, QmioError
from qmio_jupyter.gateway import refusals
from qmio_jupyter.gateway.caller import Caller
from qmio_jupyter.gateway.translate import parameter_bytes
from qmio_jupyter.gateway.turn import Output, Relay, Send, packet, reply
from qmio_jupyter.model.dry_run import DryRun
from qmio_jupyter.model.ids import DeviceName, KeyId, is_digest
from qmio_jupyter.model.program import Program
from qmio_jupyter.model.task import ErrorInfo, TaskSpec
from qmio_jupyter.wire import messages as m
from qmio_jupyter.wire.codec import programs_of

#: Questions of one key, and to one agent, that may be open at once.
MOST_OF_KEY = 4
MOST_AT_AGENT = 32
#: Bytes of programs in all open questions.
MOST_BYTES = 128 * 2**20
#: Seconds that an agent gets at most.
LONGEST_S = 120.0
#: Seconds after the agent's deadline at which no answer is waited for any more.
GRACE_S = 2.0
#: Bytes of an answer: a compiled circuit's text and what is said around it.
ANSWER_BYTES = 4 * 2**20
#: Characters of an agent's error that are passed on.
_LONGEST_WORDS = 1_000
#: Numbers of one life of the gateway.
_PER_EPOCH = 2**24
#: What an agent's error may be about; whatever else it says is an agent's failure.
_AGENTS_CODES = ("program", "limit", "device", "agent", "deadline", "internal", "not_yet")


class _Open(msgspec.Struct, kw_only=True, eq=False):
    """A question that waits for its answer."""

    number: int
    connection: int
    request: int
    key: KeyId
    agent: int
    device: DeviceName
    items: int
    size: int
    cost_s: float
    until_ms: int
    #: Why no answer will come, once that is known.
    lost: m.Failure | None = None


class Estimates:
    """The open questions."""

    def __init__(self) -> None:
        self._open: dict[int, _Open] = {}
        self._asked = 0
        self._epoch = -1

    def __len__(self) -> int:
        return len(self._open)

    def ask(
        self,
        caller: Caller,
        asked: m.Packet,
        quote: Callable[[KeyId, TaskSpec, tuple[Program, ...]], Quote],
        *,
        epoch: int,
        limits: m.Limits,
        now_ms: int,
    ) -> Output | None:
        """Return what a `task.estimate` leads to: a relay to the agent, or a refusal; None if it is under way.

        Parameters
        ----------
        quote : callable
            The core's word on the task; raises what a submission would be refused with.
        epoch : int
            The gateway's present life.
        """
        body = asked.envelope.body
        assert isinstance(body, m.TaskEstimate)
        asked_before = (caller.connection, caller.request)
        if any((q.connection, q.request) == asked_before for q in self._open.values()):
            return None  # sent again by a client that waits
        try:
            attached = programs_of(asked)
            quoted = quote(caller.key, body.spec, attached)
        except QmioError as error:
            return reply(caller.connection, caller.request, refusals.as_failure(error))
        refusal, agent = self._admit(caller, body.spec, quoted, limits)
        if refusal is not None or agent is None or caller.tenant is None:
            return reply(caller.connection, caller.request, refusal or refusals.no_session())
        within_s = min(body.within_s, LONGEST_S)
        question = _Open(
            number=self._number(epoch),
            connection=caller.connection,
            request=caller.request,
            key=caller.key,
            agent=agent,
            device=body.spec.device,
            items=len(body.spec.items),
            size=quoted.program_bytes,
            cost_s=quoted.cost_s,
            until_ms=now_ms + round((within_s + GRACE_S) * 1000),
        )
        self._open[question.number] = question
        return Relay(
            connection=caller.connection,
            request=caller.request,
            agent=agent,
            message=m.EstimateAsk(number=question.number, spec=body.spec, within_s=within_s),
            tenant=caller.tenant,
            attached=attached,
        )

    def answer(self, caller: Caller, body: m.EstimateAnswer) -> Output | None:
        """Return the asker's reply; None for an answer to nothing that this agent was asked."""
        question = self._open.get(body.number)
        if question is None or question.agent != caller.connection:
            return None
        del self._open[question.number]
        return reply(question.connection, question.request, _checked(body, question))

    def give_up(self, number: int) -> None:
        """Forget a question that was answered without its agent."""
        self._open.pop(number, None)

    def disconnected(self, connection: int) -> None:
        """Note that a connection is gone: an asker's questions are dropped, an agent's have no answer.

        What follows from it leaves with the next `due`.
        """
        for question in self._open.values():
            if connection in (question.connection, question.agent) and question.lost is None:
                question.until_ms = 0
                question.lost = refusals.failure(
                    "agent",
                    f"The agent of {question.device} went away before it answered",
                    "Ask again in a moment.",
                    retryable=True,
                )
                if connection == question.connection:
                    question.connection = -1

    def next_deadline(self) -> int | None:
        """Return when `due` has something to say, ms; None: not by itself."""
        if not self._open:
            return None
        return min(question.until_ms for question in self._open.values())

    def due(self, now_ms: int) -> list[Output]:
        """Return what is to be said about questions whose time is over."""
        outputs: list[Output] = []
        for question in [q for q in self._open.values() if q.until_ms <= now_ms]:
            del self._open[question.number]
            if question.connection >= 0:
                failure = question.lost or refusals.failure(
                    "deadline",
                    f"The agent of {question.device} did not answer the dry run in time",
                    "Ask again, or allow more time.",
                    retryable=True,
                )
                outputs.append(reply(question.connection, question.request, failure))
            if question.connection < 0 or question.lost is None:
                outputs.append(Send(question.agent, packet(m.EstimateDrop(number=question.number))))
        return outputs

    # ------------------------------------------------------------ inside

    def _choose(self, agents: tuple[int, ...]) -> int | None:
        """Return the agent with fewest open questions, the first among equals; None if all have too many."""
        load = Counter(question.agent for question in self._open.values())
        best = min(agents, key=load.__getitem__, default=None)
        return None if best is None or load[best] >= MOST_AT_AGENT else best

    def _number(self, epoch: int) -> int:
        if epoch != self._epoch:
            self._epoch, self._asked = epoch, 0
        self._asked += 1
        return epoch * _PER_EPOCH + self._asked % _PER_EPOCH

    def _admit(
        self, caller: Caller, spec: TaskSpec, quoted: Quote, limits: m.Limits
    ) -> tuple[m.Failure | None, int | None]:
        """Return why there is no room for a question, or the agent to ask."""
        if quoted.program_bytes + parameter_bytes(spec) > limits.message_bytes * 3 // 4:
            return refusals.failure(
                "limit.size", "The task's programs are too large together", "Ask item by item."
            ), None
        if sum(question.key == caller.key for question in self._open.values()) >= MOST_OF_KEY:
            return _busy(f"{MOST_OF_KEY} dry runs of yours are under way"), None
        if sum(q.size for q in self._open.values()) + quoted.program_bytes > MOST_BYTES:
            return _busy("Too many dry runs are under way"), None
        if not quoted.agents:
            return refusals.failure(
                "device.offline",
                f"No agent of {spec.device} is here to ask",
                "Wait for it, or use another device.",
                retryable=True,
            ), None
        agent = self._choose(quoted.agents)
        return (
            (_busy(f"Too many dry runs of {spec.device} are under way"), None)
            if agent is None
            else (None, agent)
        )


def _busy(message: str) -> m.Failure:
    return refusals.failure("limit.rate", message, "Ask again when one has ended.", retryable=True)


def _checked(body: m.EstimateAnswer, question: _Open) -> m.Message:
    """Return what of an agent's answer is passed on."""
    if body.error is not None and body.dry_run is None:
        return m.Failure(error=_words(body.error))
    run = body.dry_run
    if run is None or body.error is not None or not _fits(run, question):
        return refusals.failure(
            "agent", f"The agent of {question.device} answered with no dry run of this task", "Report it."
        )
    return m.TaskEstimated(dry_run=msgspec.structs.replace(run, cost_s=min(question.cost_s, 1e9)))


def _fits(run: DryRun, question: _Open) -> bool:
    return (
        run.device == question.device
        and len(run.items) == question.items
        and (run.snapshot_id is None or is_digest(run.snapshot_id))
        and len(msgspec.msgpack.encode(run)) <= ANSWER_BYTES
    )


def _words(error: ErrorInfo) -> ErrorInfo:
    """Return an agent's error in a known code and on one line of bounded length."""
    is_known = error.code in CODES and error.code.partition(".")[0] in _AGENTS_CODES
    return ErrorInfo(
        code=error.code if is_known else "agent",
        message=" ".join(error.message[:_LONGEST_WORDS].split()) or "The dry run failed",
        hint=" ".join(error.hint[:_LONGEST_WORDS].split()),
    )
