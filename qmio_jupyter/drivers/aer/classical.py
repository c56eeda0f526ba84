"""Conditions of branches as what they are: sets of values of a few classical bits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from qiskit.circuit import ClassicalRegister, Clbit
from qiskit.circuit.classical import expr, types

#: Bits that a condition may depend on; all their values are tried.
MAX_BITS: Final = 6

_BINARY: Final[dict[Any, Callable[[int, int], int]]] = {
    expr.Binary.Op.BIT_AND: lambda a, b: a & b,
    expr.Binary.Op.BIT_OR: lambda a, b: a | b,
    expr.Binary.Op.BIT_XOR: lambda a, b: a ^ b,
    expr.Binary.Op.LOGIC_AND: lambda a, b: int(bool(a and b)),
    expr.Binary.Op.LOGIC_OR: lambda a, b: int(bool(a or b)),
    expr.Binary.Op.EQUAL: lambda a, b: int(a == b),
    expr.Binary.Op.NOT_EQUAL: lambda a, b: int(a != b),
    expr.Binary.Op.LESS: lambda a, b: int(a < b),
    expr.Binary.Op.LESS_EQUAL: lambda a, b: int(a <= b),
    expr.Binary.Op.GREATER: lambda a, b: int(a > b),
    expr.Binary.Op.GREATER_EQUAL: lambda a, b: int(a >= b),
}


class NotSimpleError(Exception):
    """A condition, or a program, that this way of running it does not take; another one will."""


def bits_of(target: Any) -> list[Clbit]:
    """Return the bits that a condition's target (a bit, a register, an expression) depends on, each once.

    Raises
    ------
    NotSimpleError
        For variables, and for anything unknown.
    """
    if isinstance(target, Clbit):
        return [target]
    if isinstance(target, ClassicalRegister):
        return list(target)
    if isinstance(target, expr.Value):
        return []
    if isinstance(target, expr.Var) and target.standalone is False:
        return bits_of(target.var)
    if isinstance(target, (expr.Cast, expr.Unary)):
        return bits_of(target.operand)
    if isinstance(target, expr.Binary) and target.op in _BINARY:
        return list(dict.fromkeys(bits_of(target.left) + bits_of(target.right)))
    raise NotSimpleError(type(target).__name__)


def value_of(target: Any, values: Mapping[Clbit, int]) -> int:
    """Return the value of a condition's target where its bits have these values; raises as `bits_of`."""
    if isinstance(target, Clbit):
        return values[target]
    if isinstance(target, ClassicalRegister):
        return sum(values[bit] << place for place, bit in enumerate(target))
    if isinstance(target, expr.Value):
        return int(target.value)
    if isinstance(target, expr.Var):
        return value_of(target.var, values)
    if isinstance(target, expr.Cast):
        return _cast(value_of(target.operand, values), target)
    if isinstance(target, expr.Unary):
        value = value_of(target.operand, values)
        if target.op is expr.Unary.Op.LOGIC_NOT:
            return int(not value)
        if target.op is expr.Unary.Op.BIT_NOT:
            return value ^ ((1 << _width(target)) - 1)
    if isinstance(target, expr.Binary) and target.op in _BINARY:
        return _BINARY[target.op](value_of(target.left, values), value_of(target.right, values))
    raise NotSimpleError(type(target).__name__)


def satisfying(
    target: Any, is_met: Callable[[int], bool], bits: Sequence[Clbit], known: Mapping[Clbit, int]
) -> frozenset[int]:
    """Return the values of `bits` (the first least significant) for which a condition is met.

    Parameters
    ----------
    target : Clbit, ClassicalRegister or Expr
        What is looked at.
    is_met : callable
        Whether a value of it meets the condition.
    bits : sequence of Clbit
        Those that may have either value.
    known : mapping
        The values of the others.
    """
    if len(bits) > MAX_BITS:
        raise NotSimpleError("too many bits")
    return frozenset(
        value
        for value in range(1 << len(bits))
        if is_met(value_of(target, {**known, **{bit: value >> at & 1 for at, bit in enumerate(bits)}}))
    )


def _cast(value: int, target: expr.Cast) -> int:
    if isinstance(target.type, types.Bool):
        return int(bool(value))
    return value & ((1 << _width(target)) - 1)


def _width(target: expr.Expr) -> int:
    if isinstance(target.type, types.Bool):
        return 1
    if isinstance(target.type, types.Uint):
        return int(target.type.width)
    raise NotSimpleError(type(target.type).__name__)
