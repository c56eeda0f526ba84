"""Measurements put off to the end change no probability: against every branch followed on its own."""

import random

import numpy as np
import pytest
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister
from qiskit.circuit import Clbit, ForLoopOp, IfElseOp, Instruction, Parameter, SwitchCaseOp
from qiskit.circuit.classical import expr
from qiskit.quantum_info import DensityMatrix, Operator, SuperOp

from qmio_jupyter.drivers.aer.bounded import Bounded
from qmio_jupyter.drivers.aer.classical import NotSimpleError, bits_of, satisfying, value_of
from qmio_jupyter.drivers.aer.deferring import deferred
from qmio_jupyter.drivers.aer.direct import Engine, Options
from qmio_jupyter.drivers.aer.exact import Exact
from qmio_jupyter.model.result import key_width

READOUT = {0: np.array([[0.9, 0.1], [0.2, 0.8]]), 2: np.array([[0.97, 0.03], [0.05, 0.95]])}
DAMPING = SuperOp(np.array([[1, 0, 0, 0.3], [0, 0.7**0.5, 0, 0], [0, 0, 0.7**0.5, 0], [0, 0, 0, 0.7]]))


def followed(circuit, readout):
    """Return {outcome: probability} of a circuit, by following every branch."""
    found = {}

    def go(steps, rho, values):
        for at, (operation, qubits, clbits) in enumerate(steps):
            name, rest = operation.name, steps[at + 1 :]
            if name == "barrier":
                continue
            if name == "measure":
                for real in (0, 1):
                    projector = np.diag([1.0 - real, real]).astype(complex)
                    part = rho.evolve(Operator(projector), qargs=qubits)
                    chances = readout[qubits[0]][real] if qubits[0] in readout else np.eye(2)[real]
                    for read in (0, 1):
                        if chances[read] and part.trace().real > 1e-15:
                            go(rest, part * chances[read], {**values, clbits[0]: read})
                return
            if isinstance(operation, (IfElseOp, SwitchCaseOp, ForLoopOp)):
                inner = [
                    step
                    for block in taken(operation, {circuit.clbits[at]: value for at, value in values.items()})
                    for step in stepped(block, qubits, clbits)
                ]
                go(inner + rest, rho, values)
                return
            rho = rho.evolve(DAMPING if name == "superop" else operation, qargs=qubits)
        outcome = sum(value << bit for bit, value in values.items())
        found[outcome] = found.get(outcome, 0.0) + rho.trace().real

    steps = stepped(circuit, range(circuit.num_qubits), range(circuit.num_clbits))
    go(steps, DensityMatrix.from_int(0, 2**circuit.num_qubits), dict.fromkeys(range(circuit.num_clbits), 0))
    return found


def stepped(circuit, qubits, clbits):
    return [
        (
            i.operation,
            [qubits[circuit.find_bit(bit).index] for bit in i.qubits],
            [clbits[circuit.find_bit(bit).index] for bit in i.clbits],
        )
        for i in circuit.data
    ]


def taken(operation, values):
    if isinstance(operation, ForLoopOp):
        indices, parameter, body = operation.params
        return [body if parameter is None else body.assign_parameters({parameter: i}) for i in indices]
    if isinstance(operation, SwitchCaseOp):
        value = value_of(operation.target, values)
        for labels, block in operation.cases_specifier():
            if any(label == value or not isinstance(label, int) for label in labels):
                return [block]
        return []
    condition = operation.condition
    if isinstance(condition, tuple):
        is_met = value_of(condition[0], values) == int(condition[1])
    else:
        is_met = bool(value_of(condition, values))
    return operation.blocks[:1] if is_met else operation.blocks[1:]


def empty():
    return QuantumCircuit(QuantumRegister(3), ClassicalRegister(2, "c"), [Clbit()])


def random_circuit(seed, *, is_mixed):  # noqa: C901 - one line for each kind of step
    """Return a circuit of three qubits and bits with whatever may stand between measurements."""
    chance = random.Random(seed)
    circuit = empty()

    def gates(depth):
        for _ in range(chance.randint(1, 3)):
            kind = chance.choice(["ry", "cx", "rz", "branch", "noise"])
            one, two = chance.sample(range(3), 2)
            if kind == "cx":
                circuit.cx(one, two)
            elif kind == "branch" and depth < 3:
                branch(depth + 1)
            elif kind == "noise" and is_mixed:
                circuit.append(Instruction("superop", 1, 0, [DAMPING.data]), [one])
            elif kind == "noise" and not depth:
                circuit.reset(one)
            else:
                circuit.ry(chance.uniform(-3, 3), one)
                circuit.h(two)

    def branch(depth):
        bit, register = circuit.clbits[chance.randrange(3)], circuit.cregs[0]
        match chance.randrange(5):
            case 0:
                with circuit.if_test((bit, chance.randrange(2))) as otherwise:
                    gates(depth)
                with otherwise:
                    gates(depth)
            case 1:
                with circuit.if_test((register, chance.randrange(4))):
                    gates(depth)
            case 2:
                with circuit.if_test(expr.logic_and(expr.less(register, 3), expr.logic_not(bit))):
                    gates(depth)
            case 3:
                with circuit.for_loop(range(2)):
                    gates(depth)
            case 4:
                with circuit.switch(register) as case:
                    with case(0, 3):
                        gates(depth)
                    with case(case.DEFAULT):
                        gates(depth)

    for qubit in range(3):
        circuit.ry(chance.uniform(-3, 3), qubit)
    for _ in range(chance.randint(2, 3)):
        circuit.measure(chance.randrange(3), chance.randrange(3))
        branch(1)
        gates(0)
    circuit.measure([0, 1], [0, 2])
    return circuit


def probabilities(circuit, readout, *, is_mixed, most):
    made = deferred(circuit, active=range(3), readout=readout, is_mixed=is_mixed, most=most)
    if made is None:
        return None
    options = Options(method="density_matrix" if is_mixed else "statevector", is_truncated=False)
    way = Exact(made.circuit, made.measures, 3, (), Engine(is_direct=True), options, Bounded(9, 2**30), 1)
    (found,) = way._distributions(np.zeros((1, 0)))
    keys = way._outcomes.keys(np.arange(len(found.cumulative)))
    assert keys.shape[1] == key_width(3)
    return dict(zip(keys[:, 0].tolist(), np.diff(found.cumulative, prepend=0.0), strict=True))


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("is_mixed", [False, True], ids=["pure", "mixed"])
def test_no_probability_changes(seed, is_mixed):
    circuit = random_circuit(seed, is_mixed=is_mixed)
    readout = READOUT if is_mixed else {}
    found = probabilities(circuit, readout, is_mixed=is_mixed, most=12)
    assert found is not None
    expected = followed(circuit, readout)
    assert sum(expected.values()) == pytest.approx(1)
    for outcome in expected.keys() | found.keys():
        assert found.get(outcome, 0.0) == pytest.approx(expected.get(outcome, 0.0), abs=1e-9)


def names_in(circuit):
    for instruction in circuit.data:
        yield instruction.operation.name
        for block in getattr(instruction.operation, "blocks", ()):
            yield from names_in(block)


def test_the_random_circuits_hold_what_is_to_be_tried():
    """A generator that makes only simple circuits would test nothing."""
    names = {
        name
        for seed in range(12)
        for mixed in (False, True)
        for name in names_in(random_circuit(seed, is_mixed=mixed))
    }
    assert {"if_else", "switch_case", "for_loop", "superop", "reset", "measure", "cx"} <= names


def test_a_qubit_that_nothing_touches_again_holds_its_outcome_itself():
    circuit = empty()
    circuit.h(0)
    circuit.measure(0, 0)
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.x(1)
    circuit.measure(1, 1)
    made = deferred(circuit, active=(0, 1), readout={}, is_mixed=False, most=2)
    assert made.circuit.num_qubits == 2
    circuit.x(0)
    assert deferred(circuit, active=(0, 1), readout={}, is_mixed=False, most=2) is None
    assert deferred(circuit, active=(0, 1), readout={}, is_mixed=False, most=3).circuit.num_qubits == 3


def loop_until(circuit):
    with circuit.while_loop((circuit.clbits[0], 0)):
        circuit.h(0)
        circuit.measure(0, 0)


def measured_in_a_branch(circuit):
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.measure(1, 1)


def broken_loop(circuit):
    with circuit.for_loop(range(3)):
        circuit.h(0)
        circuit.break_loop()


def endless_loop(circuit):
    with circuit.for_loop(range(10**6)):
        circuit.h(0)


def free_in_a_branch(circuit):
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.rx(Parameter("a"), 1)


def reset_in_a_branch(circuit):
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.reset(1)


def stored(circuit):
    kept = circuit.add_var("kept", expr.lift(False))
    with circuit.if_test(kept):
        circuit.x(1)


@pytest.mark.parametrize(
    "add",
    [
        loop_until,
        measured_in_a_branch,
        broken_loop,
        endless_loop,
        free_in_a_branch,
        reset_in_a_branch,
        stored,
    ],
)
def test_what_cannot_be_put_off_is_left_to_another_way(add):
    circuit = empty()
    circuit.h([0, 1])
    circuit.measure(0, 0)
    add(circuit)
    circuit.measure(0, 0)
    assert deferred(circuit, active=range(3), readout={}, is_mixed=False, most=12) is None


def test_conditions_are_sets_of_values():
    register = ClassicalRegister(3, "r")
    bits = list(register)
    assert bits_of(register) == bits
    assert satisfying(register, lambda v: v == 5, bits, {}) == {5}
    assert satisfying(register, lambda v: v == 5, bits[:2], {bits[2]: 1}) == {1}
    assert satisfying(register, lambda v: v == 5, bits[:2], {bits[2]: 0}) == set()
    assert satisfying(expr.bit_xor(register, 7), lambda v: v == 2, bits, {}) == {5}
    assert satisfying(expr.bit_not(register), lambda v: v == 2, bits, {}) == {5}
    assert satisfying(expr.equal(bits[0], expr.logic_not(bits[1])), bool, bits[:2], {}) == {1, 2}
    with pytest.raises(NotSimpleError):
        satisfying(ClassicalRegister(7), bool, list(ClassicalRegister(7)), {})
    with pytest.raises(NotSimpleError):
        bits_of(expr.Var.new("kept", expr.lift(True).type))
