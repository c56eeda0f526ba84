"""Putting a device's noise into a circuit, for simulations that hold a density matrix.

Each gate's error becomes a superoperator after it, and runs of fixed gates and errors become one: the result is the
same, in a tenth of the operations. Gates with free parameters stay as they are, and may be bound afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from qiskit import QuantumCircuit
from qiskit_aer.noise import NoiseModel, ReadoutError

from qmio_jupyter.emulation import compacting
from qmio_jupyter.emulation.compacting import Step
from qmio_jupyter.emulation.merging import Merger
from qmio_jupyter.emulation.noise import NoiseBook, Place


@dataclass(frozen=True, slots=True)
class Measure:
    """A measurement outside control flow.

    Attributes
    ----------
    clbit : int
        The bit it goes to.
    qubit : int
        Compact index.
    matrix : ndarray or None
        Shape (2, 2): P[prepared, measured]. None: read without error.
    """

    clbit: int
    qubit: int
    matrix: NDArray[np.float64] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Baked:
    """A circuit with a device's noise in it.

    Attributes
    ----------
    circuit : QuantumCircuit
        On as many qubits as are used; its bits, registers and parameters are those of the program. Delays and
        barriers are gone. Readout errors are not in it: see `measures` and `readout_model`.
    physical : tuple of int
        Which of the device's qubits each of its qubits is.
    measures : tuple of Measure
        In the program's order; of two into one bit the later one counts.
    readout : dict of int to ndarray
        By compact index, of all measured qubits that are read with errors: P[prepared, measured].
    remarks : tuple of (str, str)
        For the result: where the emulation departs from the measured values.
    """

    circuit: QuantumCircuit
    physical: tuple[int, ...]
    measures: tuple[Measure, ...]
    readout: dict[int, NDArray[np.float64]]
    remarks: tuple[tuple[str, str], ...]

    def readout_model(self) -> NoiseModel | None:
        """Return Aer's noise model of the readout errors alone, for programs measured on the way."""
        return readout_model(self.readout)


def readout_model(readout: dict[int, NDArray[np.float64]]) -> NoiseModel | None:
    """Return Aer's noise model that holds readout errors only, None if there are none."""
    if not readout:
        return None
    model = NoiseModel()
    for qubit, matrix in readout.items():
        model.add_readout_error(ReadoutError(matrix), [qubit])
    return model


def bake(isa: QuantumCircuit, book: NoiseBook | None, order: Sequence[int] | None = None) -> Baked:
    """Return a device's circuit with its noise, on the qubits it uses.

    Parameters
    ----------
    isa : QuantumCircuit
        Compiled for the device: its qubits are the device's, its gates native. With noise durations must be
        bound (see `compacting.needs_values`); other parameters may be free.
    book : NoiseBook or None
        None: no noise, the circuit is only made compact.
    order : sequence of int or None
        Physical qubits in the order the compact circuit should have; None: ascending.

    Raises
    ------
    ProgramError
        ``program.unsupported`` for a gate that the device does not have, or a delay without a time.
    """
    if book is None and compacting.needs_values(isa):
        isa = compacting.with_durations(isa, None)  # without noise it does not matter how long they are
    physical = compacting.places(isa, order)
    circuit = compacting.empty(isa, len(physical))
    notes = Notes(isa, book, physical)
    writer = _Baking(circuit, book, notes, is_inside=False)
    compacting.walk(isa, physical, book.record.dt_s if book else 1.0, writer)
    return Baked(
        circuit=circuit,
        physical=physical,
        measures=tuple(notes.measures),
        readout=notes.readout,
        remarks=book.remarks(notes.gates, physical) if book else (),
    )


class Notes:
    """What is learnt while a circuit is walked through, its blocks included.

    Parameters
    ----------
    isa : QuantumCircuit
        The circuit.
    book : NoiseBook or None
        The device's noise.
    physical : sequence of int
        The compact circuit's qubits.
    """

    def __init__(self, isa: QuantumCircuit, book: NoiseBook | None, physical: Sequence[int]) -> None:
        self._book = book
        self._clbits = {bit: index for index, bit in enumerate(isa.clbits)}
        self._compact = {qubit: compact for compact, qubit in enumerate(physical)}
        self.gates: set[Place] = set()
        self.measures: list[Measure] = []
        self.readout: dict[int, NDArray[np.float64]] = {}

    def measured(self, step: Step, *, is_inside: bool) -> None:
        """Take down a measurement."""
        (physical,) = step.physical
        compact = self._compact[physical]
        matrix = self._book.readout(physical) if self._book else None
        if matrix is not None:
            self.readout[compact] = matrix
        if not is_inside:
            self.measures.append(Measure(self._clbits[step.clbits[0]], compact, matrix))


class _Baking:
    """Writes gates and errors, merged."""

    def __init__(
        self, circuit: QuantumCircuit, book: NoiseBook | None, notes: Notes, *, is_inside: bool
    ) -> None:
        self._circuit = circuit
        self._book = book
        self._notes = notes
        self._is_inside = is_inside
        self._merger = Merger(circuit)

    def gate(self, step: Step) -> None:
        if self._book is None:
            self._merger.keep(step.operation, step.compact)
            return
        name = step.operation.name
        error = self._book.channel(name, step.physical)
        self._notes.gates.add((name, step.physical))
        self._merger.gate(step.operation, step.compact, error)

    def wait(self, step: Step, seconds: float) -> None:
        error = self._book.relaxation(step.physical[0], seconds) if self._book else None
        if error is not None:
            self._merger.channel(step.compact, error)

    def reset(self, step: Step) -> None:
        # What relaxes afterwards is in |0> already: a reset's own duration changes nothing.
        self._merger.keep(step.operation, step.compact)

    def measure(self, step: Step) -> None:
        self._notes.measured(step, is_inside=self._is_inside)
        self._merger.keep(step.operation, step.compact, step.clbits)

    def block(self, circuit: QuantumCircuit) -> _Baking:
        return _Baking(circuit, self._book, self._notes, is_inside=True)

    def control(self, step: Step) -> None:
        self._merger.fence(step.operation, step.compact, step.clbits)

    def done(self) -> None:
        self._merger.write()
