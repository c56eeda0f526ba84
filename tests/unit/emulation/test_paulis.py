"""Pauli operators as masks, and what Clifford gates make of them, against matrices."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from qiskit import QuantumCircuit
from qiskit.quantum_info import Operator

from qmio_jupyter.emulation.paulis import Frame, NotCliffordError, Pauli, conjugated

GATES = ("id", "x", "y", "z", "h", "s", "sdg", "sx", "sxdg", "cx", "cy", "cz", "swap", "iswap", "ecr", "dcx")
masks = st.integers(0, 7)
operators = st.builds(Pauli, st.integers(0, 3), masks, masks)


def matrix(pauli: Pauli, n: int) -> np.ndarray:
    """Return the matrix of an operator on `n` qubits."""
    made = np.zeros((2**n, 2**n), dtype=complex)
    for state in range(2**n):
        made[state ^ pauli.x, state] = 1j**pauli.phase * (-1) ** (pauli.z & state).bit_count()
    return made


@given(operators, operators)
def test_products_are_those_of_matrices(first, second):
    assert np.allclose(matrix(first.times(second), 3), matrix(first, 3) @ matrix(second, 3))


@pytest.mark.parametrize("seed", range(5))
def test_a_frame_is_its_circuit_turned_round_the_operators(seed):
    random = np.random.default_rng(seed)
    circuit = QuantumCircuit(3)
    frame = Frame(3)
    for _ in range(20):
        name = str(random.choice(GATES))
        qubits = [int(qubit) for qubit in random.permutation(3)[: 2 if len(conjugated(name, ())) == 4 else 1]]
        getattr(circuit, name)(*qubits)
        frame.apply(name, (), qubits)
    unitary = Operator(circuit).data
    for qubit in range(3):
        for image, one in (
            (frame.x(qubit), Pauli(0, 1 << qubit, 0)),
            (frame.z(qubit), Pauli(0, 0, 1 << qubit)),
        ):
            assert np.allclose(matrix(image, 3), unitary.conj().T @ matrix(one, 3) @ unitary)


@pytest.mark.parametrize(("name", "params"), [("t", ()), ("rz", (0.1,)), ("ch", ()), ("nothing", ())])
def test_other_gates_are_refused(name, params):
    with pytest.raises(NotCliffordError, match=name):
        conjugated(name, params)
