"""Classical bits that nothing writes: which circuits get a beginning that holds them, and which stay as they are."""

import pytest
from qiskit import QuantumCircuit

from qmio_jupyter.drivers.aer.memory import hold_bits


def looped(n_bits, written):
    circuit = QuantumCircuit(2, n_bits)
    circuit.x(0)
    circuit.measure(0, 0)
    for bit in written:
        circuit.measure(1, bit)
    with circuit.while_loop((circuit.cregs[0], 0)):
        circuit.measure(0, 0)
    return circuit


def straight():
    circuit = QuantumCircuit(2, 3)
    circuit.measure(0, 0)
    return circuit


@pytest.mark.parametrize(
    "circuit",
    [straight(), looped(3, [2]), looped(1, []), QuantumCircuit(2)],
    ids=["straight", "written", "one", "none"],
)
def test_what_needs_nothing_stays_as_it_is(circuit):
    assert hold_bits(circuit) is circuit


def test_a_last_bit_that_nothing_writes_is_written_and_cleared_first():
    circuit = looped(3, [1])
    held = hold_bits(circuit)
    first, second, *rest = held.data
    assert (first.name, held.find_bit(first.clbits[0]).index) == ("measure", 2)
    assert second.name == "store"
    assert rest == list(circuit.data)
    assert held.cregs == circuit.cregs
