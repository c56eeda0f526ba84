"""Choosing how a circuit is simulated, by what it holds and what it would take."""

from __future__ import annotations

from collections import Counter
from typing import Final

import msgspec
from qiskit import QuantumCircuit
from qiskit.circuit import ControlFlowOp

#: Gates that a stabilizer simulation takes.
_CLIFFORD: Final = frozenset(
    {"id", "x", "y", "z", "h", "s", "sdg", "sx", "sxdg", "cx", "cy", "cz", "swap", "ecr", "pauli"}
)
_NEUTRAL: Final = frozenset({"measure", "reset", "barrier", "delay", "break_loop", "continue_loop"})
#: Up to here a state vector is at least as fast as anything else.
_SMALL_QUBITS: Final = 10
#: Where a state vector would need longer than anyone waits for, whatever the memory.
STATEVECTOR_QUBITS: Final = 28
_AMPLITUDE_BYTES: Final = 16
#: A run's own needs beside its state, as a share of it, and in bytes.
_OVERHEAD: Final = 1.25
_FIXED_BYTES: Final = 128 * 2**20


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What the choice rests on."""

    #: Qubits that something acts on.
    active_qubits: int
    operations: Counter[str]
    #: True if something happens after a measurement, or depends on one: every shot is run on its own.
    is_dynamic: bool
    measures: int


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """A simulation method of Aer and what it will need."""

    method: str
    #: Bytes; 0 where nothing can be predicted.
    memory_bytes: int


def survey(circuit: QuantumCircuit) -> Facts:
    """Return what a circuit holds, blocks of control flow included."""
    active: set[int] = set()
    measured: set[int] = set()
    operations: Counter[str] = Counter()
    is_dynamic = False
    for instruction in circuit.data:
        operation = instruction.operation
        name = operation.name
        qubits = {circuit.find_bit(qubit).index for qubit in instruction.qubits}
        if name in ("barrier", "delay"):
            operations[name] += 1
            continue
        if isinstance(operation, ControlFlowOp):
            is_dynamic = True
            for block in operation.blocks:
                operations.update(survey(block).operations)
            operations[name] += 1
            active |= qubits
            continue
        is_dynamic = is_dynamic or name == "reset" or bool(qubits & measured)
        operations[name] += 1
        active |= qubits
        if name == "measure":
            measured |= qubits
    return Facts(
        active_qubits=len(active),
        operations=operations,
        is_dynamic=is_dynamic,
        measures=operations["measure"],
    )


def choose(facts: Facts, memory_bytes: int) -> Choice:
    """Return the method for a compiled circuit.

    Parameters
    ----------
    facts : Facts
        Of the circuit as it will be run.
    memory_bytes : int
        What the run may take beyond what the worker has already.

    """
    names = {
        name
        for name in facts.operations
        if name not in _NEUTRAL and name not in ("if_else", "for_loop", "while_loop", "switch_case")
    }
    qubits = facts.active_qubits
    state = _AMPLITUDE_BYTES << min(qubits, 64)
    needed = int(state * _OVERHEAD) + _FIXED_BYTES
    if names <= _CLIFFORD and qubits > _SMALL_QUBITS:
        return Choice(method="stabilizer", memory_bytes=qubits * qubits // 2)
    if qubits <= STATEVECTOR_QUBITS and needed <= memory_bytes:
        return Choice(method="statevector", memory_bytes=state)
    return Choice(method="matrix_product_state", memory_bytes=0)
