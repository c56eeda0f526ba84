"""Bodies and circuits: what language a cell is in, what its Python ends with, and the programs that are sent.

Qiskit is imported only when a circuit is there, and then the user has imported it already.
"""

from __future__ import annotations

import ast
import io
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from qmio_jupyter.errors import ProgramError, UsageError
from qmio_jupyter.model.device import DeviceDescription
from qmio_jupyter.model.ids import digest
from qmio_jupyter.model.program import DELAY_UNITS, QASM2, QASM3, QPY, Program
from qmio_jupyter.model.task import MAX_ITEMS, Item
from qmio_jupyter.notebook.binding import by_name, check_used, matrix

#: Oldest QPY that is safe to read (older ones can execute code: GHSA-6m2c-76ff-6vrf).
_SAFE_QPY = 13
_BLANK_AND_COMMENTS = re.compile(r"(?:\s|//[^\n]*(?:\n|$)|/\*.*?\*/)*", re.DOTALL)
_HEADER = re.compile(r"OPENQASM\s+(\d+)(?:\.(\d+))?\s*;")
_LOOKS_LIKE_QASM = re.compile(
    r'^\s*(?:OPENQASM\b|include\s+"|(?:qubit|qreg|creg|bit)\b\s*[\[\w].*;|gate\s+\w+.*\{)', re.MULTILINE
)
#: What Qiskit calls a circuit that nobody named.
_MADE_UP = re.compile(r"circuit-[0-9]+(?:-[0-9]+)*")


class Text(msgspec.Struct, frozen=True):
    """A program as OpenQASM text; parsed in the worker, so no Qiskit is needed here."""

    source: str
    media_type: str


class Submission(msgspec.Struct, frozen=True):
    """What is sent: every program once, and the items that refer to them."""

    programs: tuple[Program, ...]
    items: tuple[Item, ...]


def name_of(program: Any) -> str:
    """Return what the user calls a circuit; empty for text, and for the names that Qiskit makes up."""
    name = getattr(program, "name", None)
    return name if isinstance(name, str) and not _MADE_UP.fullmatch(name) else ""


def language(body: str, lang: str | None = None) -> str:
    """Return ``qasm2``, ``qasm3`` or ``python``: what `lang` says, else what the header says, else Python.

    Raises
    ------
    UsageError
        If the header names a version nobody here reads, or another language than `lang`
        (``usage.language``).
    """
    start = _BLANK_AND_COMMENTS.match(body.lstrip("\ufeff"))
    header = _HEADER.match(body.lstrip("\ufeff"), start.end() if start else 0)
    if header is None:
        return lang or "python"
    if lang is not None and lang != f"qasm{header[1]}":
        raise UsageError(
            f"the program begins with OPENQASM {header[1]}, and --lang says {lang}",
            code="usage.language",
            hint="Leave --lang out, or correct the header.",
        )
    if header[1] not in ("2", "3"):
        raise UsageError(
            f"OpenQASM {header[1]} is not known",
            code="usage.language",
            hint="Begin with OPENQASM 3.0; or OPENQASM 2.0; or give --lang.",
        )
    return f"qasm{header[1]}"


def body_value(
    body: str,
    lang: str | None,
    namespace: dict[str, Any],
    *,
    filename: str,
    transform: Callable[[str], str] = str,
) -> Any:
    """Return what a cell's body stands for: OpenQASM text, or the last value of its Python.

    Python runs in `namespace`; its exceptions pass through as they are. `transform` makes Python of what
    IPython adds to it (``!ls``, ``%time x``), line by line.

    Raises
    ------
    UsageError
        If the body is empty, or is Python that ends with no expression (``usage.cell``).
    ProgramError
        If its Python cannot be parsed (``program.syntax``), with line and column of the body.
    """
    if not body.strip():
        raise UsageError(
            "%%qpu: the cell has no body",
            code="usage.cell",
            hint="Write OpenQASM, or Python that ends with a circuit, below the %%qpu line.",
        )
    found = language(body, lang)
    if found == "python":
        __tracebackhide__ = True  # the user's traceback shows her own frames
        return _run_python(body, namespace, filename, transform)
    return Text(body, QASM2 if found == "qasm2" else QASM3)


def _run_python(body: str, namespace: dict[str, Any], filename: str, transform: Callable[[str], str]) -> Any:
    __tracebackhide__ = True
    try:
        tree = ast.parse(transform(body), filename)
    except SyntaxError as error:
        if _LOOKS_LIKE_QASM.search(body):
            raise UsageError(
                "the cell looks like OpenQASM without its header",
                code="usage.language",
                hint="Begin with OPENQASM 3.0; (or 2.0), or give --lang qasm3.",
            ) from None
        raise _misspelt(error) from None
    last = tree.body[-1] if tree.body else None
    if not isinstance(last, ast.Expr):
        name = _assigned(last)
        raise UsageError(
            "the cell's last line is no value",
            code="usage.cell",
            hint=f"End the cell with {f'a line {name}' if name else 'the circuit, or a list of circuits'}.",
        )
    before = ast.Module(body=tree.body[:-1], type_ignores=[])
    try:
        first = compile(before, filename, "exec", dont_inherit=True)
        value = compile(ast.Expression(last.value), filename, "eval", dont_inherit=True)
    except SyntaxError as error:
        raise _misspelt(error, awaits=_awaits(tree, filename)) from None
    exec(first, namespace)  # noqa: S102 - the user's own cell
    return eval(value, namespace)  # noqa: S307 - the user's own cell


def _misspelt(error: SyntaxError, *, awaits: bool = False) -> ProgramError:
    """Return a `SyntaxError` of the body as one line: IPython would show its place below all our frames."""
    place = f"line {error.lineno}, column {error.offset}" if error.lineno else "the cell"
    if awaits:
        return ProgramError(
            f"{place}: await at the top is not possible in a %%qpu cell",
            code="program.syntax",
            hint="Await in a cell above, and use its value here.",
        )
    text = f": {error.text.strip()[:80]}" if error.text and error.text.strip() else ""
    return ProgramError(
        f"{place}: {error.msg}{text}", code="program.syntax", hint="Correct this line of the cell's Python."
    )


def _awaits(tree: ast.Module, filename: str) -> bool:
    """Return whether all that is wrong with `tree` is an ``await`` outside a function."""
    try:
        compile(tree, filename, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    except SyntaxError:
        return False
    return True


def _assigned(node: ast.stmt | None) -> str:
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
        return node.targets[0].id
    return ""


def as_programs(value: Any, *, lang: str | None = None, what: str = "the cell's last value") -> list[Any]:
    """Return the circuits and texts that `value` stands for: a circuit, OpenQASM text, or a list of them.

    Raises
    ------
    UsageError
        If it is something else, or an empty list (``usage.cell``).
    """
    found = list(value) if isinstance(value, (list, tuple)) else [value]
    if not found:
        raise UsageError(f"{what} is an empty list", code="usage.cell", hint="Give at least one circuit.")
    if len(found) > MAX_ITEMS:
        raise UsageError(
            f"{what} has {len(found)} circuits, at most {MAX_ITEMS} are accepted",
            code="usage.cell",
            hint="Submit them in parts.",
        )
    return [_as_program(one, lang, what) for one in found]


def _as_program(value: Any, lang: str | None, what: str) -> Any:
    if isinstance(value, Text) or is_circuit(value):
        return value
    if isinstance(value, str):
        found = language(value, None if lang == "python" else lang)
        if found != "python":
            return Text(value, QASM2 if found == "qasm2" else QASM3)
        raise UsageError(
            f"{what} is a text without an OPENQASM header",
            code="usage.language",
            hint="Begin it with OPENQASM 3.0; or OPENQASM 2.0; or give --lang.",
        )
    raise UsageError(
        f"{what} is {_kind(value)}, no circuit",
        code="usage.cell",
        hint="Give a Qiskit circuit, OpenQASM text, or a list of them.",
    )


def is_circuit(value: Any) -> bool:
    """Return whether `value` is a Qiskit circuit, without importing Qiskit for the question."""
    qiskit = sys.modules.get("qiskit")
    circuit = getattr(qiskit, "QuantumCircuit", None)
    return circuit is not None and isinstance(value, circuit)


def to_submission(
    found: Sequence[Any], *, shots: int, values: Mapping[str, Any] | Sequence[Any], device: DeviceDescription
) -> Submission:
    """Return programs and items for `found` circuits and texts, bound with `values`.

    Parameters
    ----------
    found : sequence
        What :func:`as_programs` returned.
    shots : int
        Shots of every item and binding.
    values : mapping, sequence or array
        Parameters by name, or an array of them; see :mod:`qmio_jupyter.notebook.binding`.
    device : DeviceDescription
        Where they will run: decides the format circuits travel in.
    """
    names = [_parameters(one) for one in found]
    if not isinstance(values, Mapping):
        values = by_name(values, names)
    if all(parameters is not None for parameters in names):
        check_used(values, [parameters or () for parameters in names])
    programs: dict[str, Program] = {}
    items: list[Item] = []
    for one, parameters in zip(found, names, strict=True):
        program = _program(one, device)
        programs[program.digest] = program
        items.append(Item(program=program.digest, shots=shots, parameters=matrix(values, parameters)))
    return Submission(tuple(programs.values()), tuple(items))


def _parameters(one: Any) -> tuple[str, ...] | None:
    return None if isinstance(one, Text) else tuple(parameter.name for parameter in one.parameters)


def _program(one: Any, device: DeviceDescription) -> Program:
    if isinstance(one, Text):
        media_type, data = one.media_type, one.source.encode()
    elif QPY in device.media_types or not device.media_types:
        media_type, data = QPY, _qpy(one, device)
    else:
        from qiskit import qasm3

        media_type, data = QASM3, qasm3.dumps(one).encode()
    if device.media_types and media_type not in device.media_types:
        raise ProgramError(
            f"device {device.name} does not read {media_type}",
            code="program.format",
            hint=f"It reads {', '.join(device.media_types)}.",
        )
    return Program(digest=digest(data), media_type=media_type, data=data)


def _qpy(circuit: Any, device: DeviceDescription) -> bytes:
    """Return one circuit as QPY, in the newest version that both sides know."""
    from qiskit import qpy

    oldest, newest = device.qpy_versions
    if newest == 0:
        oldest, newest = _SAFE_QPY, qpy.QPY_VERSION
    version = min(newest, qpy.QPY_VERSION)
    lowest = max(oldest, _SAFE_QPY, qpy.QPY_COMPATIBILITY_VERSION)
    if version < lowest:
        raise ProgramError(
            f"device {device.name} reads QPY {oldest} to {newest}, this Qiskit writes "
            f"{max(qpy.QPY_COMPATIBILITY_VERSION, _SAFE_QPY)} to {qpy.QPY_VERSION}",
            code="program.format",
            hint="Update the older side, or send OpenQASM 3 text (qiskit.qasm3.dumps).",
        )
    data = io.BytesIO()
    qpy.dump(_with_units(circuit), data, version=version)
    return data.getvalue()


def _with_units(circuit: Any) -> Any:
    """Return a circuit whose metadata says the units of its delays, for QPY does not; itself if it needs none."""
    from qiskit.circuit import CONTROL_FLOW_OP_NAMES

    names = circuit.count_ops().keys()
    if "delay" not in names and names.isdisjoint(CONTROL_FLOW_OP_NAMES):
        return circuit
    delays = list(_delays(circuit))
    if all(delay.unit == "dt" and isinstance(delay.duration, int) for delay in delays):
        return circuit  # the one unit that QPY means
    sent = circuit.copy()
    sent.metadata = {**(circuit.metadata or {}), DELAY_UNITS: [delay.unit for delay in delays]}
    return sent


def _delays(circuit: Any) -> Iterator[Any]:
    for instruction in circuit.data:
        if instruction.is_control_flow():
            for block in instruction.operation.blocks:
                yield from _delays(block)
        elif instruction.name == "delay" and instruction.operation.unit != "expr":
            yield instruction.operation


def _kind(value: Any) -> str:
    if value is None:
        return "None"
    name = type(value).__name__
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"
