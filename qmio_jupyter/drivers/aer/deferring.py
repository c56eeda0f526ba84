"""Mid-circuit measurements put off to the end: a program whose shots differ becomes one whose probabilities can be had.

A measurement whose outcome is only looked at later may as well be made later (the principle of deferred measurement;
Nielsen and Chuang, "Quantum Computation and Quantum Information", 4.4): its qubit holds the outcome if nothing acts on
it any more, else a further qubit does, set by a CNOT. A branch becomes an operation that the outcome's qubit controls.
In a density matrix that holds for noisy operations and for readings with errors as well: a branch is then a block of
a superoperator, and a reading error a channel on the qubit that holds the outcome.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from qiskit import QuantumCircuit
from qiskit.circuit import CASE_DEFAULT, Clbit, ForLoopOp, Gate, IfElseOp, Instruction, SwitchCaseOp
from qiskit.circuit.library import CXGate, UnitaryGate
from qiskit.quantum_info import Kraus, Operator, SuperOp

from qmio_jupyter.drivers.aer.classical import NotSimpleError, bits_of, satisfying
from qmio_jupyter.drivers.aer.exact import FinalMeasure

#: Qubits of a controlled operation, controls included: as a unitary, and as a superoperator.
_UNITARY: Final = 6
_SUPEROP: Final = 4
#: Turns of a loop that are written out.
_TURNS: Final = 64
_IDLE: Final = frozenset({"barrier", "delay"})

Matrix2 = NDArray[np.float64]


class Deferred(NamedTuple):
    """A program without classical bits, and where its outcomes are."""

    circuit: QuantumCircuit
    measures: list[FinalMeasure]


def deferred(
    circuit: QuantumCircuit,
    *,
    active: Sequence[int],
    readout: Mapping[int, Matrix2],
    is_mixed: bool,
    most: int,
) -> Deferred | None:
    """Return a program with its measurements at the end, None for one that cannot be written so.

    Parameters
    ----------
    circuit : QuantumCircuit
        Its noise, if any, as superoperators in it.
    active : sequence of int
        The qubits that something acts on; the others are left out.
    readout : mapping
        P[prepared, measured], shape (2, 2), of the qubits that are read with errors.
    is_mixed : bool
        Whether it is run as a density matrix. A state vector takes neither channels nor resets in a branch; its
        other resets are fresh qubits.
    most : int
        Qubits it may have.
    """
    try:
        walk = _Walk(circuit, active, readout, is_mixed=is_mixed, most=most)
        walk.run(circuit)
        return walk.done()
    except NotSimpleError:
        return None


class _Condition(NamedTuple):
    """Wires, the first least significant, and the values of them for which something happens."""

    wires: tuple[int, ...] = ()
    values: frozenset[int] = frozenset({0})

    def both(self, other: _Condition) -> _Condition:
        """Return the condition that this one and another one are met."""
        wires = (*self.wires, *(wire for wire in other.wires if wire not in self.wires))
        met = frozenset(
            value
            for value in range(1 << len(wires))
            if _part(value, wires, self.wires) in self.values
            and _part(value, wires, other.wires) in other.values
        )
        return _Condition(wires, met)

    def opposite(self) -> _Condition:
        """Return the condition that this one is not met."""
        return _Condition(self.wires, frozenset(range(1 << len(self.wires))) - self.values)


def _part(value: int, wires: Sequence[int], wanted: Sequence[int]) -> int:
    """Return the value of some wires, from that of all."""
    return sum((value >> wires.index(wire) & 1) << at for at, wire in enumerate(wanted))


class _Held(NamedTuple):
    """Where a classical bit's value is: a wire, and the error with which it is still to be read."""

    wire: int
    readout: Matrix2 | None


class _Walk:
    """One pass over a program."""

    def __init__(
        self,
        circuit: QuantumCircuit,
        active: Sequence[int],
        readout: Mapping[int, Matrix2],
        *,
        is_mixed: bool,
        most: int,
    ) -> None:
        self._readout = readout
        self._is_mixed = is_mixed
        self._most = most
        self._wire = {qubit: wire for wire, qubit in enumerate(active)}
        self._wires = len(active)
        self._touched: set[int] = set()
        self._held: dict[int, _Held] = {}
        self._operations: list[tuple[Any, list[int]]] = []
        self._last = _last_uses(circuit)
        self._looked_at = set(_looked_at(circuit, list(range(circuit.num_clbits))))
        self._new_wires(0)

    def run(self, circuit: QuantumCircuit) -> None:
        """Take in the whole program."""
        qubits, clbits = list(range(circuit.num_qubits)), list(range(circuit.num_clbits))
        for at, step in enumerate(_steps(circuit, qubits, clbits)):
            self._step(step, None, is_last=lambda qubit, at=at: self._last[qubit] == at)  # type: ignore[misc]

    def done(self) -> Deferred:
        """Return what came of it."""
        made = QuantumCircuit(self._wires)
        for operation, wires in self._operations:
            made.append(operation, wires, copy=False)
        return Deferred(
            made,
            [
                FinalMeasure(qubit=held.wire, clbit=clbit, readout=held.readout)
                for clbit, held in self._held.items()
            ],
        )

    # ------------------------------------------------------------ one instruction

    def _step(self, step: _Step, condition: _Condition | None, *, is_last: Callable[[int], bool]) -> None:
        operation = step.operation
        if step.operation.name in _IDLE:
            return
        if isinstance(operation, ForLoopOp):
            for block in _turns(operation):
                self._block(block, step, condition)
        elif isinstance(operation, (IfElseOp, SwitchCaseOp)):
            for block, taken in self._branches(operation, step):
                self._block(block, step, taken if condition is None else condition.both(taken))
        elif condition is not None and condition.wires:
            self._controlled(step, condition)
        elif condition is None or condition.values:
            self._plain(step, is_last=is_last)

    def _block(self, block: QuantumCircuit, step: _Step, condition: _Condition | None) -> None:
        for inner in _steps(block, step.qubits, step.clbits):
            self._step(inner, condition, is_last=lambda _: False)

    def _plain(self, step: _Step, *, is_last: Callable[[int], bool]) -> None:
        name = step.operation.name
        if name == "measure":
            self._measure(step.qubits[0], step.clbits[0], is_last=is_last(step.qubits[0]))
        elif name == "reset" and not self._is_mixed:
            (qubit,) = step.qubits
            if self._wire[qubit] in self._touched:
                self._wire[qubit] = self._new_wires(1)
        elif isinstance(step.operation, Gate) or (self._is_mixed and name in ("superop", "kraus", "reset")):
            self._add(step.operation, [self._wire[qubit] for qubit in step.qubits])
        else:
            raise NotSimpleError(name)

    def _measure(self, qubit: int, clbit: int, *, is_last: bool) -> None:
        wire = self._wire[qubit]
        readout = self._readout.get(qubit)
        if not is_last:
            kept = self._new_wires(1)
            self._add(CXGate(), [wire, kept])
            wire = kept
        if readout is not None and clbit in self._looked_at:
            self._add(_misreading(readout), [wire])
            readout = None
        self._held[clbit] = _Held(wire, readout)

    def _controlled(self, step: _Step, condition: _Condition) -> None:
        """Add an operation of a branch."""
        operation = step.operation
        wires = [self._wire[qubit] for qubit in step.qubits]
        if not condition.values:
            return
        if not step.qubits:
            if isinstance(operation, Gate):
                return  # a phase of everything: nothing sees it where an outcome decides on it
            raise NotSimpleError(operation.name)  # an assignment to classical bits
        if set(wires) & set(condition.wires) or getattr(operation, "is_parameterized", bool)():
            raise NotSimpleError(operation.name)
        together = [*wires, *condition.wires]
        if isinstance(operation, Gate):
            _check_width(together, _UNITARY)
            blocks = UnitaryGate(_unitary(np.asarray(Operator(operation).data), condition), check_input=False)
            self._add(blocks, together)
        elif self._is_mixed and operation.name in ("superop", "kraus", "reset"):
            _check_width(together, _SUPEROP)
            channel = _channel(operation)
            self._add(_superop(_superoperator(channel, condition)), together)
        else:
            raise NotSimpleError(operation.name)

    def _branches(
        self, operation: IfElseOp | SwitchCaseOp, step: _Step
    ) -> Iterator[tuple[QuantumCircuit, _Condition]]:
        """Yield every block with the condition on which it is taken."""
        if isinstance(operation, IfElseOp):
            target, wanted = _tested(operation.condition)
            met = self._condition(target, lambda value: value == wanted, step)
            for block, taken in zip(operation.blocks, (met, met.opposite()), strict=False):
                yield block, taken
            return
        named: set[int] = set()
        for labels, block in operation.cases_specifier():
            values = {int(label) for label in labels if label is not CASE_DEFAULT} - named
            if CASE_DEFAULT in labels:
                before = frozenset(named)
                yield block, self._condition(operation.target, lambda v, b=before: v not in b, step)  # type: ignore[misc]
                return
            named |= values
            yield block, self._condition(operation.target, lambda v, w=frozenset(values): v in w, step)  # type: ignore[misc]

    def _condition(self, target: Any, is_met: Callable[[int], bool], step: _Step) -> _Condition:
        bits = bits_of(target)
        held = {bit: self._held.get(step.places[bit]) for bit in bits}
        free = [bit for bit in bits if held[bit] is not None]
        known = {bit: 0 for bit in bits if held[bit] is None}
        wires = tuple([found.wire for bit in free if (found := held[bit]) is not None])
        if len(set(wires)) != len(wires):
            raise NotSimpleError("one outcome in two bits")
        return _Condition(wires, satisfying(target, is_met, free, known))

    # ------------------------------------------------------------ wires

    def _new_wires(self, number: int) -> int:
        first = self._wires
        self._wires += number
        if self._wires > self._most:
            raise NotSimpleError("too many qubits")
        return first

    def _add(self, operation: Any, wires: list[int]) -> None:
        self._operations.append((operation, wires))
        self._touched.update(wires)


class _Step(NamedTuple):
    """An instruction, its bits as the outermost circuit counts them, and how its block calls these."""

    operation: Any
    qubits: list[int]
    clbits: list[int]
    places: dict[Clbit, int]


def _steps(circuit: QuantumCircuit, qubits: Sequence[int], clbits: Sequence[int]) -> Iterator[_Step]:
    qubit_at = dict(zip(circuit.qubits, qubits, strict=True))
    clbit_at = dict(zip(circuit.clbits, clbits, strict=True))
    for instruction in circuit.data:
        yield _Step(
            instruction.operation,
            [qubit_at[bit] for bit in instruction.qubits],
            [clbit_at[bit] for bit in instruction.clbits],
            clbit_at,
        )


def _last_uses(circuit: QuantumCircuit) -> dict[int, int]:
    """Return the number of the last instruction on each qubit."""
    every = _steps(circuit, list(range(circuit.num_qubits)), list(range(circuit.num_clbits)))
    return {
        qubit: at
        for at, step in enumerate(every)
        if step.operation.name not in _IDLE
        for qubit in step.qubits
    }


def _looked_at(circuit: QuantumCircuit, clbits: Sequence[int]) -> Iterator[int]:
    """Yield the classical bits that conditions depend on."""
    for step in _steps(circuit, list(range(circuit.num_qubits)), clbits):
        operation = step.operation
        if isinstance(operation, IfElseOp):
            yield from (step.places[bit] for bit in bits_of(_tested(operation.condition)[0]))
        elif isinstance(operation, SwitchCaseOp):
            yield from (step.places[bit] for bit in bits_of(operation.target))
        for block in getattr(operation, "blocks", ()):
            yield from _looked_at(block, step.clbits)


def _tested(condition: Any) -> tuple[Any, int]:
    """Return what a condition looks at, and the value it wants."""
    if isinstance(condition, tuple):
        target, wanted = condition
        return target, int(wanted)
    return condition, 1


def _turns(operation: ForLoopOp) -> Iterator[QuantumCircuit]:
    """Yield a loop's body as often as it turns."""
    indices, parameter, body = operation.params
    values = list(indices)
    if len(values) > _TURNS or any(name in body.count_ops() for name in ("break_loop", "continue_loop")):
        raise NotSimpleError("for_loop")
    for value in values:
        yield body if parameter is None else body.assign_parameters({parameter: value})


def _check_width(wires: Sequence[int], most: int) -> None:
    if len(wires) > most:
        raise NotSimpleError("too many controls")


def _channel(operation: Any) -> NDArray[np.complex128]:
    """Return the superoperator of an operation that is no unitary."""
    if operation.name == "superop":
        return np.asarray(operation.params[0])
    return np.asarray(SuperOp(Kraus(operation.params) if operation.name == "kraus" else operation).data)


def _misreading(readout: Matrix2) -> Instruction:
    """Return the channel that makes of an outcome what is read: P[prepared, measured] on the diagonal only."""
    channel = np.zeros((4, 4), dtype=np.complex128)
    for prepared in (0, 1):
        for measured in (0, 1):
            channel[3 * measured, 3 * prepared] = readout[prepared, measured]
    return _superop(channel)


def _superop(matrix: NDArray[np.complex128]) -> Instruction:
    """Return a channel as an instruction of Aer's; Qiskit would take it apart into Kraus operators."""
    return Instruction("superop", round(math.log(len(matrix), 4)), 0, [matrix])


def _unitary(matrix: NDArray[np.complex128], condition: _Condition) -> NDArray[np.complex128]:
    """Return a matrix that acts where the condition is met; the controls are the more significant qubits."""
    size = len(matrix)
    number = 1 << len(condition.wires)
    made = np.eye(size * number, dtype=np.complex128)
    for value in condition.values:
        made[value * size : (value + 1) * size, value * size : (value + 1) * size] = matrix
    return made


def _superoperator(matrix: NDArray[np.complex128], condition: _Condition) -> NDArray[np.complex128]:
    """Return the same of a superoperator; what is not classical in the controls is lost, as in a measurement."""
    size = round(len(matrix) ** 0.5)
    number = 1 << len(condition.wires)
    # Column and row, out and in, each as (control, qubits): a superoperator acts on columns put one below the other.
    made = np.zeros((number, size) * 4, dtype=np.complex128)
    channel = matrix.reshape((size,) * 4)
    identity = np.eye(size * size).reshape((size,) * 4)
    for value in range(number):
        made[value, :, value, :, value, :, value, :] = channel if value in condition.values else identity
    return made.reshape((number * size) ** 2, (number * size) ** 2)
