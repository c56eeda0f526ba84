"""Widths told without reading a program: never too small, None where in doubt."""

from __future__ import annotations

import random
import struct

import pytest

from qmio_jupyter.client.width import width_of
from qmio_jupyter.model.program import OCTETS, QASM2, QASM3, QPY, Program


def text(source: str, media_type: str = QASM3) -> int | None:
    return width_of(Program(digest="", media_type=media_type, data=source.encode()))


@pytest.mark.parametrize(
    ("source", "width"),
    [
        ("OPENQASM 3.0; qubit[4] q;", 4),
        ("qubit q;", 1),
        ("qubit [ 4 ]  q ; qubit[2] r;\nqubit s;", 7),
        ("qubit[3]q;", 3),
        ("OPENQASM 2.0; qreg a[5]; qreg b[2];", 7),
        ("qreg a;", 1),
        ("qreg  a [ 7 ];", 7),
        ("x $3; cx $3, $12;", 2),
        ("// qubit[500] q;\nqubit[2] q; /* qreg z[9];\n qubit w; */", 2),
        ("def f(qubit[2] a, qubit b) { } qubit[3] q;", 6),
        ("qubit[2] myqubit; bit[9] qubits_seen;", 2),
        ("qubit[2] ψ;", 2),
        ("qubit[000000002] q;", 2),
    ],
)
def test_declarations_are_added_up(source: str, width: int) -> None:
    assert text(source) == width


@pytest.mark.parametrize(
    "source",
    [
        "const int n = 30; qubit[n] q;",
        "qubit[2*15] q;",
        "qubit[0x1e] q;",
        "qubit[1_000] q;",
        "qubit[9999999999] q;",
        "qreg q[n];",
        "qubit",
        "qubit[",
        "qubit[2] q",
        "",
        "h q[0];",
        "qubit[٣] q;",
    ],
)
def test_what_is_not_understood_is_unknown(source: str) -> None:
    assert text(source) is None


def test_only_programs_have_a_width() -> None:
    assert text("qubit q;", OCTETS) is None
    assert text("qreg q[3];", QASM2) == 3
    assert text("qubit[2] q;" + " " * 2**20) is None


def qpy_file(version: int, qubits: int, programs: int = 1) -> bytes:
    table = b"\0" * 8 * programs if version >= 16 else b""
    head = struct.pack("!6sBBBBQc", b"QISKIT", version, 2, 1, 0, programs, b"p")
    return head + b"q" + table + struct.pack("!H1cHIIQIQI", 1, b"f", 8, qubits, 1, 0, 0, 0, 0) + b"c"


@pytest.mark.parametrize("version", range(13, 19))
def test_qpy_headers(version: int) -> None:
    assert width_of(Program(digest="", media_type=QPY, data=qpy_file(version, 156))) == 156


@pytest.mark.parametrize(
    "data",
    [b"", b"QISKIT", qpy_file(12, 3), qpy_file(19, 3), qpy_file(18, 3, programs=2), b"x" + qpy_file(13, 3)],
)
def test_other_qpy_is_unknown(data: bytes) -> None:
    assert width_of(Program(digest="", media_type=QPY, data=data)) is None


def test_damaged_bytes_raise_nothing() -> None:
    rng = random.Random(5)
    whole = qpy_file(18, 5)
    source = b"OPENQASM 3.0; qubit[2] q; qreg r[3]; $0"
    for _ in range(2000):
        data = bytearray(rng.choice((whole, source)))
        for _ in range(rng.randrange(1, 5)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        cut = bytes(data[: rng.randrange(len(data) + 1)])
        for media_type in (QPY, QASM3):
            width = width_of(Program(digest="", media_type=media_type, data=cut))
            assert width is None or width >= 0
