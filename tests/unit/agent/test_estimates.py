"""An agent's dry runs: beside its claims, answered once, stopped when nobody waits."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

import msgspec
import pytest
import structlog

from qmio_jupyter.agent.estimates import MOST_OPEN
from qmio_jupyter.agent.events import AbortRun, StartEstimate, StartRun, StopEstimate
from qmio_jupyter.agent.host import Host
from qmio_jupyter.agent.protocol import AgentProtocol
from qmio_jupyter.errors import AgentError, ProgramError
from qmio_jupyter.model.access import Role
from qmio_jupyter.model.device import DeviceDescription, DeviceState, Snapshot
from qmio_jupyter.model.dry_run import DryRun, DryRunItem
from qmio_jupyter.model.ids import digest
from qmio_jupyter.model.task import ClaimRef, TaskSpec
from qmio_jupyter.testing import runs
from qmio_jupyter.wire import messages as m
from qmio_jupyter.wire.codec import attach, attach_programs

PROGRAM = runs.qasm3("qubit q;")
RUN = runs.run(PROGRAM, device="dev")
FOUND = DryRun(device="dev", items=(DryRunItem(n_qubits=1, n_bits=0, shots=1),))
SNAPSHOT = Snapshot(snapshot_id=digest(b"{}"), device="dev", taken_ms=1, data=b"{}")


class Gateway:
    """The other end, in made-up time."""

    def __init__(self, limits: m.Limits | None = None) -> None:
        about = DeviceDescription(name="dev", title="Device", n_qubits=5, driver="echo", batch_shots=77)
        self.agent = AgentProtocol("a", 7, about, DeviceState.IDLE, SNAPSHOT, 1)
        self.limits = limits or m.Limits()
        self.now = 100.0
        self.connect()

    def connect(self) -> None:
        self.agent.link_up(self.now)
        (hello,) = self.agent.outgoing()
        welcome = m.Welcome(
            major=1, gateway="g", epoch=1, role=Role.AGENT, limits=self.limits, now_ms=0, software=""
        )
        self.give(attach(welcome, re=hello.envelope.id))
        (announce,) = self.agent.outgoing()
        self.give(attach(m.AgentWelcome(epoch=1, lease_s=15.0), re=announce.envelope.id))
        self.agent.outgoing()

    def give(self, packet: m.Packet) -> list[Any]:
        return list(self.agent.receive(packet, self.now))

    def ask(self, number: int = 5, spec: TaskSpec = RUN.spec, programs: Any = (PROGRAM,)) -> list[Any]:
        body = m.EstimateAsk(number=number, spec=spec, within_s=9.0)
        return self.give(attach_programs(body, programs))

    def said(self) -> list[Any]:
        return [packet.envelope.body for packet in self.agent.outgoing()]


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


def test_a_question_is_given_to_the_shell_and_answered_once(gateway: Gateway) -> None:
    (start,) = gateway.ask()
    assert isinstance(start, StartEstimate)
    assert (start.number, start.within_s) == (5, 9.0)
    assert start.run.task_id == "estimate-5"
    assert start.run.programs == {PROGRAM.digest: PROGRAM}
    assert start.run.snapshot == SNAPSHOT
    assert start.run.contract.snapshot_id == SNAPSHOT.snapshot_id
    assert (start.run.contract.seed, start.run.contract.batch_shots) == (0, 77)
    assert gateway.said() == []
    gateway.agent.estimated(5, FOUND)
    gateway.agent.estimated(5, FOUND)
    assert gateway.said() == [m.EstimateAnswer(number=5, dry_run=FOUND)]


def test_a_seed_is_kept(gateway: Gateway) -> None:
    options = msgspec.structs.replace(RUN.spec.options, seed=42)
    (start,) = gateway.ask(spec=msgspec.structs.replace(RUN.spec, options=options))
    assert start.run.contract.seed == 42


def test_it_takes_no_credit_and_is_not_announced(gateway: Gateway) -> None:
    gateway.ask()
    assert gateway.agent.holding == ()
    assert gateway.agent.is_quiet
    ref = ClaimRef(task_id=RUN.task_id, epoch=1, attempt=1)
    dispatch = m.ClaimDispatch(ref=ref, spec=RUN.spec, contract=RUN.contract, lease_s=15.0)
    events = gateway.give(attach_programs(dispatch, (PROGRAM,)))
    assert [type(event) for event in events] == [StartRun]
    assert [type(event) for event in gateway.ask(6)] == [StartEstimate]


def test_the_same_question_twice_is_one(gateway: Gateway) -> None:
    assert len(gateway.ask()) == 1
    assert gateway.ask() == []


def test_a_refusal_says_why(gateway: Gateway) -> None:
    gateway.ask()
    gateway.agent.estimated(5, ProgramError("line 3", hint="Correct it.", code="program.syntax"))
    (answer,) = gateway.said()
    assert answer.dry_run is None
    assert (answer.error.code, answer.error.message) == ("program.syntax", "line 3")


def test_its_programs_come_with_it_or_it_is_refused(gateway: Gateway) -> None:
    gateway.ask(1)  # what came with another question does not count
    assert gateway.ask(2, programs=()) == []
    (answer,) = gateway.said()
    assert (answer.number, answer.error.code) == (2, "program.missing")


def test_too_many_are_refused(gateway: Gateway) -> None:
    for number in range(MOST_OPEN):
        assert len(gateway.ask(number)) == 1
    assert gateway.ask(1000) == []
    (answer,) = gateway.said()
    assert answer.error.code == "limit.rate"


def test_dropped_is_stopped_and_not_answered(gateway: Gateway) -> None:
    gateway.ask()
    assert gateway.give(attach(m.EstimateDrop(number=5))) == [StopEstimate("estimate-5")]
    assert gateway.give(attach(m.EstimateDrop(number=5))) == []
    gateway.agent.estimated(5, FOUND)
    assert gateway.said() == []


def test_nothing_outlives_its_link(gateway: Gateway) -> None:
    gateway.ask()
    gateway.agent.link_down(gateway.now)
    assert gateway.agent.tick(gateway.now) == [StopEstimate("estimate-5")]
    assert gateway.agent.tick(gateway.now) == []
    gateway.connect()
    gateway.agent.estimated(5, FOUND)
    assert not [body for body in gateway.said() if isinstance(body, m.EstimateAnswer)]
    assert len(gateway.ask()) == 1


def test_an_answer_that_fits_in_no_message_says_so() -> None:
    gateway = Gateway(m.Limits(message_bytes=2_000))
    gateway.ask()
    item = msgspec.structs.replace(FOUND.items[0], circuit="x" * 3_000)
    gateway.agent.estimated(5, msgspec.structs.replace(FOUND, items=(item,)))
    (answer,) = gateway.said()
    assert answer.error.code == "limit.size"


# ---------------------------------------------------------------- the shell


class Driver:
    """Ends its dry runs when the test says so."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.stopped: list[str] = []
        self.future: Future[DryRun] = Future()

    def estimate(self, run: Any, timeout_s: float) -> Future[DryRun]:
        self.asked.append((run, timeout_s))
        return self.future

    def stop(self, task_id: str) -> None:
        self.stopped.append(task_id)

    def close(self) -> None:
        pass


class Heard:
    """Notes what the protocol is told."""

    def __init__(self) -> None:
        self.estimates: list[Any] = []

    def estimated(self, number: int, outcome: Any) -> None:
        self.estimates.append((number, outcome))


def host_of(driver: Any) -> tuple[Host, Heard]:
    heard = Heard()
    log: Any = structlog.wrap_logger(structlog.ReturnLogger(), processors=[])
    return Host(driver, heard, log), heard  # type: ignore[arg-type]


def test_the_driver_is_asked_and_its_answer_waits_for_the_loop() -> None:
    driver = Driver()
    host, heard = host_of(driver)
    host.perform([StartEstimate(RUN, 5, 9.0)])
    assert driver.asked == [(RUN, 9.0)]
    driver.future.set_result(FOUND)
    assert heard.estimates == []
    host.drain()
    assert heard.estimates == [(5, FOUND)]
    host.perform([StopEstimate("estimate-5"), AbortRun(ClaimRef(task_id="t-1", epoch=1, attempt=1))])
    assert driver.stopped == ["estimate-5", "t-1"]
    host.close()


@pytest.mark.parametrize("problem", [ProgramError("no"), ZeroDivisionError("x")])
def test_errors_and_defects_are_answers(problem: Exception) -> None:
    driver = Driver()
    host, heard = host_of(driver)
    host.perform([StartEstimate(RUN, 5, 9.0)])
    driver.future.set_exception(problem)
    host.drain()
    ((number, outcome),) = heard.estimates
    assert number == 5
    assert outcome is problem or (isinstance(outcome, AgentError) and outcome.code == "internal")
    host.close()


def test_a_driver_that_knows_no_dry_runs_costs_only_the_answer() -> None:
    class Old:
        def close(self) -> None:
            pass

    host, heard = host_of(Old())
    host.perform([StartEstimate(RUN, 5, 9.0)])
    host.drain()
    assert heard.estimates[0][1].code == "internal"
    host.close()
