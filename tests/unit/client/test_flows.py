"""What the client asks, step by step, without a gateway: each flow is fed its answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from qmio_jupyter.client import flows
from qmio_jupyter.client.flows import INLINE_BYTES, UPLOAD_BYTES, Ask, Flow, Reply
from qmio_jupyter.errors import (
    DeadlineError,
    ProgramError,
    ProtocolError,
    QmioError,
    UnknownTaskError,
    UsageError,
)
from qmio_jupyter.model.ids import digest, mint
from qmio_jupyter.model.program import Program
from qmio_jupyter.model.task import Item, TaskSpec, TaskState, TaskView
from qmio_jupyter.wire.messages import (
    DevicePage,
    Done,
    Message,
    Pong,
    ProgramMissing,
    ProgramPut,
    ProgramQuery,
    TaskAccepted,
    TaskList,
    TaskPage,
    TaskSubmit,
)


def program(data: bytes) -> Program:
    return Program(digest=digest(data), media_type="application/octet-stream", data=data)


def spec(*programs: Program) -> TaskSpec:
    return TaskSpec(device="echo", items=tuple(Item(program=p.digest, shots=1) for p in programs))


def view(task_id: str) -> TaskView:
    return TaskView(
        task_id=task_id,
        device="echo",
        state=TaskState.QUEUED,
        revision=1,
        label="",
        tenant="local/me",
        submitted_ms=1,
        updated_ms=1,
        shots=1,
        shots_done=0,
        attempt=0,
    )


TASK = mint("t", 1_000, bytes(10))


def drive(flow: Flow[Any], answer: Callable[[Ask], Message]) -> tuple[Any, list[Ask]]:
    """Run a flow against `answer`, which gives a reply's body or raises; return result and what was asked."""
    asked: list[Ask] = []
    try:
        ask = next(flow)
        while True:
            asked.append(ask)
            try:
                body = answer(ask)
            except QmioError as error:
                ask = flow.throw(error)
            else:
                ask = flow.send(Reply(body))
    except StopIteration as end:
        return end.value, asked


class Gateway:
    """Stores programs, accepts tasks, remembers everything."""

    def __init__(self, *stored: Program) -> None:
        self.stored = {p.digest for p in stored}
        self.puts: list[int] = []

    def __call__(self, ask: Ask) -> Message:
        self.stored |= {digest(data) for _, data in ask.blobs}
        match ask.body:
            case ProgramQuery(digests=digests):
                return ProgramMissing(digests=tuple(d for d in digests if d not in self.stored))
            case ProgramPut():
                self.puts.append(sum(len(data) for _, data in ask.blobs))
                return Done()
            case TaskSubmit(task_id=task_id, spec=wanted):
                if any(item.program not in self.stored for item in wanted.items):
                    raise ProgramError("missing", code="program.missing")
                return TaskAccepted(view=view(task_id))
        raise AssertionError(ask)


def submit(gateway: Gateway, known: set[str], *programs: Program) -> tuple[TaskView, list[Ask]]:
    return drive(flows.submit(TASK, spec(*programs), programs, known), gateway)


def test_small_programs_travel_with_the_submit() -> None:
    known: set[str] = set()
    one, two = program(b"one"), program(b"two")
    accepted, asked = submit(Gateway(), known, one, two, one)
    assert accepted.task_id == TASK
    (ask,) = asked
    assert isinstance(ask.body, TaskSubmit)
    assert [data for _, data in ask.blobs] == [b"one", b"two"]
    assert known == {one.digest, two.digest}


def test_programs_sent_before_are_not_sent_again() -> None:
    known: set[str] = set()
    gateway = Gateway()
    submit(gateway, known, program(b"one"))
    _, asked = submit(gateway, known, program(b"one"))
    (ask,) = asked
    assert ask.blobs == ()


def test_a_gateway_that_forgot_a_program_is_given_it_again() -> None:
    known = {program(b"one").digest}
    accepted, asked = submit(Gateway(), known, program(b"one"))
    assert accepted.task_id == TASK
    assert [type(ask.body) for ask in asked] == [TaskSubmit, ProgramQuery, ProgramPut, TaskSubmit]


def test_large_programs_are_asked_for_and_uploaded_in_bounded_messages() -> None:
    big = [program(bytes([i]) * (UPLOAD_BYTES // 2 + 1)) for i in range(3)]
    huge = program(b"h" * (UPLOAD_BYTES + 1))
    gateway = Gateway(big[0])
    _, asked = submit(gateway, set(), *big, huge)
    assert isinstance(asked[0].body, ProgramQuery)
    assert gateway.puts == [UPLOAD_BYTES // 2 + 1, UPLOAD_BYTES // 2 + 1, UPLOAD_BYTES + 1]
    assert asked[-1].blobs == ()


def test_just_over_the_inline_limit_uploads() -> None:
    _, asked = submit(Gateway(), set(), program(b"x" * (INLINE_BYTES + 1)))
    assert [type(ask.body) for ask in asked] == [ProgramQuery, ProgramPut, TaskSubmit]


def test_a_program_without_bytes_must_be_known_to_the_gateway() -> None:
    one = program(b"one")
    accepted, asked = drive(flows.submit(TASK, spec(one), (), set()), Gateway(one))
    assert accepted.task_id == TASK
    assert [type(ask.body) for ask in asked] == [ProgramQuery, TaskSubmit]
    with pytest.raises(ProgramError) as caught:
        drive(flows.submit(TASK, spec(one), (), set()), Gateway())
    assert caught.value.code == "program.missing"


def test_a_submit_that_ran_late_names_the_task() -> None:
    def late(ask: Ask) -> Message:
        raise DeadlineError("late")

    with pytest.raises(DeadlineError) as caught:
        drive(flows.submit(TASK, spec(program(b"x")), (program(b"x"),), set()), late)
    assert TASK in caught.value.hint


def test_other_refusals_pass_through() -> None:
    def no(ask: Ask) -> Message:
        raise ProgramError("bad", code="program.format")

    with pytest.raises(ProgramError) as caught:
        drive(flows.submit(TASK, spec(program(b"x")), (program(b"x"),), set()), no)
    assert caught.value.code == "program.format"


def test_an_answer_of_the_wrong_kind_is_an_error() -> None:
    with pytest.raises(ProtocolError):
        drive(flows.devices(), lambda ask: Pong(epoch=1))
    with pytest.raises(ProtocolError):
        drive(flows.submit(TASK, spec(program(b"x")), (program(b"x"),), set()), lambda ask: Pong(epoch=1))
    with pytest.raises(ProtocolError):
        drive(flows.device("echo"), lambda ask: DevicePage(devices=()))


# ---------------------------------------------------------------- lists and ids


class Ledger:
    """Answers `task.list` from its ids, newest first."""

    def __init__(self, count: int) -> None:
        self.ids = [mint("t", 1_000 + i, bytes([i % 256, i // 256]) + b"\x99" * 8) for i in range(count)][
            ::-1
        ]

    def __call__(self, ask: Ask) -> Message:
        assert isinstance(ask.body, TaskList)
        assert 1 <= ask.body.limit <= 1000
        start = 0 if ask.body.before is None else self.ids.index(ask.body.before) + 1
        return TaskPage(views=tuple(view(i) for i in self.ids[start : start + ask.body.limit]))


def test_long_lists_come_in_pages() -> None:
    ledger = Ledger(2500)
    views, asked = drive(flows.tasks(2200), ledger)
    assert [v.task_id for v in views] == ledger.ids[:2200]
    assert len(asked) == 3
    views, asked = drive(flows.tasks(5000), ledger)
    assert len(views) == 2500
    assert drive(flows.tasks(5), Ledger(0))[0] == ()


def test_last_is_the_newest() -> None:
    ledger = Ledger(3)
    assert drive(flows.resolve("last"), ledger)[0] == ledger.ids[0]
    with pytest.raises(UnknownTaskError):
        drive(flows.resolve("last"), Ledger(0))


def test_a_whole_id_needs_no_question() -> None:
    found, asked = drive(flows.resolve(TASK), Ledger(0))
    assert (found, asked) == (TASK, [])


def test_part_of_an_id() -> None:
    ledger = Ledger(3)
    for wanted in ledger.ids:
        assert drive(flows.resolve(wanted[:16]), ledger)[0] == wanted
        assert drive(flows.resolve(wanted[2:16].upper()), ledger)[0] == wanted
    with pytest.raises(UsageError, match="3 of your tasks"):
        drive(flows.resolve(ledger.ids[0][-6:]), ledger)
    with pytest.raises(UnknownTaskError):
        drive(flows.resolve("zzzzz"), ledger)


@pytest.mark.parametrize("text", ["", "t-", "ab", "a b c d", "../../etc"])
def test_what_is_no_id(text: str) -> None:
    with pytest.raises(UsageError):
        drive(flows.resolve(text), Ledger(3))
