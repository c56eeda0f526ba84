"""Working out OpenQASM 3 expressions that are known before the program runs."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from typing import Any, Final

from openqasm3 import ast

from qmio_jupyter.drivers.aer.durations import Duration, as_literal, of_literal
from qmio_jupyter.errors import ProgramError

#: A value known before the program runs.
Constant = bool | int | float | Duration
#: The same, to ask for.
CONSTANTS: Final = (bool, int, float, Duration)

#: Integers beyond this many bits are no quantities of a program.
_MOST_BITS: Final = 256


def _divide(a: int, b: int) -> int:
    """Divide whole numbers as OpenQASM does: towards zero."""
    quotient = abs(a) // abs(b)
    return quotient if (a >= 0) == (b >= 0) else -quotient


def _power(base: float, exponent: float) -> Constant:
    if isinstance(base, int) and isinstance(exponent, int):
        if exponent < 0:
            return float(base) ** exponent
        if base.bit_length() * exponent > 2 * _MOST_BITS:
            raise OverflowError("it is too large")
        return int(base**exponent)
    result = base**exponent
    if not isinstance(result, (int, float)):
        raise TypeError("it is not real")
    return result


def _small(amount: int) -> int:
    if not 0 <= amount <= _MOST_BITS:
        raise OverflowError("the shift is too far")
    return amount


_NAMED: Final[Mapping[str, float]] = {
    "pi": math.pi,
    "π": math.pi,
    "tau": math.tau,
    "τ": math.tau,
    "euler": math.e,
    "ℇ": math.e,
}
_FUNCTIONS: Final[Mapping[str, Callable[..., Constant]]] = {
    "sin": math.sin,
    "cos": math.cos,
    "tan": math.tan,
    "arcsin": math.asin,
    "arccos": math.acos,
    "arctan": math.atan,
    "exp": math.exp,
    "log": math.log,
    "sqrt": math.sqrt,
    "floor": math.floor,
    "ceiling": math.ceil,
    "mod": lambda a, b: a % b,
    "pow": _power,
    "popcount": lambda a: int(a).bit_count(),
}
#: Names of the language's own constants.
NAMED: Final = frozenset(_NAMED)
#: Functions of real numbers, to which a division of whole numbers is hardly ever meant to be given.
_REAL: Final = frozenset({"sin", "cos", "tan", "arcsin", "arccos", "arctan", "exp", "log", "sqrt"})
_BINARY: Final[Mapping[str, Callable[..., Any]]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "%": operator.mod,
    "/": lambda a, b: _divide(int(a), int(b)) if isinstance(a, int) and isinstance(b, int) else a / b,
    "**": _power,
    "<<": lambda a, b: int(a) << _small(int(b)),
    ">>": lambda a, b: int(a) >> _small(int(b)),
    "&": lambda a, b: int(a) & int(b),
    "|": lambda a, b: int(a) | int(b),
    "^": lambda a, b: int(a) ^ int(b),
    "&&": lambda a, b: bool(a) and bool(b),
    "||": lambda a, b: bool(a) or bool(b),
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class NotConstantError(Exception):
    """The expression depends on a measurement, an input, or something this reader does not know."""


def evaluate(node: ast.Expression, names: Mapping[str, object]) -> Constant:
    """Return the value of an expression; `names` holds what is known by name (others are no constants).

    Raises
    ------
    NotConstantError
        If it is not known yet.
    ProgramError
        ``program.syntax`` where it can have no value (a division by zero), naming line and column.
    """
    try:
        value = _value(node, names)
    except (ZeroDivisionError, OverflowError, ValueError, TypeError) as problem:
        raise ProgramError(
            f"{place(node)}the expression has no value ({problem})", hint="Correct it.", code="program.syntax"
        ) from problem
    if isinstance(value, int) and value.bit_length() > _MOST_BITS:
        raise ProgramError(
            f"{place(node)}the number is too large", hint="Correct it.", code="program.too_large"
        )
    return value


def check_division(node: object, names: Mapping[str, object]) -> None:
    """Refuse a division of whole numbers that leaves a remainder where an angle or a real number is wanted.

    The language cuts it off: ``3 / 5`` is 0, which hardly anybody means there.

    Raises
    ------
    ProgramError
        ``program.syntax`` at the division.
    """
    if isinstance(node, ast.BinaryExpression) and node.op.name == "/":
        try:
            above, below = evaluate(node.lhs, names), evaluate(node.rhs, names)
        except NotConstantError:
            above, below = 0.0, 1.0
        if isinstance(above, int) and isinstance(below, int) and below != 0 and above % below:
            raise ProgramError(
                f"{place(node)}{above} / {below} is a division of whole numbers and gives {_divide(above, below)}",
                hint=f"Write {above}.0 / {below} for a real number.",
                code="program.syntax",
            )
    if isinstance(node, (ast.BinaryExpression, ast.UnaryExpression, ast.FunctionCall)):
        for part in vars(node).values():
            for inner in part if isinstance(part, list) else (part,):
                check_division(inner, names)


def place(node: ast.QASMNode) -> str:
    """Return ``line L, column C: `` of a node, both from 1; empty if it has no place."""
    span = node.span
    return f"line {span.start_line}, column {span.start_column + 1}: " if span is not None else ""


def literal(value: Constant, like: ast.Expression) -> ast.Expression:
    """Return the literal that stands for `value`, at the place of `like`."""
    made: ast.Expression
    if isinstance(value, Duration):
        made = as_literal(value)
        made.span = like.span
        return made
    if isinstance(value, bool):
        made = ast.BooleanLiteral(value=value)
    elif isinstance(value, int):
        made = ast.IntegerLiteral(value=abs(value))
    else:
        made = ast.FloatLiteral(value=abs(value))
    if not isinstance(value, bool) and value < 0:
        made.span = like.span
        made = ast.UnaryExpression(op=ast.UnaryOperator["-"], expression=made)
    made.span = like.span
    return made


def _value(node: ast.Expression, names: Mapping[str, object]) -> Constant:
    match node:
        case (
            ast.IntegerLiteral(value=value) | ast.FloatLiteral(value=value) | ast.BooleanLiteral(value=value)
        ):
            return value
        case ast.DurationLiteral():
            return of_literal(node)
        case ast.Identifier(name=name):
            known = names.get(name, _NAMED.get(name))
            if isinstance(known, CONSTANTS):
                return known
            raise NotConstantError
        case ast.UnaryExpression(op=op, expression=inner):
            return _unary(op.name, evaluate(inner, names))
        case ast.BinaryExpression(op=op, lhs=lhs, rhs=rhs):
            apply: Callable[..., Any] = _BINARY[op.name]
            found = apply(evaluate(lhs, names), evaluate(rhs, names))
            assert isinstance(found, CONSTANTS)
            return found
        case ast.FunctionCall(name=name, arguments=arguments) if name.name in _FUNCTIONS:
            if name.name in _REAL:
                for argument in arguments:
                    check_division(argument, names)
            call: Callable[..., Any] = _FUNCTIONS[name.name]
            value = call(*(evaluate(argument, names) for argument in arguments))
            assert isinstance(value, CONSTANTS)
            return value
        case ast.Cast(type=kind, argument=argument):
            return _cast(kind, evaluate(argument, names))
        case ast.IndexExpression(collection=collection, index=[ast.Expression() as index]):
            return int(evaluate(collection, names)) >> _small(int(evaluate(index, names))) & 1
        case _:
            raise NotConstantError


def _unary(operation: str, value: Constant) -> Constant:
    match operation:
        case "-":
            return -value
        case "!":
            return not value
        case "~" if isinstance(value, bool):
            return not value
        case _:
            raise NotConstantError


def _cast(kind: ast.ClassicalType, value: Constant) -> Constant:
    match kind:
        case ast.BoolType():
            return bool(value)
        case ast.IntType() | ast.UintType():
            return int(value)
        case ast.FloatType() | ast.AngleType():
            return float(value)
        case _:
            raise NotConstantError
