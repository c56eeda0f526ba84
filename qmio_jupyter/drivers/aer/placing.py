"""Putting a program on an emulated device: compiled against the bound snapshot, or taken as it was compiled before.

A program that names the snapshot it was compiled for is in the device's own gates, its qubits are the device's: it is
checked and run as it is, or, if its snapshot is not the bound one any more, dealt with as its stale policy says. Any
other is compiled here, so it cannot be stale: placed where the device is best, or where it says itself (``$5``, or a
circuit that was transpiled before).
"""

from __future__ import annotations

from typing import Final, NamedTuple, Protocol

from msgspec.structs import replace
from qiskit import QuantumCircuit

from qmio_jupyter.errors import DeviceError, ProgramError
from qmio_jupyter.model.ids import Digest
from qmio_jupyter.model.task import StalePolicy, TaskOptions

#: Where nothing is asked: a fifth fewer two-qubit gates than level 1, and a quarter of level 3's time.
DEFAULT_LEVEL: Final = 2
_SHORT: Final = 12


class Compiler(Protocol):
    """What compiles for one snapshot (`qmio_jupyter.emulation.transpiling.Transpiler`)."""

    def run(
        self, circuit: QuantumCircuit, *, level: int, layout: tuple[int, ...], seed: int
    ) -> QuantumCircuit:
        """Return a circuit in the device's own gates, on its own qubits, or raise `ProgramError`."""
        ...

    def check_isa(self, circuit: QuantumCircuit) -> None:
        """Raise `ProgramError` naming what the device lacks."""
        ...


class Placed(NamedTuple):
    """A program as the device takes it."""

    isa: QuantumCircuit
    #: The device's qubit for each of the program's, before the first gate.
    layout: tuple[int, ...]
    #: What is to be said of it, as (key, value).
    notes: tuple[tuple[str, str], ...]


def place(
    source: QuantumCircuit,
    *,
    options: TaskOptions,
    snapshot_id: Digest,
    transpiler: Compiler,
    seed: int,
) -> Placed:
    """Return a program in the gates and on the qubits of a device.

    Parameters
    ----------
    source : QuantumCircuit
        As it was submitted; free parameters stay free.
    options : TaskOptions
        ``layout``, ``optimization_level``, ``compiled_for`` and ``stale`` count here.
    snapshot_id : str
        The snapshot that the run is bound to.
    transpiler : Compiler
        Of that snapshot.
    seed : int
        The same seed, the same circuit.

    Raises
    ------
    ProgramError
        ``program.too_wide``, ``program.unsupported`` naming what the device lacks, or ``program`` for a layout that
        places nothing.
    DeviceError
        ``device.snapshot`` for a stale program that is to be refused.
    """
    if options.compiled_for is None:
        names_qubits = source.layout is not None and not options.layout
        return (_kept if names_qubits else _compiled)(source, options, transpiler, seed)
    if options.layout:
        raise ProgramError(
            "the program is on the device's own qubits already, so a layout cannot place it",
            hint="Leave out the layout, or submit the program as it was before it was compiled.",
            code="program",
        )
    if options.compiled_for == snapshot_id:
        return _as_it_is(source, options, transpiler, ())
    compiled_for, bound = options.compiled_for[:_SHORT], snapshot_id[:_SHORT]
    match options.stale:
        case StalePolicy.REFUSE:
            raise DeviceError(
                f"the program was compiled for snapshot {compiled_for}, the run is bound to {bound}",
                hint="Compile it again, or allow --stale recompile.",
                code="device.snapshot",
            )
        case StalePolicy.RECOMPILE:
            told = f"compiled for snapshot {compiled_for}, compiled again for {bound}"
            again = _compiled(source, options, transpiler, seed)
            return again._replace(notes=(("stale", told),))
        case StalePolicy.WARN:
            told = f"stale: compiled for snapshot {compiled_for}, run as it is on {bound}"
            return _as_it_is(source, options, transpiler, (("warning", told),))


def _as_it_is(
    source: QuantumCircuit, options: TaskOptions, transpiler: Compiler, notes: tuple[tuple[str, str], ...]
) -> Placed:
    transpiler.check_isa(source)
    if options.optimization_level is not None:
        notes += (("warning", "opt-level has no effect: the program was compiled already"),)
    return Placed(source, tuple(range(source.num_qubits)), notes)


def _kept(source: QuantumCircuit, options: TaskOptions, transpiler: Compiler, seed: int) -> Placed:
    """Place a program that names the device's own qubits (``$5``): on them, and as it is if the device takes it so."""
    own = tuple(range(source.num_qubits))
    told = (("qubits", "as the program names them"),)
    if options.optimization_level is None:
        try:
            transpiler.check_isa(source)
        except ProgramError as error:
            if error.code == "program.too_wide":
                raise
        else:
            return Placed(source, own, told)
    return _compiled(source, replace(options, layout=own), transpiler, seed)._replace(notes=told)


def _compiled(source: QuantumCircuit, options: TaskOptions, transpiler: Compiler, seed: int) -> Placed:
    level = DEFAULT_LEVEL if options.optimization_level is None else options.optimization_level
    isa = transpiler.run(source, level=level, layout=options.layout, seed=seed)
    layout = isa.layout
    places = range(source.num_qubits) if layout is None else layout.initial_index_layout(filter_ancillas=True)
    return Placed(isa, tuple(places), ())
