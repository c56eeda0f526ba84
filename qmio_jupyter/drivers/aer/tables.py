"""Values of a circuit's gates for many bindings at once: what its parameters' expressions come to.

Nearly every expression in a circuit is a sum of parameters with constant factors; those are evaluated for all
bindings in a few array operations. Every operation is elementwise, so a binding's values are the same to the last
bit whichever others stand beside it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qmio_jupyter.errors import ProgramError

#: float64, shape (bindings, columns).
Matrix = NDArray[np.float64]


class Table:
    """Expressions over named columns.

    Parameters
    ----------
    expressions : sequence of ParameterExpression
        One per slot.
    names : sequence of str
        The columns' names; every parameter of every expression is among them.
    """

    def __init__(self, expressions: Sequence[Any], names: Sequence[str]) -> None:
        column = {name: index for index, name in enumerate(names)}
        self._slots = len(expressions)
        self._others: list[tuple[int, Any, list[tuple[Any, int]]]] = []
        linear: list[tuple[float, list[tuple[int, float]]]] = []
        for slot, expression in enumerate(expressions):
            parameters = [(parameter, column[parameter.name]) for parameter in expression.parameters]
            found = _linear(expression, [parameter for parameter, _ in parameters])
            if found is None:
                self._others.append((slot, expression, parameters))
                linear.append((0.0, []))
                continue
            # By column: the order of a sum is part of its value, and sets have none.
            terms = sorted((c, factor) for (_, c), factor in zip(parameters, found[1], strict=True))
            linear.append((found[0], terms))
        self._constants = np.array([constant for constant, _ in linear])
        # Longest sum first; shorter ones are filled up with factors of zero.
        most = max((len(terms) for _, terms in linear), default=0)
        self._columns = np.zeros((most, self._slots), dtype=np.intp)
        self._factors = np.zeros((most, self._slots))
        for slot, (_, terms) in enumerate(linear):
            for place, (index, factor) in enumerate(terms):
                self._columns[place, slot] = index
                self._factors[place, slot] = factor

    def __len__(self) -> int:
        return self._slots

    def values(self, matrix: Matrix) -> Matrix:
        """Return the slots' values, shape (bindings, slots).

        Raises
        ------
        ProgramError
            ``program.parameters`` if an expression has no finite real value for a binding.
        """
        made = np.broadcast_to(self._constants, (len(matrix), self._slots)).copy()
        with np.errstate(over="ignore", invalid="ignore"):
            for columns, factors in zip(self._columns, self._factors, strict=True):
                made += matrix[:, columns] * factors
        for slot, expression, parameters in self._others:
            for row, values in enumerate(matrix):
                made[row, slot] = _number(expression, [(p, float(values[at])) for p, at in parameters])
        if not np.isfinite(made).all():
            binding = int(np.argwhere(~np.isfinite(made))[0][0])
            raise ProgramError(
                f"an angle of the program has no finite value in binding {binding}",
                hint="Use other values.",
                code="program.parameters",
            )
        return made


def _linear(expression: Any, parameters: Sequence[Any]) -> tuple[float, list[float]] | None:
    """Return (constant, factors) of a sum, None for anything else."""
    factors = []
    for parameter in parameters:
        slope = expression.gradient(parameter)
        if not isinstance(slope, (int, float)):
            return None
        factors.append(float(slope))
    constant = _number(expression, [(parameter, 0.0) for parameter in parameters])
    return (constant, factors) if all(map(math.isfinite, [constant, *factors])) else None


def _number(expression: Any, values: Sequence[tuple[Any, float]]) -> float:
    """Return an expression's value, NaN where it has no real one."""
    try:
        return float(expression.bind(dict(values)))
    except (TypeError, ValueError, ArithmeticError):
        return math.nan
