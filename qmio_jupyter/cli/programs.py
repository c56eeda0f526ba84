"""Program files: OpenQASM text by its header, QPY by its magic. Only a QPY file of several is parsed."""

from __future__ import annotations

import struct
import sys
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, cast

from qmio_jupyter.errors import ProgramError, UsageError
from qmio_jupyter.model.ids import digest
from qmio_jupyter.model.program import OCTETS, QASM2, QASM3, QPY, Program
from qmio_jupyter.notebook.circuits import language

_QPY_MAGIC = b"QISKIT"
#: magic, format version, three bytes of Qiskit's version, number of programs.
_QPY_HEADER = struct.Struct("!6sBBBBQ")
#: Older formats can execute code when read (GHSA-6m2c-76ff-6vrf).
_SAFE_QPY = 13
#: Larger files are refused before they are read whole.
_MOST_BYTES = 2**30

LANGUAGES = {"qasm2": QASM2, "qasm3": QASM3, "qpy": QPY, "octets": OCTETS}


def read_programs(name: str, lang: str | None, stdin: BinaryIO | None = None) -> list[Program]:
    """Return the programs that a file holds: one of OpenQASM, one or more of QPY.

    Parameters
    ----------
    name : str
        Path, or ``-`` for standard input.
    lang : str, optional
        Key of `LANGUAGES`; found out from the content when None.

    Raises
    ------
    UsageError
        The file cannot be read (``usage``), or its language is not recognised or not `lang`
        (``usage.language``).
    ProgramError
        ``program.format``: a QPY file that is broken or older than version 13.
    """
    data = _read(name, stdin)
    if not data.strip():
        raise UsageError(f"{name} is empty", hint="Give a file with OpenQASM or QPY.")
    media_type = _media_type(name, data, lang)
    if media_type != QPY:
        return [Program(digest=digest(data), media_type=media_type, data=data)]
    return [Program(digest=digest(part), media_type=QPY, data=part) for part in _split_qpy(name, data)]


def _read(name: str, stdin: BinaryIO | None) -> bytes:
    if name == "-":
        stream = stdin or cast("BinaryIO", sys.stdin.buffer)
        data = stream.read(_MOST_BYTES + 1)
    else:
        try:
            with Path(name).open("rb") as file:
                data = file.read(_MOST_BYTES + 1)
        except OSError as problem:
            raise UsageError(f"{name} cannot be read: {problem.strerror}", hint="Check the path.") from None
    if len(data) > _MOST_BYTES:
        raise UsageError(f"{name} has more than {_MOST_BYTES} bytes", hint="Split the program.")
    return data


def _media_type(name: str, data: bytes, lang: str | None) -> str:
    if lang in ("qpy", "octets"):
        return LANGUAGES[lang]
    if data.startswith(_QPY_MAGIC):
        if lang is not None:
            raise UsageError(
                f"{name} is QPY, and --lang says {lang}", hint="Leave --lang out.", code="usage.language"
            )
        return QPY
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise UsageError(
            f"{name} is neither QPY nor text", hint="Give OpenQASM or QPY.", code="usage.language"
        ) from None
    # The version line is optional in OpenQASM 3, and a file is no Python: without it, it is OpenQASM 3.
    return LANGUAGES.get(language(text, lang), QASM3)


def _split_qpy(name: str, data: bytes) -> list[bytes]:
    """Return one QPY file per circuit; Qiskit is needed only where there are several."""
    if len(data) < _QPY_HEADER.size or not data.startswith(_QPY_MAGIC):
        raise ProgramError(f"{name} is no QPY file", code="program.format", hint="Write it with qiskit.qpy.")
    _, version, _, _, _, count = _QPY_HEADER.unpack_from(data)
    if version < _SAFE_QPY:
        raise ProgramError(
            f"{name} is QPY version {version}; versions before {_SAFE_QPY} can execute code and are refused",
            code="program.format",
            hint="Write it again with a newer Qiskit.",
        )
    if count == 1:
        return [data]
    if count == 0:
        raise UsageError(f"{name} holds no circuit", hint="Give at least one.")
    from qiskit import qpy

    try:
        circuits = qpy.load(BytesIO(data))
    except (MemoryError, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as problem:  # Rust's panics are no `Exception`
        raise ProgramError(
            f"{name}: the QPY data is damaged (format {version})",
            code="program.format",
            hint="Write it again with qiskit.qpy.dump.",
        ) from problem
    parts = []
    for circuit in circuits:
        part = BytesIO()
        qpy.dump(circuit, part, version=max(version, qpy.QPY_COMPATIBILITY_VERSION))
        parts.append(part.getvalue())
    return parts
