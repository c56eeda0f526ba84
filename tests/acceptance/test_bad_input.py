"""What is wrong with a request is one clear line on every device; nothing is lost, and others are served meanwhile."""

from __future__ import annotations

import io
import math
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from qiskit import QuantumCircuit, qpy

from qmio_jupyter.client.spec import build_spec
from qmio_jupyter.client.sync import Client, connect
from qmio_jupyter.errors import QmioError
from qmio_jupyter.model.program import OCTETS, QASM2, QASM3, QPY, Program
from qmio_jupyter.model.task import TaskOptions
from qmio_jupyter.testing.runs import matrix, program, qasm2, qasm3

SOON_S = 90
DEVICES = ("ideal", "fake-qmio")


def as_qpy(circuit: QuantumCircuit) -> bytes:
    file = io.BytesIO()
    qpy.dump(circuit, file)
    return file.getvalue()


def wide(qubits: int) -> Program:
    circuit = QuantumCircuit(qubits, 1)
    circuit.h(range(qubits))
    circuit.measure(0, 0)
    return program(as_qpy(circuit), QPY)


def _bell() -> bytes:
    circuit = QuantumCircuit(2, 2)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure([0, 1], [0, 1])
    return as_qpy(circuit)


BELL = _bell()
TURN = qasm3("input float theta; qubit q; bit c; rx(theta) q; c = measure q;")

#: What is sent, how, the error's code, and what its line must hold.
EVERYWHERE: dict[str, tuple[Program, dict[str, Any], str, str]] = {
    "a missing semicolon": (qasm3("qubit q\nbit c;"), {}, "program.syntax", "line 4, column 1: 'bit'"),
    "a missing semicolon in OpenQASM 2": (
        qasm2("qreg q[2]\ncreg c[2];"),
        {},
        "program.syntax",
        "line 4, column 1: needed ';'",
    ),
    "an unknown gate": (qasm3("qubit q;\n  hh q;"), {}, "program.syntax", "line 4, column 3: gate 'hh'"),
    "an unknown register": (
        qasm2("qreg reg[1]; creg c[1];\nmeasure q[0] -> c[0];"),
        {},
        "program.syntax",
        "Declare 'q' first; declared are reg[1], c[1]",
    ),
    "20 million qubits": (qasm3("qubit[20000000] q;"), {}, "program.too_wide", "line 3, column 1"),
    "257 qubits": (wide(257), {}, "program.too_wide", "257 qubits"),
    "no shots": (program(BELL, QPY), {"shots": 0}, "usage", "shots must be 1 to 10000000, not 0"),
    "fewer than no shots": (program(BELL, QPY), {"shots": -1}, "usage", "not -1"),
    "10^12 shots": (program(BELL, QPY), {"shots": 10**12}, "limit.shots", "not 1000000000000"),
    "100 MB": (program(b"x" * 10**8, QASM3), {}, "limit.size", "100000000 bytes, 16777216 are allowed"),
    "an unbound parameter": (TURN, {}, "program.parameters", "'theta' is not bound"),
    "NaN": (TURN, {"parameters": matrix(["theta"], [[1.0], [math.nan]])}, "program.parameters", "'theta' is nan"),
    "an unknown parameter": (
        program(BELL, QPY),
        {"parameters": matrix(["zeta"], [[1.0]])},
        "program.parameters",
        "'zeta'",
    ),
    "half a QPY": (program(BELL[:-40], QPY), {}, "program.format", "QPY data is damaged"),
    "QPY of millions of qubits": (
        program(BELL[:34] + b"\x80" + BELL[35:], QPY),
        {},
        "program.too_wide",
        "8388610 qubits",
    ),
    "QPY that can execute code": (program(BELL[:6] + b"\x0c" + BELL[7:], QPY), {}, "program.format", "version 12"),
    "20,000 brackets": (
        program(b"OPENQASM 3.0;const int n = " + b"(" * 20_000 + b"1" + b")" * 20_000 + b";", QASM3),
        {},
        "program.too_large",
        "nested more than 200 deep",
    ),
    "a file of ours": (
        program(b'OPENQASM 2.0;\ninclude "/etc/passwd";', QASM2),
        {},
        "program.unsupported",
        "line 2, column 1",
    ),
}  # fmt: skip

#: What only a device with gates and couplings of its own refuses, in programs that name its qubits.
COMPILED: dict[str, tuple[Program, str, str]] = {
    "a gate it lacks": (qasm3("bit c; h $0; c = measure $0;"), "program.unsupported", "no h"),
    "a coupling it lacks": (
        qasm3("bit c; gate ecr a, b { } ecr $0, $31; c = measure $0;"),
        "program.unsupported",
        "0-31",
    ),
    "a qubit it lacks": (qasm3("bit c; x $40; c = measure $40;"), "program.too_wide", "41 qubits, the device has 32"),
}  # fmt: skip


@pytest.fixture(scope="module")
def neighbour(site: dict[str, str]) -> Iterator[list[int]]:
    """Another user of the gateway, at work all the time; the shots each of her tasks came back with."""
    ended: list[int] = []
    stop = threading.Event()
    other = connect(environ=site, start=True, timeout_s=60)
    hello = program(b"hello", OCTETS)
    spec = build_spec([hello], device="echo", shots=10)

    def work() -> None:
        while not stop.wait(0.02):
            ended.append(other.submit(spec, [hello]).result(timeout_s=SOON_S).shots_done)

    thread = threading.Thread(target=work)
    thread.start()
    yield ended
    stop.set()
    thread.join()
    other.close()


def refusal(client: Client, device: str, sent: Program, asked: dict[str, Any]) -> QmioError:
    with pytest.raises(QmioError) as caught:
        client.submit(build_spec([sent], device=device, **{"shots": 100} | asked), [sent]).result(
            timeout_s=SOON_S
        )
    return caught.value


@pytest.mark.slow
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("what", EVERYWHERE)
def test_it_is_one_clear_line(client: Client, neighbour: list[int], device: str, what: str) -> None:
    sent, asked, code, told = EVERYWHERE[what]
    before = len(neighbour)
    error = refusal(client, device, sent, asked)
    assert error.code == code
    assert told in error.one_line()
    assert error.hint
    assert "\n" not in error.one_line()
    assert set(neighbour[before:]) <= {10}


@pytest.mark.slow
@pytest.mark.parametrize("what", COMPILED)
def test_a_compiled_program_is_refused_for_what_the_device_lacks(client: Client, what: str) -> None:
    sent, code, told = COMPILED[what]
    snapshot = client.snapshot(device="fake-qmio").snapshot_id
    error = refusal(client, "fake-qmio", sent, {"options": TaskOptions(compiled_for=snapshot)})
    assert error.code == code
    assert told in error.one_line()


@pytest.mark.slow
def test_more_qubits_than_the_device_has(client: Client) -> None:
    error = refusal(client, "fake-qmio", wide(33), {})
    assert (error.code, error.message) == (
        "program.too_wide",
        "the program has 33 qubits, the device has 32",
    )


@pytest.mark.slow
@pytest.mark.parametrize("device", DEVICES)
def test_afterwards_the_device_works_and_no_task_is_left(
    client: Client, neighbour: list[int], device: str
) -> None:
    good = program(BELL, QPY)
    result = client.submit(build_spec([good], device=device, shots=500), [good]).result(timeout_s=SOON_S)
    assert result.shots_done == 500
    assert all(view.state.is_final for view in client.tasks(1000, device=device))
    before = len(neighbour)
    client.submit(build_spec([good], device=device, shots=500), [good]).result(timeout_s=SOON_S)
    assert set(neighbour[before:]) <= {10}
