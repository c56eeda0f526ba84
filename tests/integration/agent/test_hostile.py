"""Hostile programs against a real agent: its worker may die of them, its conversation goes on."""

import io
import time
from itertools import pairwise

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
def agent(home):
    gateway = home.gateway()
    process = home.agent("ideal", memory_bytes=2 * 2**30, compile_s=6, wall_s=6)
    gateway.announced()
    # The fork server is up once it has run something.
    assert gateway.outcome(gateway.dispatch(runs.run(BELL, device="dev"))).state is TaskState.COMPLETED
    return gateway, process


def probe(gateway, run, ref):
    """Wait for a run's end, asking the agent all the time whether it is there; return (outcome, worst answer)."""
    worst = 0.0
    asked = None
    deadline = time.monotonic() + SOON_S
    while time.monotonic() < deadline:
        if asked is None:
            gateway.dispatch(run, programs=False)  # a duplicate: acknowledged at once
            asked = time.monotonic()
        for at, body in gateway.turn(0.005):
            if isinstance(body, m.ClaimFinish) and body.ref == ref:
                return body.outcome, worst
            if isinstance(body, m.ClaimHeld) and asked is not None:
                worst = max(worst, at - asked)
                asked = None
    pytest.fail("the run did not end")


@pytest.mark.parametrize("what", HOSTILE)
def test_it_costs_one_error_and_the_agent_goes_on_talking(agent, what):
    gateway, process = agent
    run = runs.run(HOSTILE[what], device="dev")
    before = psutil.Process(process.pid).cpu_times()
    ref = gateway.dispatch(run)
    outcome, worst = probe(gateway, run, ref)
    after = psutil.Process(process.pid).cpu_times()
    used = after.user + after.system - before.user - before.system
    print(
        f"{what}: {outcome.error_code}; slowest answer of the agent {1000 * worst:.1f} ms, "
        f"its processor time {1000 * used:.0f} ms, questions included"
    )
    assert outcome.state is TaskState.FAILED
    assert outcome.error_code.split(".")[0] in ("program", "agent")
    assert outcome.error_message
    assert worst < LEASE_S
    renewals = [at for at, body in gateway.of(m.ClaimRenew) if ref in body.refs]
    assert all(later - earlier < LEASE_S for earlier, later in pairwise(renewals))
    assert process.poll() is None
    next_one = gateway.outcome(gateway.dispatch(runs.run(BELL, device="dev", shots=10)))
    assert sum(count for _, count in outcomes(next_one.result.items[0])) == 10


def test_a_processor_hog_is_cancelled_within_the_second(agent):
    gateway, process = agent
    ref = gateway.dispatch(runs.run(ENDLESS, device="dev"))
    gateway.started(ref)
    workers = psutil.Process(process.pid).children(recursive=True)
    gateway.send(m.ClaimAbort(ref=ref))
    began = time.monotonic()
    assert gateway.outcome(ref).state is TaskState.CANCELLED
    print(f"cancelled after {1000 * (time.monotonic() - began):.1f} ms")
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
