"""Hostile programs against a real agent: its worker may die of them, its conversation goes on."""

import io
import time
from itertools import pairwise

import msgspec
import psutil
import pytest
from qiskit import QuantumCircuit, qpy

from qmio_jupyter.model.program import QASM3, QPY
from qmio_jupyter.model.result import outcomes
from qmio_jupyter.model.task import TaskState
from qmio_jupyter.testing import runs
from qmio_jupyter.wire import messages as m

SOON_S = 90
LEASE_S = 3.0
#: The wall-clock limit of a run; what must be faster than that is given a deadline far below it.
WALL_S = 60
CANCEL_S = 20
#: Longest silence of an agent whose worker blows up, and the processor time it may spend on itself in one. Reading
#: such a program in its own process would take seconds to minutes of both; a busy machine takes only the first.
SILENCE_S = 2.0
BUSY_S = 0.5
BELL = runs.qasm3("qubit[2] q; bit[2] c; h q[0]; cx q[0], q[1]; c = measure q;")
ENDLESS = runs.qasm3("qubit q; bit c; x q; c = measure q; while (c) { c = measure q; }")
DOUBLING = "gate g0 a { x a; }" + "".join(f"gate g{i} a {{ g{i - 1} a; g{i - 1} a; }}" for i in range(1, 40))


def broken_qpy():
    circuit = QuantumCircuit(2, 2)
    circuit.h(0)
    circuit.measure([0, 1], [0, 1])
    file = io.BytesIO()
    qpy.dump(circuit, file)
    data = bytearray(file.getvalue())
    data[34] ^= 0xFF
    data[38] ^= 0xFF
    return runs.program(bytes(data), QPY)


HOSTILE = {
    "31 bytes that ask for 4 GB": runs.program(b"OPENQASM 3.0;qubit[20000000] q;", QASM3),
    "the same, behind a constant": runs.program(b"OPENQASM 3.0;const int n=20000000;qubit[n] q;", QASM3),
    "a broken QPY": broken_qpy(),
    "a gate that doubles itself": runs.qasm2(f"{DOUBLING} qreg q[1]; creg c[1]; g39 q[0]; measure q -> c;"),
    "a run without end": ENDLESS,
}


@pytest.fixture
def make_agent(home):
    def make(**options):
        gateway = home.gateway()
        process = home.agent("ideal", memory_bytes=2 * 2**30, compile_s=6, **options)
        return _ready(gateway, process)

    return make


@pytest.fixture
def agent(make_agent):
    return make_agent(wall_s=6)


def _ready(gateway, process):
    gateway.announced()
    # The fork server is up once it has run something.
    assert gateway.outcome(gateway.dispatch(runs.run(BELL, device="dev"))).state is TaskState.COMPLETED
    return gateway, process


class Silence(msgspec.Struct):
    """The longest an agent took for an answer: seconds by the clock, seconds of its own processor time."""

    wall_s: float = 0.0
    busy_s: float = 0.0

    def __str__(self):
        return f"slowest answer of the agent {1000 * self.wall_s:.1f} ms, busiest {1000 * self.busy_s:.0f} ms"

    def check(self):
        assert self.wall_s < SILENCE_S
        assert self.busy_s < BUSY_S


def busy(process):
    times = process.cpu_times()
    return times.user + times.system


def probe(gateway, process, run, ref):
    """Wait for a run's end, asking the agent all the time whether it is there; return (outcome, silence)."""
    agent = psutil.Process(process.pid)
    silence = Silence()
    asked = None
    deadline = time.monotonic() + SOON_S
    while time.monotonic() < deadline:
        if asked is None:
            asked = (time.monotonic(), busy(agent))
            gateway.dispatch(run, programs=False)  # a duplicate: acknowledged at once
        for at, body in gateway.turn(0.005):
            is_end = isinstance(body, m.ClaimFinish) and body.ref == ref
            if asked is not None and (is_end or isinstance(body, m.ClaimHeld | m.ClaimStarted)):
                silence.wall_s = max(silence.wall_s, at - asked[0])
                silence.busy_s = max(silence.busy_s, busy(agent) - asked[1])
                asked = None
            if is_end:
                return body.outcome, silence
    pytest.fail("the run did not end")


@pytest.mark.parametrize("what", HOSTILE)
def test_it_costs_one_error_and_the_agent_goes_on_talking(agent, what):
    gateway, process = agent
    run = runs.run(HOSTILE[what], device="dev")
    ref = gateway.dispatch(run)
    outcome, silence = probe(gateway, process, run, ref)
    print(f"{what}: {outcome.error_code}; {silence}")
    silence.check()
    assert outcome.state is TaskState.FAILED
    assert outcome.error_code.split(".")[0] in ("program", "agent")
    assert outcome.error_message
    renewals = [at for at, body in gateway.of(m.ClaimRenew) if ref in body.refs]
    assert all(later - earlier < LEASE_S for earlier, later in pairwise(renewals))
    assert process.poll() is None
    next_one = gateway.outcome(gateway.dispatch(runs.run(BELL, device="dev", shots=10)))
    assert sum(count for _, count in outcomes(next_one.result.items[0])) == 10


@pytest.mark.parametrize("what", ["many shots kept", "many registers", "many outcomes"])
def test_a_result_that_no_message_carries_ends_its_task_and_the_agent_goes_on_talking(make_agent, what):
    gateway, process = make_agent(wall_s=WALL_S)
    wide = runs.qasm3("bit[65536] c; qubit q; c[0] = measure q;")
    spread = runs.qasm3("qubit[24] q; bit[4096] c; h q; c[0:23] = measure q;")
    run = {
        "many shots kept": runs.run(wide, device="dev", shots=100_000, memory=True),
        "many registers": runs.run(*[wide] * 330, device="dev", shots=1),
        "many outcomes": runs.run(spread, device="dev", shots=200_000),
    }[what]
    ref = gateway.dispatch(run)
    outcome, silence = probe(gateway, process, run, ref)
    print(f"{what}: {outcome.error_message}; {silence}")
    silence.check()
    assert (outcome.state, outcome.error_code) == (TaskState.FAILED, "limit.size")
    assert outcome.error_hint
    assert process.poll() is None
    assert gateway.outcome(gateway.dispatch(runs.run(BELL, device="dev"))).state is TaskState.COMPLETED
    bodies = [body for _, body in gateway.seen]
    end = next(n for n, body in enumerate(bodies) if isinstance(body, m.ClaimFinish) and body.ref == ref)
    assert not [body for body in bodies[end:] if isinstance(body, m.ClaimRenew) and ref in body.refs]


def test_a_large_result_arrives_whole_and_the_agent_goes_on_talking(make_agent):
    gateway, process = make_agent(wall_s=WALL_S)
    run = runs.run(runs.qasm3("qubit[20] q; bit[20] c; h q; c = measure q;"), device="dev", shots=500_000)
    ref = gateway.dispatch(run)
    outcome, silence = probe(gateway, process, run, ref)
    assert outcome.state is TaskState.COMPLETED, outcome.error_message
    assert sum(count for _, count in outcomes(outcome.result.items[0])) == 500_000
    size = sum(len(b.keys) + len(b.counts) for b in outcome.result.items[0].bindings)
    print(f"a result of {size} bytes: {silence}")
    assert size > 3_000_000
    silence.check()


def test_a_processor_hog_is_cancelled_long_before_its_own_deadline(make_agent):
    gateway, process = make_agent(wall_s=WALL_S)
    ref = gateway.dispatch(runs.run(ENDLESS, device="dev"))
    gateway.started(ref)
    workers = psutil.Process(process.pid).children(recursive=True)
    gateway.send(m.ClaimAbort(ref=ref))
    began = time.monotonic()
    _, finish = gateway.until(
        lambda body: isinstance(body, m.ClaimFinish) and body.ref == ref, "the end", seconds=CANCEL_S
    )
    print(f"cancelled after {1000 * (time.monotonic() - began):.1f} ms")
    assert finish.outcome.state is TaskState.CANCELLED
    gone, _ = psutil.wait_procs(workers, timeout=0.0)
    assert gone, "the worker that ran it is still there"


def test_a_worker_killed_while_it_runs_is_replaced(agent):
    gateway, process = agent
    ref = gateway.dispatch(runs.run(ENDLESS, device="dev"))
    gateway.started(ref)
    (server,) = psutil.Process(process.pid).children()
    killed = {worker.pid for worker in server.children()}
    for worker in server.children():
        worker.kill()
    deadline = time.monotonic() + SOON_S
    while not {worker.pid for worker in server.children()} - killed:
        assert time.monotonic() < deadline
        gateway.turn()
    outcome = gateway.outcome(ref)  # run again, until its own deadline
    assert (outcome.state, outcome.error_code) == (TaskState.FAILED, "agent.timeout")
    assert gateway.outcome(gateway.dispatch(runs.run(BELL, device="dev"))).state is TaskState.COMPLETED
