"""How many qubits a program has, told without reading it: from declarations in its text, from the header of QPY.

For one question only: whether to ask for a dry run before queueing. Too many is harmless (a needless question); a
width that cannot be told is told as None. The device's worker has the last word, and reads the program.
"""

from __future__ import annotations

import re
import struct
from typing import Final

from qmio_jupyter.model.program import QASM2, QASM3, QPY, Program

#: Longer texts are not looked through.
_TEXT_BYTES: Final = 2**20
_COMMENT: Final = re.compile(rb"//[^\n]*|/\*.*?\*/", re.DOTALL)
#: A declaration of qubits, whatever follows it; or a physical qubit.
_QUBITS: Final = re.compile(rb"\b(qubit|qreg)\b|\$([0-9]+)")
#: ``qubit[4] q``, ``qubit q``; ``qreg q[4]``, ``qreg q``: anything else is not understood.
_QUBIT: Final = re.compile(rb"(?:\s*\[\s*([0-9]{1,9})\s*\])?\s*[A-Za-z_\x80-\xff][\w\x80-\xff]*\s*[;,)]")
_QREG: Final = re.compile(rb"\s+[A-Za-z_\x80-\xff][\w\x80-\xff]*\s*(?:\[\s*([0-9]{1,9})\s*\])?\s*;")

#: QPY's layout, as in ``qiskit.qpy.formats``: file header with the encoding of symbols (from version 10), the key of
#: the first program's type, from version 16 a table of 8 bytes per program, then the circuit's own header.
_FILE: Final = struct.Struct("!6sBBBBQc")
_TABLE_SINCE: Final = 16
_TABLE_ENTRY: Final = 8
_CIRCUIT: Final = struct.Struct("!HcHI")
#: Versions whose layout is known.
_VERSIONS: Final = range(13, 19)


def width_of(program: Program) -> int | None:
    """Return a number of qubits that is at least the program's, None if it cannot be told.

    Examples
    --------
    >>> text = b"OPENQASM 3.0; qubit[4] q; qubit one;"
    >>> width_of(Program(digest="", media_type=QASM3, data=text))
    5
    """
    if program.media_type in (QASM2, QASM3):
        return _of_text(program.data)
    if program.media_type == QPY:
        return _of_qpy(program.data)
    return None


def _of_text(data: bytes) -> int | None:
    if len(data) > _TEXT_BYTES:
        return None
    text = _COMMENT.sub(b" ", data)
    declared, physical = 0, set[bytes]()
    for found in _QUBITS.finditer(text):
        if found[2] is not None:
            physical.add(found[2])
            continue
        rest = (_QUBIT if found[1] == b"qubit" else _QREG).match(text, found.end())
        if rest is None:
            return None
        declared += 1 if rest[1] is None else int(rest[1])
    return declared + len(physical) or None


def _of_qpy(data: bytes) -> int | None:
    if len(data) < _FILE.size or not data.startswith(b"QISKIT"):
        return None
    version, programs = data[6], _FILE.unpack_from(data)[5]
    at = _FILE.size + 1 + (_TABLE_ENTRY if version >= _TABLE_SINCE else 0)
    if version not in _VERSIONS or programs != 1 or len(data) < at + _CIRCUIT.size:
        return None
    return int(_CIRCUIT.unpack_from(data, at)[3])
