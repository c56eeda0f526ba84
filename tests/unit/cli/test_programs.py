"""Program files: what is recognised, split, refused; nothing is parsed but what has to be."""

from __future__ import annotations

import io
import struct
import sys
from pathlib import Path

import pytest

from qmio_jupyter.cli.programs import read_programs
from qmio_jupyter.errors import ProgramError, UsageError
from qmio_jupyter.model.ids import digest
from qmio_jupyter.model.program import OCTETS, QASM2, QASM3, QPY

QPY_ONE = struct.pack("!6sBBBBQ", b"QISKIT", 13, 2, 0, 0, 1) + b"rest"


@pytest.mark.parametrize(
    ("data", "media_type"),
    [
        (b"OPENQASM 3.0; qubit q;", QASM3),
        (b"// no version line\nqubit q;", QASM3),
        (b"// a comment\n/* two\nlines */ OPENQASM 3;\n", QASM3),
        (b'OPENQASM 2.0;\ninclude "qelib1.inc";', QASM2),
        (b"\xef\xbb\xbfOPENQASM 2.0;", QASM2),
        (QPY_ONE, QPY),
    ],
)
def test_the_language_is_found_in_the_content(tmp_path: Path, data: bytes, media_type: str) -> None:
    (tmp_path / "p").write_bytes(data)
    (program,) = read_programs(str(tmp_path / "p"), None)
    assert program.media_type == media_type
    assert program.data == data
    assert program.digest == digest(data)


def test_standard_input_and_a_given_language() -> None:
    (program,) = read_programs("-", "octets", io.BytesIO(b"anything"))
    assert program.media_type == OCTETS


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "usage"),
        (b" \n", "usage"),
        (b"\xff\xfe", "usage.language"),
        (b"OPENQASM 7.0;", "usage.language"),
    ],
)
def test_what_is_no_program(tmp_path: Path, data: bytes, code: str) -> None:
    (tmp_path / "p").write_bytes(data)
    with pytest.raises(UsageError) as caught:
        read_programs(str(tmp_path / "p"), None)
    assert caught.value.code == code
    assert str(tmp_path / "p") in caught.value.message or code == "usage.language"


@pytest.mark.parametrize(
    ("data", "lang"),
    [(b"OPENQASM 3.0;", "qasm2"), (b"OPENQASM 2.0;", "qasm3"), (QPY_ONE, "qasm3")],
)
def test_a_language_that_is_not_that_of_the_file(data: bytes, lang: str) -> None:
    with pytest.raises(UsageError, match=f"--lang says {lang}") as caught:
        read_programs("-", lang, io.BytesIO(data))
    assert caught.value.code == "usage.language"
    (program,) = read_programs("-", "qasm2", io.BytesIO(b"qreg q[1];"))
    assert program.media_type == QASM2


def test_a_missing_file_and_a_directory(tmp_path: Path) -> None:
    for path in (tmp_path / "missing", tmp_path):
        with pytest.raises(UsageError, match="cannot be read"):
            read_programs(str(path), None)


def test_old_qpy_is_refused_unread(tmp_path: Path) -> None:
    (tmp_path / "p").write_bytes(QPY_ONE.replace(b"\x0d", b"\x0c", 1))
    with pytest.raises(ProgramError, match="version 12") as caught:
        read_programs(str(tmp_path / "p"), None)
    assert caught.value.code == "program.format"
    with pytest.raises(ProgramError):
        read_programs("-", "qpy", io.BytesIO(b"OPENQASM 3.0;"))


def test_one_circuit_needs_no_qiskit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "qiskit", None)
    (tmp_path / "p").write_bytes(QPY_ONE)
    assert len(read_programs(str(tmp_path / "p"), None)) == 1
