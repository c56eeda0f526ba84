"""Compiling programs for a device, with pass managers that are kept: building one costs more than running it."""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, Final

from qiskit import QuantumCircuit
from qiskit.circuit import CONTROL_FLOW_OP_NAMES
from qiskit.circuit.library.standard_gates import get_standard_gate_name_mapping
from qiskit.exceptions import QiskitError
from qiskit.transpiler import PassManager, StagedPassManager, generate_preset_pass_manager
from qiskit.transpiler.passes import CollectCliffords, HighLevelSynthesis
from qiskit.transpiler.target import Target

from qmio_jupyter.calibration.record import DeviceRecord, Gate, Qubit
from qmio_jupyter.emulation import target as targets
from qmio_jupyter.emulation.shadow import has_paired_blocks, shadow, two_qubit_gates
from qmio_jupyter.emulation.survey import survey
from qmio_jupyter.errors import ProgramError

#: Pass managers kept per device: the levels at one seed, and a few layouts.
_KEPT: Final = 16
#: From here on the transpiler makes new two-qubit blocks of what it finds, Clifford or not.
_RESYNTHESES: Final = 2
#: All that need not be written in other gates before it is translated to the device's own: all but joined Cliffords.
_AS_THEY_ARE: Final = (*get_standard_gate_name_mapping(), *CONTROL_FLOW_OP_NAMES, "barrier")
#: Known to every circuit.
_ALWAYS: Final = frozenset({"barrier", "break_loop", "continue_loop", "store"})


def warm() -> None:
    """Load what a first compilation loads (Qiskit's plugins, for seconds), before a process is forked.

    Starts no thread: above level 0 Qiskit starts one of Rust's, which a forked process would not have and would
    wait for. Level 0 loads the same plugins.
    """
    record = DeviceRecord(
        source="warm",
        taken_ms=0,
        dt_s=1e-9,
        qubits=(Qubit(), Qubit()),
        gates=(
            Gate(name="cz", qubits=(0, 1)),
            *(Gate(name=name, qubits=(qubit,)) for name in ("rz", "sx") for qubit in (0, 1)),
        ),
    )
    circuit = QuantumCircuit(2, 2)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure((0, 1), (0, 1))
    Transpiler(record).run(circuit, level=0, layout=(0, 1))


class Transpiler:
    """Compiles for one record.

    Parameters
    ----------
    record : DeviceRecord
        The device.

    Attributes
    ----------
    target : Target
        Qiskit's view of it.
    """

    def __init__(self, record: DeviceRecord) -> None:
        self.target: Target = targets.build(record)
        self._n_qubits = record.n_qubits
        self._lost = targets.unusable(record)
        self._is_coupled = bool(record.couplings)
        self._managers: OrderedDict[tuple[int, tuple[int, ...], int, bool], PassManager] = OrderedDict()
        self._places: dict[str, frozenset[tuple[int, ...]] | None] = {
            name: frozenset(where) if where is not None and None not in where else None
            for name in self.target.operation_names
            for where in (self.target[name],)
        }

    def run(
        self, circuit: QuantumCircuit, *, level: int = 2, layout: Sequence[int] = (), seed: int = 0
    ) -> QuantumCircuit:
        """Return a circuit compiled for the device.

        Parameters
        ----------
        circuit : QuantumCircuit
            Of any gates; parameters may be free.
        level : int
            Optimisation level, 0 to 3.
        layout : sequence of int
            Physical qubit of each of its qubits; empty: chosen by the errors of the device.
        seed : int
            Of the transpiler's own choices. The same seed gives the same circuit; other seeds need pass managers
            of their own, so vary it only on request.

        Notes
        -----
        From level 2 on Qiskit may write a Clifford circuit with other rotations that cancel across two-qubit gates.
        Where it can be kept Clifford with no more two-qubit gates, that is done: it is as good on the device, and
        can be simulated at any width.

        Raises
        ------
        ProgramError
            ``program.too_wide``; ``program`` for a layout that does not fit; ``program.unsupported`` for what
            the device cannot be made to run.
        """
        self._check_width(circuit, self._n_qubits - len(self._lost))
        places = tuple(layout)
        if places and (
            len(places) != circuit.num_qubits
            or len(set(places)) != len(places)
            or not all(0 <= place < self._n_qubits for place in places)
        ):
            raise ProgramError(
                f"the layout {','.join(map(str, places[:20]))} does not place {circuit.num_qubits} qubits"
                f" on a device of {self._n_qubits}",
                hint="Give one qubit of the device for each of the program, each once.",
                code="program",
            )
        if not self._is_coupled and two_qubit_gates(circuit):
            raise _refused("the program has two-qubit gates, the device has none", "Use another device.")
        try:
            # Qiskit warns of what is no fault of the program: delays that it rounds to the device's samples.
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                # Left alone, Qiskit may place a qubit where nothing works.
                if self._lost and not places:
                    return self._around(circuit, level, seed)
                return self._compiled(circuit, level, places, seed)
        except (MemoryError, KeyboardInterrupt, SystemExit):
            raise
        except BaseException as problem:  # Rust's panics are no `Exception`
            raise ProgramError(
                f"the program cannot be compiled for the device: {' '.join(str(problem).split())[:300]}",
                hint="Write it with standard gates.",
                code="program.unsupported",
            ) from problem

    def _around(self, circuit: QuantumCircuit, level: int, seed: int) -> QuantumCircuit:
        """Return a circuit that stays away from qubits that do not work; placed in order if Qiskit cannot."""
        try:
            made = self._compiled(circuit, level, (), seed)
            self.check_isa(made)
        except (QiskitError, ProgramError, TypeError):  # Qiskit indexes by None where a part has no coupling
            return self._compiled(circuit, level, self._working(circuit.num_qubits), seed)
        return made

    def _working(self, n_qubits: int) -> tuple[int, ...]:
        """Return `n_qubits` that work, each next to one before it as far as that goes."""
        graph = self.target.build_coupling_map()
        near: dict[int, set[int]] = {q: set() for q in range(self._n_qubits) if q not in self._lost}
        for one, other in graph.get_edges() if graph is not None else ():
            near[one].add(other)
            near[other].add(one)
        found: list[list[int]] = []
        while near:
            part = [next(iter(near))]
            for qubit in part:
                part += sorted(near.pop(qubit) & near.keys() - set(part))
            found.append(part)
        return tuple(qubit for part in sorted(found, key=len, reverse=True) for qubit in part)[:n_qubits]

    def _compiled(
        self, circuit: QuantumCircuit, level: int, layout: tuple[int, ...], seed: int
    ) -> QuantumCircuit:
        made = self._manager(level, layout, seed).run(circuit)
        if level and not layout and has_paired_blocks(circuit):
            # Qiskit chooses qubits by what stands outside blocks, and routes what is inside over half the chip.
            seen: Any = self._manager(level, (), seed).run(shadow(circuit)).layout
            places = tuple(seen.initial_index_layout(filter_ancillas=True))
            placed = self._manager(level, places, seed).run(circuit)
            if two_qubit_gates(placed) < two_qubit_gates(made):
                made, layout = placed, places
        if level >= _RESYNTHESES and survey(circuit).is_clifford and not survey(made).is_clifford:
            kept = self._manager(level, layout, seed, keeps_clifford=True).run(circuit)
            if two_qubit_gates(kept) <= two_qubit_gates(made) and survey(kept).is_clifford:
                return kept
        return made

    def check_isa(self, circuit: QuantumCircuit) -> None:
        """Refuse a circuit that is not written in the device's own gates on its own qubits.

        Raises
        ------
        ProgramError
            ``program.too_wide``, or ``program.unsupported`` naming gate and qubits.
        """
        self._check_width(circuit, self._n_qubits)
        self._check(circuit, range(circuit.num_qubits))

    def _manager(
        self, level: int, layout: tuple[int, ...], seed: int, *, keeps_clifford: bool = False
    ) -> PassManager:
        key = (level, layout, seed, keeps_clifford)
        manager = self._managers.get(key)
        if manager is None:
            manager = self._made(level, layout, seed)
            self._managers[key] = manager
            if keeps_clifford:
                # Pairs are joined as Cliffords before they are translated, and never taken apart again: the
                # optimisation of level 1 looks at one qubit at a time.
                manager.pre_translation = PassManager(
                    [
                        CollectCliffords(max_block_width=2, min_block_size=2),
                        HighLevelSynthesis(basis_gates=list(_AS_THEY_ARE)),
                    ]
                )
                light: Any = self._made(1, layout, seed)
                manager.optimization = light.optimization
            while len(self._managers) > _KEPT:
                self._managers.popitem(last=False)
        self._managers.move_to_end(key)
        return manager

    def _made(self, level: int, layout: tuple[int, ...], seed: int) -> StagedPassManager:
        chosen: dict[str, Any] = {"initial_layout": list(layout)} if layout else {}
        return generate_preset_pass_manager(
            optimization_level=level, target=self.target, **chosen, seed_transpiler=seed
        )

    def _check_width(self, circuit: QuantumCircuit, most: int) -> None:
        if circuit.num_qubits > most:
            working = "" if most == self._n_qubits else " that work"
            raise ProgramError(
                f"the program has {circuit.num_qubits} qubits, the device has {most}{working}",
                hint="Use fewer qubits, or another device.",
                code="program.too_wide",
            )

    def _check(self, circuit: QuantumCircuit, where: Sequence[int]) -> None:
        index = {qubit: where[place] for place, qubit in enumerate(circuit.qubits)}
        for instruction in circuit.data:
            name = instruction.name
            if name in _ALWAYS:
                continue
            qubits = tuple(index[qubit] for qubit in instruction.qubits)
            if name not in self._places:
                raise _refused(f"the device has no {name}", f"It has {', '.join(sorted(self._places))}.")
            places = self._places[name]
            if instruction.is_control_flow():
                for block in instruction.operation.blocks:
                    self._check(block, qubits)
            elif places is not None and qubits not in places:
                raise self._misplaced(name, qubits, places)

    def _misplaced(
        self, name: str, qubits: tuple[int, ...], places: frozenset[tuple[int, ...]]
    ) -> ProgramError:
        if qubits[::-1] in places:
            hint = f"It has it on {_shown(qubits[::-1])}."
        else:
            near = sorted(place for place in places if set(place) & set(qubits))[:6]
            hint = (
                f"It has {name} on {', '.join(map(_shown, near))}." if near else "Compile it for this device."
            )
        return _refused(f"the device has no {name} on {_shown(qubits)}", hint)


def _shown(qubits: tuple[int, ...]) -> str:
    return "-".join(map(str, qubits))


def _refused(message: str, hint: str) -> ProgramError:
    return ProgramError(message, hint=hint, code="program.unsupported")
