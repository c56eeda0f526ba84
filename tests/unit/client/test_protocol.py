"""The client's protocol, driven by hand: every event, loss, doubling, reconnect, deadline."""

from __future__ import annotations

import pytest

from qmio_jupyter.client.events import (
    Answered,
    GatewayChanged,
    PartialArrived,
    Refused,
    TaskChanged,
    TaskLost,
)
from qmio_jupyter.client.protocol import PING_S, REFUSED_S, RESEND_S, RETRY_S, SLOW_BYTES_S, ClientProtocol
from qmio_jupyter.client.watching import ASK_AGAIN_S, ENDED_KEPT, RECHECK_S, Watchlist
from qmio_jupyter.errors import (
    AuthError,
    DeadlineError,
    GatewayError,
    LimitError,
    ProtocolError,
    StoreError,
    TaskError,
    UnknownTaskError,
)
from qmio_jupyter.model.access import Role
from qmio_jupyter.model.result import TaskResult
from qmio_jupyter.model.task import ErrorInfo, Item, TaskSpec, TaskState, TaskView
from qmio_jupyter.wire.codec import attach
from qmio_jupyter.wire.messages import (
    DeviceList,
    DevicePage,
    Done,
    Failure,
    GatewayStop,
    Hello,
    Limits,
    Message,
    Packet,
    Ping,
    Pong,
    ProgramPut,
    Restarted,
    TaskAccepted,
    TaskEvent,
    TaskForget,
    TaskPartial,
    TaskShow,
    TaskShown,
    TaskSubmit,
    TaskWatch,
    Welcome,
)

TASK = "t-0123456789abcdefghjkmnpqrs"


def view(
    revision: int = 1, state: TaskState = TaskState.QUEUED, task_id: str = TASK, **more: object
) -> TaskView:
    fields: dict[str, object] = {
        "task_id": task_id,
        "device": "echo",
        "state": state,
        "revision": revision,
        "label": "",
        "tenant": "local/me",
        "submitted_ms": 1,
        "updated_ms": 1,
        "shots": 10,
        "shots_done": 0,
        "attempt": 0,
    }
    return TaskView(**(fields | more))


def partial(revision: int, task_id: str = TASK) -> TaskResult:
    return TaskResult(
        task_id=task_id,
        device="echo",
        items=(),
        shots=10,
        shots_done=revision,
        revision=revision,
        is_final=False,
        seed=1,
    )


def welcome(epoch: int = 1, **more: object) -> Welcome:
    fields: dict[str, object] = {
        "major": 1,
        "gateway": "local",
        "epoch": epoch,
        "role": Role.USER,
        "limits": Limits(),
        "now_ms": 0,
        "software": "x/1",
    }
    return Welcome(**(fields | more))


def failure(code: str, *, retryable: bool = False) -> Failure:
    return Failure(error=ErrorInfo(code=code, message="no", hint="do", retryable=retryable))


SUBMIT = TaskSubmit(task_id=TASK, spec=TaskSpec(device="echo", items=(Item(program="d" * 64, shots=10),)))


class Wire:
    """The protocol under test with its clock, and the gateway's end of the link."""

    def __init__(self, *, greeted: bool = True) -> None:
        self.now = 100.0
        self.protocol = ClientProtocol(software="test/1")
        self.events: list[object] = []
        if greeted:
            self.up()

    def up(self, epoch: int = 1) -> None:
        self.protocol.link_up(self.now)
        (hello,) = self.sent()
        assert isinstance(hello.envelope.body, Hello)
        self.answer(hello, welcome(epoch))

    def down(self) -> None:
        self.events += self.protocol.link_down(self.now)

    def ask(
        self, body: Message, deadline_s: float = 1000.0, blobs: tuple[tuple[str, bytes], ...] = ()
    ) -> int:
        return self.protocol.request(body, blobs, deadline_s=deadline_s, now_s=self.now)

    def sent(self) -> list[Packet]:
        self.events += self.protocol.tick(self.now)
        return self.protocol.outgoing()

    def only(self) -> Packet:
        (packet,) = self.sent()
        return packet

    def answer(self, packet: Packet, body: Message) -> None:
        self.get(attach(body, re=packet.envelope.id))

    def push(self, body: Message) -> None:
        self.get(attach(body))

    def get(self, packet: Packet) -> None:
        self.events += self.protocol.receive(packet, self.now)

    def later(self, seconds: float) -> None:
        self.now += seconds

    def take(self) -> list[object]:
        events, self.events = self.events, []
        return events


def bodies(packets: list[Packet]) -> list[Message]:
    return [packet.envelope.body for packet in packets]


# ---------------------------------------------------------------- greeting


def test_hello_comes_first_and_requests_wait_for_the_welcome() -> None:
    wire = Wire(greeted=False)
    wire.ask(DeviceList())
    assert wire.sent() == []
    wire.protocol.link_up(wire.now)
    hello = wire.only()
    assert hello.envelope.body == Hello(software="test/1")
    wire.answer(hello, welcome())
    (event,) = wire.take()
    assert isinstance(event, GatewayChanged)
    assert event.epoch == 1
    assert bodies(wire.sent()) == [DeviceList()]


def test_a_hello_of_an_earlier_link_is_not_answered_any_more() -> None:
    wire = Wire(greeted=False)
    wire.protocol.link_up(wire.now)
    old = wire.only()
    wire.down()
    wire.protocol.link_up(wire.now)
    new = wire.only()
    wire.answer(old, welcome())
    assert not wire.protocol.ready
    wire.answer(new, welcome())
    assert wire.protocol.ready


def test_a_late_answer_to_the_first_of_several_hellos_counts() -> None:
    wire = Wire(greeted=False)
    wire.protocol.link_up(wire.now)
    first = wire.only()
    wire.later(RESEND_S)
    second = wire.only()
    assert second.envelope.id != first.envelope.id
    wire.answer(first, welcome())
    assert wire.protocol.ready
    wire.answer(second, welcome())
    assert len(wire.take()) == 1


def test_a_second_welcome_of_the_same_epoch_changes_nothing() -> None:
    wire = Wire()
    assert len(wire.take()) == 1
    wire.protocol.link_up(wire.now)
    hello = wire.only()
    wire.answer(hello, welcome())
    wire.answer(hello, welcome(epoch=9))
    assert wire.take() == []
    assert wire.protocol.welcome == welcome()


def test_a_refused_hello_refuses_what_is_asked_and_asking_again_greets_again() -> None:
    wire = Wire(greeted=False)
    ticket = wire.ask(DeviceList())
    wire.protocol.link_up(wire.now)
    wire.answer(wire.only(), failure("auth.role"))
    (event,) = wire.take()
    assert isinstance(event, Refused)
    assert event.ticket == ticket
    assert isinstance(event.error, AuthError)
    wire.ask(DeviceList())
    wire.answer(wire.only(), welcome())
    assert bodies(wire.sent()) == [DeviceList()]


def test_a_retryable_refusal_of_hello_is_tried_again() -> None:
    wire = Wire(greeted=False)
    wire.ask(DeviceList())
    wire.protocol.link_up(wire.now)
    wire.answer(wire.only(), failure("gateway.stopping", retryable=True))
    assert wire.take() == []
    wire.later(RESEND_S)
    assert isinstance(wire.only().envelope.body, Hello)


@pytest.mark.parametrize("body", [welcome(major=99), Done()])
def test_a_welcome_we_do_not_understand_is_an_error(body: Message) -> None:
    wire = Wire(greeted=False)
    wire.ask(DeviceList())
    wire.protocol.link_up(wire.now)
    wire.answer(wire.only(), body)
    (event,) = wire.take()
    assert isinstance(event, Refused)
    assert isinstance(event.error, ProtocolError)
    assert event.error.code == "wire.version"


# ---------------------------------------------------------------- requests


def test_an_answer_ends_its_own_request_only() -> None:
    wire = Wire()
    wire.take()
    one, two = wire.ask(DeviceList()), wire.ask(TaskShow(task_id=TASK))
    first, second = wire.sent()
    wire.answer(second, TaskShown(view=view()))
    (event,) = wire.take()
    assert event == Answered(ticket=two, body=TaskShown(view=view()))
    wire.answer(first, DevicePage(devices=()))
    assert wire.take() == [Answered(ticket=one, body=DevicePage(devices=()))]
    assert not wire.protocol.busy


def test_a_doubled_or_foreign_answer_is_ignored() -> None:
    wire = Wire()
    wire.take()
    wire.ask(DeviceList())
    packet = wire.only()
    wire.answer(packet, DevicePage(devices=()))
    wire.answer(packet, DevicePage(devices=()))
    wire.get(attach(DevicePage(devices=()), re=4711))
    assert len(wire.take()) == 1


def test_attachments_come_with_the_answer() -> None:
    wire = Wire()
    wire.take()
    wire.ask(DeviceList())
    packet = wire.only()
    wire.get(attach(DevicePage(devices=()), [("x/y", b"one"), ("x/y", b"two")], re=packet.envelope.id))
    (event,) = wire.take()
    assert isinstance(event, Answered)
    assert event.attachments == (b"one", b"two")


def test_an_unanswered_request_is_sent_again_unchanged_with_growing_pauses() -> None:
    wire = Wire()
    wire.ask(SUBMIT, blobs=(("text/plain", b"p"),))
    first = wire.only()
    wire.later(RESEND_S * 0.9)
    assert wire.sent() == []
    wire.later(RESEND_S * 0.2)
    assert SUBMIT in bodies(again := wire.sent())
    assert first in again
    wire.later(RESEND_S * 1.5)
    assert SUBMIT not in bodies(wire.sent())
    wire.later(RESEND_S)
    assert first in wire.sent()


def test_a_large_request_is_given_the_time_its_transfer_may_take() -> None:
    wire = Wire()
    wire.ask(ProgramPut(), blobs=(("x/y", bytes(8 * SLOW_BYTES_S)),))
    packet = wire.only()
    wire.later(RESEND_S + 7)
    assert packet not in wire.sent()
    wire.later(1)
    assert packet in wire.sent()


def test_after_a_reconnect_everything_unanswered_is_sent_again_after_the_hello() -> None:
    wire = Wire()
    wire.ask(SUBMIT)
    packet = wire.only()
    wire.down()
    wire.later(5)
    assert wire.sent() == []
    wire.protocol.link_up(wire.now)
    hello = wire.only()
    wire.answer(hello, welcome())
    assert wire.sent() == [packet]


def test_a_reconnect_drops_what_was_not_yet_sent_of_the_old_link() -> None:
    wire = Wire()
    wire.ask(SUBMIT)
    wire.protocol.tick(wire.now)
    wire.down()
    assert wire.protocol.outgoing() == []


def test_a_stop_is_never_sent_to_a_second_gateway() -> None:
    wire = Wire()
    wire.take()
    ticket = wire.ask(GatewayStop())
    wire.only()
    wire.later(10 * RESEND_S)
    assert GatewayStop() not in bodies(wire.sent())
    wire.down()
    (event,) = [event for event in wire.take() if isinstance(event, Refused)]
    assert event.ticket == ticket
    assert isinstance(event.error, GatewayError)
    wire.up(epoch=2)
    assert GatewayStop() not in bodies(wire.sent())


def test_every_request_ends_at_its_deadline_whatever_the_link_does() -> None:
    for situation in ("down", "greeting", "ready"):
        wire = Wire(greeted=situation == "ready")
        if situation == "greeting":
            wire.protocol.link_up(wire.now)
        wire.take()
        ticket = wire.ask(DeviceList(), deadline_s=7)
        wire.sent()
        wire.later(6.9)
        wire.sent()
        assert wire.take() == []
        assert wire.protocol.next_deadline() is not None
        wire.later(0.2)
        wire.sent()
        (event,) = wire.take()
        assert isinstance(event, Refused)
        assert event.ticket == ticket
        assert isinstance(event.error, DeadlineError)
        assert "7 s" in event.error.message
        assert ("reached" in event.error.message) == (situation != "ready")


def test_a_handshake_that_keeps_failing_is_what_a_missed_deadline_tells() -> None:
    wire = Wire(greeted=False)
    wire.ask(DeviceList(), deadline_s=7)
    wire.later(6.9)
    wire.protocol.link_refused("tcp://here:1: it refused our key", wire.now)
    assert wire.sent() == []
    wire.later(0.2)
    wire.sent()
    (event,) = wire.take()
    assert isinstance(event, Refused)
    assert isinstance(event.error, AuthError)
    assert event.error.code == "auth"
    assert "tcp://here:1: it refused our key" in event.error.message
    assert "7 s" in event.error.message
    assert "connection file" in event.error.hint


@pytest.mark.parametrize("since", ["long ago", "the link was up"])
def test_an_old_failure_of_the_handshake_explains_nothing(since: str) -> None:
    wire = Wire(greeted=False)
    wire.protocol.link_refused("it refused our key", wire.now)
    if since == "long ago":
        wire.later(REFUSED_S)
    else:
        wire.up()
        wire.down()
        wire.take()
    wire.ask(DeviceList(), deadline_s=1)
    wire.later(1.1)
    wire.sent()
    (event,) = wire.take()
    assert isinstance(event, Refused)
    assert isinstance(event.error, DeadlineError)


def test_an_abandoned_request_is_silent() -> None:
    wire = Wire()
    wire.take()
    ticket = wire.ask(DeviceList())
    packet = wire.only()
    wire.protocol.abandon(ticket)
    wire.answer(packet, DevicePage(devices=()))
    wire.later(5000)
    wire.sent()
    assert wire.take() == []


@pytest.mark.parametrize("code", ["gateway.stopping", "gateway.restarted"])
def test_a_gateway_that_is_going_is_asked_again_soon(code: str) -> None:
    wire = Wire()
    wire.take()
    wire.ask(SUBMIT)
    packet = wire.only()
    wire.answer(packet, failure(code, retryable=True))
    assert wire.sent() == []
    wire.later(RETRY_S)
    assert wire.sent() == [packet]
    wire.answer(packet, TaskAccepted(view=view()))
    assert isinstance(wire.take()[0], Answered)


def test_other_refusals_are_rebuilt_as_their_class_even_if_retryable() -> None:
    wire = Wire()
    wire.take()
    wire.ask(SUBMIT)
    wire.answer(wire.only(), failure("store", retryable=True))
    (event,) = wire.take()
    assert isinstance(event, Refused)
    assert isinstance(event.error, StoreError)
    assert event.error.retryable
    assert event.error.hint == "do"


def test_a_missing_session_is_reopened_once() -> None:
    wire = Wire()
    wire.take()
    wire.ask(SUBMIT)
    packet = wire.only()
    wire.answer(packet, failure("auth.session"))
    hello = wire.only()
    assert isinstance(hello.envelope.body, Hello)
    wire.answer(hello, welcome())
    assert wire.sent() == [packet]
    wire.answer(packet, failure("auth.session"))
    (event,) = wire.take()
    assert isinstance(event, Refused)
    assert event.error.code == "auth.session"


# ---------------------------------------------------------------- limits


def refused(wire: Wire) -> LimitError:
    assert wire.sent() == []
    (event,) = [event for event in wire.take() if isinstance(event, Refused)]
    assert isinstance(event.error, LimitError)
    return event.error


def limited(**limits: int) -> Wire:
    wire = Wire(greeted=False)
    wire.protocol.link_up(wire.now)
    wire.answer(wire.only(), welcome(limits=Limits(**limits)))
    return wire


def test_what_the_gateway_would_drop_is_refused_here() -> None:
    wire = limited(message_bytes=10_000)
    wire.ask(ProgramPut(), blobs=(("text/plain", b"x" * 10_001),))
    assert refused(wire).code == "limit.size"


def test_a_program_too_large_too_many_items_too_many_shots() -> None:
    wire = limited(program_bytes=10)
    wire.ask(SUBMIT, blobs=(("text/plain", b"x" * 11),))
    assert refused(wire).code == "limit.size"
    wire = limited(shots=9)
    wire.ask(SUBMIT)
    assert refused(wire).code == "limit.shots"
    wire = limited(items=0)
    wire.ask(SUBMIT)
    assert refused(wire).code == "limit.size"


def test_a_message_of_just_the_limit_goes_out() -> None:
    wire = limited(message_bytes=1_000)
    wire.ask(ProgramPut(), blobs=(("x/y", b"x" * 800),))
    assert len(wire.sent()) == 1


# ---------------------------------------------------------------- pings and epochs


def test_an_idle_link_is_pinged_and_any_word_counts_as_an_answer() -> None:
    wire = Wire()
    wire.sent()
    wire.later(PING_S * 0.9)
    assert wire.sent() == []
    wire.push(TaskEvent(view=view()))
    wire.later(PING_S * 0.9)
    assert wire.sent() == []
    wire.later(PING_S * 0.2)
    ping = wire.only()
    assert ping.envelope.body == Ping()
    assert wire.sent() == []
    wire.answer(ping, Pong(epoch=1))
    assert wire.protocol.silence_s(wire.now) == 0
    assert wire.sent() == []


@pytest.mark.parametrize("how", ["pong", "event"])
def test_a_new_epoch_is_greeted_and_everything_asked_again(how: str) -> None:
    wire = Wire()
    wire.ask(SUBMIT)
    packet = wire.only()
    wire.take()
    if how == "pong":
        wire.later(PING_S)
        (ping,) = [p for p in wire.sent() if isinstance(p.envelope.body, Ping)]
        wire.answer(ping, Pong(epoch=2))
    else:
        wire.push(Restarted(epoch=2))
    hello = wire.only()
    wire.answer(hello, welcome(epoch=2))
    assert wire.sent() == [packet]
    (event,) = wire.take()
    assert isinstance(event, GatewayChanged)
    assert event.epoch == 2


def test_the_same_epoch_told_again_is_no_news() -> None:
    wire = Wire()
    wire.push(Restarted(epoch=1))
    assert wire.sent() == []


# ---------------------------------------------------------------- watched tasks


def watching(revision: int = 1) -> Wire:
    wire = Wire()
    wire.ask(SUBMIT)
    wire.answer(wire.only(), TaskAccepted(view=view(revision)))
    wire.take()
    return wire


def test_a_submitted_task_is_watched() -> None:
    wire = Wire()
    wire.take()
    ticket = wire.ask(SUBMIT)
    wire.answer(wire.only(), TaskAccepted(view=view()))
    assert wire.take() == [
        Answered(ticket=ticket, body=TaskAccepted(view=view())),
        TaskChanged(view=view()),
    ]
    assert wire.protocol.watching
    wire.push(TaskEvent(view=view(2, TaskState.CLAIMED)))
    assert wire.take() == [TaskChanged(view=view(2, TaskState.CLAIMED))]


def test_events_of_tasks_nobody_watches_are_ignored() -> None:
    wire = Wire()
    wire.take()
    wire.push(TaskEvent(view=view()))
    wire.push(TaskPartial(result=partial(1)))
    assert wire.take() == []


def test_late_and_doubled_events_are_no_news() -> None:
    wire = watching(revision=3)
    wire.push(TaskEvent(view=view(2)))
    wire.push(TaskEvent(view=view(3)))
    assert wire.take() == []


def test_a_new_position_without_a_new_revision_is_news() -> None:
    wire = watching()
    wire.push(TaskEvent(view=view(1, position=4)))
    assert wire.take() == [TaskChanged(view=view(1, position=4))]


def test_a_gap_in_the_revisions_makes_it_ask_once() -> None:
    wire = watching()
    wire.push(TaskEvent(view=view(4)))
    assert len(wire.take()) == 1
    question = wire.only()
    assert question.envelope.body == TaskWatch(task_id=TASK, deliver=True)
    wire.push(TaskEvent(view=view(7)))
    assert wire.sent() == []
    wire.answer(question, TaskShown(view=view(8, TaskState.RUNNING)))
    assert TaskChanged(view=view(8, TaskState.RUNNING)) in wire.take()
    assert wire.sent() == []


def test_a_lost_question_is_asked_again() -> None:
    wire = watching()
    wire.push(TaskEvent(view=view(4)))
    wire.only()
    wire.later(ASK_AGAIN_S)
    assert TaskWatch(task_id=TASK, deliver=True) in bodies(wire.sent())


def test_a_task_not_heard_of_for_long_is_asked_about() -> None:
    wire = watching()
    wire.later(RECHECK_S - PING_S)
    wire.push(TaskPartial(result=partial(1)))
    wire.later(PING_S)
    assert TaskWatch(task_id=TASK, deliver=True) not in bodies(wire.sent())
    wire.later(RECHECK_S)
    assert TaskWatch(task_id=TASK, deliver=True) in bodies(wire.sent())


def test_the_end_is_news_once_and_ends_the_watch() -> None:
    wire = watching()
    end = view(2, TaskState.COMPLETED)
    wire.push(TaskEvent(view=end))
    wire.push(TaskEvent(view=end))
    assert wire.take() == [TaskChanged(view=end)]
    assert not wire.protocol.watching


def test_a_late_word_about_an_ended_task_is_no_news() -> None:
    wire = watching()
    wire.ask(TaskWatch(task_id=TASK, deliver=True))
    question = wire.only()
    wire.push(TaskEvent(view=view(4, TaskState.COMPLETED)))
    wire.take()
    wire.answer(question, TaskShown(view=view(1)))
    assert [event for event in wire.take() if isinstance(event, TaskChanged)] == []
    assert not wire.protocol.watching
    wire.protocol.watch(TASK, wire.now)
    assert wire.sent() == []


def test_a_forgotten_id_may_live_again() -> None:
    wire = watching()
    wire.push(TaskEvent(view=view(4, TaskState.COMPLETED)))
    wire.ask(TaskForget(task_id=TASK))
    wire.answer(wire.only(), Done())
    wire.take()
    wire.ask(SUBMIT)
    wire.answer(wire.only(), TaskAccepted(view=view(1)))
    assert TaskChanged(view=view(1)) in wire.take()


def test_only_so_many_ended_tasks_are_remembered() -> None:
    watches = Watchlist()
    for number in range(ENDED_KEPT + 5):
        watches.add(str(number), 0)
        assert watches.observe(view(2, TaskState.COMPLETED, task_id=str(number)), 0, event=True)
    assert len(watches._ended) == ENDED_KEPT
    assert len(watches) == 0


def test_after_a_reconnect_every_watched_task_is_asked_about() -> None:
    wire = watching()
    wire.down()
    wire.up()
    question = wire.only()
    assert question.envelope.body == TaskWatch(task_id=TASK, deliver=True)
    wire.answer(question, TaskShown(view=view(9, TaskState.COMPLETED)))
    assert TaskChanged(view=view(9, TaskState.COMPLETED)) in wire.take()


def test_an_answer_to_a_question_of_an_earlier_link_is_still_news() -> None:
    wire = watching()
    wire.push(TaskEvent(view=view(4)))
    question = wire.only()
    wire.take()
    wire.down()
    wire.up()
    wire.answer(question, TaskShown(view=view(5)))
    assert [event for event in wire.take() if isinstance(event, TaskChanged)] == []


def test_a_forgotten_task_is_lost_aloud() -> None:
    wire = watching()
    wire.push(TaskEvent(view=view(4)))
    wire.take()
    wire.answer(wire.only(), failure("task.unknown"))
    (event,) = wire.take()
    assert isinstance(event, TaskLost)
    assert event.task_id == TASK
    assert isinstance(event.error, UnknownTaskError)
    assert isinstance(event.error, TaskError)
    assert not wire.protocol.watching


def test_a_question_refused_for_now_is_asked_again_later() -> None:
    wire = watching()
    wire.push(TaskEvent(view=view(4)))
    wire.answer(wire.only(), failure("store", retryable=True))
    assert wire.protocol.watching
    wire.later(RECHECK_S)
    assert TaskWatch(task_id=TASK, deliver=True) in bodies(wire.sent())


def test_watch_and_unwatch() -> None:
    wire = Wire()
    wire.take()
    wire.protocol.watch(TASK, wire.now)
    wire.protocol.watch(TASK, wire.now)
    question = wire.only()
    wire.answer(question, TaskShown(view=view()))
    assert wire.take() == [TaskChanged(view=view())]
    wire.protocol.unwatch(TASK)
    wire.push(TaskEvent(view=view(2)))
    assert wire.take() == []


def test_a_watch_asked_for_before_the_link_is_asked_after_it() -> None:
    wire = Wire(greeted=False)
    wire.protocol.watch(TASK, wire.now)
    wire.up()
    assert TaskWatch(task_id=TASK, deliver=True) in bodies(wire.sent())


def test_a_watched_task_that_has_ended_is_answered_and_not_watched() -> None:
    wire = Wire()
    wire.take()
    wire.ask(TaskWatch(task_id=TASK, deliver=True))
    wire.answer(wire.only(), TaskShown(view=view(5, TaskState.FAILED)))
    assert isinstance(wire.take()[0], Answered)
    assert not wire.protocol.watching


# ---------------------------------------------------------------- partial counts


def test_partial_counts_only_grow_within_an_attempt() -> None:
    wire = watching()
    wire.push(TaskPartial(result=partial(1)))
    wire.push(TaskPartial(result=partial(3)))
    wire.push(TaskPartial(result=partial(2)))
    wire.push(TaskPartial(result=partial(3)))
    assert wire.take() == [PartialArrived(result=partial(1)), PartialArrived(result=partial(3))]


def test_a_new_attempt_starts_its_partial_counts_anew() -> None:
    wire = watching()
    wire.push(TaskPartial(result=partial(3)))
    wire.push(TaskEvent(view=view(2, TaskState.RUNNING, attempt=1)))
    wire.take()
    wire.push(TaskPartial(result=partial(1)))
    assert wire.take() == [PartialArrived(result=partial(1))]


# ---------------------------------------------------------------- time


def test_doing_what_is_due_always_moves_the_next_deadline_on() -> None:
    wire = watching()
    wire.push(TaskEvent(view=view(4)))
    wire.ask(DeviceList(), deadline_s=50)
    for _ in range(200):
        due = wire.protocol.next_deadline()
        assert due is not None
        assert due <= wire.now + PING_S
        wire.now = max(wire.now, due)
        wire.sent()
        following = wire.protocol.next_deadline()
        assert following is not None
        assert following > wire.now


def test_nothing_to_do_without_link_and_requests() -> None:
    assert Wire(greeted=False).protocol.next_deadline() is None
