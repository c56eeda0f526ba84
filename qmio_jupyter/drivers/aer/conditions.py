"""Turning OpenQASM 3 conditions into those that Qiskit's converter takes: a bit, or a register and a number."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Final

from openqasm3 import ast

from qmio_jupyter.drivers.aer.constants import NotConstantError, evaluate, place
from qmio_jupyter.errors import ProgramError

#: Number of bits a name stands for: 0 for a single bit, None for no bits.
SizeOf = Callable[[str], int | None]

#: Statements that a condition may copy; compound conditions copy their blocks.
_MOST_COPIES: Final = 64
_FLIPPED: Final = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "==": "==", "!=": "!="}


def branch(node: ast.BranchingStatement, size_of: SizeOf) -> list[ast.Statement]:
    """Return nested branches with simple conditions that do what `node` does.

    Raises
    ------
    ProgramError
        ``program.unsupported`` for a condition that cannot be turned into simple ones.
    """
    return _branch(node.condition, node.if_block, node.else_block, node, size_of)


def simple(condition: ast.Expression, size_of: SizeOf) -> ast.Expression:
    """Return one simple condition that says the same, for a loop; the converter refuses what has none."""
    condition = _without_casts(condition, size_of)
    if isinstance(condition, ast.UnaryExpression) and condition.op.name == "!":
        inner = simple(condition.expression, size_of)
        return _bit(inner, is_set=False) if _is_bit(inner, size_of) else condition
    if isinstance(condition, ast.BinaryExpression):
        found = _comparison(condition, size_of)
        if found is not None and _is_bit(found[1], size_of) and found[0] in ("==", "!="):
            return _bit(found[1], is_set=(found[0] == "==") == bool(found[2]))
    return condition


def _branch(
    condition: ast.Expression,
    if_block: list[ast.Statement],
    else_block: list[ast.Statement],
    node: ast.BranchingStatement,
    size_of: SizeOf,
    copies: int = 1,
) -> list[ast.Statement]:
    if copies > _MOST_COPIES:
        raise ProgramError(
            f"{place(node)}the condition is too complicated", hint="Split it.", code="program.unsupported"
        )
    condition = _without_casts(condition, size_of)

    def nested(
        what: ast.Expression, first: list[ast.Statement], second: list[ast.Statement]
    ) -> list[ast.Statement]:
        return _branch(what, first, second, node, size_of, 2 * copies)

    match condition:
        case ast.UnaryExpression(op=op, expression=inner) if op.name == "!":
            return _branch(inner, else_block, if_block, node, size_of, copies)
        case ast.BinaryExpression(op=op, lhs=lhs, rhs=rhs) if op.name == "&&":
            return nested(lhs, nested(rhs, if_block, else_block), else_block)
        case ast.BinaryExpression(op=op, lhs=lhs, rhs=rhs) if op.name == "||":
            return nested(lhs, if_block, nested(rhs, if_block, else_block))
        case ast.BinaryExpression():
            return _compare(condition, if_block, else_block, node, size_of)
        case ast.Identifier(name=name) if size_of(name):
            # A register is true unless it is zero.
            return [_made(node, _equal(condition, 0), else_block, if_block)]
        case _:
            return [_made(node, condition, if_block, else_block)]


def _compare(
    condition: ast.BinaryExpression,
    if_block: list[ast.Statement],
    else_block: list[ast.Statement],
    node: ast.BranchingStatement,
    size_of: SizeOf,
) -> list[ast.Statement]:
    found = _comparison(condition, size_of)
    if found is None:
        return [_made(node, condition, if_block, else_block)]
    operation, bits, value = found
    size = 1 if _is_bit(bits, size_of) else size_of(bits.name) if isinstance(bits, ast.Identifier) else None
    if size is None:
        return [_made(node, condition, if_block, else_block)]
    most = (1 << size) - 1
    match operation:
        case "==" | "!=":
            wanted = [value] if 0 <= value <= most else []
        case "<":
            wanted = list(range(min(value, most + 1)))
        case "<=":
            wanted = list(range(min(value + 1, most + 1)))
        case ">":
            wanted = list(range(max(value + 1, 0), most + 1)) if most - value <= _MOST_COPIES else []
        case _:
            wanted = list(range(max(value, 0), most + 1)) if most - value <= _MOST_COPIES else []
    if len(wanted) > _MOST_COPIES or (not wanted and operation in (">", ">=") and value < most):
        raise ProgramError(
            f"{place(condition)}the comparison has too many cases",
            hint="Compare single bits.",
            code="program.unsupported",
        )
    first, second = (else_block, if_block) if operation == "!=" else (if_block, else_block)
    lowered = list(second)
    for number in reversed(wanted):
        what = _bit(bits, is_set=bool(number)) if _is_bit(bits, size_of) else _equal(bits, number)
        lowered = [_made(node, what, first, lowered)]
    return lowered


def _comparison(condition: ast.BinaryExpression, size_of: SizeOf) -> tuple[str, ast.Expression, int] | None:
    """Return (operator, bits, number) of a comparison of bits with a number, bits first."""
    if condition.op.name not in _FLIPPED:
        return None
    for bits, number, operation in (
        (condition.lhs, condition.rhs, condition.op.name),
        (condition.rhs, condition.lhs, _FLIPPED[condition.op.name]),
    ):
        bits = _without_casts(bits, size_of)
        value = _number(number)
        if value is not None and (_is_bit(bits, size_of) or _is_register(bits, size_of)):
            return operation, bits, value
    return None


def _number(node: ast.Expression) -> int | None:
    if isinstance(node, ast.BitstringLiteral):
        return node.value
    try:
        value = evaluate(node, {})
    except NotConstantError:
        return None
    return int(value) if value == int(value) else None


def _is_bit(node: ast.Expression, size_of: SizeOf) -> bool:
    match node:
        case ast.Identifier(name=name):
            return size_of(name) == 0
        case ast.IndexExpression(collection=ast.Identifier(name=name), index=[ast.Expression()]):
            return bool(size_of(name))
        case _:
            return False


def _is_register(node: ast.Expression, size_of: SizeOf) -> bool:
    return isinstance(node, ast.Identifier) and bool(size_of(node.name))


def _without_casts(node: ast.Expression, size_of: SizeOf) -> ast.Expression:
    """Return what a cast of bits to a number or a truth value is about."""
    while isinstance(node, ast.Cast) and isinstance(
        node.type, (ast.IntType, ast.UintType, ast.BoolType, ast.BitType)
    ):
        inner = node.argument
        if not (_is_bit(inner, size_of) or _is_register(inner, size_of) or isinstance(inner, ast.Cast)):
            break
        node = inner
    return node


def _equal(bits: ast.Expression, number: int) -> ast.Expression:
    made = ast.BinaryExpression(op=ast.BinaryOperator["=="], lhs=bits, rhs=ast.IntegerLiteral(value=number))
    made.span = bits.span
    return made


def _bit(bit: ast.Expression, *, is_set: bool) -> ast.Expression:
    made = ast.BinaryExpression(op=ast.BinaryOperator["=="], lhs=bit, rhs=ast.BooleanLiteral(value=is_set))
    made.span = bit.span
    return made


def _made(
    node: ast.BranchingStatement,
    condition: ast.Expression,
    if_block: list[ast.Statement],
    else_block: list[ast.Statement],
) -> ast.Statement:
    made = copy.copy(node)
    made.condition = condition
    made.if_block = if_block
    made.else_block = else_block
    return made
