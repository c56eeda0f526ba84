"""Random programs that measure, reset and decide on their way: the counts follow branches worked out one by one.

Without noise from the program's text, with noise from the compiled circuit that a dry run shows: so what is shown
is what runs, and what runs is as noisy as the calibration says.
"""

import random

from qmio_jupyter.testing.device_noise import DeviceNoise
from qmio_jupyter.testing.exact import probabilities
from qmio_jupyter.testing.openqasm2 import Reader
from qmio_jupyter.testing.openqasm3 import Compiled
from qmio_jupyter.testing.runs import qasm2
from qmio_jupyter.testing.samples_of import disagreement, numbered_counts

PROGRAMS = 25
SHOTS = 20_000


def gate(rng, qubits):
    """Return a random gate on some of the qubits."""
    angle = f"({rng.uniform(-3, 3):.3f})"
    q = [f"q[{qubit}]" for qubit in qubits]
    kinds = [f"{rng.choice(['x', 'y', 'z', 'h', 's', 'sdg', 't', 'tdg'])} {q[0]};"]
    kinds.append(f"{rng.choice(['rx', 'ry', 'rz', 'u1'])}{angle} {q[0]};")
    if len(q) > 1:
        kinds.append(f"{rng.choice(['cx', 'cz', 'cy', 'ch', 'swap'])} {q[0]}, {q[1]};")
        kinds.append(f"{rng.choice(['cu1', 'crz'])}{angle} {q[0]}, {q[1]};")
    if len(q) > 2:
        kinds.append(f"ccx {q[0]}, {q[1]}, {q[2]};")
    return rng.choice(kinds)


def dynamic_program(rng):
    """Return the body of a random OpenQASM 2 program of up to 4 qubits."""
    n = rng.randint(1, 4)
    lines = [f"qreg q[{n}]; creg a[2]; creg b[2];"]
    for _ in range(rng.randint(4, 12)):
        qubits = rng.sample(range(n), n)
        measure = f"measure q[{qubits[0]}] -> {rng.choice('ab')}[{rng.randint(0, 1)}];"
        step = rng.choice([gate(rng, qubits)] * 5 + [measure] * 2 + [f"reset q[{qubits[0]}];"])
        condition = f"if ({rng.choice('ab')} == {rng.randint(0, 3)}) " if rng.random() < 0.25 else ""
        lines.append(condition + step)
    return " ".join([*lines, "measure q[0] -> a[0];"])


def test_without_noise(qmio):
    rng = random.Random(4)
    texts = [dynamic_program(rng) for _ in range(PROGRAMS)]
    items = qmio.items(*map(qasm2, texts), shots=SHOTS, seed=1, options={"ideal": True})
    wrong = {}
    for text, item in zip(texts, items, strict=True):
        program = Reader(f'OPENQASM 2.0; include "qelib1.inc"; {text}')
        if found := disagreement(numbered_counts(item), probabilities(program.steps, program.n_qubits)):
            wrong[text] = found
    assert wrong == {}


def test_with_noise(qmio):
    rng = random.Random(5)
    texts = [dynamic_program(rng) for _ in range(PROGRAMS)]
    shown = qmio.compiled(*map(qasm2, texts), shots=SHOTS, seed=2)
    items = qmio.items(*map(qasm2, texts), shots=SHOTS, seed=2)
    wrong = {}
    for text, one, item in zip(texts, shown, items, strict=True):
        circuit = Compiled(one.circuit, qmio.record.dt_s)
        noise = DeviceNoise(qmio.record, circuit.qubits)
        expected = probabilities(circuit.steps, len(circuit.qubits), noise=noise, readout=noise.readout())
        if found := disagreement(numbered_counts(item), expected):
            wrong[text] = found
    assert wrong == {}
