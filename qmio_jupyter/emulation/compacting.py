"""Walking through a device's circuit and writing one of the qubits that it uses only.

A program of five qubits compiled for a device of 156 has 156; what is simulated has five.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from qiskit.circuit import (
    ControlFlowOp,
    Delay,
    Instruction,
    ParameterExpression,
    QuantumCircuit,
    Qubit,
)
from qiskit.utils.units import apply_prefix

from qmio_jupyter.errors import ProgramError

#: They do nothing by themselves: a qubit that knows nothing else stays as it is, |0>.
_IDLE: Final = frozenset({"barrier", "delay", "break_loop", "continue_loop"})
#: Ways out of a loop's body, which Qiskit does not count as control flow.
_JUMPS: Final = frozenset({"break_loop", "continue_loop"})


@dataclass(frozen=True, slots=True)
class Step:
    """One instruction on the qubits that are kept.

    Attributes
    ----------
    operation : Instruction
        With its parameters; control flow has its blocks written already.
    compact, physical : tuple of int
        Its qubits, by their place in the circuit that is written, and on the device.
    clbits : sequence of Clbit
        Its classical bits.
    """

    operation: Instruction
    compact: tuple[int, ...]
    physical: tuple[int, ...]
    clbits: Sequence[Any] = ()


class Writer(Protocol):
    """What `walk` tells of a circuit, in order."""

    def gate(self, step: Step) -> None:
        """Take a unitary gate."""
        ...

    def wait(self, step: Step, seconds: float) -> None:
        """Take a delay of one qubit."""
        ...

    def reset(self, step: Step) -> None:
        """Take a reset."""
        ...

    def measure(self, step: Step) -> None:
        """Take a measurement into a bit."""
        ...

    def block(self, circuit: QuantumCircuit) -> Writer:
        """Return a writer into the empty `circuit`, a block of the control flow that comes next."""
        ...

    def control(self, step: Step) -> None:
        """Take control flow whose blocks are written, or an operation on classical values only."""
        ...

    def done(self) -> None:
        """Finish: nothing follows."""
        ...


def active(circuit: QuantumCircuit) -> tuple[int, ...]:
    """Return the indices of qubits that more than delays and barriers act on, ascending."""
    return tuple(sorted(_active(circuit, range(circuit.num_qubits))))


def _active(circuit: QuantumCircuit, where: Sequence[int]) -> set[int]:
    index = {qubit: where[place] for place, qubit in enumerate(circuit.qubits)}
    found: set[int] = set()
    for instruction in circuit.data:
        if instruction.is_control_flow():
            touched = [index[qubit] for qubit in instruction.qubits]
            for block in instruction.operation.blocks:
                found |= _active(block, touched)
        elif instruction.name not in _IDLE:
            found.update(index[qubit] for qubit in instruction.qubits)
    return found


def needs_values(circuit: QuantumCircuit) -> bool:
    """Return whether a free parameter is a duration: then noise depends on it and has to wait for its value."""
    for instruction in circuit.data:
        if instruction.is_control_flow():
            if any(needs_values(block) for block in instruction.operation.blocks):
                return True
        elif instruction.name == "delay" and getattr(instruction.params[0], "parameters", ()):
            return True
    return False


def with_durations(circuit: QuantumCircuit, values: Mapping[str, float] | None) -> QuantumCircuit:
    """Return a circuit whose delays have durations; its other parameters stay free.

    Parameters
    ----------
    circuit : QuantumCircuit
        Some of its delays' durations are expressions of parameters.
    values : mapping of str to float, or None
        By the parameters' names. None: every free duration is 0.

    Raises
    ------
    ProgramError
        ``program.parameters`` for a duration that comes out negative or as no number.
    """
    made = circuit.copy_empty_like()
    for instruction in circuit.data:
        operation: Any = instruction.operation
        if instruction.is_control_flow():
            operation = operation.replace_blocks(
                [with_durations(block, values) for block in operation.blocks]
            )
        elif instruction.name == "delay" and getattr(operation.params[0], "parameters", ()):
            operation = Delay(_duration(operation.params[0], operation.unit, values), unit=operation.unit)
        made.append(operation, instruction.qubits, instruction.clbits, copy=False)
    return made


def _duration(expression: Any, unit: str, values: Mapping[str, float] | None) -> float:
    if values is None:
        return 0
    try:
        found = float(expression.bind({p: values[p.name] for p in expression.parameters}))
    except (TypeError, ValueError, ArithmeticError):
        found = math.nan
    if not (math.isfinite(found) and found >= 0.0):
        raise ProgramError(
            f"a delay's duration {expression} comes out as {found} {unit}",
            hint="Use values that make it 0 or more.",
            code="program.parameters",
        )
    return round(found) if unit == "dt" else found


def places(circuit: QuantumCircuit, order: Sequence[int] | None) -> tuple[int, ...]:
    """Return the physical qubits that a compact circuit holds, in its order.

    Parameters
    ----------
    circuit : QuantumCircuit
        Of the device: its qubits are the device's.
    order : sequence of int or None
        Physical qubits in the order wanted; qubits that nothing acts on are left out. None: ascending.

    Raises
    ------
    ValueError
        If `order` leaves out a qubit that is used, or names one twice.
    """
    used = active(circuit)
    if order is None:
        return used
    chosen = tuple(qubit for qubit in order if qubit in used)
    if sorted(chosen) != list(used):
        raise ValueError(f"the order {tuple(order)} is none of the active qubits {used}")
    return chosen


def empty(circuit: QuantumCircuit, n_qubits: int) -> QuantumCircuit:
    """Return a circuit on `n_qubits` with all classical bits and variables of `circuit`, and no instruction."""
    made = QuantumCircuit(
        [Qubit() for _ in range(n_qubits)],
        circuit.clbits,
        *circuit.cregs,
        name=circuit.name,
        global_phase=circuit.global_phase,
        inputs=list(circuit.iter_input_vars()),
        captures=list(circuit.iter_captured_vars()),
    )
    for variable in circuit.iter_declared_vars():
        made.add_uninitialized_var(variable)
    return made


def walk(circuit: QuantumCircuit, physical: Sequence[int], dt_s: float, writer: Writer) -> None:
    """Tell `writer` of every instruction on qubits of `physical`, blocks of control flow first.

    Parameters
    ----------
    circuit : QuantumCircuit
        Of the device.
    physical : sequence of int
        The qubits to keep, in the compact circuit's order.
    dt_s : float
        The device's sample, seconds, for delays that count in it.
    writer : Writer
        Told.
    """
    place = {qubit: compact for compact, qubit in enumerate(physical)}
    _walk(circuit, {q: (place[i], i) for i, q in enumerate(circuit.qubits) if i in place}, dt_s, writer)
    writer.done()


def _walk(circuit: QuantumCircuit, index: dict[Any, tuple[int, int]], dt_s: float, writer: Writer) -> None:
    for instruction in circuit.data:
        name = instruction.name
        found = [index[qubit] for qubit in instruction.qubits if qubit in index]
        if name == "barrier" or (name == "delay" and not found):
            continue
        operation: Instruction = instruction.operation
        is_control = instruction.is_control_flow() or name in _JUMPS
        if is_control:
            operation = _rewritten(instruction, index, dt_s, writer)
        step = Step(
            operation,
            tuple(pair[0] for pair in found),
            tuple(pair[1] for pair in found),
            instruction.clbits,
        )
        if name == "delay":
            writer.wait(step, _seconds(instruction, dt_s))
        elif name == "measure":
            writer.measure(step)
        elif name == "reset":
            writer.reset(step)
        elif is_control or not found:
            writer.control(step)
        else:
            writer.gate(step)


def _rewritten(
    instruction: Any, index: dict[Any, tuple[int, int]], dt_s: float, writer: Writer
) -> Instruction:
    """Return control flow on the qubits that are kept, its blocks written anew."""
    operation: Any = instruction.operation
    kept = [place for place, qubit in enumerate(instruction.qubits) if qubit in index]
    if not isinstance(operation, ControlFlowOp):
        # `break` or `continue`: it has a width, and nothing else.
        empty_handed: Any = type(operation)
        return empty_handed(len(kept), operation.num_clbits)
    blocks = []
    for block in operation.blocks:
        made = empty(block, len(kept))
        inner = writer.block(made)
        # Inside, a qubit's compact index is its place in the block.
        inside = {
            block.qubits[place]: (local, index[instruction.qubits[place]][1])
            for local, place in enumerate(kept)
        }
        _walk(block, inside, dt_s, inner)
        inner.done()
        blocks.append(made)
    return operation.replace_blocks(blocks)


def _seconds(instruction: Any, dt_s: float) -> float:
    """Return a delay's duration, seconds.

    Raises
    ------
    ProgramError
        ``program.parameters`` if it is a free parameter, ``program.unsupported`` if nothing says how long it is.
    """
    duration, unit = instruction.params[0], instruction.operation.unit
    if isinstance(duration, ParameterExpression):
        if duration.parameters:
            raise ProgramError(
                f"the delay's duration {duration} is not bound",
                hint="Bind every parameter.",
                code="program.parameters",
            )
        duration = duration.numeric()
    if not isinstance(duration, int | float):
        raise ProgramError(
            f"a delay of {getattr(duration, 'name', 'an expression')} is known only to a scheduler",
            hint="Give its duration in s, ms, us, ns or dt.",
            code="program.unsupported",
        )
    return float(duration * dt_s if unit == "dt" else apply_prefix(duration, unit))
