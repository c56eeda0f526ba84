"""What a circuit holds."""

import math

import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter

from qmio_jupyter.emulation.survey import survey


def test_only_what_acts_makes_a_qubit_active():
    circuit = QuantumCircuit(5, 1)
    circuit.h(1)
    circuit.delay(100, 2)
    circuit.barrier()
    circuit.reset(4)
    circuit.measure(3, 0)
    facts = survey(circuit)
    assert facts.active == (1, 3, 4)
    assert (facts.one_qubit, facts.delays, facts.measures) == (1, 1, 1)
    assert not facts.is_dynamic


def test_a_reset_of_an_untouched_qubit_is_nothing_and_a_later_one_makes_shots_differ():
    circuit = QuantumCircuit(2, 2)
    circuit.reset([0, 1])
    circuit.h(0)
    assert survey(circuit).resets == 0
    assert not survey(circuit).is_dynamic
    circuit.reset(0)
    facts = survey(circuit)
    assert facts.resets == 1
    assert facts.is_dynamic
    assert not facts.is_branching


def test_what_follows_a_measurement_branches():
    circuit = QuantumCircuit(2, 2)
    circuit.measure(0, 0)
    circuit.x(1)
    assert not survey(circuit).is_branching
    circuit.x(0)
    assert survey(circuit).is_branching


def test_blocks_are_counted_as_often_as_they_turn():
    circuit = QuantumCircuit(3, 1)
    with circuit.for_loop(range(7)):
        circuit.h(2)
        circuit.cx(2, 0)
    circuit.measure(0, 0)
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.x(0)
    facts = survey(circuit)
    assert facts.active == (0, 2)
    assert (facts.one_qubit, facts.two_qubit) == (8, 7)
    assert facts.is_branching
    assert facts.turns == 7
    assert [link.qubits for link in facts.links] == [(0, 1)]
    assert facts.operations["cx"] == 1


@pytest.mark.parametrize(
    ("angle", "is_clifford"), [(0.0, True), (3 * math.pi / 2, True), (-math.pi, True), (0.1, False)]
)
def test_rotations_by_quarter_turns_are_clifford(angle, is_clifford):
    circuit = QuantumCircuit(2)
    circuit.rz(angle, 0)
    circuit.ecr(0, 1)
    assert survey(circuit).is_clifford is is_clifford


def test_a_free_parameter_is_no_clifford_gate_until_it_is_bound():
    angle = Parameter("a")
    circuit = QuantumCircuit(1)
    circuit.rz(2 * angle, 0)
    assert not survey(circuit).is_clifford
    assert survey(circuit).free == 1
    bound = survey(circuit.assign_parameters({angle: math.pi / 4}))
    assert bound.is_clifford
    assert bound.free == 0


def test_gates_one_after_the_other_between_the_same_qubits_are_one_link():
    circuit = QuantumCircuit(3)
    circuit.cx(0, 1)
    circuit.cx(1, 0)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.cx(1, 2)
    circuit.cx(0, 1)
    assert [(link.qubits, link.rank) for link in survey(circuit).links] == [
        ((0, 1), 4),
        ((1, 2), 2),
        ((0, 1), 2),
    ]


@pytest.mark.parametrize(
    ("follows", "is_clifford"), [("", True), ("z", True), ("sx", False), ("reset", True)]
)
def test_a_rotation_about_z_that_only_a_measurement_follows_is_not_looked_at(follows, is_clifford):
    circuit = QuantumCircuit(2, 1)
    circuit.h(0)
    circuit.rz(0.1, 0)
    circuit.cz(0, 1)
    if follows:
        getattr(circuit, follows)(0)
    circuit.measure(0, 0)
    assert survey(circuit).is_clifford is is_clifford
