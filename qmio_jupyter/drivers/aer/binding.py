"""The values of a task's bindings as a matrix whose columns are the program's parameters."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qmio_jupyter.drivers.aer.tables import Matrix
from qmio_jupyter.drivers.options import check_rows
from qmio_jupyter.errors import ProgramError
from qmio_jupyter.model.task import ParameterMatrix


def rows(names: Sequence[str], matrix: ParameterMatrix | None) -> Matrix:
    """Return the values of each binding, shape (bindings, len(names)); one empty row without parameters.

    Parameters
    ----------
    names : sequence of str
        The program's parameters, in the order that columns are wanted.
    matrix : ParameterMatrix or None
        As the task has it, in any order.

    Raises
    ------
    ProgramError
        ``program.parameters`` if names are unbound, extra or double, or a value is not finite.
    """
    given = matrix.names if matrix is not None else ()
    if given != tuple(names):
        _check_names(names, given)
    if matrix is None:
        return np.zeros((1, 0))
    check_rows(matrix)
    values = np.frombuffer(matrix.data, dtype="<f8").reshape(matrix.bindings, len(given))
    if not np.isfinite(values).all():
        binding, column = (int(index) for index in np.argwhere(~np.isfinite(values))[0])
        raise _wrong(
            f"{given[column]!r} is {float(values[binding, column])} in binding {binding}",
            "Use finite values.",
        )
    return values if given == tuple(names) else values[:, [given.index(name) for name in names]]


def _check_names(names: Sequence[str], given: Sequence[str]) -> None:
    if len(set(given)) != len(given):
        twice = sorted({name for name in given if given.count(name) > 1})
        raise _wrong(f"{_listed(twice)} bound twice", "Give each name one column.")
    unbound = sorted(set(names) - set(given))
    if unbound:
        raise _wrong(f"{_listed(unbound)} not bound", "Bind every parameter.")
    extra = sorted(set(given) - set(names))
    if extra:
        known = f"It has {', '.join(sorted(names))}." if names else "It has none."
        raise _wrong(f"the program has no parameter {', '.join(map(repr, extra))}", known)


def _listed(names: list[str]) -> str:
    shown = ", ".join(map(repr, names[:5])) + (", ..." if len(names) > 5 else "")
    return f"{'parameter' if len(names) == 1 else 'parameters'} {shown} {'is' if len(names) == 1 else 'are'}"


def _wrong(message: str, hint: str) -> ProgramError:
    return ProgramError(message, hint=hint, code="program.parameters")
