"""From a record to Qiskit's Target: what the transpiler is told about the device."""

from __future__ import annotations

import inspect
import math
from functools import cache
from typing import Any, Final

from qiskit.circuit import ForLoopOp, IfElseOp, Instruction, Measure, SwitchCaseOp, WhileLoopOp
from qiskit.circuit.controlflow import BreakLoopOp, ContinueLoopOp
from qiskit.circuit.library.standard_gates import get_standard_gate_name_mapping
from qiskit.transpiler import InstructionProperties, QubitProperties, Target

from qmio_jupyter.calibration.record import DeviceRecord, Gate, Qubit, is_dead
from qmio_jupyter.errors import ConfigError

#: Qiskit's control flow by name.
_CONTROL_FLOW: Final[dict[str, type[Instruction]]] = {
    "if_else": IfElseOp,
    "for_loop": ForLoopOp,
    "while_loop": WhileLoopOp,
    "switch_case": SwitchCaseOp,
    "break_loop": BreakLoopOp,
    "continue_loop": ContinueLoopOp,
}
#: Single-qubit operations without which a qubit can still do everything.
_NEEDLESS: Final = frozenset({"id", "reset", "delay"})
#: Angles that a device's hardware takes, radians: calibrations of IBM's fractional rzz are valid there only.
_BOUNDS: Final = {"rzz": [(0.0, math.pi / 2)]}


class MeasureProperties(InstructionProperties):  # type: ignore[misc]
    """Duration and error of a measurement with the error of each direction.

    Aer's ``NoiseModel.from_backend`` looks for the two attributes by name and, without them, takes the mean
    for both.
    """

    prob_meas1_prep0: float
    prob_meas0_prep1: float


def build(record: DeviceRecord) -> Target:
    """Return the target of a record: its working gates on their qubits, with durations and errors.

    Dead gates (error 1 or more) are left out, so that nothing is ever compiled onto them; and with a dead
    single-qubit gate everything on its qubit, which nothing could be made of.

    Raises
    ------
    ConfigError
        For a gate that Qiskit does not know, or on the wrong number of qubits.
    """
    target = Target(
        description=record.source,
        num_qubits=record.n_qubits,
        dt=record.dt_s,
        qubit_properties=[
            QubitProperties(t1=qubit.t1_s, t2=qubit.t2_s, frequency=qubit.frequency_hz)
            for qubit in record.qubits
        ],
    )
    lost = unusable(record)
    by_name: dict[str, list[Gate]] = {}
    for gate in record.gates:
        if not is_dead(gate) and lost.isdisjoint(gate.qubits):
            by_name.setdefault(gate.name, []).append(gate)
    for name, gates in sorted(by_name.items()):
        operation = _operation(name)
        _check_qubits(operation, gates, record)
        target.add_instruction(
            operation, {gate.qubits: _properties(gate) for gate in gates}, name=name, **_bounds(name)
        )
    measured = {
        (index,): _measurement(qubit) for index, qubit in enumerate(record.qubits) if index not in lost
    }
    target.add_instruction(Measure(), measured)
    for name in sorted(set(record.control_flow)):
        if name not in _CONTROL_FLOW:
            raise ConfigError(
                f"the record's control flow {name!r} is none of Qiskit's",
                hint=f"Use {', '.join(_CONTROL_FLOW)}.",
            )
        target.add_instruction(_CONTROL_FLOW[name], name=name)
    return target


def unusable(record: DeviceRecord) -> frozenset[int]:
    """Return the qubits of a record that have a dead single-qubit gate (``id``, ``reset`` and ``delay`` are none)."""
    return frozenset(
        gate.qubits[0]
        for gate in record.gates
        if is_dead(gate) and len(gate.qubits) == 1 and gate.name not in _NEEDLESS
    )


def _operation(name: str) -> Instruction:
    operation = get_standard_gate_name_mapping().get(name)
    if operation is None or name == "measure":
        raise ConfigError(
            f"the record's gate {name!r} is none of Qiskit's standard gates",
            hint="Use Qiskit's names; measurements are the qubits' readout.",
        )
    return operation


def _check_qubits(operation: Instruction, gates: list[Gate], record: DeviceRecord) -> None:
    for gate in gates:
        if (
            len(gate.qubits) != operation.num_qubits
            or len(set(gate.qubits)) != len(gate.qubits)
            or not all(0 <= qubit < record.n_qubits for qubit in gate.qubits)
            or len(gate.qubits) > 2
        ):
            raise ConfigError(
                f"the record's gate {gate.name} on {gate.qubits} does not fit a device of {record.n_qubits} qubits",
                hint="Correct its qubits.",
            )


def _properties(gate: Gate) -> InstructionProperties | None:
    if gate.name == "delay" or (gate.duration_s is None and gate.error is None):
        return None
    return InstructionProperties(duration=gate.duration_s, error=gate.error)


def _measurement(qubit: Qubit) -> InstructionProperties | None:
    if qubit.readout_error is None and qubit.readout_s is None:
        return None
    made = MeasureProperties(duration=qubit.readout_s, error=qubit.readout_error)
    # One of the two alone is not known well enough to be emulated.
    is_known = qubit.readout_error is not None
    made.prob_meas1_prep0 = (qubit.prob_meas1_prep0 or 0.0) if is_known else 0.0
    made.prob_meas0_prep1 = (qubit.prob_meas0_prep1 or 0.0) if is_known else 0.0
    return made


@cache
def _knows_bounds() -> bool:
    """Return whether this Qiskit takes angle bounds (2.2 and newer)."""
    return "angle_bounds" in inspect.signature(Target.add_instruction).parameters


def _bounds(name: str) -> dict[str, Any]:
    return {"angle_bounds": _BOUNDS[name]} if name in _BOUNDS and _knows_bounds() else {}
