"""Parameters: what ``--bind NAME=EXPR`` means, as a matrix of float64.

A number holds for every binding; a sequence of numbers gives one binding per element, and sequences go
together (the i-th of each make binding i, so they have one length). A parameter vector ``NAME[0..k-1]`` of a
circuit takes a sequence of k numbers, or one such sequence per binding. From Python a whole array may be given in
place of names (`by_name`). Nothing here imports numpy: arrays
are read through their ``tolist``.
"""

from __future__ import annotations

import difflib
import math
import re
import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from qmio_jupyter.errors import ProgramError, UsageError
from qmio_jupyter.model.task import ParameterMatrix

_MOST_BINDINGS = 100_000
_ELEMENT = re.compile(r"(.+)\[(\d+)\]")

#: A parameter's value: one for all bindings, or one per binding.
Column = float | list[float]


def evaluate(bind: Iterable[tuple[str, str]], namespace: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``{name: value}`` of ``--bind`` options, evaluated in the user's namespace.

    Raises
    ------
    UsageError
        If an expression fails: its own error, in one line.
    """
    values: dict[str, Any] = {}
    for name, expression in bind:
        code = compile(expression, f"<--bind {name}>", "eval", dont_inherit=True)
        try:
            values[name] = eval(code, dict(namespace))  # noqa: S307 - the user's own expression, in her own process
        except Exception as error:
            raise UsageError(
                f"--bind {name}={expression}: {type(error).__name__}: {error}",
                code="usage.option",
                hint="Define what it uses in a cell above."
                if isinstance(error, NameError)
                else "The expression itself failed; correct it.",
            ) from error
    return values


def matrix(values: Mapping[str, Any], parameters: Sequence[str] | None) -> ParameterMatrix | None:
    """Return the parameter matrix of one program, None if it has no parameters.

    Parameters
    ----------
    values : mapping of str to number, sequence or array
        What the user gave by name; names of other programs' parameters are left out.
    parameters : sequence of str or None
        The program's parameters in order; None: not known here (OpenQASM text), all of `values` are taken.

    Raises
    ------
    ProgramError
        If a parameter has no value (``program.parameters``).
    UsageError
        If a value is no finite number or sequence of them, or lengths differ.
    """
    columns: dict[str, Column] = {}
    for name, value in values.items():
        columns.update(_columns(name, value, parameters))
    if parameters is not None:
        unbound = [name for name in parameters if name not in columns]
        if unbound:
            raise ProgramError(
                f"the circuit's parameters {_list(unbound)} have no value"
                if len(unbound) > 1
                else f"the circuit's parameter {unbound[0]} has no value",
                code="program.parameters",
                hint=f"Add {_binds(unbound)}.",
            )
        columns = {name: columns[name] for name in parameters}
    if not columns:
        return None
    count = _bindings(columns)
    flat = [
        column[row] if isinstance(column, list) else column
        for row in range(count)
        for column in columns.values()
    ]
    return ParameterMatrix(names=tuple(columns), bindings=count, data=struct.pack(f"<{len(flat)}d", *flat))


def by_name(rows: Any, programs: Sequence[Sequence[str] | None]) -> dict[str, Any]:
    """Return ``{name: column}`` of an array of shape ``(parameters,)`` or ``(bindings, parameters)``.

    Parameters
    ----------
    rows : sequence or array
        Its columns follow the circuit's parameters, in Qiskit's order (``circuit.parameters``).
    programs : sequence
        The parameters of each program, None where they are not known.

    Raises
    ------
    UsageError
        If the array has another shape, or the programs have not all the same, known parameters.
    """
    first = programs[0]
    if first is None or any(parameters != first for parameters in programs):
        raise UsageError(
            "bind: an array needs circuits that all have the same parameters",
            code="usage.option",
            hint="Give the values by name: bind={NAME: VALUES}.",
        )
    plain = _plain("array", rows)
    table = plain if isinstance(plain, list) and plain and isinstance(plain[0], list) else [plain]
    if any(
        not isinstance(row, list) or len(row) != len(first) or any(isinstance(cell, list) for cell in row)
        for row in table
    ):
        raise UsageError(
            f"bind: an array of shape ({len(first)},) or (bindings, {len(first)}) is expected",
            code="usage.option",
            hint=f"Its columns are {_list(first) or 'none'}.",
        )
    if table[0] is plain:
        return dict(zip(first, plain, strict=True))
    return {name: [row[column] for row in table] for column, name in enumerate(first)}


def check_used(values: Mapping[str, Any], programs: Iterable[Sequence[str]]) -> None:
    """Refuse a value that no program has a parameter for.

    Raises
    ------
    ProgramError
        Naming it and the nearest parameter (``program.parameters``).
    """
    known = sorted({name for parameters in programs for name in parameters})
    vectors = {found[1] for name in known if (found := _ELEMENT.fullmatch(name))}
    for name in values:
        if name not in known and name not in vectors:
            near = difflib.get_close_matches(name, [*known, *sorted(vectors)], n=1, cutoff=0.5)
            what = f"Did you mean {near[0]}?" if near else f"Its parameters: {_list(known) or 'none'}."
            raise ProgramError(f"the circuit has no parameter {name!r}", code="program.parameters", hint=what)


def _columns(name: str, value: Any, parameters: Sequence[str] | None) -> dict[str, Column]:
    plain = _plain(name, value)
    if parameters is None or name in parameters:
        return {name: _one_column(name, plain)}
    elements = [p for p in parameters if (found := _ELEMENT.fullmatch(p)) and found[1] == name]
    if not elements:
        return {}
    elements.sort(key=lambda p: int(p[len(name) + 1 : -1]))
    rows = plain if isinstance(plain, list) and plain and isinstance(plain[0], list) else [plain]
    width = len(elements)
    for row in rows:
        if not isinstance(row, list) or len(row) != width or any(isinstance(cell, list) for cell in row):
            raise _unfit(name, f"the vector {name} takes {width} numbers, or a sequence of such rows")
    if len(rows) == 1 and rows[0] is plain:
        return {p: plain[i] for i, p in enumerate(elements)}
    return {p: [row[i] for row in rows] for i, p in enumerate(elements)}


def _one_column(name: str, plain: Any) -> Column:
    if not isinstance(plain, list):
        return float(plain)
    if not plain:
        raise _unfit(name, "the sequence is empty")
    if any(isinstance(cell, list) for cell in plain):
        raise _unfit(name, "a number or a flat sequence of numbers is expected")
    return plain


def _plain(name: str, value: Any) -> Any:
    """Return `value` as a float, or as nested lists of floats."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, (str, bytes, Mapping)):
        raise _unfit(name, f"a number or a sequence of numbers is expected, not {type(value).__name__}")
    if isinstance(value, Iterable):
        return [_plain(name, element) for element in value]
    if isinstance(value, complex):
        raise _unfit(name, "a real number is expected")
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise _unfit(
            name, f"a number or a sequence of numbers is expected, not {type(value).__name__}"
        ) from None
    if not math.isfinite(number):
        raise _unfit(name, f"a finite number is expected, not {number}")
    return number


def _bindings(columns: Mapping[str, Column]) -> int:
    lengths = {name: len(column) for name, column in columns.items() if isinstance(column, list)}
    if not lengths:
        return 1
    first = next(iter(lengths))
    for name, length in lengths.items():
        if length != lengths[first]:
            raise UsageError(
                f"--bind {first} gives {lengths[first]} bindings and --bind {name} gives {length}",
                code="usage.option",
                hint="Give sequences of one length.",
            )
    if lengths[first] > _MOST_BINDINGS:
        raise UsageError(
            f"--bind {first} gives {lengths[first]} bindings, at most {_MOST_BINDINGS} are accepted",
            code="usage.option",
            hint="Split the sweep.",
        )
    return lengths[first]


def _unfit(name: str, what: str) -> UsageError:
    return UsageError(f"--bind {name}: {what}", code="usage.option", hint="See %qpu help.")


def _binds(names: Sequence[str]) -> str:
    """Return the options that give values to parameters; the elements of a vector share one."""
    words = [
        f"--bind {found[1]}=VALUES" if (found := _ELEMENT.fullmatch(name)) else f"--bind {name}=VALUE"
        for name in names
    ]
    shown = list(dict.fromkeys(words))
    return " ".join(shown[:5]) + (" ..." if len(shown) > 5 else "")


def _list(names: Sequence[str]) -> str:
    shown = ", ".join(names[:5])
    return f"{shown}, ... ({len(names)} in all)" if len(names) > 5 else shown
