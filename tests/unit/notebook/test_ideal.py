"""The ideal distribution: against linear algebra that shares no code with it, and what it refuses."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister
from qiskit.circuit import ClassicalRegister as Classical
from qiskit.circuit import Parameter, ParameterVector
from qiskit.circuit.library import CXGate, HGate, RXGate, SXGate, TGate

from qmio_jupyter.errors import ProgramError
from qmio_jupyter.model.device import DeviceDescription
from qmio_jupyter.model.program import MEDIA_TYPES, QASM2, QASM3
from qmio_jupyter.model.task import TaskSpec
from qmio_jupyter.notebook.circuits import Text, to_submission
from qmio_jupyter.notebook.ideal import ideal_of, probabilities_of
from qmio_jupyter.notebook.known import Known, Submitted
from qmio_jupyter.testing.exact import Step, probabilities
from tests.unit.display.making import item

DEVICE = DeviceDescription(
    name="d", title="", n_qubits=None, driver="d", media_types=MEDIA_TYPES, qpy_versions=(13, 18)
)


def submitted(*programs: Any, values: Any = None) -> Submitted:
    """Return programs as they would be submitted."""
    sent = to_submission(programs, shots=10, values=values or {}, device=DEVICE)
    spec = TaskSpec(device="d", items=sent.items)
    return Submitted(spec, {program.digest: program for program in sent.programs})


def refused(circuit: QuantumCircuit) -> str:
    with pytest.raises(ProgramError) as caught:
        probabilities_of(circuit)
    line = caught.value.one_line()
    assert "\n" not in line
    assert "--ideal" in line
    return line


def test_against_linear_algebra() -> None:
    rng = random.Random(4)
    for _ in range(30):
        n = rng.randrange(1, 5)
        circuit = QuantumCircuit(n, n)
        steps = []
        for _ in range(12):
            gate = rng.choice(
                [HGate(), TGate(), SXGate(), RXGate(rng.uniform(0, 6)), *([CXGate()] if n > 1 else [])]
            )
            qubits = rng.sample(range(n), gate.num_qubits)
            circuit.append(gate, qubits)
            steps.append(Step(name="gate", qubits=tuple(qubits), matrix=np.asarray(gate.to_matrix())))
        order = rng.sample(range(n), rng.randrange(1, n + 1))
        for bit, qubit in enumerate(order):
            circuit.measure(qubit, bit)
            steps.append(Step(name="measure", qubits=(qubit,), bit=bit))
        wanted = probabilities(steps, n)
        found = probabilities_of(circuit)
        assert found == pytest.approx({key: p for key, p in wanted.items() if p > 1e-12}, abs=1e-9)


def test_every_bit_keeps_its_place() -> None:
    circuit = QuantumCircuit(QuantumRegister(40), Classical(70))
    circuit.x(35)
    circuit.measure(35, 69)
    circuit.measure(35, 3)
    assert probabilities_of(circuit) == pytest.approx({1 << 69 | 1 << 3: 1.0})
    circuit.h(20)
    circuit.barrier()
    circuit.delay(100, 20)
    circuit.measure(20, 3)  # the last one counts
    assert probabilities_of(circuit) == pytest.approx({1 << 69: 0.5, 1 << 69 | 1 << 3: 0.5})


def test_nothing_measured_is_all_zeros() -> None:
    assert probabilities_of(QuantumCircuit(2, 2)) == {0: 1.0}


def test_what_cannot_be_computed_is_named() -> None:
    again = QuantumCircuit(1, 1)
    again.measure(0, 0)
    again.h(0)
    assert "h follows a measurement" in refused(again)
    reset = QuantumCircuit(1, 1)
    reset.reset(0)
    assert "it has reset" in refused(reset)
    branching = QuantumCircuit(1, 1)
    with branching.if_test((branching.clbits[0], 1)):
        branching.x(0)
    assert "it has if_else" in refused(branching)
    wide = QuantumCircuit(17, 17)
    wide.h(range(17))
    assert "17 active qubits" in refused(wide)
    free = QuantumCircuit(1, 1)
    free.rx(Parameter("theta"), 0)
    assert "theta has no value" in refused(free)


@pytest.mark.parametrize("media_type", [QASM2, QASM3, "circuit"])
def test_of_a_task_as_its_result_writes_it(media_type: str) -> None:
    program: Any
    if media_type == QASM3:
        program = Text(
            'OPENQASM 3.0; include "stdgates.inc"; qubit[2] q; bit[1] a; bit[1] b; x q[1]; '
            "a[0] = measure q[0]; b[0] = measure q[1];",
            QASM3,
        )
    elif media_type == QASM2:
        program = Text(
            'OPENQASM 2.0; include "qelib1.inc"; qreg q[2]; creg a[1]; creg b[1]; x q[1]; '
            "measure q[0] -> a[0]; measure q[1] -> b[0];",
            QASM2,
        )
    else:
        program = QuantumCircuit(QuantumRegister(2), ClassicalRegister(1, "a"), ClassicalRegister(1, "b"))
        program.x(1)
        program.measure([0, 1], [0, 1])
    assert ideal_of(submitted(program), item([], ("a", 1), ("b", 1)), 0, 0) == [("1 0", 1.0)]


def test_of_each_binding() -> None:
    angles = ParameterVector("v", 2)
    circuit = QuantumCircuit(2, 2)
    circuit.rx(angles[0], 0)
    circuit.rx(angles[1], 1)
    circuit.measure([0, 1], [0, 1])
    task = submitted(circuit, values={"v": [[0, 0], [np.pi, 0], [0, np.pi]]})
    found = [ideal_of(task, item([], ("c", 2)), 0, binding) for binding in range(3)]
    assert [[bits for bits, _ in one] for one in found] == [["00"], ["01"], ["10"]]


def test_a_program_that_cannot_be_read_here_says_so() -> None:
    task = submitted(Text("OPENQASM 2.0; nonsense", QASM2))
    with pytest.raises(ProgramError, match="Qiskit cannot read it"):
        ideal_of(task, item([], ("c", 1)), 0, 0)


def test_the_oldest_tasks_are_forgotten_first() -> None:
    task = submitted(Text("OPENQASM 3.0; // " + "x" * 1000, QASM3))
    programs = list(task.programs.values())
    known = Known(most_bytes=3500, most_tasks=10)
    for number in range(5):
        known.keep(f"t-{number}", task.spec, programs)
    assert [known.get(f"t-{number}") is not None for number in range(5)] == [False, False, True, True, True]
    few = Known(most_tasks=1)
    few.keep("a", task.spec, programs)
    few.keep("b", task.spec, programs)
    assert few.get("a") is None
    assert few.get("b") == task
