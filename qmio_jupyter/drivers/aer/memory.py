"""Having Aer keep every classical bit of a program.

With a noise model Aer (0.18) counts a circuit's classical bits anew, and counts only those that some measurement
writes. A condition that reads a register whose last bits nothing writes then ends in "invalid cbit index", or in the
end of the process.
"""

from __future__ import annotations

from qiskit import QuantumCircuit
from qiskit.circuit import CONTROL_FLOW_OP_NAMES


def hold_bits(circuit: QuantumCircuit) -> QuantumCircuit:
    """Return a circuit that does the same, of whose classical bits Aer keeps all.

    Where a condition or an expression may read a bit beyond those that are written, the last bit is written first:
    a measurement of a qubit that is still in its ground state, and whatever was read, 0 is put in its place.
    """
    last = circuit.num_clbits - 1
    if last < 0 or not any(name == "store" or name in CONTROL_FLOW_OP_NAMES for name in circuit.count_ops()):
        return circuit
    if any(
        instruction.name == "measure" and circuit.find_bit(instruction.clbits[0]).index == last
        for instruction in circuit.data
    ):
        return circuit
    held = circuit.copy_empty_like()
    held.measure(0, last)
    held.store(held.clbits[last], False)
    for instruction in circuit.data:
        held.append(instruction)
    return held
