"""Saying what is wrong with an OpenQASM 3 program, and where, from what its converter raised.

The converter often knows the place only in the node that it was at, and names its own constructors' arguments;
both are found in the frames of its traceback.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Final

import openqasm3
from openqasm3 import ast
from qiskit import QuantumCircuit
from qiskit.circuit import Qubit
from qiskit.exceptions import QiskitError
from qiskit_qasm3_import import ConversionError

from qmio_jupyter.drivers.aer import hints
from qmio_jupyter.errors import ProgramError

_PLACE: Final = re.compile(r"^(\d+),(\d+): ")
_SYNTAX: Final = re.compile(
    r"not defined|undefined symbol|is already|not a gate|mismatched lengths|differ in size", re.IGNORECASE
)
_TAKEN: Final = re.compile(r"^Symbol '([^']+)' already inserted|^register name \"([^\"]+)\" already exists")
#: What the converter calls a construct, and what its users call it.
_CONSTRUCTS: Final = {
    "CalibrationGrammarDeclaration": "a calibration grammar (defcalgrammar)",
    "CalibrationDefinition": "a calibration (defcal)",
    "CalibrationStatement": "a calibration (cal)",
    "EndStatement": "end",
    "ExpressionStatement": "an expression as a statement",
    "Pragma": "a pragma",
}
_PULSES: Final = "Leave out calibrations: the device's gates have its own."
_INSTEAD: Final = {
    "CalibrationGrammarDeclaration": _PULSES,
    "CalibrationDefinition": _PULSES,
    "CalibrationStatement": _PULSES,
    "EndStatement": "Leave it out: a program ends with its last statement.",
    "ExpressionStatement": "Call a subroutine of the program, or leave it out.",
}


def explained(problem: Exception, text: str) -> ProgramError:
    """Return the error for what the converter raised on its way through `text`, naming line and column.

    Parameters
    ----------
    problem : Exception
        With its traceback.
    text : str
        The program.
    """
    frames = list(_frames(problem.__traceback__))
    gate, fault = _gate_fault(frames)
    node = gate if fault else _node_of(frames)
    what = fault or _said(problem)
    if fault or _SYNTAX.search(what):
        code, hint = "program.syntax", hints.for_unknown(what, text, 3) or "Correct the named place."
    else:
        code, hint = "program.unsupported", _instead(problem)
    if not isinstance(problem, ConversionError) and code == "program.unsupported":
        what = f"{_written(text, node)} cannot be run here ({what})"
    return ProgramError(f"{_place(text, node)}{what}", hint=hint, code=code)


def _said(problem: Exception) -> str:
    """Return what an exception says, in words of the language."""
    if isinstance(problem, AttributeError):
        return "its parts do not go together"  # what it says is about the converter's own objects
    message = str(problem.message if isinstance(problem, QiskitError) else problem)
    what = _PLACE.sub("", " ".join(message.split()))[:300]
    construct = re.match(r"node of type (\w+) is not supported", what)
    if construct is not None:
        return f"{_CONSTRUCTS.get(construct[1], construct[1])} is not supported"
    taken = _TAKEN.match(what)
    if taken is not None:
        return f"{(taken[1] or taken[2])!r} is already declared"
    if what == "measurements must save their result in Qiskit":
        return "what is measured is not assigned to bits"
    if what == "register size error":
        return "what is measured and where it goes differ in size"
    return what.rstrip(".")


def _instead(problem: Exception) -> str:
    """Return what to do about a construct that is not supported."""
    construct = re.search(r"node of type (\w+) is not supported", str(problem))
    return _INSTEAD.get(construct[1] if construct is not None else "", "Remove or rewrite it.")


def _frames(trace: TracebackType | None) -> Iterator[Mapping[str, object]]:
    while trace is not None:
        yield trace.tb_frame.f_locals
        trace = trace.tb_next


def _node_of(frames: Sequence[Mapping[str, object]]) -> ast.QASMNode | None:
    """Return the innermost node that was being converted."""
    for names in reversed(frames):
        node = names.get("node")
        if isinstance(node, ast.QASMNode) and node.span is not None:
            return node
    return None


def _gate_fault(frames: Sequence[Mapping[str, object]]) -> tuple[ast.QuantumGate | None, str]:
    """Return the gate that was being applied, and what is wrong with its call ("" for nothing)."""
    for names in reversed(frames):
        node = names.get("node")
        if isinstance(node, ast.QuantumGate) and "gate_symbol" in names:
            return node, _call_fault(node, names)
    return None, ""


def _call_fault(node: ast.QuantumGate, names: Mapping[str, object]) -> str:
    name = node.name.name
    wanted = getattr(getattr(names["gate_symbol"], "type", None), "n_classical", None)
    if isinstance(wanted, list):  # of a gate that is built in
        wanted = len(wanted)
    if isinstance(wanted, int) and wanted != len(node.arguments):
        return f"gate {name} takes {_number(wanted, 'parameter')}, not {len(node.arguments)}"
    qubits = names.get("qubits")
    if not isinstance(qubits, tuple):
        return ""
    wanted = getattr(names.get("gate"), "num_qubits", None)
    if isinstance(wanted, int) and wanted != len(qubits):
        return f"gate {name} takes {_number(wanted, 'qubit')}, not {len(qubits)}"
    twice = [index for index, qubit in enumerate(qubits) if qubit in qubits[:index]]
    if twice:
        circuit = getattr(names.get("context"), "circuit", None)
        return f"duplicate qubits: {', '.join(_name(circuit, qubits[i], node.qubits[i]) for i in twice)}"
    return ""


def _name(circuit: object, qubit: Qubit, argument: ast.QASMNode) -> str:
    """Return a qubit's name in the program: of its register, or as it is written."""
    registers = circuit.find_bit(qubit).registers if isinstance(circuit, QuantumCircuit) else ()
    if not registers:
        return openqasm3.dumps(argument)
    register, index = registers[0]
    return f"{str(register.name).removeprefix('esc_')}[{index}]"


def _number(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _start(text: str, node: ast.QASMNode) -> tuple[int, int] | None:
    """Return a node's line (from 1) and column (from 0).

    The parser gives names of their own the offset in the text where others have the column.
    """
    if node.span is None:
        return None
    line, column = node.span.start_line, node.span.start_column
    if isinstance(node, ast.Identifier):
        if len(node.name) > 1:
            is_offset = node.span.end_column - column == len(node.name) - 1
        else:
            is_offset = not text.split("\n")[line - 1].startswith(node.name, column)
        if is_offset:
            column -= text.rfind("\n", 0, column) + 1
    return line, column


def _place(text: str, node: ast.QASMNode | None) -> str:
    start = _start(text, node) if node is not None else None
    return f"line {start[0]}, column {start[1] + 1}: " if start is not None else ""


def _written(text: str, node: ast.QASMNode | None) -> str:
    """Return the beginning of what stands in the program at a node, quoted."""
    start = _start(text, node) if node is not None else None
    if node is None or node.span is None or start is None:
        return "the program"
    line = text.split("\n")[start[0] - 1]
    end = node.span.end_column + 1 if node.span.end_line == start[0] else len(line)
    return repr(line[start[1] : end].strip()[:60])
