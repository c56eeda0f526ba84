"""Which method is taken, and what is refused with which words."""

import math

import numpy as np
import pytest
from qiskit import QuantumCircuit

from qmio_jupyter.emulation import cost, method
from qmio_jupyter.emulation.survey import Facts, survey
from qmio_jupyter.errors import ProgramError

GIB = 2**30


def ghz(n: int) -> QuantumCircuit:
    """Return a chain of CNOT gates, measured."""
    circuit = QuantumCircuit(n)
    circuit.h(0)
    for qubit in range(n - 1):
        circuit.cx(qubit, qubit + 1)
    circuit.measure_all()
    return circuit


def rotated(n: int, depth: int, *, is_tangled: bool = False) -> QuantumCircuit:
    """Return layers of rotations and gates between neighbours, or between pairs drawn at random, measured."""
    random = np.random.default_rng(3)
    circuit = QuantumCircuit(n)
    for layer in range(depth):
        for qubit in range(n):
            circuit.rz(0.1 + qubit, qubit)
            circuit.sx(qubit)
        order = [int(qubit) for qubit in random.permutation(n)] if is_tangled else list(range(layer % 2, n))
        for first, second in zip(order[::2], order[1::2], strict=False):
            circuit.ecr(first, second)
    circuit.measure_all()
    return circuit


def waiting(n: int) -> QuantumCircuit:
    """Return a Clifford circuit with delays, measured."""
    circuit = QuantumCircuit(n)
    circuit.x(range(n))
    circuit.delay(50, range(n), unit="us")
    circuit.measure_all()
    return circuit


def branching(n: int, depth: int, *, is_clifford: bool = False) -> QuantumCircuit:
    """Return a circuit with a measurement on the way that something depends on."""
    circuit = QuantumCircuit(n, n + 1)
    for _ in range(depth):
        for qubit in range(n):
            circuit.sx(qubit) if is_clifford else circuit.rx(0.3, qubit)
        for qubit in range(n - 1):
            circuit.ecr(qubit, qubit + 1)
        circuit.measure(0, n)
        with circuit.if_test((circuit.clbits[n], 1)):
            circuit.x(1)
    circuit.measure(range(n), range(n))
    return circuit


def choose(circuit: QuantumCircuit, **asked: object) -> method.Choice:
    """Return the choice on a machine as fast as that of the constants, with much room."""
    limits = {"noisy": True, "memory_bytes": 8 * GIB, "seconds": 600.0, "speed": 1.0, **asked}
    return method.choose(survey(circuit), **limits)


@pytest.mark.parametrize(
    ("circuit", "noisy", "expected", "form"),
    [
        (ghz(5), True, "density_matrix", "baked"),
        (rotated(9, 5), True, "density_matrix", "baked"),
        (ghz(9), True, "density_matrix", "baked"),
        (ghz(16), True, "stabilizer", "twirled"),
        (ghz(30), True, "stabilizer", "twirled"),
        (waiting(32), True, "matrix_product_state", "unravelled"),
        (rotated(30, 3), True, "matrix_product_state", "unravelled"),
        (rotated(12, 12, is_tangled=True), True, "statevector", "unravelled"),
        (branching(3, 2), True, "density_matrix", "baked"),
        (branching(8, 3), True, "statevector", "unravelled"),
        (branching(20, 2, is_clifford=True), True, "stabilizer", "twirled"),
        (ghz(5), False, "statevector", "ideal"),
        (rotated(20, 20), False, "statevector", "ideal"),
        (ghz(40), False, "stabilizer", "ideal"),
        (rotated(60, 4), False, "matrix_product_state", "ideal"),
    ],
)
def test_the_method_follows_from_the_circuit(circuit, noisy, expected, form):
    choice = choose(circuit, noisy=noisy)
    assert (choice.method, choice.form) == (expected, form)
    assert choice.why.startswith(f"{survey(circuit).active_qubits} qubits: ")
    assert bool(choice.order) == (expected == "matrix_product_state")


def test_noisy_clifford_circuits_go_by_their_frames_unless_something_branches():
    assert choose(ghz(20)).framed
    assert not choose(branching(20, 2, is_clifford=True)).framed


def test_a_density_matrix_is_never_larger_than_eleven_qubits():
    for n in range(2, 20):
        estimates = cost.estimates(survey(rotated(n, 3)), noisy=True)
        assert any(one.method == "density_matrix" for one in estimates) == (n <= 11)


def test_the_method_is_the_same_for_any_shots_that_fit():
    found = {choose(rotated(14, 3), shots=shots).method for shots in (1, 100, 10_000)}
    assert len(found) == 1


def test_more_shots_than_the_usual_method_can_do_take_another():
    circuit = waiting(32)
    usual = choose(circuit, shots=1_000)
    assert usual.method == "matrix_product_state"
    many = choose(circuit, shots=1_000_000, seconds=60.0)
    assert many.method == "stabilizer"
    assert usual.estimate.seconds(1_000_000) > 60.0 >= many.predicted_s


def test_what_is_too_long_is_refused_with_prediction_limit_and_what_would_fit():
    circuit = rotated(20, 20, is_tangled=True)
    with pytest.raises(ProgramError) as refused:
        choose(circuit, shots=1_000)
    assert refused.value.code == "program.too_costly"
    said = refused.value.one_line()
    assert "20 qubits" in said
    assert "1000 shots" in said
    assert "minutes and" in said
    assert "allowed are 10 minutes and 8 GiB" in said
    assert "Ask for at most" in said
    assert "without noise" in said


def test_the_shots_that_are_said_to_fit_do():
    circuit = rotated(18, 20, is_tangled=True)
    with pytest.raises(ProgramError) as refused:
        choose(circuit, shots=100_000)
    fitting = int(refused.value.hint.split("at most ")[1].split()[0])
    assert choose(circuit, shots=fitting).predicted_s <= 600.0


def test_what_does_not_fit_into_memory_is_refused():
    with pytest.raises(ProgramError) as refused:
        choose(rotated(40, 60, is_tangled=True), noisy=False, seconds=math.inf)
    assert refused.value.code == "program.too_costly"
    assert "TiB" in refused.value.message or "GiB" in refused.value.message
    assert choose(rotated(26, 2), noisy=False, memory_bytes=4 * GIB).memory_bytes < 4 * GIB


def test_a_slower_machine_refuses_more_and_prefers_the_same():
    circuit = rotated(14, 8, is_tangled=True)
    fast, slow = choose(circuit, speed=1.0), choose(circuit, speed=0.5)
    assert slow.method == fast.method
    assert slow.predicted_s == pytest.approx(2 * fast.predicted_s)


def test_predictions_grow_with_everything_asked_for():
    random = np.random.default_rng(7)
    for _ in range(20):
        n, depth = int(random.integers(2, 24)), int(random.integers(1, 12))
        facts, deeper = survey(rotated(n, depth)), survey(rotated(n, depth + 2))
        for noisy in (True, False):
            pairs = zip(cost.estimates(facts, noisy=noisy), cost.estimates(deeper, noisy=noisy), strict=True)
            for one, more in pairs:
                assert one.method == more.method
                assert 0 < one.seconds(100) < one.seconds(200) < one.seconds(200, 3)
                assert one.seconds(1_000) < more.seconds(1_000)
                assert one.memory_bytes <= more.memory_bytes


def test_this_machine_has_a_speed():
    assert 0.25 <= cost.host_speed() <= 4.0
    assert cost.host_speed() == cost.host_speed()


def test_facts_need_no_circuit_to_be_priced():
    facts: Facts = survey(ghz(30))
    wide = {one.method: one for one in cost.estimates(facts, noisy=True)}
    assert wide["stabilizer"].seconds(1_000) < 0.3
    assert "density_matrix" not in wide
