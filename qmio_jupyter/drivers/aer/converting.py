"""Qiskit's converter of OpenQASM 3, with what it lacks: classical expressions over bits.

Conditions on several bits, and values of bits that are set, copied or worked out while the program runs, become
Qiskit's own classical expressions. What the converter takes by itself it gets, for its form is the simpler one.
"""

from __future__ import annotations

from typing import Any, Final, TypeAlias, cast

from openqasm3 import ast
from qiskit.circuit import ClassicalRegister, Clbit, QuantumCircuit
from qiskit.circuit.classical import expr, types
from qiskit_qasm3_import.converter import ConvertVisitor
from qiskit_qasm3_import.expression import ValueResolver

from qmio_jupyter.drivers.aer.constants import place
from qmio_jupyter.errors import ProgramError

_COMPARISONS: Final = {
    "==": expr.equal,
    "!=": expr.not_equal,
    "<": expr.less,
    "<=": expr.less_equal,
    ">": expr.greater,
    ">=": expr.greater_equal,
}
_BITWISE: Final = {"&": expr.bit_and, "|": expr.bit_or, "^": expr.bit_xor}
_LOGIC: Final = {"&&": expr.logic_and, "||": expr.logic_or}
_NO_CHANGE: Final = (ast.IntType, ast.UintType, ast.BitType)

#: An `expr.Expr` (Qiskit does not say of what type), a number (`int`) that has no width yet, or a list of
#: `Clbit`: bits that are no register of the circuit.
_Term: TypeAlias = Any


def convert(program: ast.Program) -> QuantumCircuit:
    """Return the circuit of a lowered program; raises what Qiskit's converter raises, and `ProgramError`."""
    state: Any = _Converter().convert(program)
    return cast("QuantumCircuit", state.circuit)


class _Converter(ConvertVisitor):
    """See the module; the names of the methods are those of the converter."""

    def _resolve_condition(self, node: ast.Expression, context: Any) -> Any:
        if _is_plain(node):
            return super()._resolve_condition(node, context)
        return _truth(_term(node, context), node)

    def visit_ClassicalAssignment(  # noqa: N802 - the converter's name
        self, node: ast.ClassicalAssignment, context: Any
    ) -> Any:
        """Set bits to a value."""
        lvalue = cast("ast.Expression", node.lvalue)  # whatever names bits, an `IndexedIdentifier` too
        target, _ = ValueResolver(context, True).resolve(lvalue)
        value: ast.Expression = node.rvalue
        if node.op.name != "=":
            value = ast.BinaryExpression(
                op=ast.BinaryOperator[node.op.name.removesuffix("=")], lhs=lvalue, rhs=node.rvalue
            )
            value.span = node.span
        term = _term(value, context)
        if isinstance(target, Clbit):
            context.circuit.store(target, _truth(term, node))
        elif isinstance(target, ClassicalRegister):
            context.circuit.store(target, _number(term, target.size, node))
        else:
            for bit, one in zip(target, _single_bits(term, len(target), node), strict=True):
                context.circuit.store(bit, one)
        return context


def _is_plain(node: ast.Expression) -> bool:
    """Return whether a condition is one that Qiskit's converter takes: a bit, or a register equal to a number."""
    match node:
        case ast.Identifier() | ast.IndexExpression(index=[ast.Expression()]):
            return True
        case ast.UnaryExpression(op=op, expression=inner) if op.name == "!":
            return _is_plain(inner) and not isinstance(inner, ast.UnaryExpression)
        case ast.BinaryExpression(
            op=op, lhs=ast.Identifier() | ast.IndexExpression(index=[ast.Expression()]), rhs=rhs
        ) if op.name == "==":
            return isinstance(rhs, (ast.BooleanLiteral, ast.IntegerLiteral))
        case _:
            return False


def _term(node: ast.Expression, context: Any) -> _Term:
    match node:
        case ast.BooleanLiteral(value=value):
            return expr.lift(value)
        case ast.IntegerLiteral(value=number):
            return number
        case ast.BitstringLiteral(value=number, width=width):
            return expr.lift(number, types.Uint(width))
        case ast.Cast(type=kind, argument=argument) if isinstance(kind, _NO_CHANGE):
            return _term(argument, context)
        case ast.Cast(type=ast.BoolType(), argument=argument):
            return _truth(_term(argument, context), node)
        case ast.UnaryExpression(op=op, expression=inner) if op.name in ("!", "~"):
            term = _term(inner, context)
            if op.name == "~" and isinstance(term, expr.Expr) and isinstance(term.type, types.Uint):
                return expr.bit_not(term)
            return expr.logic_not(_truth(term, node))
        case ast.BinaryExpression():
            return _binary(node, context)
        case ast.Identifier() | ast.IndexExpression() | ast.Concatenation():
            value, _ = ValueResolver(context, True).resolve(node)
            if isinstance(value, (Clbit, ClassicalRegister)):
                return expr.lift(value)
            if isinstance(value, (list, tuple)) and value and all(isinstance(bit, Clbit) for bit in value):
                return list(value)
        case _:
            pass
    raise _unsupported(node)


def _binary(node: ast.BinaryExpression, context: Any) -> expr.Expr:
    name = node.op.name
    left, right = _term(node.lhs, context), _term(node.rhs, context)
    if name in _LOGIC:
        return _LOGIC[name](_truth(left, node), _truth(right, node))
    if isinstance(left, list) or isinstance(right, list):
        return _compare_single(name, left, right, node)
    if isinstance(left, int) and isinstance(right, int):
        raise _unsupported(node)
    typed: Any = cast("Any", left if isinstance(left, expr.Expr) else right).type
    if isinstance(typed, types.Bool):
        left, right = _truth(left, node), _truth(right, node)
        if name in ("==", "!="):
            differ = expr.bit_xor(left, right)
            return differ if name == "!=" else expr.logic_not(differ)
    elif isinstance(typed, types.Uint):
        left, right = _number(left, typed.width, node), _number(right, typed.width, node)
    if name in _BITWISE:
        return _BITWISE[name](left, right)
    if name in _COMPARISONS:
        return _COMPARISONS[name](left, right)
    raise _unsupported(node)


def _compare_single(name: str, left: _Term, right: _Term, node: ast.BinaryExpression) -> expr.Expr:
    """Return whether bits that are no register are, or are not, a number or other bits."""
    if name not in ("==", "!="):
        raise _unsupported(node)
    width = len(left) if isinstance(left, list) else len(right) if isinstance(right, list) else 0
    equal: expr.Expr | None = None
    for one, other in zip(_single_bits(left, width, node), _single_bits(right, width, node), strict=True):
        same = expr.logic_not(expr.bit_xor(one, other))
        equal = same if equal is None else expr.logic_and(equal, same)
    assert equal is not None
    return equal if name == "==" else expr.logic_not(equal)


def _single_bits(term: _Term, width: int, node: ast.QASMNode) -> list[expr.Expr]:
    """Return the truth of each of `width` bits, lowest first."""
    if isinstance(term, list):
        found = [expr.lift(bit) for bit in term]
    elif isinstance(term, int):
        _check_fits(term, width, node)
        found = [expr.lift(bool(term >> index & 1)) for index in range(width)]
    elif isinstance(term, expr.Value):
        found = [expr.lift(bool(term.value >> index & 1)) for index in range(width)]
    elif isinstance(term, expr.Var) and isinstance(term.var, ClassicalRegister):
        found = [expr.lift(bit) for bit in term.var]
    else:
        raise _unsupported(node)
    if len(found) != width:
        raise _sizes_differ(len(found), width, node)
    return found


def _truth(term: _Term, node: ast.QASMNode) -> expr.Expr:
    if isinstance(term, list):
        found: expr.Expr | None = None
        for bit in term:
            found = expr.lift(bit) if found is None else expr.logic_or(found, bit)
        assert found is not None
        return found
    if isinstance(term, int):
        if term not in (0, 1):
            raise _sizes_differ(term.bit_length(), 1, node)
        return expr.lift(bool(term))
    if isinstance(term.type, types.Uint):
        return expr.not_equal(term, expr.lift(0, term.type))
    return term


def _number(term: _Term, width: int, node: ast.QASMNode) -> expr.Expr:
    if isinstance(term, int):
        _check_fits(term, width, node)
        return expr.lift(term, types.Uint(width))
    if isinstance(term, expr.Expr) and isinstance(term.type, types.Uint):
        if term.type.width != width:
            raise _sizes_differ(term.type.width, width, node)
        return term
    raise _unsupported(node)


def _check_fits(number: int, width: int, node: ast.QASMNode) -> None:
    if not 0 <= number < 1 << width:
        raise ProgramError(
            f"{place(node)}{number} does not fit into {width} bits",
            hint="Use a smaller number, or more bits.",
            code="program.syntax",
        )


def _sizes_differ(one: int, other: int, node: ast.QASMNode) -> ProgramError:
    return ProgramError(
        f"{place(node)}{one} bits and {other} bits do not go together",
        hint="Use as many on both sides.",
        code="program.syntax",
    )


def _unsupported(node: ast.QASMNode) -> ProgramError:
    return ProgramError(
        f"{place(node)}this expression of bits cannot be worked out while a program runs",
        hint="Compare, combine (& | ^ ~ && || !) or copy bits and registers.",
        code="program.unsupported",
    )
