"""Host: how a driver's calls, errors and defects reach the protocol."""

from concurrent.futures import Future

import pytest
import structlog

from qmio_jupyter.agent.events import AbortRun, StartRun
from qmio_jupyter.agent.host import Host
from qmio_jupyter.agent.main import agent_id
from qmio_jupyter.agent.shelf import Shelf
from qmio_jupyter.errors import AgentError, ProgramError, TaskCancelledError
from qmio_jupyter.model.device import Snapshot
from qmio_jupyter.model.ids import digest
from qmio_jupyter.model.program import QASM3
from qmio_jupyter.model.task import ClaimRef, TaskState
from qmio_jupyter.testing import runs
from qmio_jupyter.wire.codec import attach
from qmio_jupyter.wire.messages import ProgramData


class Protocol:
    """Notes what it is told."""

    def __init__(self):
        self.heard = []

    def __getattr__(self, name):
        def note(*args):
            self.heard.append((name, *args))
            return []

        return note


class Driver:
    """Ends its runs when the test says so."""

    def __init__(self):
        self.futures = []
        self.stopped = []
        self.calls = []
        self.defect = None

    def start(self, run, on_partial, on_stage):
        if self.defect is not None:
            raise self.defect
        self.futures.append(Future())
        self.calls.append((on_partial, on_stage))
        return self.futures[-1]

    def stop(self, task_id):
        self.stopped.append(task_id)

    def close(self):
        for future in self.futures:
            if not future.done():
                future.set_exception(TaskCancelledError("closed"))


RUN = runs.run(runs.qasm3("qubit q;"))
REF = ClaimRef(task_id=RUN.task_id, epoch=1, attempt=1)


@pytest.fixture
def parts():
    protocol, driver = Protocol(), Driver()
    host = Host(driver, protocol, structlog.wrap_logger(structlog.ReturnLogger(), processors=[]))
    yield host, protocol, driver
    host.close()


def test_news_wait_for_the_loop(parts):
    host, protocol, driver = parts
    host.perform([StartRun(RUN, REF)])
    on_partial, on_stage = driver.calls[0]
    on_stage("running")
    on_partial("result")
    assert protocol.heard == []
    host.drain()
    assert protocol.heard == [("started", REF), ("stage", REF, "running"), ("progress", REF, "result")]


def test_aborting_stops_the_run(parts):
    host, _, driver = parts
    host.perform([StartRun(RUN, REF), AbortRun(REF)])
    assert driver.stopped == [RUN.task_id]


@pytest.mark.parametrize(
    ("problem", "state", "code"),
    [
        (ProgramError("x", code="program.syntax"), TaskState.FAILED, "program.syntax"),
        (AgentError("x", code="agent.memory"), TaskState.FAILED, "agent.memory"),
        (TaskCancelledError("x"), TaskState.CANCELLED, ""),
        (ZeroDivisionError("x"), TaskState.FAILED, "internal"),
    ],
)
def test_an_error_ends_the_claim(parts, problem, state, code):
    host, protocol, driver = parts
    host.perform([StartRun(RUN, REF)])
    driver.futures[0].set_exception(problem)
    host.drain()
    ((name, ref, outcome),) = protocol.heard
    assert (name, ref, outcome.state, outcome.error_code) == ("finished", REF, state, code)


def test_what_another_try_may_cure_is_given_back(parts):
    host, protocol, driver = parts
    host.perform([StartRun(RUN, REF)])
    driver.futures[0].set_exception(AgentError("no worker", code="agent.worker", retryable=True))
    host.drain()
    assert protocol.heard == [("give_back", REF, "no worker")]


def test_a_driver_that_falls_over_fails_the_task_not_the_agent(parts):
    host, protocol, driver = parts
    driver.defect = RuntimeError("a defect")
    host.perform([StartRun(RUN, REF)])
    ((name, _, outcome),) = protocol.heard
    assert (name, outcome.error_code) == ("finished", "internal")
    assert "a defect" not in outcome.error_message


def test_agent_ids_are_names_the_gateway_accepts():
    assert agent_id("ideal", "node-1.example.org") == "ideal.node-1.example.org"
    assert agent_id("ideal", "odd host@x") == "ideal.odd-host-x"
    assert len(agent_id("d" * 60, "h" * 60)) == 64


def test_the_shelf_lets_the_least_recently_used_programs_fall():
    shelf = Shelf(program_bytes=10)
    one, two, three = b"1" * 4, b"2" * 4, b"3" * 4
    shelf.take(attach(ProgramData(), [(QASM3, one), (QASM3, two)]))
    assert shelf.program(digest(one)).data == one
    arrived = shelf.take(attach(ProgramData(), [(QASM3, three)]))
    assert set(arrived) == {digest(three)}
    assert shelf.program(digest(two)) is None
    assert shelf.program(digest(one)) is not None
    large = shelf.take(attach(ProgramData(), [(QASM3, b"4" * 11)]))
    assert large
    assert shelf.program(digest(b"4" * 11)) is None


def test_the_shelf_keeps_a_few_snapshots():
    shelf = Shelf()
    snapshots = [Snapshot(snapshot_id=str(n), device="d", taken_ms=n, data=b"{}") for n in range(20)]
    for snapshot in snapshots:
        shelf.keep(snapshot)
    assert shelf.snapshot("19") == snapshots[19]
    assert shelf.snapshot("0") is None
