"""Noise for simulations that run shot by shot: the same channels as in `baking`, as events drawn for each shot.

The circuit stays one of gates; what may happen after each stands in a noise model of the used qubits only, in the
form that Aer reads (see `mixtures` for what the events are). No Kraus operators are in it: with a single one Aer
would turn every error of the model into Kraus form and compute norms at each gate, five times slower. Amplitude
damping, where it is left, is written as what it is in nature: the qubit gives its excitation to another one, which
is then reset. One ancilla at the end of the circuit serves all.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from qiskit import QuantumCircuit
from qiskit.circuit import Instruction, Qubit
from qiskit.circuit.library import SdgGate, SGate, ZGate
from qiskit_aer.noise import NoiseModel

from qmio_jupyter.emulation import compacting
from qmio_jupyter.emulation.baking import Measure, Notes
from qmio_jupyter.emulation.compacting import Step
from qmio_jupyter.emulation.mixtures import Mixture, is_cut, mixture
from qmio_jupyter.emulation.noise import NoiseBook, Terms
from qmio_jupyter.errors import ProgramError

#: Events rarer than this are none: Aer leaves them out when it reads a model (its threshold for probabilities).
RAREST: Final = 1e-10
#: How far an angle may be from a multiple of a quarter turn and still be one, radians.
_ANGLE: Final = 1e-9
_QUARTERS: Final = {1: SGate(), 2: ZGate(), 3: SdgGate()}


class EventNoise(NoiseModel):  # type: ignore[misc]
    """Aer's noise model, made of events instead of channels.

    Making the same through ``QuantumError`` takes milliseconds per gate, and a run would turn it into this form
    again each time.

    Parameters
    ----------
    errors : list
        What ``NoiseModel.to_dict(serializable=True)["errors"]`` has.
    """

    def __init__(self, errors: list[dict[str, Any]]) -> None:
        super().__init__()
        self._ready = {"errors": errors}

    def to_dict(self, serializable: bool = False) -> dict[str, Any]:  # noqa: ARG002 - Aer's
        """Return the model as Aer's simulator reads it; treat it as read-only."""
        return self._ready

    def is_ideal(self) -> bool:
        """Return whether it has no errors."""
        return not self._ready["errors"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unravelled:
    """A circuit and the noise model to run it with, shot by shot.

    Attributes
    ----------
    circuit : QuantumCircuit
        On the qubits used; where nothing but noise happens stand ``qerror_loc`` marks. With `has_ancilla` its last
        qubit is none of the device's.
    physical : tuple of int
        Which of the device's qubits each of its qubits is, the ancilla left out.
    has_ancilla : bool
        True if some relaxation needs amplitude damping.
    noise_model : EventNoise or None
        Gate errors, relaxation during delays, readout errors; None if there are none.
    measures : tuple of Measure
        Outside control flow. Their readout errors are in the noise model already.
    remarks : tuple of (str, str)
        For the result.
    """

    circuit: QuantumCircuit
    physical: tuple[int, ...]
    has_ancilla: bool
    noise_model: EventNoise | None
    measures: tuple[Measure, ...]
    remarks: tuple[tuple[str, str], ...]


def unravel(isa: QuantumCircuit, book: NoiseBook, order: Sequence[int] | None = None) -> Unravelled:
    """Return a device's circuit with its noise as events, exactly the channels of `book`.

    Parameters
    ----------
    isa : QuantumCircuit
        Compiled for the device; durations bound, other parameters may be free.
    book : NoiseBook
        The device's noise.
    order : sequence of int or None
        Physical qubits in the order the compact circuit should have; None: ascending.

    Raises
    ------
    ProgramError
        ``program.unsupported`` for a gate that the device does not have, or a delay without a time.
    """
    return _unravelled(isa, book, order, is_clifford=False)


def clifford(isa: QuantumCircuit, book: NoiseBook, order: Sequence[int] | None = None) -> Unravelled:
    """Return a Clifford circuit with its noise as Paulis and resets, for a stabilizer simulation.

    Exact unless some T2 exceeds T1 by more than the gate's own Z errors make up for; there T2 counts as T1
    (populations stay exact), and the remarks name the qubits. Parameters as for `unravel`.

    Raises
    ------
    ProgramError
        As `unravel`; also ``program.unsupported`` for a rotation that is no multiple of a quarter turn.
    """
    return _unravelled(isa, book, order, is_clifford=True)


def _unravelled(
    isa: QuantumCircuit, book: NoiseBook, order: Sequence[int] | None, *, is_clifford: bool
) -> Unravelled:
    physical = compacting.places(isa, order)
    circuit, notes, errors = _written(isa, book, physical, is_clifford=is_clifford, has_ancilla=False)
    if errors.needs_ancilla:
        circuit, notes, errors = _written(isa, book, physical, is_clifford=is_clifford, has_ancilla=True)
    remarks = book.remarks(notes.gates, physical)
    if errors.cut:
        named = ", ".join(f"qubit {qubit}" for qubit in sorted(errors.cut))
        remarks = (*remarks, ("t2_cut", f"T2 is above T1, emulated with T1 by stabilizers: {named}"))
    found = errors.finished(notes.readout)
    return Unravelled(
        circuit=circuit,
        physical=physical,
        has_ancilla=errors.needs_ancilla,
        noise_model=EventNoise(found) if found else None,
        measures=tuple(notes.measures),
        remarks=remarks,
    )


def _written(
    isa: QuantumCircuit, book: NoiseBook, physical: Sequence[int], *, is_clifford: bool, has_ancilla: bool
) -> tuple[QuantumCircuit, Notes, _Errors]:
    """Return the compact circuit, with or without an ancilla, and what was learnt on the way."""
    circuit = compacting.empty(isa, len(physical))
    if has_ancilla:
        circuit.add_bits([Qubit()])
    notes = Notes(isa, book, physical)
    errors = _Errors(physical, is_clifford=is_clifford)
    writer = _Unravelling(circuit, book, notes, errors, has_ancilla=has_ancilla)
    compacting.walk(isa, physical, book.record.dt_s, writer)
    return circuit, notes, errors


class _Errors:
    """Collects errors in Aer's form, one per place in the device that has one."""

    def __init__(self, physical: Sequence[int], *, is_clifford: bool) -> None:
        self.is_clifford = is_clifford
        self.cut: set[int] = set()
        self.needs_ancilla = False
        self._compact = {qubit: compact for compact, qubit in enumerate(physical)}
        self._ancilla = len(physical)
        self._mixtures: dict[tuple[str, tuple[int, ...]], Mixture] = {}
        self._made: dict[str, dict[str, Any]] = {}

    def add(self, label: str, physical: tuple[int, ...], terms: Terms) -> list[tuple[int, str]]:
        """Take the error of everything that is called `label` on these qubits.

        Returns
        -------
        list of (int, str)
            Which of them may be damped afterwards, and the label of the mark to put on it and the ancilla.
        """
        key = (label, physical)
        found = self._mixtures.get(key)
        if found is None:
            found = self._mixtures[key] = mixture(terms, is_clifford=self.is_clifford)
            self._make(label, physical, found)
            if self.is_clifford:
                self.cut.update(q for q, cut in zip(physical, is_cut(terms), strict=True) if cut)
        marks: list[tuple[int, str]] = []
        for place, (probability, stay) in enumerate(found.damping):
            if probability > RAREST:
                self.needs_ancilla = True
                marks.append((place, self._damping(physical[place], probability, stay)))
        return marks

    def _make(self, label: str, physical: tuple[int, ...], found: Mixture) -> None:
        ways = {what: p for what, p in found.events.items() if p > RAREST}
        if len(ways) > 1 or any(name != "I" for what in ways for name in what):
            compact = [self._compact[qubit] for qubit in physical]
            self._write(label, compact, [_instructions(what) for what in ways], list(ways.values()))

    def _damping(self, qubit: int, probability: float, stay: float) -> str:
        label = f"damp:{qubit}:{probability!r}:{stay!r}"
        if label not in self._made:
            nothing = [{"name": "id", "qubits": [0]}]
            ways, chances = [nothing, _given(stay)], [1.0 - probability, probability]
            if chances[0] <= RAREST:
                ways, chances = ways[1:], [1.0]
            self._write(label, [self._compact[qubit], self._ancilla], ways, chances)
        return label

    def _write(
        self, label: str, compact: list[int], ways: list[list[dict[str, Any]]], chances: list[float]
    ) -> None:
        total = math.fsum(chances)
        key = f"{label}@{','.join(map(str, compact))}"
        self._made[label if label.startswith("damp:") else key] = {
            "type": "qerror",
            "id": key,
            "operations": [label],
            "instructions": ways,
            "probabilities": [chance / total for chance in chances],
            "gate_qubits": [compact],
        }

    def finished(self, readout: Mapping[int, NDArray[np.float64]]) -> list[dict[str, Any]]:
        """Return all errors with those of `readout`."""
        return [
            *self._made.values(),
            *(
                {
                    "type": "roerror",
                    "operations": ["measure"],
                    "probabilities": matrix.tolist(),
                    "gate_qubits": [[compact]],
                }
                for compact, matrix in readout.items()
            ),
        ]


def _instructions(what: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return what happens, as Aer's instructions on the gate's qubits 0 and 1."""
    made = [{"name": name.lower(), "qubits": [qubit]} for qubit, name in enumerate(what) if name != "I"]
    return made or [{"name": "id", "qubits": [0]}]


def _given(stay: float) -> list[dict[str, Any]]:
    """Return amplitude damping of qubit 0: its excitation goes to qubit 1 in part, which is then reset."""
    fall = math.sqrt(1.0 - stay * stay)
    rows = (
        (1.0, 0.0, 0.0, 0.0),
        (0.0, stay, -fall, 0.0),
        (0.0, fall, stay, 0.0),
        (0.0, 0.0, 0.0, 1.0),
    )
    matrix = [[[value, 0.0] for value in row] for row in rows]
    return [{"name": "unitary", "qubits": [0, 1], "params": [matrix]}, {"name": "reset", "qubits": [1]}]


class _Unravelling:
    """Writes gates as they are, and their errors into a model."""

    def __init__(
        self,
        circuit: QuantumCircuit,
        book: NoiseBook,
        notes: Notes,
        errors: _Errors,
        *,
        has_ancilla: bool,
        is_inside: bool = False,
    ) -> None:
        self._circuit = circuit
        self._book = book
        self._notes = notes
        self._errors = errors
        self._has_ancilla = has_ancilla
        self._is_inside = is_inside

    def gate(self, step: Step) -> None:
        name = step.operation.name
        self._notes.gates.add((name, step.physical))
        is_turn = self._errors.is_clifford and name == "rz"
        turned = _quarter(step.operation) if is_turn else step.operation
        marks = self._errors.add(name, step.physical, self._book.terms(name, step.physical))
        if turned is not None:
            self._circuit.append(turned, step.compact, copy=False)
        self._mark(marks, step.compact)

    def wait(self, step: Step, seconds: float) -> None:
        terms = self._book.waiting(step.physical[0], seconds)
        if not terms.is_ideal:
            label = f"wait:{seconds!r}"
            marks = self._errors.add(label, step.physical, terms)
            self._circuit.append(_here(label, 1), step.compact, copy=False)
            self._mark(marks, step.compact)

    def _mark(self, marks: list[tuple[int, str]], compact: tuple[int, ...]) -> None:
        if self._has_ancilla:
            for place, label in marks:
                pair = (compact[place], self._circuit.num_qubits - 1)
                self._circuit.append(_here(label, 2), pair, copy=False)

    def reset(self, step: Step) -> None:
        self._circuit.append(step.operation, step.compact, copy=False)

    def measure(self, step: Step) -> None:
        self._notes.measured(step, is_inside=self._is_inside)
        self._circuit.append(step.operation, step.compact, step.clbits, copy=False)

    def block(self, circuit: QuantumCircuit) -> _Unravelling:
        if self._has_ancilla:
            circuit.add_bits([Qubit()])
        return _Unravelling(
            circuit, self._book, self._notes, self._errors, has_ancilla=self._has_ancilla, is_inside=True
        )

    def control(self, step: Step) -> None:
        compact = step.compact
        if len(compact) < step.operation.num_qubits:
            compact = (*compact, self._circuit.num_qubits - 1)
        self._circuit.append(step.operation, compact, step.clbits, copy=False)

    def done(self) -> None:
        """Nothing is held back."""


def _here(label: str, n_qubits: int) -> Instruction:
    """Return Aer's mark of a place where nothing happens but what the noise model has for its label."""
    return Instruction("qerror_loc", n_qubits, 0, [], label=label)


def _quarter(operation: Instruction) -> Instruction | None:
    """Return a rotation about Z as a Clifford gate, None for one that does nothing."""
    angle = operation.params[0]
    if getattr(angle, "parameters", ()):
        raise _no_clifford(str(angle))
    turns = float(angle) / (math.pi / 2)
    quarters = round(turns)
    if abs(turns - quarters) * (math.pi / 2) > _ANGLE:
        raise _no_clifford(f"{float(angle)}")
    return _QUARTERS.get(quarters % 4)


def _no_clifford(angle: str) -> ProgramError:
    return ProgramError(
        f"rz({angle}) is no multiple of a quarter turn, and a stabilizer simulation takes no other",
        hint="Leave the method to the device.",
        code="program.unsupported",
    )
