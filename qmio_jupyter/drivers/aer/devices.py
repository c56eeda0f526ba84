"""Emulated devices in a worker: what is made of a snapshot once, for all the programs that run on it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Final, NamedTuple

from qiskit import QuantumCircuit

from qmio_jupyter.calibration.snapshots import record_of
from qmio_jupyter.drivers.aer.bounded import Bounded
from qmio_jupyter.drivers.aer.deferring import deferred
from qmio_jupyter.drivers.aer.exact import FinalMeasure, final_measures
from qmio_jupyter.drivers.aer.memory import hold_bits
from qmio_jupyter.emulation.method import Choice
from qmio_jupyter.emulation.noise import NoiseBook
from qmio_jupyter.model.device import Snapshot
from qmio_jupyter.model.ids import Digest

if TYPE_CHECKING:
    from qiskit_aer.noise import NoiseModel

    from qmio_jupyter.emulation.transpiling import Transpiler

#: Snapshots a worker keeps what it made of.
_KEPT: Final = 4


class Noisy(NamedTuple):
    """A program with its device's noise, on the qubits it uses only."""

    circuit: QuantumCircuit
    #: None where shots differ before their last measurement.
    measures: list[FinalMeasure] | None
    noise_model: NoiseModel | None
    remarks: tuple[tuple[str, str], ...]


class Emulated:
    """One snapshot's device.

    Parameters
    ----------
    snapshot : Snapshot
        What it was on that day.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot_id = snapshot.snapshot_id
        self.record = record_of(snapshot)

    @cached_property
    def transpiler(self) -> Transpiler:
        """Its compiler."""
        from qmio_jupyter.emulation.transpiling import Transpiler

        return Transpiler(self.record)

    @cached_property
    def book(self) -> NoiseBook:
        """Its noise."""
        return NoiseBook(self.record)

    def with_noise(self, isa: QuantumCircuit, choice: Choice, active: Sequence[int]) -> Noisy:
        """Return a program in the device's gates with the noise they have, as `choice` wants it put in.

        Parameters
        ----------
        isa : QuantumCircuit
            On the device's qubits.
        choice : Choice
            Form, and order among the qubits in use.
        active : sequence of int
            The qubits in use.
        """
        from qmio_jupyter.emulation import baking, unravelling

        order = [active[index] for index in choice.order] or None
        if choice.form == "baked":
            baked = baking.bake(isa, self.book, order)
            measures = final_measures(baked.circuit, is_mixed=True)
            if measures is None:
                return Noisy(hold_bits(baked.circuit), None, baked.readout_model(), baked.remarks)
            errors = {measure.clbit: measure.matrix for measure in baked.measures}
            read = [FinalMeasure(qubit=m.qubit, clbit=m.clbit, readout=errors.get(m.clbit)) for m in measures]
            return Noisy(baked.circuit, read, baked.readout_model(), baked.remarks)
        make = unravelling.clifford if choice.form == "twirled" else unravelling.unravel
        made = make(isa, self.book, order)
        return Noisy(hold_bits(made.circuit), None, made.noise_model, made.remarks)

    def deferred(self, isa: QuantumCircuit, most: int) -> Noisy | None:
        """Return a program with its noise and all its measurements at the end, None if it cannot be written so."""
        from qmio_jupyter.emulation import baking

        baked = baking.bake(isa, self.book)
        made = deferred(
            baked.circuit,
            active=range(baked.circuit.num_qubits),
            readout=baked.readout,
            is_mixed=True,
            most=most,
        )
        return None if made is None else Noisy(made.circuit, made.measures, None, baked.remarks)


class Devices:
    """Emulated devices by snapshot, the last few used."""

    def __init__(self) -> None:
        self._known: Bounded[Digest, Emulated] = Bounded(_KEPT, 4 * _KEPT)

    def of(self, snapshot: Snapshot) -> Emulated:
        """Return the device of a snapshot, made if it is a new one."""
        found = self._known.get(snapshot.snapshot_id)
        if found is None:
            found = Emulated(snapshot)
            self._known.keep(snapshot.snapshot_id, found, 1)
        return found

    def prepare(self, snapshot: Snapshot) -> None:
        """Make everything of a snapshot now: workers forked from this process have it from the beginning."""
        device = self.of(snapshot)
        _ = device.transpiler
        for gate in {gate.name: gate for gate in device.record.gates}.values():
            device.book.channel(gate.name, gate.qubits)
