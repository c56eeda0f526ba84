"""Noisy counts of small programs follow a density-matrix computation that shares no code with the emulation.

The programs are compiled here, on fixed qubits, so that both sides run the same gates.
"""

import io
from itertools import pairwise

import pytest
from qiskit import QuantumCircuit, qasm2, qpy, transpile
from qiskit.transpiler import CouplingMap

from qmio_jupyter.calibration.record import is_dead
from qmio_jupyter.model.program import QPY
from qmio_jupyter.testing.device_noise import DeviceNoise
from qmio_jupyter.testing.exact import Step, probabilities
from qmio_jupyter.testing.openqasm2 import MATRICES
from qmio_jupyter.testing.runs import program
from qmio_jupyter.testing.samples_of import disagreement, numbered_counts

SHOTS = 50_000
#: Bodies of OpenQASM 2 programs on q and c, by number of qubits.
BODIES = {
    "bell": (2, "h q[0]; cx q[0], q[1];"),
    "ghz-3": (3, "h q[0]; cx q[0], q[1]; cx q[1], q[2];"),
    "toffoli": (3, "x q[0]; x q[1]; ccx q[0], q[1], q[2];"),
    "phases": (3, "h q; cu1(pi/4) q[0], q[1]; cu1(pi/2) q[1], q[2]; t q[0]; h q;"),
    "grover": (2, "h q; cz q[0], q[1]; h q; x q; cz q[0], q[1]; x q; h q;"),
    "rotations": (4, "ry(0.3) q[0]; ry(1.1) q[1]; u3(0.2,0.5,1.7) q[2]; cx q[0], q[3]; cx q[1], q[2]; rx(2.0) q[3];"),
    "ghz-5": (5, "h q[0]; cx q[0], q[1]; cx q[1], q[2]; cx q[2], q[3]; cx q[3], q[4];"),
    "again": (4, "rx(0.4) q[0]; cx q[0], q[1]; rz(0.7) q[1]; ry(0.9) q[1]; cx q[1], q[2]; cx q[2], q[3];" * 3),
}  # fmt: skip


def chain(record, length):
    """Return qubits in a row, each coupled to the next, the better ones of both devices being nowhere special."""
    neighbours = {}
    for a, b in record.couplings:
        neighbours.setdefault(a, set()).add(b)
        neighbours.setdefault(b, set()).add(a)

    def grow(row):
        if len(row) == length:
            return row
        for following in sorted(neighbours[row[-1]] - set(row)):
            if found := grow([*row, following]):
                return found
        return None

    return next(row for start in sorted(neighbours) if (row := grow([start])))


def compiled(record, qubits, body):
    """Return a circuit in the record's gates, on its qubits."""
    source = qasm2.loads(
        f'OPENQASM 2.0; include "qelib1.inc"; qreg q[{qubits}]; creg c[{qubits}]; {body} measure q -> c;',
        custom_instructions=qasm2.LEGACY_CUSTOM_INSTRUCTIONS,
    )
    names = sorted({gate.name for gate in record.gates} - {"reset", "delay", "id"})
    return transpile(
        source,
        coupling_map=CouplingMap(list(record.couplings)),
        basis_gates=names,
        initial_layout=chain(record, qubits),
        optimization_level=1,
        seed_transpiler=1,
    )


def steps(circuit, names):
    """Return a compiled circuit as steps on the qubits `names`, in this order."""
    place = {qubit: index for index, qubit in enumerate(names)}
    for instruction in circuit.data:
        where = tuple(place[circuit.find_bit(qubit).index] for qubit in instruction.qubits)
        name = instruction.operation.name
        match name:
            case "barrier":
                continue
            case "measure":
                yield Step("measure", where, bit=circuit.find_bit(instruction.clbits[0]).index)
            case "reset":
                yield Step("reset", where)
            case _:
                matrix = MATRICES[name](*map(float, instruction.operation.params))
                yield Step("gate", where, matrix=matrix, label=name)


def as_program(circuit):
    file = io.BytesIO()
    qpy.dump(circuit, file)
    return program(file.getvalue(), QPY)


@pytest.mark.parametrize("which", ["qmio", "fez"])
def test_noisy_counts_follow_the_reference(request, which):
    device = request.getfixturevalue(which)
    circuits = {name: compiled(device.record, *body) for name, body in BODIES.items()}
    items = device.items(*map(as_program, circuits.values()), isa=True, shots=SHOTS, seed=11)
    wrong = {}
    for (name, circuit), item in zip(circuits.items(), items, strict=True):
        used = sorted({circuit.find_bit(q).index for i in circuit.data for q in i.qubits})
        noise = DeviceNoise(device.record, used)
        expected = probabilities(list(steps(circuit, used)), len(used), noise=noise, readout=noise.readout())
        assert sum(expected.values()) == pytest.approx(1.0, abs=1e-9)
        if found := disagreement(numbered_counts(item), expected):
            wrong[name] = found
    assert wrong == {}


def test_without_noise_the_counts_do_not_follow_it(qmio):
    """The check itself can fail: the same program, run ideally, is told from the noisy one."""
    circuit = compiled(qmio.record, *BODIES["ghz-3"])
    (item,) = qmio.items(as_program(circuit), isa=True, shots=SHOTS, options={"ideal": True})
    used = sorted({circuit.find_bit(q).index for i in circuit.data for q in i.qubits})
    noise = DeviceNoise(qmio.record, used)
    expected = probabilities(list(steps(circuit, used)), len(used), noise=noise, readout=noise.readout())
    assert set(numbered_counts(item)) == {0, 7}
    assert disagreement(numbered_counts(item), expected)


def test_dead_gates_are_nowhere_in_the_chain(fez):
    dead = {gate.qubits for gate in fez.record.gates if is_dead(gate) and len(gate.qubits) == 2}
    row = chain(fez.record, 5)
    assert dead
    assert not {*pairwise(row)} & dead


def test_a_measurement_in_the_middle_is_noisy_as_well(qmio):
    """Read, act on what was read, and reset: outcomes follow the reference, which branches on what is told."""
    a, b = chain(qmio.record, 2)
    circuit = QuantumCircuit(qmio.record.n_qubits, 3)
    circuit.sx(a)
    circuit.measure(a, 0)
    with circuit.if_test((0, True)):
        circuit.x(b)
    circuit.measure(b, 1)
    circuit.reset(a)
    circuit.x(a)
    circuit.measure(a, 2)
    (item,) = qmio.items(as_program(circuit), isa=True, shots=4_000, seed=3)
    names = sorted((a, b))
    at_a, at_b = names.index(a), names.index(b)
    noise = DeviceNoise(qmio.record, names)
    flip = Step("gate", (at_b,), matrix=MATRICES["x"](), label="x")
    program_ = [
        Step("gate", (at_a,), matrix=MATRICES["sx"](), label="sx"),
        Step("measure", (at_a,), bit=0),
        Step("if", condition=((0,), 1), inner=(flip,)),
        Step("measure", (at_b,), bit=1),
        Step("reset", (at_a,)),
        Step("gate", (at_a,), matrix=MATRICES["x"](), label="x"),
        Step("measure", (at_a,), bit=2),
    ]
    expected = probabilities(program_, 2, noise=noise, readout=noise.readout())
    assert disagreement(numbered_counts(item), expected) == ""
