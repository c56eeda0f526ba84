"""From a program's bytes to a circuit, with one clear error for whatever is wrong with them.

Only workers import this: parsers of hostile text belong where they can be killed.
"""

from __future__ import annotations

import io
import re
import struct
import warnings
from typing import Final

from qiskit import QuantumCircuit, qasm2, qasm3, qpy
from qiskit.qpy.common import QPY_VERSION

from qmio_jupyter.drivers.aer import delays, guard, hints, reference
from qmio_jupyter.errors import ProgramError, QmioError
from qmio_jupyter.model.program import QASM2, QASM3, QPY, Program

#: Older QPY can execute code when it is read (GHSA-6m2c-76ff-6vrf).
OLDEST_QPY: Final = 13
NEWEST_QPY: Final = int(QPY_VERSION)
_QPY_HEADER: Final = struct.Struct("!6sBBBBQ")

_PLACE_2: Final = re.compile(r"^(?:<input>|[^:\s]*):(\d+),(\d+): (.*)$", re.DOTALL)


def read_program(program: Program, max_qubits: int) -> QuantumCircuit:
    """Return the one circuit that a program holds.

    Raises
    ------
    ProgramError
        ``program.syntax`` and ``program.unsupported`` name line and column where they are known;
        ``program.format`` for what is no program; ``program.too_wide``, ``program.too_large``.
    MemoryError
        If reading takes more memory than the worker has.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        match program.media_type:
            case _ if program.media_type == QASM2:
                circuit = _read_qasm2(_text(program), max_qubits)
            case _ if program.media_type == QASM3:
                circuit = _read_qasm3(_text(program), max_qubits)
            case _ if program.media_type == QPY:
                circuit = _read_qpy(program.data, max_qubits)
            case other:
                raise ProgramError(
                    f"the device does not read {other!r}",
                    hint="Use OpenQASM 2, OpenQASM 3 or QPY 13+.",
                    code="program.format",
                )
    if circuit.num_clbits > guard.MAX_CLBITS:
        raise ProgramError(
            f"the program has {circuit.num_clbits} classical bits, the device takes {guard.MAX_CLBITS}",
            hint="Use fewer.",
            code="program.too_large",
        )
    if circuit.num_qubits > max_qubits:
        raise ProgramError(
            f"the program has {circuit.num_qubits} qubits, the device takes {max_qubits}",
            hint="Use fewer qubits.",
            code="program.too_wide",
        )
    return circuit


def _text(program: Program) -> str:
    try:
        text = program.data.decode("utf-8")
    except UnicodeDecodeError as problem:
        raise ProgramError(
            f"the program is no UTF-8 text (byte {problem.start})",
            hint="Save it as UTF-8.",
            code="program.format",
        ) from problem
    if "\0" in text:
        raise ProgramError(
            "the program holds a NUL character", hint="Submit it as text.", code="program.format"
        )
    return text


def _read_qasm2(text: str, max_qubits: int) -> QuantumCircuit:
    guard.check_text(text, 2, max_qubits)
    try:
        return qasm2.loads(text, include_path=(), custom_instructions=qasm2.LEGACY_CUSTOM_INSTRUCTIONS)
    except MemoryError:
        raise
    except qasm2.QASM2ParseError as problem:
        raise _qasm2_error(str(problem.message), text) from problem
    except BaseException as problem:
        missing = hints.missing_angle(text) if isinstance(problem, TypeError) else None
        if missing is not None:
            raise ProgramError(missing, hint="Correct the named place.", code="program.syntax") from problem
        raise _reader_failed(problem, "program.syntax") from problem


def _qasm2_error(message: str, text: str) -> ProgramError:
    found = _PLACE_2.match(message)
    where, what = (f"line {found[1]}, column {int(found[2]) + 1}: ", found[3]) if found else ("", message)
    if not where and "single equals" in what:
        where = hints.single_equals(text)
    is_unsupported = "opaque" in what or "include" in what
    return ProgramError(
        f"{where}{what}",
        hint=hints.for_unknown(what, text, 2) or "Correct the named place.",
        code="program.unsupported" if is_unsupported else "program.syntax",
    )


def _read_qasm3(text: str, max_qubits: int) -> QuantumCircuit:
    guard.check_text(text, 3, max_qubits)
    try:
        circuit = _read_quickly(text) if guard.is_plain(text) else None
        return circuit if circuit is not None else reference.read(text, max_qubits)
    except (MemoryError, QmioError):
        raise
    except BaseException as problem:
        raise _reader_failed(problem, "program.unsupported") from problem


def _read_quickly(text: str) -> QuantumCircuit | None:
    """Return the circuit if Qiskit's own reader takes it; the slower reader knows more, and says where."""
    try:
        circuit = qasm3.loads_experimental(text)
    except (MemoryError, KeyboardInterrupt, SystemExit):
        raise
    except BaseException:  # noqa: BLE001 - Rust's panics are no `Exception`
        return None
    return None if _acts_twice(circuit, set()) else circuit


def _acts_twice(circuit: QuantumCircuit, seen: set[int]) -> bool:
    """Return whether some instruction names a qubit twice, in blocks and definitions too.

    Of the readers, that of QPY and Qiskit's own of OpenQASM 3 let it pass. `seen` holds the ids of the
    definitions looked at: they are shared, and many.
    """
    for instruction in circuit.data:
        qubits = instruction.qubits
        if len(qubits) > 1 and len(set(qubits)) < len(qubits) and not instruction.is_directive():
            return True
        if instruction.is_standard_gate():
            continue
        # Not `definition`, which makes one where there is none: only what the program brought along.
        inner = (
            instruction.operation.blocks
            if instruction.is_control_flow()
            else (getattr(instruction.operation, "_definition", None),)
        )
        for block in inner:
            if isinstance(block, QuantumCircuit) and id(block) not in seen:
                seen.add(id(block))
                if _acts_twice(block, seen):
                    return True
    return False


def _read_qpy(data: bytes, max_qubits: int) -> QuantumCircuit:
    if len(data) < _QPY_HEADER.size or data[:6] != b"QISKIT":
        raise ProgramError(
            "the program is no QPY file", hint="Write it with qiskit.qpy.dump.", code="program.format"
        )
    version = data[6]
    if not OLDEST_QPY <= version <= NEWEST_QPY:
        raise ProgramError(
            f"the program is QPY version {version}; read are {OLDEST_QPY} to {NEWEST_QPY}",
            hint=f"Write it with qiskit.qpy.dump(..., version={NEWEST_QPY}).",
            code="program.format",
        )
    circuits = _QPY_HEADER.unpack_from(data)[5]
    if circuits != 1:
        raise ProgramError(
            f"the program holds {circuits} circuits, one is wanted",
            hint="Submit one program per circuit.",
            code="program.format",
        )
    guard.check_qpy(data, version, max_qubits)
    try:
        loaded = qpy.load(io.BytesIO(data))
    except (MemoryError, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as problem:  # whatever it says, it says to Qiskit's developers, at length
        raise ProgramError(
            f"the QPY data is damaged (format {version})",
            hint="Write it again with qiskit.qpy.dump.",
            code="program.format",
        ) from problem
    if len(loaded) != 1 or not isinstance(loaded[0], QuantumCircuit):
        raise ProgramError("the program holds no circuit", hint="Submit a circuit.", code="program.format")
    circuit = delays.restored(loaded[0])
    if _acts_twice(circuit, set()):
        raise ProgramError(
            "an instruction names a qubit twice (duplicate qubits)",
            hint="Give each instruction different qubits.",
            code="program.syntax",
        )
    return circuit


def _reader_failed(problem: BaseException, code: str) -> ProgramError:
    """Return the error for a reader that fell over, Rust's panics (no `Exception`) included."""
    if isinstance(problem, (KeyboardInterrupt, SystemExit)):
        raise problem
    first = " ".join(str(problem).split())[:300]
    return ProgramError(
        f"the program cannot be read ({type(problem).__name__}: {first})",
        hint="It may be damaged; write it again.",
        code=code,
    )
