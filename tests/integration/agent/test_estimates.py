"""Dry runs by a real agent with real workers: beside its runs, killed in time, stopped when nobody waits."""

import psutil
import pytest

from qmio_jupyter.model.task import TaskState
from qmio_jupyter.testing import runs
from qmio_jupyter.wire import messages as m

SOON_S = 90
BELL = runs.qasm3("qubit[2] q; bit[2] c; h q[0]; cx q[0], q[1]; c = measure q;")
ENDLESS = runs.qasm3("qubit q; bit c; x q; c = measure q; while (c) { c = measure q; }")
#: Takes the reader far longer than it is given, and little memory.
SLOW = runs.qasm3("qubit[2] q;\n" + "cx q[0], q[1];\n" * 1_000_000)


class Agent:
    """An agent of `ideal`, and the gateway it has at the moment."""

    def __init__(self, home):
        self.home = home
        self.gateway = home.gateway()
        self.process = home.agent("ideal", memory_bytes=2 * 2**30)
        self.number = 0
        self.gateway.announced()
        # The fork server is up once it has run something.
        assert self.run(BELL).state is TaskState.COMPLETED

    def run(self, program):
        return self.gateway.outcome(self.gateway.dispatch(runs.run(program, device="dev")))

    def ask(self, program, within_s=SOON_S, *, attached=True, **changes):
        """Ask for a dry run; return its number."""
        self.number += 1
        spec = runs.run(program, device="dev", **changes).spec
        body = m.EstimateAsk(number=self.number, spec=spec, within_s=within_s)
        self.gateway.send(body, programs=(program,) if attached else ())
        return self.number

    def answer(self, number):
        found = self.gateway.until(
            lambda body: isinstance(body, m.EstimateAnswer) and body.number == number, "the dry run's answer"
        )
        return found[1]

    def estimate(self, program, **changes):
        return self.answer(self.ask(program, **changes))

    def workers(self):
        """Return the process ids of the workers, those of runs and those of dry runs."""
        return {
            worker.pid
            for server in psutil.Process(self.process.pid).children()
            for worker in server.children()
        }


@pytest.fixture(scope="module")
def agent(tmp_path_factory, agent_home):
    home = agent_home(tmp_path_factory.mktemp("agent"))
    yield Agent(home)
    home.close()


def test_it_waits_for_no_run_and_no_run_for_it(agent):
    gateway = agent.gateway
    endless = gateway.dispatch(runs.run(ENDLESS, device="dev"))
    gateway.started(endless)
    found = agent.estimate(BELL, shots=77).dry_run
    (item,) = found.items
    assert (found.device, item.shots, item.n_qubits, item.n_bits) == ("dev", 77, 2, 2)
    assert dict(item.operations) == {"cx": 1, "h": 1, "measure": 2}
    assert (item.depth, item.two_qubit_gates) == (3, 1)
    assert "cx q[0], q[1];" in item.circuit
    gateway.send(m.ClaimAbort(ref=endless))
    assert gateway.outcome(endless).state is TaskState.CANCELLED


def test_what_cannot_run_is_said(agent):
    error = agent.estimate(runs.qasm3("qubit[2] q; foo q[0];")).error
    assert error.code.startswith("program.")
    assert "line 3" in error.message
    unbound = runs.qasm3("input float theta; qubit q; bit c; rx(theta) q; c = measure q;")
    missing = agent.estimate(unbound).error
    assert (missing.code, "theta" in missing.message) == ("program.parameters", True), missing
    bound = agent.estimate(unbound, parameters=runs.matrix(["theta"], [[0.5], [1.5]])).dry_run
    assert bound.items[0].bindings == 2
    nan = agent.estimate(unbound, parameters=runs.matrix(["theta"], [[float("nan")]])).error
    assert (nan.code, "nan" in nan.message) == ("program.parameters", True)


def test_the_deadline_ends_it_and_nothing_else(agent):
    assert agent.estimate(SLOW, within_s=0.5).error.code == "deadline"
    assert agent.estimate(BELL).dry_run.items
    assert agent.run(BELL).state is TaskState.COMPLETED


def test_a_slow_one_keeps_no_other_waiting(agent):
    slow = agent.ask(SLOW)
    assert agent.estimate(BELL).dry_run.items
    agent.gateway.send(m.EstimateDrop(number=slow))
    assert agent.estimate(BELL).dry_run.items
    assert slow not in [body.number for _, body in agent.gateway.of(m.EstimateAnswer)]


def test_programs_do_not_leak_from_one_question_to_the_next(agent):
    assert agent.estimate(BELL).dry_run.items
    assert agent.estimate(BELL, attached=False).error.code == "program.missing"


def test_a_question_dies_with_its_link(agent):
    agent.ask(SLOW)
    before = agent.workers()
    agent.gateway.until(lambda _: agent.workers() - before or len(before) > 1, "its worker is there")
    working = agent.workers()
    agent.gateway.close()
    agent.home.gateways.remove(agent.gateway)
    agent.gateway = agent.home.gateway(epoch=2)
    agent.gateway.announced()
    agent.gateway.until(lambda _: working - agent.workers(), "the worker of a question nobody waits for ends")
    assert agent.estimate(BELL).dry_run.items
    assert agent.run(BELL).state is TaskState.COMPLETED
