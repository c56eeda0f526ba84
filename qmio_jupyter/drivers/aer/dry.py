"""Dry runs: what a task would be and take, from its compiled programs; nothing is simulated."""

from __future__ import annotations

from collections.abc import Sequence

from qiskit import QuantumCircuit, qasm3
from qiskit.circuit import ControlFlowOp

from qmio_jupyter.drivers.aer import binding
from qmio_jupyter.drivers.aer.planner import Compiled, Planner
from qmio_jupyter.drivers.aer.refusals import check_kind, naming
from qmio_jupyter.drivers.pace import device_s
from qmio_jupyter.model.device import CostModel
from qmio_jupyter.model.dry_run import DryRun, DryRunItem, cut_circuit, within_limits
from qmio_jupyter.model.task import Item
from qmio_jupyter.ports import Run


def dry_run(run: Run, planner: Planner, *, seconds: float, clock: CostModel | None) -> DryRun:
    """Return what a run would be and take.

    Parameters
    ----------
    run : Run
        As it would be given to a driver.
    planner : Planner
        Compiles and chooses.
    seconds : float
        What the run may take.
    clock : CostModel or None
        The device's, if it has one.

    Raises
    ------
    QmioError
        What running it would be refused with.
    """
    items: list[DryRunItem] = []
    for index, item in enumerate(run.spec.items):
        with naming(index, len(run.spec.items)):
            items.append(_item(run, item, planner, seconds, clock))
    made = DryRun(
        device=run.spec.device,
        snapshot_id=run.snapshot.snapshot_id if run.snapshot is not None else None,
        items=tuple(items),
        predicted_s=sum(item.predicted_s for item in items),
        device_s=None if clock is None else sum(item.device_s or 0.0 for item in items),
    )
    return within_limits(made)


def _item(run: Run, item: Item, planner: Planner, seconds: float, clock: CostModel | None) -> DryRunItem:
    check_kind(item)
    compiled = planner.compiled(run, item)
    binding.rows(compiled.names, item.parameters)
    choice = planner.choose(compiled, item, seconds)
    circuit = compiled.circuit
    text, is_cut = cut_circuit(_text(circuit))
    return DryRunItem(
        n_qubits=compiled.n_qubits,
        n_bits=circuit.num_clbits,
        shots=item.shots,
        bindings=item.bindings,
        method=choice.method,
        why=choice.why,
        predicted_s=choice.predicted_s,
        memory_bytes=choice.memory_bytes,
        depth=circuit.depth(lambda instruction: instruction.name not in ("barrier", "delay")),
        two_qubit_gates=_two_qubit_gates(circuit),
        operations=tuple(sorted(compiled.facts.operations.items())),
        layout=compiled.layout,
        expected_fidelity=_fidelity(compiled),
        device_s=None if clock is None else device_s(clock, item.bindings, item.shots * item.bindings),
        circuit=text,
        is_cut=is_cut,
        notes=(*compiled.notes, *_remarks(compiled)),
    )


def _remarks(compiled: Compiled) -> tuple[tuple[str, str], ...]:
    """Return where the noise that is emulated departs from what was measured."""
    if compiled.device is None or not compiled.is_noisy:
        return ()
    known = {(gate.name, gate.qubits) for gate in compiled.device.record.gates}
    used = known & _places(compiled.circuit, range(compiled.circuit.num_qubits))
    return compiled.device.book.remarks(used, compiled.facts.active)


def _places(circuit: QuantumCircuit, where: Sequence[int]) -> set[tuple[str, tuple[int, ...]]]:
    """Return the operations of a circuit and its blocks as (name, physical qubits)."""
    found: set[tuple[str, tuple[int, ...]]] = set()
    for instruction in circuit.data:
        at = tuple([where[circuit.find_bit(qubit).index] for qubit in instruction.qubits])
        if isinstance(instruction.operation, ControlFlowOp):
            for block in instruction.operation.blocks:
                found |= _places(block, at)
        else:
            found.add((instruction.name, at))
    return found


def _fidelity(compiled: Compiled) -> float | None:
    if compiled.device is None or not compiled.is_noisy:
        return None
    from qmio_jupyter.emulation.fidelity import expected

    return expected(compiled.circuit, compiled.device.record)


def _two_qubit_gates(circuit: QuantumCircuit) -> int:
    """Return the gates on two qubits, each body of control flow counted once."""
    return sum(
        sum(_two_qubit_gates(block) for block in instruction.operation.blocks)
        if isinstance(instruction.operation, ControlFlowOp)
        else len(instruction.qubits) == 2 and instruction.name not in ("barrier", "measure")
        for instruction in circuit.data
    )


def _text(circuit: QuantumCircuit) -> str:
    """Return a circuit as OpenQASM 3, empty if it cannot be written so."""
    try:
        return str(qasm3.dumps(circuit))
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - the exporter's failures are many, and the figures are worth telling anyway
        return ""
