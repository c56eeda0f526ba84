"""Delays of circuits that came as QPY, which has no place for the unit of a duration.

Qiskit writes the number alone and reads it as samples of the device (Qiskit/qiskit#10662): 10 us would come out as
10 dt, and 1.5 us or a parameter as an instruction that cannot even be looked at. So our own clients write the units
beside the circuit, into its metadata; here they are put back.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from qiskit import QuantumCircuit
from qiskit.circuit import Delay
from qiskit.circuit.classical.expr import Expr
from qiskit.circuit.exceptions import CircuitError

from qmio_jupyter.errors import ProgramError
from qmio_jupyter.model.program import DELAY_UNITS

_UNITS: Final = frozenset({"s", "ms", "us", "ns", "ps", "dt"})


def restored(circuit: QuantumCircuit) -> QuantumCircuit:
    """Return a circuit read from QPY with the units that its delays had.

    Parameters
    ----------
    circuit : QuantumCircuit
        As Qiskit reads it; its delays may not be looked at as operations.

    Raises
    ------
    ProgramError
        ``program.format`` if the units do not belong to the circuit, or there are none and some duration is no
        whole number of samples.
    """
    metadata = circuit.metadata or {}
    if not _has_delays(circuit):
        return circuit
    units = metadata.get(DELAY_UNITS)
    if units is None:
        _check_samples(circuit)
        return circuit
    if not isinstance(units, list) or not all(isinstance(unit, str) and unit in _UNITS for unit in units):
        raise _misfit()
    following = iter(units)
    made = _with(circuit, following)
    if next(following, None) is not None:
        raise _misfit()
    made.metadata = {name: value for name, value in metadata.items() if name != DELAY_UNITS}
    return made


def _has_delays(circuit: QuantumCircuit) -> bool:
    return any(
        any(map(_has_delays, instruction.operation.blocks))
        if instruction.is_control_flow()
        else instruction.name == "delay"
        for instruction in circuit.data
    )


def _with(circuit: QuantumCircuit, units: Iterator[str]) -> QuantumCircuit:
    made = circuit.copy_empty_like()
    for instruction in circuit.data:
        if instruction.is_control_flow():
            operation = instruction.operation
            operation = operation.replace_blocks([_with(block, units) for block in operation.blocks])
        elif instruction.name == "delay" and not isinstance(instruction.params[0], Expr):
            unit = next(units, None)
            if unit is None:
                raise _misfit()
            operation = _delay(instruction.params[0], unit)
        else:
            made.append(instruction)
            continue
        made.append(operation, instruction.qubits, instruction.clbits, copy=False)
    return made


def _delay(duration: Any, unit: str) -> Delay:
    try:
        return Delay(duration, unit=unit)
    except Exception as problem:
        raise ProgramError(
            f"a delay of {duration} {unit}: {' '.join(str(problem).split())[:200]}",
            hint="Correct the duration.",
            code="program.format",
        ) from problem


def _check_samples(circuit: QuantumCircuit) -> None:
    """Refuse durations that are no whole number: Qiskit has taken their units away."""
    for instruction in circuit.data:
        if instruction.is_control_flow():
            for block in instruction.operation.blocks:
                _check_samples(block)
        elif instruction.name == "delay":
            try:
                _ = instruction.operation
            except CircuitError as problem:
                raise ProgramError(
                    f"a delay of {instruction.params[0]} in the QPY data has no unit, for QPY keeps none",
                    hint="Give durations in dt, send OpenQASM 3, or submit the circuit from Python with this package.",
                    code="program.format",
                ) from problem


def _misfit() -> ProgramError:
    return ProgramError(
        "the QPY data names other units than it has delays",
        hint="Write it again.",
        code="program.format",
    )
