"""Running a task: every item, binding and batch in order, with cumulative counts in between."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Final

import msgspec
from qiskit import QuantumCircuit
from qiskit.circuit import CONTROL_FLOW_OP_NAMES

from qmio_jupyter._version import __version__
from qmio_jupyter.drivers.aer import binding, method
from qmio_jupyter.drivers.aer.compiling import compile_for, simulator
from qmio_jupyter.drivers.aer.outcomes import Tally, layout
from qmio_jupyter.drivers.aer.read import read_program
from qmio_jupyter.drivers.seeds import batch_seed, batches
from qmio_jupyter.drivers.sizes import RESULT_BYTES
from qmio_jupyter.drivers.workers import deaths
from qmio_jupyter.drivers.workers.pool import RUNNING
from qmio_jupyter.errors import AgentError, LimitError, ProgramError
from qmio_jupyter.model.program import Program
from qmio_jupyter.model.result import ItemResult, Register, TaskResult, key_width
from qmio_jupyter.model.task import StalePolicy, TaskOptions
from qmio_jupyter.ports import Run

#: Partial results per second, at most.
PARTIAL_HZ: Final = 10.0
#: Shots of a batch where every shot is run on its own: partial counts come sooner, and cost nothing.
_DYNAMIC_BATCH: Final = 2_000
#: Compiled programs a worker keeps.
_CACHED: Final = 64
#: Largest program that is kept.
_CACHED_BYTES: Final = 2**20


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A program as it will be run, whatever its shots and bindings."""

    circuit: QuantumCircuit
    #: Qubits of the program as it was submitted.
    n_qubits: int
    choice: method.Choice
    registers: tuple[Register, ...]
    is_dynamic: bool
    #: False where Aer may not leave out what no measurement follows: it would leave out the end of a loop as well.
    is_truncated: bool
    notes: tuple[tuple[str, str], ...]


class Planner:
    """Reads, compiles and chooses, once per program: keeps what it has made.

    Parameters
    ----------
    max_qubits : int
        Widest program.
    memory_bytes : int
        What a run may take beyond what the worker has already.
    """

    def __init__(self, max_qubits: int, memory_bytes: int) -> None:
        self._max_qubits = max_qubits
        self._memory_bytes = memory_bytes
        self._plans: OrderedDict[tuple[str, str, int | None], Plan] = OrderedDict()

    def plan(self, program: Program, level: int | None) -> Plan:
        """Return how `program` is run; the errors are those of reading and compiling."""
        key = (program.digest, program.media_type, level)
        plan = self._plans.get(key)
        if plan is not None:
            self._plans.move_to_end(key)
            return plan
        plan = self._make(program, level)
        if len(program.data) <= _CACHED_BYTES:
            self._plans[key] = plan
            while len(self._plans) > _CACHED:
                self._plans.popitem(last=False)
        return plan

    def _make(self, program: Program, level: int | None) -> Plan:
        source = read_program(program, self._max_qubits)
        circuit, facts = compile_for(source, "statevector", level)
        if not facts.measures:
            raise ProgramError(
                "the program measures nothing, so there is nothing to count",
                hint="Add measurements: c = measure q; or circuit.measure_all().",
                code="program.unsupported",
            )
        choice = method.choose(facts, self._memory_bytes)
        if choice.method == "matrix_product_state":
            circuit, facts = compile_for(circuit, choice.method, None)
        notes = [("method", choice.method), ("active_qubits", str(facts.active_qubits))]
        if choice.memory_bytes:
            notes.append(("memory_predicted_bytes", str(choice.memory_bytes)))
        if facts.is_dynamic:
            notes.append(("shots", "one by one"))
        return Plan(
            circuit=circuit,
            n_qubits=source.num_qubits,
            choice=choice,
            registers=layout(circuit),
            is_dynamic=facts.is_dynamic,
            # With idle qubits it must, or the state would hold them too.
            is_truncated=not facts.operations.keys() & CONTROL_FLOW_OP_NAMES
            or facts.active_qubits < circuit.num_qubits,
            notes=tuple(notes),
        )


class Runner:
    """One task on its way; `run` once.

    Parameters
    ----------
    run : Run
        The task and its contract.
    device : str
        Named in results.
    planner : Planner
        Of this worker.
    on_partial, on_stage : callable
        Told on the way.
    """

    def __init__(
        self,
        run: Run,
        device: str,
        planner: Planner,
        on_partial: Callable[[TaskResult], None],
        on_stage: Callable[[str], None],
    ) -> None:
        self._run = run
        self._device = device
        self._planner = planner
        self._on_partial = on_partial
        self._on_stage = on_stage
        self._done: list[ItemResult] = []
        self._shots_done = 0
        self._revision = 0
        self._partial_due = time.monotonic() + 1 / PARTIAL_HZ
        self._compiled_s = 0.0
        self._on_device_s = 0.0

    def run(self) -> TaskResult:
        """Return the final result.

        Raises
        ------
        QmioError
            One, naming the item where there are several.
        """
        began = time.monotonic()
        plans: list[Plan] = []
        bound: list[list[binding.Binding]] = []
        for item in self._run.spec.items:
            if item.observables:
                raise ProgramError(
                    "the device gives counts, not expectation values",
                    hint="Leave out observables.",
                    code="program.unsupported",
                )
            plan = self._planner.plan(
                self._run.programs[item.program], self._run.spec.options.optimization_level
            )
            _check_layout(self._run.spec.options, plan)
            plans.append(plan)
            bound.append(binding.rows(plan.circuit, item.parameters))
        _check_size(self._run, plans)
        self._compiled_s = time.monotonic() - began
        self._on_stage(RUNNING)
        for index, plan in enumerate(plans):
            self._run_item(index, plan, bound[index])
        return self._result(self._done, is_final=True)

    def _run_item(self, index: int, plan: Plan, bound: Sequence[binding.Binding]) -> None:
        item = self._run.spec.items[index]
        keeps_memory = self._run.spec.options.memory
        n_bits = plan.circuit.num_clbits
        size = max(1, self._run.contract.batch_shots)
        if plan.is_dynamic:
            size = min(size, _DYNAMIC_BATCH)
        tallies: list[Tally] = []
        for row, values in enumerate(bound):
            circuit = plan.circuit.assign_parameters(values) if values else plan.circuit
            tally = Tally(n_bits=n_bits, keeps_memory=keeps_memory)
            tallies.append(tally)
            for batch, shots in enumerate(batches(item.shots, size)):
                began = time.monotonic()
                seed = batch_seed(self._run.contract.seed, index, row, batch)
                _run_batch(circuit, plan, shots, seed, tally)
                self._on_device_s += time.monotonic() - began
                self._shots_done += shots
                self._tell(plan, tallies)
        self._done.append(_item_result(self._run.spec.options, plan, tallies))

    def _tell(self, plan: Plan, tallies: Sequence[Tally]) -> None:
        began = time.monotonic()
        if began >= self._partial_due and self._shots_done < self._run.spec.total_shots:
            self._on_partial(
                self._result(
                    [*self._done, _item_result(self._run.spec.options, plan, tallies)], is_final=False
                )
            )
            # Millions of outcomes take long to pack: never more than a tenth of the time goes into partial counts.
            now = time.monotonic()
            self._partial_due = now + max(1 / PARTIAL_HZ, 9 * (now - began))

    def _result(self, items: Sequence[ItemResult], *, is_final: bool) -> TaskResult:
        self._revision += 1
        return TaskResult(
            task_id=self._run.task_id,
            device=self._device,
            items=tuple(items),
            shots=self._run.spec.total_shots,
            shots_done=self._shots_done,
            revision=self._revision,
            is_final=is_final,
            seed=self._run.contract.seed,
            snapshot_id=self._run.contract.snapshot_id,
            durations=(("compiled", self._compiled_s), ("on_device", self._on_device_s), ("measured", 0.0)),
            software=SOFTWARE,
        )


def _check_size(run: Run, plans: Sequence[Plan]) -> None:
    """Refuse what no message could carry in the end, before it is run for nothing.

    Raises
    ------
    LimitError
        ``limit.size``, naming how many shots per item would fit if it is for their memory.
    """
    fixed = 0
    per_shot = 0
    memory = 0
    for item, plan in zip(run.spec.items, plans, strict=True):
        width = key_width(plan.circuit.num_clbits)
        # At the least: the layout, and one outcome with its count per binding.
        fixed += len(msgspec.msgpack.encode(plan.registers)) + item.bindings * (width + 8)
        if run.spec.options.memory:
            per_shot += item.bindings * width
            memory += item.shots * item.bindings * width
    if fixed + memory <= RESULT_BYTES:
        return
    if memory == 0 or fixed >= RESULT_BYTES:
        raise deaths.out_of_room(fixed)
    fitting = (RESULT_BYTES - fixed) // per_shot
    raise LimitError(
        f"every shot kept takes {fixed + memory} bytes, a message carries {RESULT_BYTES}",
        hint=f"Ask for at most {fitting} shots per item, or leave out memory.",
        code="limit.size",
    )


def _run_batch(circuit: QuantumCircuit, plan: Plan, shots: int, seed: int, tally: Tally) -> None:
    try:
        result = (
            simulator(plan.choice.method)
            .run(
                circuit,
                shots=shots,
                seed_simulator=seed,
                memory=tally.keeps_memory,
                enable_truncation=plan.is_truncated,
            )
            .result()
        )
    except MemoryError:
        raise
    except Exception as problem:
        raise _simulation_failed(f"{type(problem).__name__}: {problem}") from problem
    if not result.success:
        raise _simulation_failed(str(result.results[0].status if result.results else result.status))
    data = result.results[0].data
    tally.add(data.counts, data.memory if tally.keeps_memory else (), shots)


def _simulation_failed(status: str) -> ProgramError | AgentError:
    text = " ".join(status.split())
    if "memory" in text.lower() or "bad_alloc" in text:
        return AgentError(
            f"the simulation needs more memory than a worker may use ({text[:200]})",
            code="agent.memory",
            hint="Use fewer qubits, or less entanglement.",
        )
    return ProgramError(
        f"the simulator refused the program: {text[:300]}",
        hint="Remove or rewrite what it names.",
        code="program.unsupported",
    )


def _item_result(options: TaskOptions, plan: Plan, tallies: Sequence[Tally]) -> ItemResult:
    return ItemResult(
        n_bits=plan.circuit.num_clbits,
        registers=plan.registers,
        bindings=tuple(tally.columns() for tally in tallies),
        notes=(*plan.notes, *_warnings(options)),
    )


def _check_layout(options: TaskOptions, plan: Plan) -> None:
    """Refuse a layout that is none of the program, though any that is makes no difference here."""
    layout_ = options.layout
    if layout_ and (len(layout_) != plan.n_qubits or len(set(layout_)) != len(layout_)):
        raise ProgramError(
            f"the layout {','.join(map(str, layout_[:20]))} does not place {plan.n_qubits} qubits",
            hint="Give one qubit of the device for each of the program, each once.",
            code="program",
        )


def _warnings(options: TaskOptions) -> list[tuple[str, str]]:
    """Return one note that names what was asked for and makes no difference on this device, if anything."""
    idle = {
        "layout": bool(options.layout),
        "pace real": options.pace == "real",
        "stale refuse": options.stale is StalePolicy.REFUSE and options.compiled_for is None,
    }
    named = [name for name, is_given in idle.items() if is_given]
    if not named:
        return []
    return [
        ("warning", f"{', '.join(named)} {'has' if len(named) == 1 else 'have'} no effect on this device")
    ]


SOFTWARE: Final = (
    ("qmio_jupyter", __version__),
    ("qiskit", version("qiskit")),
    ("qiskit-aer", version("qiskit-aer")),
)
