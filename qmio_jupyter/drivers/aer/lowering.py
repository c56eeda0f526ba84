"""Rewriting OpenQASM 3 into the part of it that Qiskit's converter takes.

Constants and classical variables that are known before the program runs are worked out, loops over known ranges
unrolled, subroutines written out where they are called, aliases replaced by what they stand for, ``switch`` and
compound conditions turned into nested ``if``. What depends on a measurement stays. What is left and not
understood, the converter refuses by line and column.

Bits that are declared inside a block or a subroutine become bits of the program: its result shows every bit.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from typing import Final

from openqasm3 import ast

from qmio_jupyter.drivers.aer import conditions, operands, subroutines
from qmio_jupyter.drivers.aer.calls import Calls
from qmio_jupyter.drivers.aer.constants import (
    CONSTANTS,
    NAMED,
    Constant,
    check_division,
    place,
)
from qmio_jupyter.drivers.aer.scope import UNSET, Formula, Unset
from qmio_jupyter.drivers.aer.trees import identifiers, indexes_by
from qmio_jupyter.errors import ProgramError

_COMPOUND: Final = {f"{op}=": op for op in ("+", "-", "*", "/", "%", "**", "<<", ">>", "&", "|", "^")}


class _BreakLoop(Exception):  # noqa: N818 - control flow, as StopIteration is
    """A ``break`` of a loop that is being unrolled."""


class _ContinueLoop(Exception):  # noqa: N818
    """A ``continue`` of a loop that is being unrolled."""


class _KeepLoop(Exception):  # noqa: N818
    """A ``break`` or ``continue`` that only the run decides on: the loop cannot be unrolled."""

    def __init__(self, node: ast.BreakStatement | ast.ContinueStatement) -> None:
        super().__init__()
        self.node = node


def lower(program: ast.Program, max_qubits: int) -> ast.Program:
    """Return the program without constants, known variables, known loops and ``switch``.

    Raises
    ------
    ProgramError
        ``program.too_wide``, ``program.too_large`` (more than `MAX_STATEMENTS`), ``program.unsupported``.
    """
    lowered = copy.copy(program)
    lowered.statements = list(
        _Lowering(max_qubits, declared_names(program.statements)).program(program.statements)
    )
    return lowered


class _Lowering(Calls):
    """One program on its way, statement by statement."""

    # ------------------------------------------------------------ statements

    def program(self, statements: Iterable[ast.Statement | ast.Pragma]) -> list[ast.Statement]:
        """Return what a program's statements become."""
        lowered: list[ast.Statement] = []
        for statement in statements:
            became = self._statement(statement)
            lowered.extend(self._ahead)
            lowered.extend(became)
            self._ahead.clear()
        return lowered

    def block(self, statements: Iterable[ast.Statement | ast.Pragma]) -> list[ast.Statement]:
        """Return what statements become."""
        lowered: list[ast.Statement] = []
        for statement in statements:
            lowered.extend(self._statement(statement))
        return lowered

    def _statement(self, node: ast.Statement | ast.Pragma) -> Sequence[ast.Statement]:
        self._count(node)
        match node:
            case ast.ConstantDeclaration() | ast.ClassicalDeclaration() | ast.IODeclaration():
                return self._declaration(node)
            case ast.QubitDeclaration():
                return [self._qubits_declared(node)]
            case ast.ClassicalAssignment():
                return self._assignment(node)
            case ast.ForInLoop() | ast.WhileLoop() | ast.BranchingStatement() | ast.SwitchStatement():
                return self._control(node)
            case ast.CompoundStatement():
                return self.block(node.statements)
            case ast.BreakStatement() | ast.ContinueStatement() if self._is_unrolling:
                if self._is_break_conditional:
                    raise _KeepLoop(node)
                raise _BreakLoop if isinstance(node, ast.BreakStatement) else _ContinueLoop
            case ast.QuantumMeasurementStatement(measure=measure, target=target) if target is not None:
                self._check_measured(node, target, measure)
                return [self._substituted(node)]
            case ast.QuantumGateDefinition():
                return [self._gate_definition(node)]
            case ast.AliasStatement():
                return self._alias(node)
            case ast.Box(duration=None, annotations=[]):
                boxed: list[ast.Statement] = []
                self._scoped(node.body, boxed, {})
                return boxed
            case ast.Pragma():
                return []
            case ast.QuantumGate():
                return [self._gate(node)]
            case _:
                return self._of_subroutines(node)

    def _control(
        self, node: ast.ForInLoop | ast.WhileLoop | ast.BranchingStatement | ast.SwitchStatement
    ) -> Sequence[ast.Statement]:
        match node:
            case ast.ForInLoop():
                return self._for(node)
            case ast.WhileLoop():
                return self._while(node)
            case ast.BranchingStatement():
                return self._branch(node)
            case ast.SwitchStatement():
                return self._switch(node)

    def _declaration(
        self, node: ast.ConstantDeclaration | ast.ClassicalDeclaration | ast.IODeclaration
    ) -> Sequence[ast.Statement]:
        name = node.identifier.name
        kind = node.type
        if isinstance(kind, ast.BitType) and not isinstance(node, ast.ConstantDeclaration):
            return self._bits_declared(node, kind)
        if isinstance(node, ast.IODeclaration):
            self._names[name] = None
            self._constants.add(name)
            self._inputs.add(name)
            return [self._substituted(node)]
        if isinstance(node, ast.ConstantDeclaration) and len(self._names.maps) == 1:
            self._constants.add(name)
        if not isinstance(kind, subroutines.NUMBERS):
            raise _not_supported(node, kind)
        if node.init_expression is None:
            self._names[name] = UNSET
            return []
        if isinstance(kind, (ast.FloatType, ast.AngleType)):
            check_division(node.init_expression, self._names)
        value, lowered = self._value_of(node.init_expression)
        if value is None:
            formula = self._formula(node.init_expression)
            if formula is None or not isinstance(kind, (ast.FloatType, ast.AngleType)):
                raise self._not_known(node, name, node.init_expression)
            self._names[name] = formula
            return []
        self._names[name] = subroutines.fit(kind, value, node)
        return lowered

    def _bits_declared(
        self, node: ast.ClassicalDeclaration | ast.IODeclaration, kind: ast.BitType
    ) -> Sequence[ast.Statement]:
        size = None if kind.size is None else self._whole(kind.size, "a register's size")
        name = node.identifier.name
        is_global = len(self._names.maps) == 1 and not self._calling
        if isinstance(node, ast.IODeclaration) and node.io_identifier is not ast.IOKeyword.output:
            return [node]
        lowered: list[ast.Statement] = []
        if is_global:
            lowered.append(self._to_converter(node, kind, name, size))
            self._names[name] = self._declared[name]
        elif name in self._targets and len(self._names.maps) == 2:
            self._names[name] = operands.other_name(self._targets[name])
        else:
            self._names[name] = self._local(node, kind, name, size)
        begin = None if isinstance(node, ast.IODeclaration) else node.init_expression
        if isinstance(begin, ast.QuantumMeasurement):
            measured = ast.QuantumMeasurementStatement(measure=begin, target=node.identifier)
            measured.span = node.span
            lowered.extend(self._statement(measured))
        elif begin is not None and not (is_global and _is_zero(begin)):
            assigned = ast.ClassicalAssignment(
                lvalue=node.identifier, op=ast.AssignmentOperator["="], rvalue=begin
            )
            assigned.span = node.span
            lowered.extend(self._assignment(assigned))
        return lowered

    def _formula(self, node: ast.QASMNode) -> Formula | None:
        """Return a number that depends on inputs only, None for one that depends on more."""
        if not isinstance(node, ast.Expression):
            return None
        made = self._substituted_one(node)
        used = set(identifiers(made)) - NAMED
        return Formula(made) if used and used <= self._inputs else None

    def _assignment(self, node: ast.ClassicalAssignment) -> Sequence[ast.Statement]:
        target = node.lvalue
        known_target = self._names.get(target.name) if isinstance(target, ast.Identifier) else None
        if not isinstance(target, ast.Identifier) or not isinstance(known_target, (*CONSTANTS, Unset)):
            return self._bits_assigned(node)
        name = target.name
        operation = _COMPOUND.get(node.op.name)
        value = node.rvalue
        if operation is not None:
            value = ast.BinaryExpression(op=ast.BinaryOperator[operation], lhs=target, rhs=node.rvalue)
            value.span = node.span
        known, lowered = self._value_of(value)
        depth = next(index for index, scope in enumerate(reversed(self._names.maps)) if name in scope)
        if known is None or depth < self._frozen:
            raise self._not_known(node, name, value)
        for scope in self._names.maps:
            if name in scope:
                scope[name] = known
                break
        return lowered

    def _bits_assigned(self, node: ast.ClassicalAssignment) -> Sequence[ast.Statement]:
        """Return what giving a value to bits while the program runs becomes."""
        bits = operands.resolve(node.lvalue, self._names, self._known)
        if bits is not None:
            self._check_written(node, bits)
        if isinstance(node.rvalue, ast.FunctionCall) and self._is_call(node.rvalue):
            if bits is None or node.op.name != "=":
                raise ProgramError(
                    f"{place(node)}what {node.rvalue.name.name} returns can only be assigned to bits",
                    hint="Declare bits for it.",
                    code="program.unsupported",
                )
            return self._call(node.rvalue, bits)[0]
        return [self._substituted(node)]

    def _value_of(
        self, node: ast.Expression | ast.QuantumMeasurement
    ) -> tuple[Constant | None, Sequence[ast.Statement]]:
        """Return a value known before the program runs (None if it is not), and what happens on the way to it."""
        if isinstance(node, ast.FunctionCall) and self._is_call(node):
            lowered, value = self._call(node, None)
            return value, lowered
        return self._known(node), []

    # ------------------------------------------------------------ loops and branches

    def _for(self, node: ast.ForInLoop) -> Sequence[ast.Statement]:
        values = self._values(node.set_declaration)
        if values is not None:
            before = [dict(scope) for scope in self._names.maps]
            try:
                return self._unrolled(node, values)
            except _KeepLoop as kept_by:
                self._names.maps[:] = before
                if indexes_by(node.block, node.identifier.name):
                    raise _not_broken(kept_by.node, node.identifier.name) from None
        kept = copy.copy(node)
        kept.set_declaration = self._substituted(node.set_declaration)
        kept.block = self._conditional_block(node.block, hide=node.identifier.name, is_loop=True)
        return [kept]

    def _unrolled(self, node: ast.ForInLoop, values: Sequence[Constant]) -> Sequence[ast.Statement]:
        lowered: list[ast.Statement] = []
        for value in values:
            self._count(node)
            if not self._round(node.block, lowered, {node.identifier.name: value}):
                break
        return lowered

    def _round(
        self, statements: Sequence[ast.Statement], into: list[ast.Statement], names: dict[str, object]
    ) -> bool:
        """Lower one round of a loop; False if it broke out."""
        outer = (self._is_unrolling, self._is_break_conditional)
        self._is_unrolling, self._is_break_conditional = True, False
        try:
            self._scoped(statements, into, names)
        except _ContinueLoop:
            return True
        except _BreakLoop:
            return False
        finally:
            self._is_unrolling, self._is_break_conditional = outer
        return True

    def _while(self, node: ast.WhileLoop) -> Sequence[ast.Statement]:
        lowered: list[ast.Statement] = []
        condition = self._known(node.while_condition)
        if condition is None:
            kept = copy.copy(node)
            kept.while_condition = conditions.simple(
                self._substituted_one(node.while_condition), self._size_of
            )
            kept.block = self._conditional_block(node.block, is_loop=True)
            return [kept]
        while condition:
            self._count(node)
            try:
                goes_on = self._round(node.block, lowered, {})
            except _KeepLoop:
                raise _not_unrolled(node) from None
            if not goes_on:
                break
            condition = self._known(node.while_condition)
            if condition is None:
                raise _not_unrolled(node)
        return lowered

    def _branch(self, node: ast.BranchingStatement) -> Sequence[ast.Statement]:
        condition = self._known(node.condition)
        if condition is not None:
            lowered: list[ast.Statement] = []
            self._scoped(node.if_block if condition else node.else_block, lowered, {})
            return lowered
        kept = copy.copy(node)
        kept.condition = self._substituted_one(node.condition)
        kept.if_block = self._conditional_block(node.if_block)
        kept.else_block = self._conditional_block(node.else_block)
        return conditions.branch(kept, self._size_of)

    def _switch(self, node: ast.SwitchStatement) -> Sequence[ast.Statement]:
        rest: list[ast.Statement] = list(node.default.statements) if node.default is not None else []
        for values, body in reversed(node.cases):
            for value in reversed(values):
                comparison = ast.BinaryExpression(op=ast.BinaryOperator["=="], lhs=node.target, rhs=value)
                comparison.span = node.span
                branch = ast.BranchingStatement(
                    condition=comparison, if_block=list(body.statements), else_block=rest
                )
                branch.span = node.span
                rest = [branch]
        return self.block(rest)

    def _gate_definition(self, node: ast.QuantumGateDefinition) -> ast.Statement:
        kept = copy.copy(node)
        self._names = self._names.new_child({own.name: None for own in (*node.arguments, *node.qubits)})
        try:
            kept.body = self.block(node.body)  # type: ignore[assignment]
        finally:
            self._names = self._names.parents
        return kept

    # ------------------------------------------------------------ scopes and values

    def _scoped(
        self, statements: Iterable[ast.Statement], into: list[ast.Statement], names: dict[str, object]
    ) -> None:
        """Lower a block in its own scope; what came before a ``break`` is kept."""
        self._names = self._names.new_child(names)
        try:
            for statement in statements:
                into.extend(self._statement(statement))
        finally:
            self._names = self._names.parents

    def _conditional_block(
        self, statements: Iterable[ast.Statement], *, hide: str | None = None, is_loop: bool = False
    ) -> list[ast.Statement]:
        """Lower a block that may run or not; as the body of a kept loop its breaks are its own."""
        before = (self._frozen, self._is_unrolling, self._is_break_conditional)
        self._frozen = len(self._names.maps)
        self._is_break_conditional = True
        self._is_unrolling = self._is_unrolling and not is_loop
        lowered: list[ast.Statement] = []
        try:
            self._scoped(statements, lowered, {} if hide is None else {hide: None})
        finally:
            self._frozen, self._is_unrolling, self._is_break_conditional = before
        return lowered

    def _check_measured(
        self, node: ast.Statement, target: ast.QASMNode, measure: ast.QuantumMeasurement
    ) -> None:
        """Refuse one qubit into several bits: the converter would measure it several times."""
        bits = operands.resolve(target, self._names, self._known)
        if bits is not None:
            self._check_written(node, bits)
            self._check_sizes(node, operands.resolve(measure.qubit, self._names, self._known), bits)
        elif isinstance(target, (ast.Identifier, ast.IndexedIdentifier)):
            name = target.name if isinstance(target, ast.Identifier) else target.name.name
            if isinstance(self._names.get(name), (*CONSTANTS, Unset)):
                raise ProgramError(
                    f"{place(node)}{name!r} is a number, and a measurement gives bits",
                    hint="Measure into bits (bit or bit[n]).",
                    code="program.unsupported",
                )


def declared_names(statements: Iterable[ast.Statement | ast.Pragma]) -> set[str]:
    """Return the names that a program gives to things outside of any block."""
    found: set[str] = set()
    for node in statements:
        for field in ("identifier", "qubit", "name", "target"):
            named = getattr(node, field, None)
            if isinstance(named, ast.Identifier):
                found.add(named.name)
    return found


def _is_zero(node: ast.QASMNode) -> bool:
    match node:
        case ast.BitstringLiteral(value=0) | ast.IntegerLiteral(value=0) | ast.BooleanLiteral(value=False):
            return True
        case _:
            return False


#: Types that nothing here can hold: what they are called, and what to do instead.
_TYPES: Final = {
    ast.ArrayType: ("an array", "Write its values where they are used, or build the circuit in Python."),
    ast.StretchType: ("a stretch", "Give the delays fixed durations, like delay[100ns]."),
    ast.ComplexType: ("a complex number", "Use real numbers."),
}


def _not_supported(node: ast.Statement, kind: ast.ClassicalType) -> ProgramError:
    what, hint = _TYPES.get(type(kind), ("this declaration", "Use bits and numbers."))
    return ProgramError(f"{place(node)}{what} is not supported", hint=hint, code="program.unsupported")


def _not_unrolled(node: ast.WhileLoop) -> ProgramError:
    return ProgramError(
        f"{place(node)}the loop cannot be unrolled",
        hint="Let it end after a known number of rounds.",
        code="program.unsupported",
    )


def _not_broken(node: ast.BreakStatement | ast.ContinueStatement, name: str) -> ProgramError:
    word = "break" if isinstance(node, ast.BreakStatement) else "continue"
    return ProgramError(
        f"{place(node)}a {word} that depends on a measurement is not supported in a loop that uses {name!r} as index",
        hint=f"Write out its rounds with if, or use no index of {name!r}.",
        code="program.unsupported",
    )
