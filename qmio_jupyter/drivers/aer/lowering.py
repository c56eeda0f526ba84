"""Reading OpenQASM 3 with the reference parser: slower than Qiskit's own, but it says where and why."""

from __future__ import annotations

import re
from types import TracebackType
from typing import Final

import openqasm3
from openqasm3.ast import QASMNode
from openqasm3.parser import QASM3ParsingError
from qiskit import QuantumCircuit
from qiskit_qasm3_import import ConversionError, convert

from qmio_jupyter.errors import ProgramError

_PARSER_PLACE: Final = re.compile(r"^L(\d+):C(\d+): (.*)$", re.DOTALL)
_CONVERTER_PLACE: Final = re.compile(r"^(\d+),(\d+): (.*)$", re.DOTALL)


def needs_lowering(code: str) -> bool:
    """Return whether a program (without comments) holds what only this reader knows."""
    return "switch" in code


def read(text: str) -> QuantumCircuit:
    """Return the circuit that an OpenQASM 3 program stands for.

    Raises
    ------
    ProgramError
        ``program.syntax`` or ``program.unsupported``, naming line and column.
    """
    try:
        return convert(openqasm3.parse(text))
    except QASM3ParsingError as problem:
        raise _error(str(problem), _PARSER_PLACE, "program.syntax") from problem
    except ConversionError as problem:
        message = str(problem)
        is_syntax = "not defined" in message or "already" in message
        raise _error(
            message, _CONVERTER_PLACE, "program.syntax" if is_syntax else "program.unsupported"
        ) from problem
    except (TypeError, ValueError, KeyError, IndexError, AttributeError, NotImplementedError) as problem:
        node = _node_of(problem.__traceback__)
        where = (
            f"line {node.span.start_line}, column {node.span.start_column + 1}: "
            if node and node.span
            else ""
        )
        raise ProgramError(
            f"{where}this cannot be run here ({' '.join(str(problem).split())[:200]})",
            hint="Rewrite the named place.",
            code="program.unsupported",
        ) from problem


def _error(message: str, pattern: re.Pattern[str], code: str) -> ProgramError:
    found = pattern.match(message)
    if found is None:
        return ProgramError(" ".join(message.split())[:300], hint="Correct it.", code=code)
    what = " ".join(found[3].split())[:300]
    hint = "Correct the named place." if code == "program.syntax" else "Remove or rewrite it."
    return ProgramError(f"line {found[1]}, column {int(found[2]) + 1}: {what}", hint=hint, code=code)


def _node_of(trace: TracebackType | None) -> QASMNode | None:
    """Return the innermost node that was being converted when something else went wrong."""
    found = None
    while trace is not None:
        node = trace.tb_frame.f_locals.get("node")
        if isinstance(node, QASMNode) and node.span is not None:
            found = node
        trace = trace.tb_next
    return found
