"""From a program's bytes to what is run: read, placed, compiled and chosen once, whatever the shots and bindings."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol

import msgspec
from msgspec.structs import replace
from qiskit import QuantumCircuit
from qiskit.circuit import CONTROL_FLOW_OP_NAMES

from qmio_jupyter.drivers.aer import blocks, exact, templates
from qmio_jupyter.drivers.aer.anchoring import anchored
from qmio_jupyter.drivers.aer.blocks import Blocks
from qmio_jupyter.drivers.aer.bounded import Bounded
from qmio_jupyter.drivers.aer.compiling import compile_for
from qmio_jupyter.drivers.aer.deferring import deferred
from qmio_jupyter.drivers.aer.devices import Devices, Emulated
from qmio_jupyter.drivers.aer.direct import Engine, Options
from qmio_jupyter.drivers.aer.exact import Distributions, Exact, FinalMeasure
from qmio_jupyter.drivers.aer.framed import Framed
from qmio_jupyter.drivers.aer.outcomes import layout
from qmio_jupyter.drivers.aer.read import read_program
from qmio_jupyter.drivers.aer.refusals import check_layout
from qmio_jupyter.drivers.aer.tables import Matrix
from qmio_jupyter.drivers.aer.timed import Timed
from qmio_jupyter.emulation import method
from qmio_jupyter.emulation.baking import bake
from qmio_jupyter.emulation.compacting import needs_values, with_durations
from qmio_jupyter.emulation.frames import Frames
from qmio_jupyter.emulation.method import Choice
from qmio_jupyter.emulation.survey import Facts
from qmio_jupyter.errors import ProgramError
from qmio_jupyter.model.ids import Digest
from qmio_jupyter.model.program import Program
from qmio_jupyter.model.result import BindingCounts, Register
from qmio_jupyter.model.task import Item, TaskOptions
from qmio_jupyter.ports import Run

#: Most qubits of a program whose measurements are put off to its end, without noise and with it: every one that is
#: added doubles a state vector, and makes a density matrix four times as large.
_DEFERRED: Final = {False: 16, True: 9}
#: What is said of a result, as (key, value).
_Notes = tuple[tuple[str, str], ...]
#: Programs a worker keeps compiled, and bytes of theirs as submitted; what is made of a byte is some hundred bytes.
_KEPT: Final = (128, 4 * 2**20)


class Sampler(Protocol):
    """Draws or runs the shots of one binding, in order, and counts them."""

    @property
    def shots(self) -> int:
        """Shots so far."""
        ...

    def draw(self, shots: int) -> None:
        """Add the next `shots` shots."""
        ...

    def columns(self) -> BindingCounts:
        """Return the counts so far."""
        ...


class Way(Protocol):
    """How a plan's shots are made: `exact.Exact` or `blocks.Blocks`."""

    def step(self) -> int:
        """Return the shots between two looks at the clock."""
        ...

    def rows_at_once(self) -> int:
        """Return how many bindings are begun together."""
        ...

    def samplers(
        self, matrix: Matrix, seed: int, item: int, first: int, *, keeps_memory: bool
    ) -> Sequence[Sampler]:
        """Return what makes the shots of each row of `matrix`; the first row is binding number `first`."""
        ...


class Compiled(msgspec.Struct, frozen=True, kw_only=True):
    """A program as the device takes it, before anybody asks how it is simulated.

    Attributes
    ----------
    circuit : QuantumCircuit
        In the device's own gates, on its own qubits.
    names : tuple of str
        Parameters of the program as submitted.
    n_qubits : int
        Qubits of the program as submitted.
    facts : Facts
        Of `circuit`.
    device : Emulated or None
        None: no device is emulated.
    is_noisy : bool
        Whether the device's noise is wanted.
    layout : tuple of int
        Physical qubits of the program's qubits; empty where there are none.
    notes : tuple of (str, str)
        What is to be said of it.
    registers : tuple of Register
        Its classical bits.
    number : int
        Tells this value from any other of this worker.
    deferred_qubits : int
        Qubits it has once its measurements are put off to its end; 0 where they cannot be, or need not.
    angles : ndarray or None
        Shape (1, angles): what its circuit's parameters stand for, where it shares that circuit with others.
    """

    circuit: QuantumCircuit
    names: tuple[str, ...]
    n_qubits: int
    facts: Facts
    device: Emulated | None
    is_noisy: bool
    layout: tuple[int, ...]
    notes: tuple[tuple[str, str], ...]
    registers: tuple[Register, ...]
    number: int
    deferred_qubits: int
    angles: Matrix | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of its circuit's parameters, in the order of a binding's values."""
        return self.names if self.angles is None else tuple([f"a{at}" for at in range(self.angles.size)])


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A program as it will be run."""

    compiled: Compiled
    choice: Choice
    way: Way
    notes: tuple[tuple[str, str], ...]
    #: Whether its shots are drawn from exact probabilities.
    is_exact: bool
    #: Bytes that its registers take in a result.
    layout_bytes: int

    def seconds(self, item: Item) -> float:
        """Return what an item is predicted to take."""
        return self.choice.estimate.seconds(item.shots, item.bindings)


class Planner:
    """Reads, places, compiles and chooses, once per program and options: keeps what it has made, bounded.

    Parameters
    ----------
    max_qubits : int
        Widest program read.
    memory_bytes : int
        What a run may take beyond what the worker has already.
    engine : Engine
        What runs circuits.
    devices : Devices
        Emulated devices by snapshot.
    """

    def __init__(self, max_qubits: int, memory_bytes: int, engine: Engine, devices: Devices) -> None:
        self._max_qubits = max_qubits
        self._memory_bytes = memory_bytes
        self._engine = engine
        self._devices = devices
        self._compiled: Bounded[tuple[object, ...], Compiled] = Bounded(*_KEPT)
        self._plans: Bounded[tuple[int, str, str], Plan] = Bounded(*_KEPT)
        self._templates: Bounded[tuple[object, ...], Compiled] = Bounded(*_KEPT)
        self._distributions: Distributions = Bounded(*exact.KEPT)
        self._numbers = itertools.count(1)

    def compiled(self, run: Run, item: Item, *, is_run: bool = False) -> Compiled:
        """Return a program as its device takes it; the errors are those of reading, placing and compiling.

        With `is_run` it may share what was made of programs with other angles.
        """
        program, options = run.programs[item.program], run.spec.options
        key = (
            is_run,
            *_key(program, options, run.snapshot.snapshot_id if run.snapshot is not None else None),
        )
        found = self._compiled.get(key)
        if found is None:
            source = anchored(read_program(program, self._max_qubits))
            is_plain = run.snapshot is None and options.optimization_level is None
            made = templates.template(source) if is_run and is_plain else None
            if made is None:
                found = self._compile(run, source, options)
            else:
                base = self._templates.get((options.layout, *made.structure))
                if base is None:
                    base = self._compile(run, templates.freed(source), options)
                    self._templates.keep((options.layout, *made.structure), base, len(program.data))
                found = replace(base, names=(), angles=made.angles)
            self._compiled.keep(key, found, len(program.data))
        return found

    def plan(self, run: Run, item: Item, seconds: float) -> Plan:
        """Return how an item is run.

        Raises
        ------
        ProgramError
            ``program.too_costly``, with the prediction, if it takes more than `seconds` or this worker's memory;
            and as `compiled` raises.
        """
        compiled = self.compiled(run, item, is_run=True)
        plan = self._plan(compiled, item, len(run.programs[item.program].data), seconds)
        return plan if compiled.angles is None else replace(plan, compiled=compiled)

    def _plan(self, compiled: Compiled, item: Item, weight: int, seconds: float) -> Plan:
        # The choice compares methods by a usual number of shots, so that a program is always run in the same way
        # unless these are too many for it: then the plan that was made first is no answer.
        plan = self._plans.get((compiled.number, "", ""))
        if plan is not None and plan.seconds(item) <= seconds:
            return plan
        choice = self.choose(compiled, item, seconds)
        key = (compiled.number, choice.method, choice.form)
        plan = self._plans.get(key)
        if plan is None:
            plan = self._make(compiled, choice)
            self._plans.keep(key, plan, weight)
            # Where the usual number of shots does not fit, there is no usual way: she asked for what does.
            with contextlib.suppress(ProgramError):
                usual = self._choose(compiled, method.NOMINAL_SHOTS, 1, seconds)
                if (usual.method, usual.form) == key[1:]:
                    self._plans.keep((compiled.number, "", ""), plan, weight)
        return plan

    def choose(self, compiled: Compiled, item: Item, seconds: float) -> Choice:
        """Return how an item is simulated; raises as `plan` does."""
        return self._choose(compiled, item.shots, item.bindings, seconds)

    def _choose(self, compiled: Compiled, shots: int, bindings: int, seconds: float) -> Choice:
        def choose(facts: Facts) -> Choice:
            return method.choose(
                facts,
                noisy=compiled.is_noisy,
                memory_bytes=self._memory_bytes,
                seconds=seconds,
                shots=shots,
                bindings=bindings,
            )

        if qubits := compiled.deferred_qubits:
            whole = replace(compiled.facts, is_branching=False, is_dynamic=False, active=tuple(range(qubits)))
            with contextlib.suppress(ProgramError):
                choice = choose(whole)
                if _is_whole(choice):
                    why = f"exact: its measurements can be put off to the end, on {qubits} qubits in all"
                    return replace(choice, why=why)
        return choose(compiled.facts)

    def _compile(self, run: Run, source: QuantumCircuit, options: TaskOptions) -> Compiled:
        names = tuple(parameter.name for parameter in source.parameters)
        device: Emulated | None = None
        notes: tuple[tuple[str, str], ...] = ()
        placed_at: tuple[int, ...] = ()
        if run.snapshot is None:
            check_layout(options, source.num_qubits)
            circuit, facts = compile_for(source, "statevector", options.optimization_level)
        else:
            from qmio_jupyter.drivers.aer.placing import place

            device = self._devices.of(run.snapshot)
            placed = place(
                source,
                options=options,
                snapshot_id=run.snapshot.snapshot_id,
                transpiler=device.transpiler,
                seed=options.seed or 0,
            )
            circuit, notes, placed_at = placed.isa, placed.notes, placed.layout
            circuit, facts = compile_for(circuit, "statevector", None)
        if not facts.measures:
            raise ProgramError(
                "the program measures nothing, so there is nothing to count",
                hint="Add measurements: c = measure q; or circuit.measure_all().",
                code="program.unsupported",
            )
        is_noisy = device is not None and not options.ideal
        put_off = (
            deferred(circuit, active=facts.active, readout={}, is_mixed=is_noisy, most=_DEFERRED[is_noisy])
            if facts.is_dynamic
            else None
        )
        return Compiled(
            circuit=circuit,
            names=names,
            n_qubits=source.num_qubits,
            facts=facts,
            device=device,
            is_noisy=is_noisy,
            layout=placed_at,
            notes=notes,
            registers=layout(circuit),
            number=next(self._numbers),
            deferred_qubits=0 if put_off is None else put_off.circuit.num_qubits,
        )

    def _make(self, compiled: Compiled, choice: Choice) -> Plan:
        notes = [
            ("method", choice.method),
            ("why", choice.why),
            ("active_qubits", str(compiled.facts.active_qubits)),
            ("memory_predicted_bytes", str(choice.memory_bytes)),
        ]
        if compiled.layout:
            notes.append(("layout", ",".join(map(str, compiled.layout))))
        way, how, remarks = self._way(compiled, choice)
        return Plan(
            compiled=compiled,
            choice=choice,
            way=way,
            notes=(*notes, *how, *compiled.notes, *remarks),
            is_exact=isinstance(way, Exact),
            layout_bytes=len(msgspec.msgpack.encode(compiled.registers)),
        )

    def _way(self, compiled: Compiled, choice: Choice) -> tuple[Way, _Notes, _Notes]:
        """Return how shots are made, what is to be said of that, and of the physics."""
        if compiled.is_noisy and needs_values(compiled.circuit):
            return self._timed(compiled, choice)
        n_bits = compiled.circuit.num_clbits
        if choice.framed:
            book = compiled.device.book if compiled.device is not None and compiled.is_noisy else None
            frames = Frames(compiled.circuit, book)
            return Framed(frames, n_bits), (), frames.remarks
        prepared = _prepared(compiled, choice)
        measures = prepared.measures
        if measures is not None and _is_whole(choice) and exact.is_exact(measures):
            way = Exact(
                prepared.circuit,
                measures,
                n_bits,
                compiled.columns,
                self._engine,
                prepared.options,
                self._distributions,
                next(self._numbers),
            )
            return way, (), prepared.remarks
        size = blocks.block_shots(is_sampled=measures is not None, per_shot_s=choice.estimate.per_shot_s)
        how = () if measures is not None else (("shots", "one by one"),)
        return (
            Blocks(prepared.circuit, compiled.columns, self._engine, prepared.options, size),
            how,
            prepared.remarks,
        )

    def _timed(self, compiled: Compiled, choice: Choice) -> tuple[Way, _Notes, _Notes]:
        """Return how a program is run whose noise has to wait for the durations of its delays."""

        def make(circuit: QuantumCircuit) -> tuple[Way, _Notes, _Notes]:
            return self._way(replace(compiled, circuit=circuit), choice)

        nominal, how, remarks = make(with_durations(compiled.circuit, None))
        return Timed(compiled.circuit, compiled.names, lambda timed: make(timed)[0], nominal), how, remarks


def _is_whole(choice: Choice) -> bool:
    """Return whether a method has the probabilities of all outcomes at once."""
    return (choice.method, choice.form) in (("statevector", "ideal"), ("density_matrix", "baked"))


class _Prepared(NamedTuple):
    circuit: QuantumCircuit
    #: None where shots differ before their last measurement.
    measures: list[FinalMeasure] | None
    options: Options
    remarks: tuple[tuple[str, str], ...] = ()


def _prepared(compiled: Compiled, choice: Choice) -> _Prepared:
    """Return what is run of a program by a method: with its noise put in, or as it is."""
    circuit = compiled.circuit
    if compiled.deferred_qubits and _is_whole(choice):
        found = _put_off(compiled, choice)
        if found is not None:
            return found
    if compiled.device is None or choice.form == "ideal":
        if choice.method == "matrix_product_state":
            order = [compiled.facts.active[index] for index in choice.order]
            circuit, _ = compile_for(bake(circuit, None, order or None).circuit, choice.method, None)
        elif compiled.facts.active_qubits < circuit.num_qubits:
            # Aer leaves idle qubits out only if it leaves out more: what no measurement follows.
            circuit = bake(circuit, None).circuit
        # In a loop it would leave out the loop's end as well, and bits that are computed keep it from doing so.
        is_truncated = not compiled.facts.operations.keys() & CONTROL_FLOW_OP_NAMES
        options = Options(method=choice.method, is_truncated=is_truncated)
        return _Prepared(circuit, exact.final_measures(circuit, is_mixed=False), options)
    noisy = compiled.device.with_noise(circuit, choice, compiled.facts.active)
    options = Options(method=choice.method, noise_model=noisy.noise_model, is_truncated=False)
    return _Prepared(noisy.circuit, noisy.measures, options, noisy.remarks)


def _put_off(compiled: Compiled, choice: Choice) -> _Prepared | None:
    """Return a program with its measurements put off to the end."""
    most = compiled.deferred_qubits
    options = Options(method=choice.method, is_truncated=False)
    if compiled.device is not None and compiled.is_noisy:
        noisy = compiled.device.deferred(compiled.circuit, most)
        return noisy and _Prepared(noisy.circuit, noisy.measures, options, noisy.remarks)
    made = deferred(compiled.circuit, active=compiled.facts.active, readout={}, is_mixed=False, most=most)
    return made and _Prepared(made.circuit, made.measures, options)


def _key(program: Program, options: TaskOptions, snapshot_id: Digest | None) -> tuple[object, ...]:
    """Return everything that decides how a program is compiled."""
    if snapshot_id is None:
        return (program.digest, program.media_type, options.optimization_level, options.layout)
    return (
        program.digest,
        program.media_type,
        options.optimization_level,
        options.layout,
        options.ideal,
        options.seed or 0,
        options.compiled_for,
        options.stale,
        snapshot_id,
    )
