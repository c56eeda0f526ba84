"""Circuits without their control flow, for those who look at gates only: Qiskit's layouts pass over blocks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qiskit import QuantumCircuit


def shadow(circuit: QuantumCircuit) -> QuantumCircuit:
    """Return a circuit's gates on its qubits, those of blocks written out in a row, each loop once.

    It computes nothing: measurements, resets, delays and classical bits are left out.
    """
    made = QuantumCircuit(circuit.num_qubits)
    _write(circuit, range(circuit.num_qubits), made)
    return made


def two_qubit_gates(circuit: QuantumCircuit) -> int:
    """Return the number of gates on two qubits or more, those of blocks too, each loop once."""
    return sum(
        sum(map(two_qubit_gates, instruction.operation.blocks))
        if instruction.is_control_flow()
        else _is_pairing(instruction)
        for instruction in circuit.data
    )


def has_paired_blocks(circuit: QuantumCircuit) -> bool:
    """Return whether a gate on two qubits or more stands in a block."""
    return any(
        any(map(two_qubit_gates, instruction.operation.blocks))
        for instruction in circuit.data
        if instruction.is_control_flow()
    )


def _is_pairing(instruction: Any) -> bool:
    return len(instruction.qubits) > 1 and instruction.name not in ("barrier", "break_loop", "continue_loop")


def _write(circuit: QuantumCircuit, where: Sequence[int], made: QuantumCircuit) -> None:
    index = {qubit: where[place] for place, qubit in enumerate(circuit.qubits)}
    for instruction in circuit.data:
        qubits = [index[qubit] for qubit in instruction.qubits]
        if instruction.is_control_flow():
            for block in instruction.operation.blocks:
                _write(block, qubits, made)
        elif _is_pairing(instruction) or instruction.is_standard_gate():
            made.append(instruction.operation, qubits, copy=False)
