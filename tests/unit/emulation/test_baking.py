"""Circuits with noise in them: the same program on fewer qubits, its parameters and bits where they were."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister
from qiskit.circuit import Clbit, Parameter
from qiskit.circuit.classical import expr
from qiskit.quantum_info import SuperOp
from qiskit_aer import AerSimulator

from qmio_jupyter.emulation import baking, compacting
from qmio_jupyter.emulation.noise import NoiseBook
from qmio_jupyter.errors import ProgramError

SIMULATOR = AerSimulator(method="density_matrix", max_parallel_threads=1)


def superoperator(circuit: QuantumCircuit) -> np.ndarray:
    """Channel of a circuit without measurements and control flow, on all its qubits."""
    total = SuperOp(np.eye(4**circuit.num_qubits))
    for instruction in circuit.data:
        where = [circuit.find_bit(qubit).index for qubit in instruction.qubits]
        operation = instruction.operation
        channel = SuperOp(operation.params[0] if operation.name == "superop" else operation)
        total = total.compose(channel, qargs=where)
    return total.data


def step_by_step(isa: QuantumCircuit, book: NoiseBook) -> np.ndarray:
    """The same channel without any merging; delays in seconds."""
    total = SuperOp(np.eye(4**isa.num_qubits))
    for instruction in isa.data:
        where = tuple(isa.find_bit(qubit).index for qubit in instruction.qubits)
        if instruction.name == "delay":
            error = book.relaxation(where[0], instruction.params[0])
        else:
            total = total.compose(SuperOp(instruction.operation), qargs=where)
            error = book.channel(instruction.name, where) if instruction.name != "reset" else None
        if error is not None:
            total = total.compose(SuperOp(error), qargs=where)
    return total.data


def mixed() -> QuantumCircuit:
    """Every way in which runs can meet on three qubits."""
    circuit = QuantumCircuit(3)
    circuit.sx(0)
    circuit.rz(0.3, 0)
    circuit.sx(1)
    circuit.ecr(0, 1)
    circuit.rz(1.1, 1)
    circuit.sx(1)
    circuit.ecr(0, 1)
    circuit.sx(2)
    circuit.delay(2e-6, 2, unit="s")
    circuit.ecr(1, 2)
    circuit.sx(0)
    circuit.sx(2)
    circuit.delay(1e-6, 1, unit="s")
    circuit.reset(0)
    circuit.sx(0)
    circuit.ecr(0, 1)
    return circuit


def test_merging_keeps_the_channel(book: NoiseBook) -> None:
    isa = mixed()
    baked = baking.bake(isa, book)
    assert np.abs(superoperator(baked.circuit) - step_by_step(isa, book)).max() < 1e-13
    # (0, 1), (1, 2) with what stands before and after them; reset; (0, 1) again.
    assert dict(baked.circuit.count_ops()) == {"superop": 3, "reset": 1}


ANGLE = Parameter("a")
STEPS = st.lists(
    st.sampled_from(
        [
            *(("sx", (q,)) for q in range(3)),
            *(("rz", (q,)) for q in range(3)),
            *(("turn", (q,)) for q in range(3)),
            *(("reset", (q,)) for q in range(3)),
            *(("delay", (q,)) for q in range(3)),
            ("ecr", (0, 1)),
            ("ecr", (1, 2)),
        ]
    ),
    max_size=14,
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS)
def test_any_program_keeps_its_channel(book: NoiseBook, steps: list[tuple[str, tuple[int, ...]]]) -> None:
    isa = QuantumCircuit(3)
    isa.sx((0, 1, 2))  # all in use
    for number, (name, qubits) in enumerate(steps):
        match name:
            case "rz":
                isa.rz(0.1 * number, *qubits)
            case "turn":
                isa.rz(ANGLE * number, *qubits)
            case "delay":
                isa.delay(1e-6 * number, *qubits, unit="s")
            case _:
                getattr(isa, name)(*qubits)
    made = baking.bake(isa, book).circuit
    if ANGLE in made.parameters:
        made = made.assign_parameters({ANGLE: 0.7})
        isa = isa.assign_parameters({ANGLE: 0.7})
    elif ANGLE in isa.parameters:
        isa = isa.assign_parameters({ANGLE: 0.7})
    assert np.abs(superoperator(made) - step_by_step(isa, book)).max() < 1e-12


def test_pairs_in_both_directions_merge(record) -> None:
    from dataclasses import replace

    from qmio_jupyter.calibration.record import Gate

    gates = (
        *record.gates,
        Gate(name="cz", qubits=(0, 1), error=0.01),
        Gate(name="cz", qubits=(1, 0), error=0.02),
    )
    book = NoiseBook(replace(record, gates=gates))
    isa = QuantumCircuit(2)
    isa.sx(0)
    isa.cz(0, 1)
    isa.ecr(0, 1)
    isa.cz(1, 0)
    isa.sx(1)
    isa.cz(1, 0)
    baked = baking.bake(isa, book)
    assert baked.circuit.size() == 1
    assert np.abs(superoperator(baked.circuit) - step_by_step(isa, book)).max() < 1e-13


def test_gates_without_error_stay_gates(book: NoiseBook) -> None:
    isa = QuantumCircuit(1, 1)
    isa.rz(0.5, 0)
    isa.measure(0, 0)
    assert dict(baking.bake(isa, book).circuit.count_ops()) == {"rz": 1, "measure": 1}


def test_parameters_stay_free(book: NoiseBook) -> None:
    angle = Parameter("a")
    isa = QuantumCircuit(3)
    isa.sx(0)
    isa.rz(angle, 0)
    isa.sx(0)
    isa.ecr(0, 1)
    isa.rz(2 * angle + 0.1, 1)
    isa.sx(1)
    baked = baking.bake(isa, book)
    assert set(baked.circuit.parameters) == {angle}
    after = superoperator(baked.circuit.assign_parameters({angle: 0.7}))
    before = superoperator(baking.bake(isa.assign_parameters({angle: 0.7}), book).circuit)
    assert np.abs(after - before).max() < 1e-13


def test_only_qubits_in_use_are_kept(book: NoiseBook) -> None:
    isa = QuantumCircuit(4, 2)
    isa.delay(1e-6, 0, unit="s")
    isa.barrier()
    isa.sx(3)
    isa.measure(3, 1)
    isa.measure(1, 0)
    baked = baking.bake(isa, book)
    assert baked.physical == (1, 3)
    assert baked.circuit.num_qubits == 2
    assert baked.circuit.num_clbits == 2
    assert [(m.clbit, m.qubit) for m in baked.measures] == [(1, 1), (0, 0)]
    assert baked.measures[0].matrix is None
    assert np.array_equal(baked.measures[1].matrix, book.readout(1))
    assert list(baked.readout) == [0]


def test_an_order_is_kept(book: NoiseBook) -> None:
    isa = QuantumCircuit(4)
    isa.sx(0)
    isa.ecr(1, 2)
    baked = baking.bake(isa, book, order=(3, 2, 0, 1))
    assert baked.physical == (2, 0, 1)
    assert baked.circuit.find_bit(baked.circuit.data[-1].qubits[0]).index == 2
    for order in ((0, 1), (0, 1, 2, 2)):
        with pytest.raises(ValueError, match="order"):
            baking.bake(isa, book, order=order)


def test_without_a_book_a_circuit_is_only_made_compact() -> None:
    isa = mixed()
    baked = baking.bake(isa, None)
    assert baked.remarks == ()
    assert baked.readout == {}
    kept = {name: n for name, n in isa.count_ops().items() if name != "delay"}
    assert dict(baked.circuit.count_ops()) == kept


def test_registers_lone_bits_and_variables_stay(book: NoiseBook) -> None:
    bit = Clbit()
    isa = QuantumCircuit(QuantumRegister(4, "q"), ClassicalRegister(2, "a"), [bit], ClassicalRegister(1, "b"))
    flag = isa.add_var("flag", expr.lift(False))
    isa.sx(0)
    isa.measure(0, bit)
    with isa.if_test(flag):
        isa.sx(1)
    made = baking.bake(isa, book).circuit
    assert made.clbits == isa.clbits
    assert made.cregs == isa.cregs
    assert list(made.iter_declared_vars()) == [flag]
    assert [instruction.name for instruction in made.data] == ["store", "superop", "measure", "if_else"]


def test_blocks_are_baked_on_their_own_qubits(book: NoiseBook) -> None:
    isa = QuantumCircuit(4, 2)
    isa.sx(1)
    isa.measure(1, 0)
    with isa.if_test((isa.clbits[0], 1)) as otherwise:
        isa.sx(2)
        isa.ecr(1, 2)
        isa.delay(500, 3, unit="ns")
    with otherwise:
        isa.delay(1, 1, unit="us")
    isa.sx(2)
    isa.measure(2, 1)
    baked = baking.bake(isa, book)
    assert baked.physical == (1, 2)
    assert [instruction.name for instruction in baked.circuit.data] == [
        "superop",
        "measure",
        "if_else",
        "superop",
        "measure",
    ]
    branch = baked.circuit.data[2]
    where = [baked.circuit.find_bit(qubit).index for qubit in branch.qubits]
    yes, no = (
        [(i.name, [where[block.find_bit(qubit).index] for qubit in i.qubits]) for i in block.data]
        for block in branch.operation.blocks
    )
    assert yes == [("superop", [0, 1])]
    assert no == [("superop", [0])]
    assert [measure.clbit for measure in baked.measures] == [0, 1]
    # It runs, with readout errors from a model of their own.
    result = SIMULATOR.run(
        baked.circuit, shots=20, noise_model=baked.readout_model(), seed_simulator=1
    ).result()
    assert result.success, result.status


def test_nothing_moves_across_a_break(book: NoiseBook) -> None:
    """A gate after a conditional break must not be merged into what stands before it."""
    isa = QuantumCircuit(4, 1)
    with isa.for_loop(range(3)):
        isa.sx(0)
        with isa.if_test((isa.clbits[0], 1)):
            isa.break_loop()
        isa.sx(0)
    isa.measure(0, 0)
    (loop, _) = baking.bake(isa, book).circuit.data
    (body,) = loop.operation.blocks
    assert [instruction.name for instruction in body.data] == ["superop", "if_else", "superop"]
    result = SIMULATOR.run(baking.bake(isa, book).circuit, shots=5).result()
    assert result.success, result.status


def test_a_reset_ends_what_was_before(book: NoiseBook) -> None:
    """Relaxation after a reset changes nothing, for the qubit is in its ground state."""
    isa = QuantumCircuit(1)
    isa.reset(0)
    baked = baking.bake(isa, book)
    assert [instruction.name for instruction in baked.circuit.data] == ["reset"]
    error = book.channel("reset", (0,))
    assert error is not None
    assert np.array_equal(error @ [1, 0, 0, 0], [1, 0, 0, 0])


@pytest.mark.parametrize(
    ("duration", "unit", "seconds"),
    [(3, "us", 3e-6), (700, "ns", 7e-7), (1000, "dt", 5e-7), (2e-6, "s", 2e-6)],
)
def test_delays_have_units(book: NoiseBook, duration: float, unit: str, seconds: float) -> None:
    isa = QuantumCircuit(1)
    isa.sx(0)
    isa.delay(duration, 0, unit=unit)
    expected = SuperOp(isa.data[0].operation).data
    expected = book.relaxation(0, seconds) @ book.channel("sx", (0,)) @ expected
    assert np.abs(superoperator(baking.bake(isa, book).circuit) - expected).max() < 1e-14


def test_free_durations_are_found_and_refused(book: NoiseBook) -> None:
    wait = Parameter("t")
    isa = QuantumCircuit(1, 1)
    isa.sx(0)
    with isa.if_test((isa.clbits[0], 0)):
        isa.delay(wait, 0, unit="us")
    assert compacting.needs_values(isa)
    with pytest.raises(ProgramError, match="not bound") as caught:
        baking.bake(isa, book)
    assert caught.value.code == "program.parameters"
    bound = isa.assign_parameters({wait: 3.0})
    assert not compacting.needs_values(bound)
    assert baking.bake(bound, book).circuit.size() == 2


def test_a_stretch_is_refused(book: NoiseBook) -> None:
    isa = QuantumCircuit(1)
    stretch = isa.add_stretch("s")
    isa.sx(0)
    isa.delay(stretch, 0)
    with pytest.raises(ProgramError, match="a delay of s is known only to a scheduler"):
        baking.bake(isa, book)


def test_gates_of_other_devices_are_refused(book: NoiseBook) -> None:
    isa = QuantumCircuit(2)
    isa.ecr(1, 0)
    with pytest.raises(ProgramError, match="no ecr on 1, 0"):
        baking.bake(isa, book)


def test_remarks_are_of_the_qubits_in_use(book: NoiseBook) -> None:
    isa = QuantumCircuit(3, 1)
    isa.sx(0)
    isa.delay(1, 2, unit="us")
    isa.measure(0, 0)
    assert baking.bake(isa, book).remarks == ()
    isa.sx(2)
    assert {what for what, _ in baking.bake(isa, book).remarks} == {"t2_capped", "coherence_limit"}


def test_rotations_by_angles_are_kept_but_not_forever() -> None:
    from qmio_jupyter.emulation import merging

    for step in range(100):
        merging._unitary("rz", (step * math.pi / 7,))
    information = merging._unitary.cache_info()
    assert information.maxsize is not None
    assert information.maxsize <= 10_000
