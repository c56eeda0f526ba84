"""Programs that differ in their angles only: compiled once, their angles a row of parameters.

A loop that binds its circuit itself and submits it whole sends another program each time, of which nothing is known
but that everything except its numbers was there before. Reading it is then all that is left to do.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter

from qmio_jupyter.drivers.aer.outcomes import layout
from qmio_jupyter.drivers.aer.tables import Matrix

#: Widest program, and most operations: where compiling takes longer than running.
_QUBITS: Final = 10
_OPERATIONS: Final = 1_000
#: What stands between gates.
_PLAIN: Final = frozenset({"measure", "barrier"})


class Template(NamedTuple):
    """What a program is but for its angles, and these: shape (1, angles)."""

    structure: tuple[object, ...]
    angles: Matrix


def template(circuit: QuantumCircuit) -> Template | None:
    """Return a program's structure and angles; None where it has no angles, free parameters, or more than gates."""
    if circuit.num_qubits > _QUBITS or len(circuit.data) > _OPERATIONS:
        return None
    qubits = {bit: at for at, bit in enumerate(circuit.qubits)}
    clbits = {bit: at for at, bit in enumerate(circuit.clbits)}
    angles: list[float] = []
    steps: list[object] = []
    for instruction in circuit.data:
        name = instruction.name
        if not instruction.is_standard_gate() and name not in _PLAIN:
            return None
        steps.append(name)
        steps.append(tuple([qubits[bit] for bit in instruction.qubits]))
        if instruction.clbits:
            steps.append(clbits[instruction.clbits[0]])
        for value in instruction.params:
            if not isinstance(value, (float, int)) or "_o" in name:
                return None
            angles.append(value)
    if not angles:
        return None
    return Template((circuit.num_qubits, layout(circuit), *steps), np.array([angles], dtype=np.float64))


def freed(circuit: QuantumCircuit) -> QuantumCircuit:
    """Return a circuit with a parameter in place of every angle: a0, a1, ... in the order of `Template.angles`."""
    made = circuit.copy_empty_like()
    number = 0
    for instruction in circuit.data:
        operation = instruction.operation
        if instruction.params:
            values = [Parameter(f"a{number + at}") for at in range(len(instruction.params))]
            number += len(values)
            operation = operation.copy()
            operation.params = values
        made.append(operation, instruction.qubits, instruction.clbits, copy=False)
    return made
