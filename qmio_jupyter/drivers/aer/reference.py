"""Reading OpenQASM 3 with the reference parser: slower than Qiskit's own, but it knows more and says where."""

from __future__ import annotations

import itertools
import re
from typing import Final

import openqasm3
from openqasm3.parser import QASM3ParsingError
from qiskit import QuantumCircuit
from qiskit.exceptions import QiskitError
from qiskit_qasm3_import import ConversionError

from qmio_jupyter.drivers.aer import blame, guard
from qmio_jupyter.drivers.aer.converting import convert
from qmio_jupyter.drivers.aer.lowering import lower
from qmio_jupyter.drivers.aer.scope import MAX_STATEMENTS
from qmio_jupyter.errors import ProgramError

_PARSER_PLACE: Final = re.compile(r"^L(\d+):C(\d+): (.*)$", re.DOTALL)
#: What the converter, and Qiskit below it, raise for a program they cannot take.
_FAILURES: Final = (
    ConversionError,
    QiskitError,
    TypeError,
    ValueError,
    KeyError,
    IndexError,
    AttributeError,
    NotImplementedError,
)


def read(text: str, max_qubits: int) -> QuantumCircuit:
    """Return the circuit that an OpenQASM 3 program stands for.

    Raises
    ------
    ProgramError
        ``program.syntax``, ``program.unsupported``, ``program.too_wide`` or ``program.too_large``, naming line
        and column.
    """
    _check_length(text)
    try:
        return convert(lower(openqasm3.parse(text), max_qubits))
    except QASM3ParsingError as problem:
        raise _syntax_error(problem) from problem
    except RecursionError as problem:
        raise ProgramError(
            "the program is nested too deeply", hint="Flatten it.", code="program.too_large"
        ) from problem
    except _FAILURES as problem:
        raise blame.explained(problem, text) from problem


def _check_length(text: str) -> None:
    """Refuse what would be refused anyway, before the parser takes a minute for it."""
    if text.count(";") <= MAX_STATEMENTS:
        return
    code = guard.blank_comments(text)
    ends = re.finditer(";", code)
    beyond = next(itertools.islice(ends, MAX_STATEMENTS, None), None)
    if beyond is not None:
        raise ProgramError(
            f"{guard.place(code, beyond.start())}: the program has more than {MAX_STATEMENTS} statements",
            hint="Use loops, or send a circuit (QPY), which is read much faster.",
            code="program.too_large",
        )


def _syntax_error(problem: BaseException) -> ProgramError:
    """Return where the parser stopped; it often says so only in the exceptions behind its own."""
    if str(problem):
        return _error(str(problem), _PARSER_PLACE, "program.syntax")
    behind: BaseException | None = problem
    while behind is not None:
        for candidate in (behind, *behind.args):
            token = getattr(candidate, "offendingToken", None)
            if token is not None:
                found = "the end" if token.text == "<EOF>" else repr(token.text[:40])
                return ProgramError(
                    f"line {token.line}, column {token.column + 1}: {found} does not belong here",
                    hint="Correct the named place, or what stands before it.",
                    code="program.syntax",
                )
        behind = behind.__cause__ or behind.__context__
    return ProgramError("the program cannot be parsed", hint="Correct it.", code="program.syntax")


def _error(message: str, pattern: re.Pattern[str], code: str) -> ProgramError:
    found = pattern.match(message)
    if found is None:
        return ProgramError(" ".join(message.split())[:300], hint="Correct it.", code=code)
    what = " ".join(found[3].split())[:300]
    return ProgramError(
        f"line {found[1]}, column {int(found[2]) + 1}: {what}", hint="Correct the named place.", code=code
    )
