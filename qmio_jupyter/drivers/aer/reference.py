"""Reading OpenQASM 3 with the reference parser: slower than Qiskit's own, but it knows more and says where."""

from __future__ import annotations

import re
from types import TracebackType
from typing import Final

import openqasm3
from openqasm3.ast import QASMNode
from openqasm3.parser import QASM3ParsingError
from qiskit import QuantumCircuit
from qiskit_qasm3_import import ConversionError, convert

from qmio_jupyter.drivers.aer.constants import place
from qmio_jupyter.drivers.aer.lowering import lower
from qmio_jupyter.errors import ProgramError

_PARSER_PLACE: Final = re.compile(r"^L(\d+):C(\d+): (.*)$", re.DOTALL)
_CONVERTER_PLACE: Final = re.compile(r"^(\d+),(\d+): (.*)$", re.DOTALL)
#: What the converter calls a construct, and what its users call it.
_CONSTRUCTS: Final = {
    "SubroutineDefinition": "a subroutine (def)",
    "ExternDeclaration": "extern",
    "CalibrationGrammarDeclaration": "a calibration grammar (defcalgrammar)",
    "CalibrationDefinition": "a calibration (defcal)",
    "CalibrationStatement": "a calibration (cal)",
    "ClassicalAssignment": "an assignment to a classical variable that depends on a measurement",
    "ReturnStatement": "return",
    "EndStatement": "end",
    "ExpressionStatement": "an expression as a statement",
    "Pragma": "a pragma",
}


def read(text: str, max_qubits: int) -> QuantumCircuit:
    """Return the circuit that an OpenQASM 3 program stands for.

    Raises
    ------
    ProgramError
        ``program.syntax``, ``program.unsupported``, ``program.too_wide`` or ``program.too_large``, naming line
        and column.
    """
    try:
        return convert(lower(openqasm3.parse(text), max_qubits))
    except QASM3ParsingError as problem:
        raise _syntax_error(problem) from problem
    except ConversionError as problem:
        message = str(problem)
        is_syntax = "not defined" in message or "already" in message
        raise _error(
            message, _CONVERTER_PLACE, "program.syntax" if is_syntax else "program.unsupported"
        ) from problem
    except RecursionError as problem:
        raise ProgramError(
            "the program is nested too deeply", hint="Flatten it.", code="program.too_large"
        ) from problem
    except (TypeError, ValueError, KeyError, IndexError, AttributeError, NotImplementedError) as problem:
        node = _node_of(problem.__traceback__)
        what = _written(text, node) if node is not None else "the program"
        raise ProgramError(
            f"{place(node) if node else ''}{what} cannot be run here ({' '.join(str(problem).split())[:200]})",
            hint="Rewrite the named place.",
            code="program.unsupported",
        ) from problem


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
    construct = re.match(r"node of type (\w+) is not supported", what)
    if construct is not None:
        name = construct[1]
        what = f"{_CONSTRUCTS.get(name, name)} is not supported"
    hint = "Correct the named place." if code == "program.syntax" else "Remove or rewrite it."
    return ProgramError(f"line {found[1]}, column {int(found[2]) + 1}: {what}", hint=hint, code=code)


def _written(text: str, node: QASMNode) -> str:
    """Return the beginning of what stands in the program at a node, quoted."""
    span = node.span
    if span is None:
        return "this"
    line = text.splitlines()[span.start_line - 1]
    end = span.end_column + 1 if span.end_line == span.start_line else len(line)
    return repr(line[span.start_column : end].strip()[:60])


def _node_of(trace: TracebackType | None) -> QASMNode | None:
    """Return the innermost node that was being converted when something else went wrong."""
    found = None
    while trace is not None:
        node = trace.tb_frame.f_locals.get("node")
        if isinstance(node, QASMNode) and node.span is not None:
            found = node
        trace = trace.tb_next
    return found
