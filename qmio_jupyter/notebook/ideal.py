"""The ideal distribution of a program: exact, by Qiskit in this kernel, without shots and without noise.

For programs of few qubits that measure at their end. Loaded only when somebody asks for it.
"""

from __future__ import annotations

import io
import warnings
from typing import Any

from qmio_jupyter.display.about import of_spec, values_of
from qmio_jupyter.errors import ProgramError, QmioError
from qmio_jupyter.model.program import QASM2, QASM3, QPY, Program
from qmio_jupyter.model.result import ItemResult, bitstring
from qmio_jupyter.notebook.known import Submitted

#: Active qubits at most: a state of 2**16 amplitudes, a second.
MOST_QUBITS = 16
#: Outcomes that are less probable are left out.
LEAST = 1e-12

Distribution = list[tuple[str, float]]


def ideal_of(submitted: Submitted, result_item: ItemResult, item: int, binding: int) -> Distribution:
    """Return ``[(bitstring, probability), ...]`` of one item and binding, ordered by bitstring value.

    Parameters
    ----------
    submitted : Submitted
        The task.
    result_item : ItemResult
        The item's result, which says how its bits are written.

    Raises
    ------
    ProgramError
        Where it cannot be computed here: what is missing, or in the way.
    """
    asked = submitted.spec.items[item]
    circuit = _circuit(submitted.programs[asked.program])
    about = of_spec(submitted.spec)
    values = dict(values_of(about, item, binding))
    if values:
        circuit = circuit.assign_parameters(values)
    if circuit.num_clbits != result_item.n_bits:
        raise _cannot(f"the program has {circuit.num_clbits} classical bits, the result {result_item.n_bits}")
    return [
        (bitstring(key, result_item.registers), probability)
        for key, probability in sorted(probabilities_of(circuit).items())
    ]


def probabilities_of(circuit: Any) -> dict[int, float]:
    """Return the probability of every value of a circuit's classical bits, bit 0 the least significant.

    Raises
    ------
    ProgramError
        If it has parameters without a value, too many qubits, or anything after a measurement.
    """
    from qiskit import QuantumCircuit
    from qiskit.quantum_info import Statevector

    if circuit.parameters:
        raise _cannot(f"the parameter {circuit.parameters[0].name} has no value")
    measured = _measured(circuit)
    used = sorted(
        {circuit.find_bit(q).index for one in circuit.data for q in one.qubits if one.name != "barrier"}
    )
    if len(used) > MOST_QUBITS:
        raise _cannot(f"it has {len(used)} active qubits, {MOST_QUBITS} are computed at most")
    place = {qubit: at for at, qubit in enumerate(used)}
    bare = QuantumCircuit(len(used), global_phase=circuit.global_phase)
    for one in circuit.data:
        if one.name not in ("measure", "barrier", "delay"):
            bare.append(one.operation, [place[circuit.find_bit(q).index] for q in one.qubits])
    read = sorted({place[qubit] for qubit in measured.values()})
    if not read:
        return {0: 1.0}
    probabilities = Statevector(bare).probabilities(read)
    at = {qubit: index for index, qubit in enumerate(read)}
    bits = [(clbit, at[place[qubit]]) for clbit, qubit in measured.items()]
    found: dict[int, float] = {}
    for state in probabilities.nonzero()[0].tolist():
        probability = float(probabilities[state])
        if probability > LEAST:
            key = sum((state >> index & 1) << clbit for clbit, index in bits)
            found[key] = found.get(key, 0.0) + probability
    return found


def _measured(circuit: Any) -> dict[int, int]:
    """Return which qubit each classical bit gets, if nothing follows a measurement."""
    measured: dict[int, int] = {}
    over: set[int] = set()
    for one in circuit.data:
        qubits = [circuit.find_bit(qubit).index for qubit in one.qubits]
        if one.name == "barrier":
            continue
        if one.name == "measure":
            measured[circuit.find_bit(one.clbits[0]).index] = qubits[0]
            over.add(qubits[0])
        elif one.clbits or one.is_control_flow() or one.name in ("reset", "initialize", "store"):
            raise _cannot(f"it has {one.name}")
        elif not over.isdisjoint(qubits):
            raise _cannot(f"{one.name} follows a measurement")
    return measured


def _circuit(program: Program) -> Any:
    try:
        import qiskit  # noqa: F401 - asked for by name, so that what is missing can be told
    except ImportError:
        raise _cannot("Qiskit is not installed here") from None
    from qiskit import qasm2, qasm3, qpy

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if program.media_type == QPY:
                return qpy.load(io.BytesIO(program.data))[0]
            text = program.data.decode()
            if program.media_type == QASM3:
                return qasm3.loads(text)
            if program.media_type == QASM2:
                return qasm2.loads(text, custom_instructions=qasm2.LEGACY_CUSTOM_INSTRUCTIONS)
    except QmioError:
        raise
    except Exception as problem:  # noqa: BLE001 - parsers raise what they like
        said = " ".join(str(problem).split())[:120] or type(problem).__name__
        raise _cannot(f"Qiskit cannot read it ({said})") from None
    raise _cannot(f"Qiskit does not read {program.media_type}")


def _cannot(why: str) -> ProgramError:
    return ProgramError(
        f"the ideal distribution cannot be computed here: {why}",
        hint="Run the program with --ideal, and compare with that task.",
        code="program.unsupported",
    )
