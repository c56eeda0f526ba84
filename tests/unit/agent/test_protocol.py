"""AgentProtocol against a scripted gateway, in made-up time."""

from __future__ import annotations

import hashlib
from itertools import pairwise

import msgspec
import pytest

from qmio_jupyter.agent.ends import message_bytes
from qmio_jupyter.agent.events import AbortRun, Announced, LeaseLapsed, Refused, StartRun
from qmio_jupyter.agent.protocol import FETCH_S, RETRY_LONGEST_S, WORD_S, AgentProtocol
from qmio_jupyter.errors import LimitError
from qmio_jupyter.model.access import Role
from qmio_jupyter.model.device import DeviceDescription, DeviceState, Snapshot
from qmio_jupyter.model.program import QASM3
from qmio_jupyter.model.result import BindingCounts, ItemResult, Outcome, Register, TaskResult
from qmio_jupyter.model.task import ClaimRef, Contract, ErrorInfo, Item, TaskSpec, TaskState
from qmio_jupyter.wire.messages import (
    AgentAnnounce,
    AgentWelcome,
    AttachmentInfo,
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
    Failure,
    Hello,
    Limits,
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

LEASE = 15.0
BELL = b"OPENQASM 3.0; qubit[2] q;"
DIGEST = hashlib.sha256(BELL).hexdigest()
DESCRIPTION = DeviceDescription(name="dev", title="Device", n_qubits=5, driver="echo")


def ref(n: int, attempt: int = 1, epoch: int = 1) -> ClaimRef:
    return ClaimRef(task_id=f"t-{n:026d}", epoch=epoch, attempt=attempt)


def result(task: ClaimRef, *, keys: bytes = b"\0", final: bool = False) -> TaskResult:
    counts = BindingCounts(shots=1, keys=keys, counts=(1).to_bytes(8, "little"))
    item = ItemResult(n_bits=1, registers=(), bindings=(counts,))
    return TaskResult(
        task_id=task.task_id,
        device="dev",
        items=(item,),
        shots=1,
        shots_done=1,
        revision=1,
        is_final=final,
        seed=1,
    )


class Desk:
    """The other end: answers nothing by itself."""

    def __init__(self, credit: int = 1, snapshot: Snapshot | None = None) -> None:
        self.now = 100.0
        self.agent = AgentProtocol("a", 7, DESCRIPTION, DeviceState.IDLE, snapshot, credit, software="x/1")
        self.epoch = 1

    def sent(self) -> list[object]:
        return [packet.envelope.body for packet in self.packets()]

    def packets(self) -> list[Packet]:
        return self.agent.outgoing()

    def only(self, kind: type) -> Packet:
        found = [p for p in self.packets() if isinstance(p.envelope.body, kind)]
        assert len(found) == 1, found
        return found[0]

    def give(self, body, re: int = 0, programs: tuple[bytes, ...] = ()) -> list[object]:
        infos = tuple(
            AttachmentInfo(i, QASM3, len(data), hashlib.sha256(data).hexdigest())
            for i, data in enumerate(programs)
        )
        packet = Packet(Envelope(body=body, re=re, attachments=infos), programs)
        return list(self.agent.receive(packet, self.now))

    def wait(self, seconds: float) -> list[object]:
        self.now += seconds
        return list(self.agent.tick(self.now))

    def welcome(self, packet: Packet, role: Role = Role.AGENT, limits: Limits | None = None) -> list[object]:
        body = Welcome(
            major=1,
            gateway="g",
            epoch=self.epoch,
            role=role,
            limits=limits or Limits(),
            now_ms=0,
            software="",
        )
        return self.give(body, re=packet.envelope.id)

    def connect(self, abort: tuple[ClaimRef, ...] = (), limits: Limits | None = None) -> list[object]:
        self.agent.link_up(self.now)
        return self.greet(abort, limits)

    def greet(self, abort: tuple[ClaimRef, ...] = (), limits: Limits | None = None) -> list[object]:
        self.welcome(self.only(Hello), limits=limits)
        announce = self.only(AgentAnnounce)
        return self.give(AgentWelcome(epoch=self.epoch, lease_s=LEASE, abort=abort), re=announce.envelope.id)

    def dispatch(self, claim: ClaimRef, *, programs=(BELL,), snapshot_id: str | None = None) -> list[object]:
        spec = TaskSpec(device="dev", items=(Item(program=DIGEST, shots=1),))
        contract = Contract(programs=(DIGEST,), seed=1, snapshot_id=snapshot_id, batch_shots=10)
        body = ClaimDispatch(ref=claim, spec=spec, contract=contract, lease_s=LEASE)
        return self.give(body, programs=tuple(programs))


@pytest.fixture
def desk() -> Desk:
    desk = Desk()
    assert desk.connect() == [Announced(1, LEASE)]
    desk.sent()
    return desk


def test_hello_comes_first_and_the_announcement_after_the_welcome():
    desk = Desk(credit=3)
    desk.agent.link_up(desk.now)
    (hello,) = desk.packets()
    assert hello.envelope.body == Hello(software="x/1")
    desk.welcome(hello)
    announce = desk.only(AgentAnnounce).envelope.body
    assert (announce.agent, announce.incarnation, announce.sequence) == ("a", 7, 1)
    assert (announce.credit, announce.holding, announce.state) == (3, (), DeviceState.IDLE)


def test_an_unanswered_hello_and_announcement_are_sent_again():
    desk = Desk()
    desk.agent.link_up(desk.now)
    desk.sent()
    due = desk.agent.next_deadline()
    assert due is not None
    assert desk.wait(due - desk.now) == []
    desk.welcome(desk.only(Hello))
    assert desk.only(AgentAnnounce).envelope.body.sequence == 1
    desk.wait(60)
    assert desk.only(AgentAnnounce).envelope.body.sequence == 2


def test_a_key_that_is_no_agents_is_said_and_tried_again():
    desk = Desk()
    desk.agent.link_up(desk.now)
    (event,) = desk.welcome(desk.only(Hello), role=Role.NONE)
    assert isinstance(event, Refused)
    assert event.error.code == "auth.role"
    desk.wait(RETRY_LONGEST_S)
    desk.only(Hello)


def test_a_refused_announcement_is_said_and_tried_again():
    desk = Desk()
    desk.agent.link_up(desk.now)
    desk.welcome(desk.only(Hello))
    number = desk.only(AgentAnnounce).envelope.id
    (event,) = desk.give(Failure(error=ErrorInfo(code="agent", message="older")), re=number)
    assert isinstance(event, Refused)
    desk.wait(RETRY_LONGEST_S)
    desk.only(Hello)


def test_a_dispatch_is_held_started_and_its_end_is_sent_until_recorded(desk):
    (start,) = desk.dispatch(ref(1))
    assert isinstance(start, StartRun)
    assert start.run.programs[DIGEST].data == BELL
    desk.wait(WORD_S)
    assert desk.sent() == [ClaimHeld(ref=ref(1))]
    desk.agent.started(ref(1))
    desk.wait(WORD_S)
    assert desk.sent() == [ClaimStarted(ref=ref(1))]
    desk.agent.progress(ref(1), result(ref(1)))
    assert desk.sent() == [ClaimProgress(ref=ref(1), result=result(ref(1)))]
    outcome = Outcome(state=TaskState.COMPLETED, result=result(ref(1), final=True))
    assert desk.agent.finished(ref(1), outcome) == []
    assert desk.sent() == [ClaimFinish(ref=ref(1), outcome=outcome)]
    gaps = []
    last = desk.now
    for _ in range(400):
        desk.wait(0.25)
        if any(isinstance(body, ClaimFinish) for body in desk.sent()):
            gaps.append(desk.now - last)
            last = desk.now
    assert gaps[0] < gaps[1] < gaps[2]
    assert max(gaps) <= RETRY_LONGEST_S
    assert desk.agent.holding == (ref(1),)
    desk.give(ClaimRecorded(ref=ref(1)))
    assert desk.agent.is_quiet
    desk.wait(60)
    assert not any(isinstance(body, ClaimFinish) for body in desk.sent())


def test_a_short_run_needs_one_message(desk):
    desk.dispatch(ref(1))
    desk.agent.started(ref(1))
    desk.agent.stage(ref(1), "reading")
    desk.agent.stage(ref(1), "running")
    assert desk.agent.next_deadline() <= desk.now + WORD_S
    desk.wait(WORD_S / 2)
    outcome = Outcome(state=TaskState.COMPLETED, result=result(ref(1), final=True))
    desk.agent.finished(ref(1), outcome)
    desk.wait(WORD_S)
    assert desk.sent() == [ClaimFinish(ref=ref(1), outcome=outcome)]


def test_nothing_is_kept_of_ends_that_are_recorded(desk):
    outcome = Outcome(state=TaskState.FAILED, error_code="agent")
    for number in range(1, 4):
        desk.dispatch(ref(number))
        desk.agent.finished(ref(number), outcome)
        desk.give(ClaimRecorded(ref=ref(number)), re=desk.only(ClaimFinish).envelope.id)
    assert desk.agent._finals == {}


def test_counts_say_that_it_has_started(desk):
    desk.dispatch(ref(1))
    desk.agent.progress(ref(1), result(ref(1)))
    desk.wait(WORD_S)
    assert desk.sent() == [ClaimProgress(ref=ref(1), result=result(ref(1)))]
    desk.wait(LEASE / 3)
    assert ClaimStarted(ref=ref(1)) in desk.sent()


def test_a_claim_being_stopped_gives_no_word_of_its_start(desk):
    desk.dispatch(ref(1))
    desk.agent.started(ref(1))
    assert desk.give(ClaimAbort(ref=ref(1))) == [AbortRun(ref(1))]
    desk.wait(WORD_S)
    assert desk.sent() == []


def test_duplicates_of_a_dispatch_start_nothing_twice(desk):
    assert len(desk.dispatch(ref(1))) == 1
    desk.sent()
    assert desk.dispatch(ref(1)) == []
    assert desk.sent() == [ClaimHeld(ref=ref(1))]
    desk.agent.started(ref(1))
    desk.sent()
    assert desk.dispatch(ref(1)) == []
    assert desk.sent() == [ClaimStarted(ref=ref(1))]
    outcome = Outcome(state=TaskState.COMPLETED, result=result(ref(1), final=True))
    desk.agent.finished(ref(1), outcome)
    desk.sent()
    assert desk.dispatch(ref(1)) == []
    assert desk.sent() == [ClaimFinish(ref=ref(1), outcome=outcome)]
    desk.give(ClaimRecorded(ref=ref(1)))
    assert desk.dispatch(ref(1)) == []
    assert desk.sent() == []


def test_a_dispatch_over_credit_is_given_back(desk):
    desk.dispatch(ref(1))
    desk.sent()
    assert desk.dispatch(ref(2)) == []
    (packet,) = desk.packets()
    assert packet.envelope.body == ClaimGiveBack(ref=ref(2), reason="no credit left")
    desk.give(Failure(error=ErrorInfo(code="task.stale_claim", message="")), re=packet.envelope.id)
    assert desk.agent.holding == (ref(1),)


def test_an_end_that_waits_to_be_recorded_takes_no_credit(desk):
    desk.dispatch(ref(1))
    desk.agent.finished(ref(1), Outcome(state=TaskState.FAILED, error_code="agent"))
    (start,) = desk.dispatch(ref(2))
    assert start.ref == ref(2)


@pytest.mark.parametrize("code", ["task.stale_claim", "task.unknown"])
def test_a_disowned_end_is_forgotten(desk, code):
    desk.dispatch(ref(1))
    desk.sent()
    desk.agent.finished(ref(1), Outcome(state=TaskState.FAILED, error_code="agent"))
    number = desk.only(ClaimFinish).envelope.id
    desk.give(Failure(error=ErrorInfo(code=code, message="")), re=number)
    assert desk.agent.is_quiet


def test_a_result_the_gateway_will_not_take_becomes_a_failure(desk):
    desk.dispatch(ref(1))
    desk.sent()
    desk.agent.finished(
        ref(1), Outcome(state=TaskState.COMPLETED, result=result(ref(1), final=True), device_s=2.0)
    )
    number = desk.only(ClaimFinish).envelope.id
    desk.give(Failure(error=ErrorInfo(code="wire", message="no")), re=number)
    outcome = desk.only(ClaimFinish).envelope.body.outcome
    assert (outcome.state, outcome.error_code, outcome.device_s) == (TaskState.FAILED, "wire", 2.0)


def test_a_retryable_refusal_of_an_end_is_retried(desk):
    desk.dispatch(ref(1))
    desk.sent()
    desk.agent.finished(ref(1), Outcome(state=TaskState.FAILED, error_code="agent"))
    number = desk.only(ClaimFinish).envelope.id
    desk.give(Failure(error=ErrorInfo(code="store", message="", retryable=True)), re=number)
    assert desk.sent() == []
    desk.wait(2)
    desk.only(ClaimFinish)


def test_a_result_too_large_for_a_message_fails_the_task_instead_of_vanishing():
    desk = Desk()
    desk.connect(limits=Limits(message_bytes=1000))
    desk.dispatch(ref(1))
    desk.sent()
    large = result(ref(1), keys=bytes(2000))
    desk.agent.progress(ref(1), large)
    assert desk.sent() == []
    desk.agent.finished(ref(1), Outcome(state=TaskState.COMPLETED, result=large))
    finish = desk.only(ClaimFinish)
    outcome = finish.envelope.body.outcome
    assert (outcome.state, outcome.error_code) == (TaskState.FAILED, "limit.size")
    assert outcome.error_hint
    assert message_bytes(finish.envelope.body) < 1000


LARGE = {
    "columns": result(ref(1), keys=bytes(2000)),
    "registers": msgspec.structs.replace(
        result(ref(1)),
        items=(
            ItemResult(
                n_bits=1000,
                registers=(Register(name="c", bits=tuple(range(1000))),),
                bindings=(BindingCounts(shots=1, keys=bytes(125), counts=bytes(8)),),
            ),
        ),
    ),
    "notes": msgspec.structs.replace(
        result(ref(1)),
        items=(msgspec.structs.replace(result(ref(1)).items[0], notes=(("warning", "x" * 1000),)),),
    ),
    "many bindings": msgspec.structs.replace(
        result(ref(1)),
        items=(
            msgspec.structs.replace(result(ref(1)).items[0], bindings=result(ref(1)).items[0].bindings * 40),
        ),
    ),
}


@pytest.mark.parametrize("what", LARGE)
def test_everything_in_a_result_counts_against_the_limit(what):
    desk = Desk()
    desk.connect(limits=Limits(message_bytes=1000))
    desk.dispatch(ref(1))
    desk.sent()
    desk.agent.progress(ref(1), LARGE[what])
    assert desk.sent() == []
    desk.agent.finished(ref(1), Outcome(state=TaskState.COMPLETED, result=LARGE[what], device_s=2.0))
    outcome = desk.only(ClaimFinish).envelope.body.outcome
    assert (outcome.state, outcome.error_code) == (TaskState.FAILED, "limit.size")
    assert outcome.device_s == 2.0


def test_an_end_that_could_not_be_sent_for_its_size_becomes_a_failure_that_can(desk):
    desk.dispatch(ref(1))
    desk.agent.progress(ref(1), LARGE["columns"])
    desk.sent()
    desk.agent.finished(ref(1), Outcome(state=TaskState.COMPLETED, result=LARGE["columns"]))
    desk.agent.unsent(desk.only(ClaimFinish), LimitError("too large", code="limit.size"))
    finish = desk.only(ClaimFinish)
    outcome = finish.envelope.body.outcome
    assert (outcome.state, outcome.error_code) == (TaskState.FAILED, "limit.size")
    desk.agent.unsent(finish, LimitError("too large", code="limit.size"))
    assert desk.sent() == []  # no message is smaller: not at once, for ever
    desk.give(ClaimRecorded(ref=ref(1)), re=finish.envelope.id)
    assert desk.agent.holding == ()


def test_progress_that_could_not_be_sent_for_its_size_is_not_kept(desk):
    desk.dispatch(ref(1))
    desk.sent()
    desk.agent.progress(ref(1), LARGE["columns"])
    desk.agent.unsent(desk.only(ClaimProgress), LimitError("too large", code="limit.size"))
    desk.agent.link_down(desk.now)
    desk.agent.link_up(desk.now)
    desk.greet()
    assert not [body for body in desk.sent() if isinstance(body, ClaimProgress)]


def test_claims_are_renewed_each_third_of_the_lease(desk):
    desk.dispatch(ref(1))
    desk.agent.started(ref(1))
    desk.agent.stage(ref(1), "compiling")
    desk.sent()
    times = []
    for _ in range(120):
        for packet in desk.packets():
            if isinstance(packet.envelope.body, ClaimRenew):
                assert packet.envelope.body == ClaimRenew(refs=(ref(1),), stages=("compiling",))
                times.append(desk.now)
                desk.give(ClaimRenewed(), re=packet.envelope.id)
        desk.wait(0.25)
    gaps = [b - a for a, b in pairwise(times[1:])]
    assert gaps
    assert max(gaps) <= LEASE / 3 + 0.25
    assert not desk.agent.has_lapsed(ref(1))


def test_a_lost_started_is_said_again_with_the_renewal(desk):
    desk.dispatch(ref(1))
    desk.agent.started(ref(1))
    desk.sent()
    desk.wait(LEASE / 3)
    assert ClaimStarted(ref=ref(1)) in desk.sent()


def test_a_surely_lapsed_lease_stops_nothing_and_is_known(desk):
    desk.dispatch(ref(1))
    desk.wait(LEASE / 2)
    desk.give(Pong(epoch=1))
    desk.wait(LEASE / 2 - 0.1)
    assert not desk.agent.has_lapsed(ref(1))
    assert desk.wait(0.2) == [LeaseLapsed(ref(1))]
    assert desk.agent.has_lapsed(ref(1))
    assert desk.agent.running == (ref(1),)
    desk.give(Pong(epoch=1))
    number = [p for p in desk.packets() if isinstance(p.envelope.body, ClaimRenew)][-1].envelope.id
    desk.give(ClaimRenewed(), re=number)
    assert not desk.agent.has_lapsed(ref(1))


def test_an_aborted_run_is_stopped_and_reported_as_cancelled(desk):
    desk.dispatch(ref(1))
    desk.sent()
    assert desk.give(ClaimAbort(ref=ref(1))) == [AbortRun(ref(1))]
    assert desk.give(ClaimAbort(ref=ref(1))) == []
    assert desk.sent() == []
    desk.agent.finished(ref(1), Outcome(state=TaskState.FAILED, error_code="agent.worker", device_s=1.0))
    assert desk.sent() == [ClaimFinish(ref=ref(1), outcome=Outcome(state=TaskState.CANCELLED, device_s=1.0))]


def test_a_result_that_beats_the_abort_is_kept(desk):
    desk.dispatch(ref(1))
    desk.give(ClaimAbort(ref=ref(1)))
    desk.sent()
    outcome = Outcome(state=TaskState.COMPLETED, result=result(ref(1), final=True))
    desk.agent.finished(ref(1), outcome)
    assert desk.sent() == [ClaimFinish(ref=ref(1), outcome=outcome)]


def test_an_abort_in_a_renewal_is_honoured(desk):
    desk.dispatch(ref(1))
    desk.wait(LEASE / 3)
    number = desk.only(ClaimRenew).envelope.id
    assert desk.give(ClaimRenewed(abort=(ref(1),)), re=number) == [AbortRun(ref(1))]


def test_an_abort_that_overtakes_its_dispatch_is_reported_and_starts_nothing(desk):
    assert desk.give(ClaimAbort(ref=ref(1))) == []
    cancelled = ClaimFinish(ref=ref(1), outcome=Outcome(state=TaskState.CANCELLED))
    assert desk.sent() == [cancelled]
    assert desk.dispatch(ref(1)) == []
    assert desk.sent() == [cancelled]


def test_a_claim_the_welcome_disowns_is_dropped_without_a_word(desk):
    desk.dispatch(ref(1))
    desk.agent.link_down(desk.now)
    events = desk.connect(abort=(ref(1),))
    assert events == [Announced(1, LEASE), AbortRun(ref(1))]
    desk.sent()
    assert desk.agent.holding == ()
    desk.agent.finished(ref(1), Outcome(state=TaskState.CANCELLED))
    assert desk.sent() == []
    assert desk.agent.is_quiet


def test_a_new_claim_of_the_same_task_waits_until_the_old_run_has_stopped(desk):
    desk.dispatch(ref(1))
    desk.sent()
    assert desk.dispatch(ref(1, attempt=2)) == [AbortRun(ref(1))]
    desk.wait(WORD_S)
    assert desk.sent() == [ClaimHeld(ref=ref(1, attempt=2))]
    (start,) = desk.agent.finished(ref(1), Outcome(state=TaskState.CANCELLED))
    assert start.ref == ref(1, attempt=2)


def test_a_dropped_claims_late_dispatch_is_given_back(desk):
    desk.dispatch(ref(1))
    desk.agent.link_down(desk.now)
    desk.connect(abort=(ref(1),))
    desk.agent.finished(ref(1), Outcome(state=TaskState.CANCELLED))
    desk.sent()
    assert desk.dispatch(ref(1)) == []
    assert [type(body) for body in desk.sent()] == [ClaimGiveBack]


@pytest.mark.parametrize("news", [Restarted(epoch=2), Pong(epoch=2)])
def test_a_new_epoch_is_answered_with_what_it_holds(desk, news):
    desk.dispatch(ref(1))
    desk.agent.started(ref(1))
    desk.agent.progress(ref(1), result(ref(1)))
    desk.sent()
    desk.epoch = 2
    desk.give(news)
    assert not desk.agent.is_announced
    desk.welcome(desk.only(Hello))
    announce = desk.only(AgentAnnounce)
    assert announce.envelope.body.holding == (ref(1),)
    assert announce.envelope.body.sequence == 2
    assert desk.give(AgentWelcome(epoch=2, lease_s=LEASE), re=announce.envelope.id) == [Announced(2, LEASE)]
    kinds = [type(body) for body in desk.sent()]
    assert kinds == [ClaimStarted, ClaimProgress, ClaimRenew]


def test_news_of_a_known_or_older_epoch_changes_nothing(desk):
    desk.give(Restarted(epoch=1))
    desk.give(Pong(epoch=0))
    assert desk.sent() == []
    assert desk.agent.is_announced


def test_an_end_reached_while_the_link_is_down_is_sent_after_the_welcome(desk):
    desk.dispatch(ref(1))
    desk.agent.link_down(desk.now)
    outcome = Outcome(state=TaskState.COMPLETED, result=result(ref(1), final=True))
    desk.agent.finished(ref(1), outcome)
    assert desk.sent() == []
    desk.connect()
    assert ClaimFinish(ref=ref(1), outcome=outcome) in desk.sent()


def test_missing_programs_are_asked_for_again_and_then_run(desk):
    assert desk.dispatch(ref(1), programs=()) == []
    kinds = {type(body): body for body in desk.sent()}
    assert kinds[ProgramGet] == ProgramGet(ref=ref(1), digests=(DIGEST,))
    desk.wait(2.5)
    again = desk.only(ProgramGet)
    (start,) = desk.give(ProgramData(), re=again.envelope.id, programs=(BELL,))
    assert start.run.programs[DIGEST].data == BELL


def test_programs_that_come_in_two_answers_are_asked_for_twice(desk):
    other = b"other"
    items = tuple(Item(program=hashlib.sha256(data).hexdigest(), shots=1) for data in (BELL, other))
    spec = TaskSpec(device="dev", items=items)
    contract = Contract(programs=(), seed=1, snapshot_id=None, batch_shots=10)
    desk.give(ClaimDispatch(ref=ref(1), spec=spec, contract=contract, lease_s=LEASE))
    first = desk.only(ProgramGet)
    assert desk.give(ProgramData(), re=first.envelope.id, programs=(BELL,)) == []
    second = desk.only(ProgramGet)
    assert second.envelope.body.digests == (items[1].program,)
    (start,) = desk.give(ProgramData(), re=second.envelope.id, programs=(other,))
    assert set(start.run.programs) == {item.program for item in items}


def test_programs_that_never_come_give_the_claim_back(desk):
    desk.dispatch(ref(1), programs=())
    desk.wait(FETCH_S + 1)
    assert any(isinstance(body, ClaimGiveBack) for body in desk.sent())


def test_a_program_the_gateway_has_lost_fails_the_task(desk):
    desk.dispatch(ref(1), programs=())
    number = desk.only(ProgramGet).envelope.id
    desk.give(Failure(error=ErrorInfo(code="program.missing", message="gone")), re=number)
    outcome = desk.only(ClaimFinish).envelope.body.outcome
    assert (outcome.state, outcome.error_code) == (TaskState.FAILED, "program.missing")


def test_a_bound_snapshot_is_waited_for(desk):
    snapshot = Snapshot(snapshot_id="s" * 64, device="dev", taken_ms=1, data=b"{}")
    assert desk.dispatch(ref(1), snapshot_id=snapshot.snapshot_id) == []
    packet = desk.only(SnapshotGet)
    (start,) = desk.give(SnapshotData(snapshot=snapshot), re=packet.envelope.id)
    assert start.run.snapshot == snapshot


def test_programs_sent_once_serve_later_claims(desk):
    desk.dispatch(ref(1))
    desk.agent.finished(ref(1), Outcome(state=TaskState.FAILED, error_code="agent"))
    (start,) = desk.dispatch(ref(2), programs=())
    assert start.run.programs[DIGEST].data == BELL


def test_a_changed_device_is_announced_and_nothing_stops_meanwhile(desk):
    desk.dispatch(ref(1))
    desk.sent()
    desk.agent.device_changed(DeviceState.MAINTENANCE, None, credit=0)
    body = desk.only(AgentAnnounce).envelope.body
    assert (body.state, body.credit, body.holding) == (DeviceState.MAINTENANCE, 0, (ref(1),))
    desk.agent.started(ref(1))
    desk.wait(WORD_S)
    assert desk.sent() == [ClaimStarted(ref=ref(1))]
    desk.agent.device_changed(DeviceState.MAINTENANCE, None, credit=0)
    assert desk.sent() == []
    desk.wait(RETRY_LONGEST_S)
    assert any(isinstance(body, AgentAnnounce) for body in desk.sent())


def test_an_idle_link_is_pinged_and_a_long_silence_leads_to_a_new_hello(desk):
    desk.wait(2.1)
    assert desk.sent() == [Ping()]
    for _ in range(5):
        desk.wait(2.1)
    desk.sent()
    desk.give(Pong(epoch=1))
    desk.only(Hello)


def test_nothing_is_sent_while_the_link_is_down(desk):
    desk.agent.link_down(desk.now)
    for _ in range(40):
        desk.wait(1)
        assert desk.sent() == []


def test_giving_back_a_run_lets_the_next_one_start():
    desk = Desk(credit=1)
    desk.connect()
    desk.dispatch(ref(1))
    desk.sent()
    assert desk.agent.give_back(ref(1), "stopping") == []
    assert desk.sent() == [ClaimGiveBack(ref=ref(1), reason="stopping")]
    assert desk.agent.give_back(ref(1), "again") == []
    (start,) = desk.dispatch(ref(2))
    assert start.ref == ref(2)
