"""Binding a parameterised circuit: every row of the matrix, by the columns' names."""

from __future__ import annotations

import math
import struct
from typing import Any

from qiskit import QuantumCircuit

from qmio_jupyter.drivers.options import check_rows
from qmio_jupyter.errors import ProgramError
from qmio_jupyter.model.task import ParameterMatrix

#: Values of a circuit's parameters (Qiskit's objects, which have no usable type) in one binding.
Binding = dict[Any, float]


def rows(circuit: QuantumCircuit, matrix: ParameterMatrix | None) -> list[Binding]:
    """Return the values of each binding, one dictionary per row; one empty one for a circuit without parameters.

    Raises
    ------
    ProgramError
        ``program.parameters`` if names are unbound, extra or double, or a value is not finite.
    """
    wanted = {parameter.name: parameter for parameter in circuit.parameters}
    names = matrix.names if matrix is not None else ()
    if len(set(names)) != len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise _wrong(f"{_listed(twice)} bound twice", "Give each name one column.")
    unbound = sorted(set(wanted) - set(names))
    if unbound:
        raise _wrong(f"{_listed(unbound)} not bound", "Bind every parameter.")
    extra = sorted(set(names) - set(wanted))
    if extra:
        known = f"It has {', '.join(sorted(wanted))}." if wanted else "It has none."
        raise _wrong(f"the program has no parameter {', '.join(map(repr, extra))}", known)
    if matrix is None:
        return [{}]
    check_rows(matrix)
    width = len(names)
    values = struct.unpack(f"<{matrix.bindings * width}d", matrix.data)
    for index, value in enumerate(values):
        if not math.isfinite(value):
            binding, column = divmod(index, width)
            raise _wrong(f"{names[column]!r} is {value} in binding {binding}", "Use finite values.")
    order = [wanted[name] for name in names]
    return [
        dict(zip(order, values[start : start + width], strict=True))
        for start in (range(0, len(values), width) if width else [0])
    ]


def _listed(names: list[str]) -> str:
    shown = ", ".join(map(repr, names[:5])) + (", ..." if len(names) > 5 else "")
    return f"{'parameter' if len(names) == 1 else 'parameters'} {shown} {'is' if len(names) == 1 else 'are'}"


def _wrong(message: str, hint: str) -> ProgramError:
    return ProgramError(message, hint=hint, code="program.parameters")
