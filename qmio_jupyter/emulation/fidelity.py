"""How well a program can be expected to run: the product of the chances that nothing goes wrong."""

from __future__ import annotations

import math

from qiskit import QuantumCircuit
from qiskit.circuit import ForLoopOp

from qmio_jupyter.calibration.record import DeviceRecord
from qmio_jupyter.emulation import channels, compacting
from qmio_jupyter.emulation.compacting import Step
from qmio_jupyter.emulation.noise import NoiseBook


def expected(isa: QuantumCircuit, record: DeviceRecord | NoiseBook) -> float:
    """Return a compiled circuit's estimated success probability.

    The product over its gates of the average gate fidelity 1 - e, over its delays of that of relaxation, over its
    measurements of 1 - e_readout: ESP as in Nishio et al., "Extracting success from IBM's 20-qubit machines using
    error-aware compilation", ACM J. Emerg. Technol. Comput. Syst. 16 (3), 2020. Errors are those that are
    emulated (never below what relaxation alone makes). It is a figure of merit to compare layouts and circuits
    with, not the fidelity of the outcome: errors may cancel, or not matter.

    Parameters
    ----------
    isa : QuantumCircuit
        Compiled for the device. Parameters may be free; a free duration counts as 0.
    record : DeviceRecord or NoiseBook
        The device, or its noise where that is at hand.

    Returns
    -------
    float
        From 0 to 1. Of branches the worst counts, a loop over a range all its turns, any other loop one.
    """
    book = record if isinstance(record, NoiseBook) else NoiseBook(record)
    if compacting.needs_values(isa):
        isa = compacting.with_durations(isa, None)
    writer = _Product(book)
    compacting.walk(isa, range(isa.num_qubits), book.record.dt_s, writer)
    return math.exp(writer.log)


class _Product:
    """Adds up logarithms."""

    def __init__(self, book: NoiseBook) -> None:
        self.log = 0.0
        self._book = book
        self._blocks: list[_Product] = []

    def gate(self, step: Step) -> None:
        self._lose(self._book.infidelity(step.operation.name, step.physical))

    def wait(self, step: Step, seconds: float) -> None:
        error = self._book.relaxation(step.physical[0], seconds)
        if error is not None:
            self._lose(1.0 - float(channels.average_fidelity(error)))

    def reset(self, step: Step) -> None:
        """Lose nothing: a reset does not fail in the emulation."""

    def measure(self, step: Step) -> None:
        matrix = self._book.readout(step.physical[0])
        if matrix is not None:
            self._lose(float(matrix[0, 1] + matrix[1, 0]) / 2)

    def block(self, circuit: QuantumCircuit) -> _Product:  # noqa: ARG002 - nothing is written
        made = _Product(self._book)
        self._blocks.append(made)
        return made

    def control(self, step: Step) -> None:
        worst = min((block.log for block in self._blocks), default=0.0)
        self._blocks.clear()
        turns = len(step.operation.params[0]) if isinstance(step.operation, ForLoopOp) else 1
        self.log += worst * turns

    def done(self) -> None:
        """Nothing is held back."""

    def _lose(self, error: float) -> None:
        self.log += math.log1p(-error) if error < 1.0 else -math.inf
