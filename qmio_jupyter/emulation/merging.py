"""Merging runs of fixed gates and channels into one superoperator each.

Everything between two things that cannot be merged (a gate with free parameters, a measurement, a reset, control
flow) becomes one superoperator per qubit or per pair of neighbours. A single-qubit run before or after a two-qubit
gate goes into its superoperator. What is multiplied keeps its order on every qubit, so the merged circuit is the
same channel to rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from qiskit import QuantumCircuit
from qiskit.circuit import Instruction, ParameterExpression

Matrix = NDArray[np.complex128]

#: Between column stacking, indices (c1 c0 r1 r0), and one qubit after the other, (c1 r1 c0 r0); its own inverse.
_SWAP: Final = np.arange(16).reshape(2, 2, 2, 2).transpose(0, 2, 1, 3).reshape(-1)
#: Between the two qubits of a pair, (c1 r1 c0 r0) to (c0 r0 c1 r1).
_TURN: Final = np.arange(16).reshape(4, 4).T.reshape(-1)
#: Unitaries kept: names of fixed gates, and rotations by the angles a program uses.
_UNITARIES: Final = 4096
_ONE, _TWO = 1, 2


@dataclass(slots=True)
class _Run:
    """A superoperator in the making.

    For two qubits its indices go one qubit after the other, the second of `qubits` more significant.
    """

    qubits: tuple[int, ...]
    matrix: Matrix
    #: The gate itself while it is all there is, and makes no error: it is cheaper than its superoperator.
    alone: Instruction | None = None


@dataclass(slots=True)
class _Kept:
    """An operation that stays as it is."""

    operation: Instruction
    qubits: tuple[int, ...]
    clbits: Sequence[Any]


class Merger:
    """Collects a circuit's operations and writes them merged; `write` once, at the end.

    Parameters
    ----------
    circuit : QuantumCircuit
        Empty; written into. Qubits are named by their indices in it.
    """

    def __init__(self, circuit: QuantumCircuit) -> None:
        self._circuit = circuit
        self._entries: list[_Run | _Kept | None] = []
        #: Per qubit, where the last thing on it is.
        self._last: list[int] = [-1] * circuit.num_qubits
        #: Nothing may be merged into what stands before this.
        self._floor = 0

    def gate(self, operation: Instruction, qubits: tuple[int, ...], error: Matrix | None) -> None:
        """Take a unitary gate and the error that follows it.

        Parameters
        ----------
        operation : Operation
            With numbers or free parameters.
        qubits : tuple of int
            One or two, in the gate's order.
        error : ndarray or None
            Column-stacking superoperator, shape (4**n, 4**n).
        """
        if any(isinstance(value, ParameterExpression) and value.parameters for value in operation.params):
            self.keep(operation, qubits)
            if error is not None:
                self.channel(qubits, error)
            return
        matrix = _unitary(operation.name, tuple(map(float, operation.params)))
        if error is None:
            self._run(qubits, matrix, operation)
        else:
            self._run(qubits, _regrouped(error) @ matrix, None)

    def channel(self, qubits: tuple[int, ...], error: Matrix) -> None:
        """Take a channel: column-stacking superoperator on one or two qubits."""
        self._run(qubits, _regrouped(error), None)

    def keep(self, operation: Instruction, qubits: tuple[int, ...], clbits: Sequence[Any] = ()) -> None:
        """Take an operation that stays what it is; what acts on its qubits later stays behind it."""
        for qubit in qubits:
            self._last[qubit] = len(self._entries)
        self._entries.append(_Kept(operation, qubits, clbits))

    def fence(self, operation: Instruction, qubits: tuple[int, ...], clbits: Sequence[Any]) -> None:
        """Take control flow: whether what follows happens at all may depend on it."""
        self.keep(operation, qubits, clbits)
        self._floor = len(self._entries)

    def write(self) -> None:
        """Write everything into the circuit."""
        for entry in self._entries:
            if entry is None:
                continue
            if isinstance(entry, _Kept):
                self._circuit.append(entry.operation, entry.qubits, entry.clbits, copy=False)
            elif entry.alone is not None:
                self._circuit.append(entry.alone, entry.qubits, copy=False)
            else:
                self._circuit.append(superop(_regrouped(entry.matrix)), entry.qubits, copy=False)

    def _run(self, qubits: tuple[int, ...], matrix: Matrix, alone: Instruction | None) -> None:
        """Take a superoperator with grouped indices."""
        before = [self._open(qubit) for qubit in qubits]
        if len(qubits) == _ONE:
            run = before[0]
            if run is not None:
                run.matrix = _after(run, matrix, qubits[0])
                run.alone = None
                return
        else:
            first, second = before
            if first is not None and first is second:
                turned = matrix if first.qubits == qubits else matrix[np.ix_(_TURN, _TURN)]
                first.matrix = turned @ first.matrix
                first.alone = None
                return
            for qubit, run, is_second in zip(qubits, before, (False, True), strict=True):
                if run is not None and len(run.qubits) == _ONE:
                    matrix = _before(run.matrix, matrix, is_second=is_second)
                    alone = None
                    self._entries[self._last[qubit]] = None
        for qubit in qubits:
            self._last[qubit] = len(self._entries)
        self._entries.append(_Run(qubits, matrix, alone))

    def _open(self, qubit: int) -> _Run | None:
        """Return the run that the next thing on a qubit may join."""
        last = self._last[qubit]
        entry = self._entries[last] if last >= self._floor else None
        return entry if isinstance(entry, _Run) else None


def superop(matrix: Matrix) -> Instruction:
    """Return Aer's instruction for a column-stacking superoperator."""
    return Instruction("superop", _ONE if matrix.shape[0] == 4 else _TWO, 0, [matrix])


def _after(run: _Run, matrix: Matrix, qubit: int) -> Matrix:
    """Return a run's superoperator followed by a single-qubit one on `qubit`."""
    if len(run.qubits) == _ONE:
        return matrix @ run.matrix
    if qubit == run.qubits[1]:
        return (matrix @ run.matrix.reshape(4, 64)).reshape(16, 16)
    return (matrix @ run.matrix.reshape(4, 4, 16)).reshape(16, 16)


def _before(single: Matrix, pair: Matrix, *, is_second: bool) -> Matrix:
    """Return a single-qubit superoperator followed by one on a pair."""
    made: Matrix
    if is_second:
        made = np.einsum("aij,ik->akj", pair.reshape(16, 4, 4), single).reshape(16, 16)
        return made
    made = (pair.reshape(64, 4) @ single).reshape(16, 16)
    return made


def _regrouped(matrix: Matrix) -> Matrix:
    """Turn column stacking into one qubit after the other, or back. For one qubit both are the same."""
    return matrix if matrix.shape[0] == 4 else np.ascontiguousarray(matrix[np.ix_(_SWAP, _SWAP)])


@lru_cache(maxsize=_UNITARIES)
def _unitary(name: str, params: tuple[float, ...]) -> Matrix:
    """Return a standard gate's superoperator, indices grouped: conj(U) x U in column stacking."""
    from qiskit.circuit.library.standard_gates import get_standard_gate_name_mapping

    gate = get_standard_gate_name_mapping()[name].base_class(*params)
    unitary = np.asarray(gate.to_matrix(), dtype=np.complex128)
    made: Matrix = _regrouped(np.kron(unitary.conj(), unitary).astype(np.complex128))
    made.flags.writeable = False
    return made
