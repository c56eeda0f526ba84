"""Making a circuit of what Aer runs as it is. Pass managers are made once: building one costs more than running it."""

from __future__ import annotations

from functools import cache
from typing import Final

from qiskit import QuantumCircuit
from qiskit.circuit import ControlFlowOp
from qiskit.transpiler import PassManager, Target, generate_preset_pass_manager
from qiskit_aer import AerSimulator

from qmio_jupyter.emulation.survey import Facts, survey
from qmio_jupyter.errors import ProgramError

#: Names that mean something to the circuit, not to the simulator's set of gates.
_ALWAYS: Final = frozenset({"measure", "reset", "barrier", "delay"})

#: Instructions of Aer's own that read or set its state; they carry more than a circuit's file holds.
_STATES: Final = ("save_", "set_")
#: Aer's own marks of noise.
_NOISE: Final = frozenset({"roerror", "qerror_loc", "quantum_channel"})
#: Operations that are their matrices: Aer reads these without looking whether there are any.
_MATRICES: Final = frozenset({"kraus", "diagonal", "multiplexer"})


@cache
def simulator(method: str) -> AerSimulator:
    """Return the simulator for a method; one thread, for many threads only wait for each other here."""
    return AerSimulator(method=method, max_parallel_threads=1, max_parallel_experiments=1)


@cache
def known(method: str) -> frozenset[str]:
    """Return the names of the operations that a method takes as they are."""
    return _ALWAYS | frozenset(_target(method).operation_names)


def _target(method: str) -> Target:
    target = simulator(method).target
    assert target is not None
    return target


@cache
def _passes(method: str, level: int) -> PassManager:
    return generate_preset_pass_manager(
        optimization_level=level,
        backend=simulator(method),
        seed_transpiler=0,
        qubits_initially_zero=False,
    )


def compile_for(circuit: QuantumCircuit, method: str, level: int | None) -> tuple[QuantumCircuit, Facts]:
    """Return a circuit that Aer takes as it is, and what it holds.

    Parameters
    ----------
    circuit : QuantumCircuit
        Bound or with free parameters.
    method : str
        The simulation method that is to take it; some know fewer operations.
    level : int or None
        Optimisation level that the user asked for; None changes nothing that Aer knows already.

    Raises
    ------
    ProgramError
        ``program.unsupported`` naming the operation that nobody knows how to run.
    """
    facts = survey(circuit)
    _check_state(facts)
    if facts.operations.keys() & _MATRICES:
        _check_matrices(circuit)
    if level is None and not _strange(facts, method):
        return circuit, facts
    try:
        compiled = _passes(method, level or 0).run(circuit)
    except MemoryError:
        raise
    except Exception as problem:
        strange = ", ".join(map(repr, _strange(facts, method))) or "this circuit"
        raise ProgramError(
            f"the device cannot run {strange} ({' '.join(str(problem).split())[:200]})",
            hint="Write it with standard gates.",
            code="program.unsupported",
        ) from problem
    facts = survey(compiled)
    if left := _strange(facts, method):
        raise ProgramError(
            f"the device cannot run {', '.join(map(repr, left))}",
            hint="Write it with standard gates.",
            code="program.unsupported",
        )
    return compiled, facts


def _check_state(facts: Facts) -> None:
    own = sorted(name for name in facts.operations if name.startswith(_STATES) or name in _NOISE)
    if own:
        raise ProgramError(
            f"the device cannot run {', '.join(map(repr, own))}: it gives counts, and sets no states or noise",
            hint="Remove it.",
            code="program.unsupported",
        )


def _check_matrices(circuit: QuantumCircuit) -> None:
    for instruction in circuit.data:
        operation = instruction.operation
        if isinstance(operation, ControlFlowOp):
            for block in operation.blocks:
                _check_matrices(block)
        elif operation.name in _MATRICES and not operation.params:
            raise ProgramError(
                f"the device cannot run {operation.name!r}: it comes without its matrix",
                hint="Write it again with the matrix, or with standard gates.",
                code="program.unsupported",
            )


def _strange(facts: Facts, method: str) -> list[str]:
    names = known(method)
    return sorted(name for name in facts.operations if name not in names)


def warm() -> None:
    """Build what every run needs, before the first fork. Starts no thread."""
    circuit = QuantumCircuit(1, 1)
    circuit.h(0)
    circuit.measure(0, 0)
    for method in ("statevector", "matrix_product_state"):
        _passes(method, 0).run(circuit)
    known("stabilizer")
