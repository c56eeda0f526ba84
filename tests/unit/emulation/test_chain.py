"""Bounds on entanglement along a chain, against the Schmidt ranks of states."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import QuantumCircuit
from qiskit.quantum_info import Statevector

from qmio_jupyter.emulation import chain
from qmio_jupyter.emulation.survey import survey

N = 6


def largest_rank(circuit: QuantumCircuit, order: tuple[int, ...]) -> int:
    """Return the largest Schmidt rank of the circuit's state across any cut of the qubits in `order`."""
    n = circuit.num_qubits
    # Qiskit's first axis is the last qubit.
    state = Statevector(circuit).data.reshape((2,) * n).transpose([n - 1 - qubit for qubit in order])
    return max(
        int((np.linalg.svd(state.reshape(2**cut, -1), compute_uv=False) > 1e-9).sum()) for cut in range(1, n)
    )


@st.composite
def circuits(draw: st.DrawFn) -> QuantumCircuit:
    """Return circuits of random rotations and gates of Schmidt rank 2 and 4."""
    circuit = QuantumCircuit(N)
    for qubit in range(N):
        circuit.u(0.3 + qubit, 0.4, 0.5, qubit)
    for _ in range(draw(st.integers(1, 12))):
        first, second = draw(st.permutations(range(N)))[:2]
        getattr(circuit, draw(st.sampled_from(["cx", "ecr", "swap", "iswap"])))(first, second)
        circuit.u(draw(st.floats(0.1, 3.0)), 0.2, 0.7, first)
    return circuit


@settings(max_examples=60, deadline=None)
@given(circuits())
def test_no_state_is_more_entangled_than_its_bound(circuit):
    facts = survey(circuit)
    found = chain.best(facts.links, N)
    assert sorted(found.order) == list(range(N))
    assert largest_rank(circuit, found.order) <= found.bond
    assert largest_rank(circuit, tuple(range(N))) <= chain.along(range(N), facts.links).bond


def test_a_chain_in_the_wrong_order_is_put_in_its_own():
    path = [3, 0, 5, 1, 4, 2]
    circuit = QuantumCircuit(N)
    circuit.h(path[0])
    for first, second in pairwise(path):
        circuit.cx(first, second)
    links = survey(circuit).links
    found = chain.best(links, N)
    assert list(found.order) in (path, path[::-1])
    assert found.bond == 2
    assert chain.along(range(N), links).bond > 2


def test_parts_that_share_no_gate_share_no_bond():
    circuit = QuantumCircuit(8)
    for first in range(4):
        circuit.cx(first, first + 4)
    found = chain.best(survey(circuit).links, 8)
    assert (found.bond, found.steps) == (2, 4)


@pytest.mark.parametrize("n", [1, 2, 5])
def test_without_gates_between_qubits_there_is_no_bond(n):
    found = chain.best((), n)
    assert (found.bond, found.steps, found.cubes) == (1, 0, 0)
    assert found.order == tuple(range(n))


def test_hopeless_bonds_stay_numbers():
    circuit = QuantumCircuit(120)
    for turn in range(1, 80):
        for qubit in range(120 - turn):
            circuit.cx(qubit, qubit + turn)
    found = chain.best(survey(circuit).links, 120)
    assert np.isfinite(found.cubes)
    assert found.bond == 2**chain.HOPELESS
