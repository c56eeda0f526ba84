"""Branches and loops that touch no qubit get one: Aer runs a block of nothing but assignments whatever its condition.

Seen with Aer 0.18.2: ``if (c[0]) { c[1] = true; }`` sets the bit in every shot, and only there where the block has a
qubit, if only for a barrier, is the condition looked at.
"""

from __future__ import annotations

from qiskit import QuantumCircuit
from qiskit.circuit import CircuitInstruction, ControlFlowOp, Qubit


def anchored(circuit: QuantumCircuit) -> QuantumCircuit:
    """Return a circuit in which every branch and loop has a qubit; the same one if that is so already.

    Parameters
    ----------
    circuit : QuantumCircuit
        A program; the first qubit that is measured stands in where a block has none.
    """
    if not _lacks(circuit):
        return circuit
    anchor = next((i.qubits[0] for i in circuit.data if i.operation.name == "measure"), None)
    if anchor is None:
        anchor = next(iter(circuit.qubits), None)
    return circuit if anchor is None else _anchored(circuit, anchor)


def _lacks(circuit: QuantumCircuit) -> bool:
    return any(
        not instruction.qubits or any(_lacks(block) for block in instruction.operation.blocks)
        for instruction in circuit.data
        if isinstance(instruction.operation, ControlFlowOp)
    )


def _anchored(circuit: QuantumCircuit, anchor: Qubit) -> QuantumCircuit:
    made = circuit.copy_empty_like()
    for instruction in circuit.data:
        operation, qubits = instruction.operation, instruction.qubits
        if not isinstance(operation, ControlFlowOp) or (qubits and not any(map(_lacks, operation.blocks))):
            made.append(instruction)
            continue
        blocks = [block if qubits else _with_qubit(block) for block in operation.blocks]
        inner = [_anchored(block, block.qubits[0]) for block in blocks]
        made.append(
            CircuitInstruction(operation.replace_blocks(inner), qubits or (anchor,), instruction.clbits)
        )
    return made


def _with_qubit(block: QuantumCircuit) -> QuantumCircuit:
    """Return a block that had no qubit with one, under a barrier."""
    made = block.copy_empty_like()
    made.add_bits([Qubit()])
    made.barrier(made.qubits[0])
    for instruction in block.data:
        made.append(instruction)
    return made
