"""Dry runs asked for by a user, and those that clear a wide task before it queues."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from qmio_jupyter.client import clearing, flows
from qmio_jupyter.client.clearing import Clearances
from qmio_jupyter.client.flows import INLINE_BYTES, Ask, Flow, Reply
from qmio_jupyter.errors import (
    AgentError,
    DeadlineError,
    DeviceError,
    LimitError,
    ProgramError,
    ProtocolError,
    QmioError,
)
from qmio_jupyter.model.device import DeviceDescription, DeviceState, DeviceView
from qmio_jupyter.model.dry_run import DryRun
from qmio_jupyter.model.ids import Digest, digest, mint
from qmio_jupyter.model.program import QASM3, Program
from qmio_jupyter.model.task import Item, TaskOptions, TaskSpec, TaskState, TaskView
from qmio_jupyter.testing.runs import matrix
from qmio_jupyter.wire import messages as m

TASK = mint("t", 1_000, bytes(10))
FOUND = DryRun(device="dev", items=())
DONE = TaskView(
    task_id=TASK, device="dev", state=TaskState.QUEUED, revision=1, label="", tenant="a/b", submitted_ms=1,
    updated_ms=1, shots=1, shots_done=0, attempt=0,
)  # fmt: skip


def program(source: str) -> Program:
    data = source.encode()
    return Program(digest=digest(data), media_type=QASM3, data=data)


NARROW, WIDE, UNKNOWN = map(program, ("qubit[4] q;", "qubit[20] q;", "qubit[n] q;"))


def spec(*programs: Program, **changes: Any) -> TaskSpec:
    items = tuple(Item(program=p.digest, shots=10) for p in programs)
    return msgspec.structs.replace(TaskSpec(device="dev", items=items), **changes)


class Gateway:
    """Answers what a gateway answers, and counts."""

    def __init__(self, checked_above: int | None = 12, driver: str = "emulator") -> None:
        self.stored: set[Digest] = set()
        self.tags: list[str] = []
        self.uploads: list[Digest] = []
        self.refusal: QmioError | None = None
        self.checked_above, self.driver = checked_above, driver

    def __call__(self, ask: Ask) -> m.Message:
        tag = str(ask.body.__struct_config__.tag)
        self.tags.append(tag)
        came = {digest(data) for _, data in ask.blobs}
        self.uploads += sorted(came)
        match ask.body:
            case m.DeviceShow():
                about = DeviceDescription(
                    name="dev",
                    title="",
                    n_qubits=None,
                    driver=self.driver,
                    checked_above=self.checked_above,
                )
                view = DeviceView(description=about, state=DeviceState.IDLE, agents=1, queued=0, running=0)
                return m.DevicePage(devices=(view,))
            case m.ProgramQuery(digests=digests):
                return m.ProgramMissing(digests=tuple(d for d in digests if d not in self.stored))
            case m.ProgramPut():
                self.stored |= came
                return m.Done()
            case m.TaskEstimate(spec=asked):
                self._need(asked, came)
                if self.refusal is not None:
                    raise self.refusal
                return m.TaskEstimated(dry_run=FOUND)
            case m.TaskSubmit(spec=asked):
                self._need(asked, came)
                self.stored |= came
                return m.TaskAccepted(view=DONE)
        raise AssertionError(tag)

    def _need(self, asked: TaskSpec, came: set[Digest]) -> None:
        if not {item.program for item in asked.items} <= self.stored | came:
            raise ProgramError("missing", code="program.missing", retryable=True)


def drive(flow: Flow[Any], answer: Callable[[Ask], m.Message]) -> Any:
    try:
        ask = next(flow)
        while True:
            try:
                body = answer(ask)
            except QmioError as error:
                ask = flow.throw(error)
            else:
                ask = flow.send(Reply(body))
    except StopIteration as end:
        return end.value


class Client:
    """What a shell keeps between flows."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.stored: set[Digest] = set()
        self.clearances = Clearances()

    def submit(self, *programs: Program, epoch: int = 1, **changes: Any) -> TaskView:
        flow = clearing.submit(
            TASK, spec(*programs, **changes), programs, self.stored, self.clearances, epoch=epoch
        )
        found = drive(flow, self.gateway)
        assert isinstance(found, TaskView)
        return found

    def estimate(self, *programs: Program, **changes: Any) -> DryRun:
        found = drive(flows.estimate(spec(*programs, **changes), programs, self.stored), self.gateway)
        assert isinstance(found, DryRun)
        return found

    def tags(self) -> list[str]:
        tags, self.gateway.tags = self.gateway.tags, []
        return tags


@pytest.fixture
def client() -> Client:
    return Client(Gateway())


# ---------------------------------------------------------------- asked for


def test_small_programs_travel_with_the_question_and_are_not_kept(client: Client) -> None:
    assert client.estimate(NARROW) == FOUND
    client.estimate(NARROW)
    assert client.tags() == ["task.estimate"] * 2
    assert client.gateway.uploads == [NARROW.digest] * 2
    assert client.stored == set()


def test_stored_programs_do_not_travel(client: Client) -> None:
    client.submit(NARROW)
    client.estimate(NARROW)
    assert client.gateway.uploads == [NARROW.digest]


def test_large_programs_are_put_once(client: Client) -> None:
    large = program("qubit[4] q;" + " " * INLINE_BYTES)
    client.estimate(large)
    client.estimate(large)
    assert client.tags() == ["program.query", "program.put", "task.estimate", "task.estimate"]
    assert client.gateway.uploads == [large.digest]


def test_a_gateway_that_forgot_a_program_is_sent_it_again(client: Client) -> None:
    client.submit(NARROW)
    client.gateway.stored.clear()
    assert client.estimate(NARROW) == FOUND
    assert client.gateway.uploads == [NARROW.digest] * 2


def test_a_program_that_is_nowhere(client: Client) -> None:
    with pytest.raises(ProgramError) as caught:
        drive(flows.estimate(spec(NARROW), (), set()), client.gateway)
    assert caught.value.code == "program.missing"


def test_something_else_is_no_answer(client: Client) -> None:
    with pytest.raises(ProtocolError, match="a dry run with Done"):
        drive(flows.estimate(spec(NARROW), (NARROW,), set()), lambda _: m.Done())


# ---------------------------------------------------------------- clearing


def test_narrow_tasks_are_never_looked_at_twice(client: Client) -> None:
    for _ in range(3):
        client.submit(NARROW)
    assert client.tags() == ["device.show", "task.submit", "task.submit", "task.submit"]


def test_a_wide_task_is_cleared_once_and_its_program_travels_once(client: Client) -> None:
    for _ in range(2):
        client.submit(WIDE)
    assert client.tags() == [
        "device.show", "program.query", "program.put", "task.estimate", "task.submit", "task.submit",
    ]  # fmt: skip
    assert client.gateway.uploads == [WIDE.digest]


@pytest.mark.parametrize("checked_above", [None, 20])
def test_devices_that_need_none(checked_above: int | None) -> None:
    client = Client(Gateway(checked_above))
    client.submit(WIDE)
    client.submit(WIDE)
    assert client.tags() == ["device.show", "task.submit", "task.submit"]


def test_an_unknown_width_counts_as_wide(client: Client) -> None:
    client.submit(NARROW, UNKNOWN)
    assert "task.estimate" in client.tags()


def test_programs_known_by_digest_alone_are_cleared(client: Client) -> None:
    client.gateway.stored.add(WIDE.digest)
    flow = clearing.submit(TASK, spec(WIDE), (), set(), client.clearances, epoch=1)
    client.gateway.refusal = ProgramError("too much", code="program.too_costly")
    with pytest.raises(ProgramError, match="too much"):
        drive(flow, client.gateway)


@pytest.mark.parametrize(
    "error",
    [
        ProgramError("3 h", code="program.too_costly"),
        ProgramError("line 1", code="program.syntax"),
        LimitError("too long", code="limit.duration"),
        DeviceError("no such option", code="device.option"),
    ],
)
def test_what_cannot_run_is_never_queued(client: Client, error: QmioError) -> None:
    client.gateway.refusal = error
    for _ in range(2):
        with pytest.raises(type(error)) as caught:
            client.submit(WIDE)
        assert caught.value is error
    tags = client.tags()
    assert "task.submit" not in tags
    assert tags.count("task.estimate") == 2


@pytest.mark.parametrize(
    "error",
    [
        AgentError("went away", retryable=True),
        DeadlineError("too slow"),
        DeviceError("nobody", code="device.offline", retryable=True),
        LimitError("busy", code="limit.rate", retryable=True),
    ],
)
def test_a_dry_run_that_cannot_be_had_refuses_nothing(client: Client, error: QmioError) -> None:
    client.gateway.refusal = error
    client.submit(WIDE)
    assert client.tags()[-2:] == ["task.estimate", "task.submit"]
    client.gateway.refusal = ProgramError("3 h", code="program.too_costly")
    with pytest.raises(ProgramError):
        client.submit(WIDE)  # and clears nothing


def test_values_do_not_matter_their_number_does(client: Client) -> None:
    def bound(*rows: list[float]) -> tuple[Item, ...]:
        return (Item(program=WIDE.digest, shots=10, parameters=matrix(["x"], rows)),)

    for items in (bound([0.1]), bound([0.2]), bound([0.3])):
        client.submit(WIDE, items=items)
    assert client.tags().count("task.estimate") == 1
    client.submit(WIDE, items=bound([0.1], [0.2]))
    client.submit(WIDE, label="mine")
    client.submit(WIDE, options=TaskOptions(ideal=True))
    assert client.tags().count("task.estimate") == 2  # two bindings, and without noise


def test_devices_are_asked_anew_in_another_life_of_the_gateway(client: Client) -> None:
    client.submit(NARROW)
    client.submit(NARROW, epoch=2)
    assert client.tags().count("device.show") == 2


def test_a_device_that_has_not_announced_itself_is_asked_again() -> None:
    client = Client(Gateway(None, driver=""))
    client.submit(WIDE)
    client.gateway.driver, client.gateway.checked_above = "emulator", 12
    client.submit(WIDE)
    assert client.tags().count("task.estimate") == 1


def test_what_is_remembered_is_bounded(client: Client) -> None:
    for number in range(clearing._WIDTHS + 10):
        client.clearances.widest(spec(NARROW), (program(f"qubit q; // {number}"), NARROW))
    assert len(client.clearances._widths) == clearing._WIDTHS
