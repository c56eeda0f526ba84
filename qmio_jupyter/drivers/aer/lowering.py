"""Rewriting OpenQASM 3 into the part of it that Qiskit's converter takes.

Constants and classical variables that are known before the program runs are worked out, loops over known ranges
unrolled, ``switch`` and compound conditions turned into nested ``if``. What depends on a measurement stays. What
is left and not understood, the converter refuses by line and column.
"""

from __future__ import annotations

import copy
from collections import ChainMap
from collections.abc import Iterable, Sequence
from typing import Final, TypeVar

from openqasm3 import ast

from qmio_jupyter.drivers.aer import conditions
from qmio_jupyter.drivers.aer.constants import Constant, NotConstantError, evaluate, literal, place
from qmio_jupyter.drivers.aer.guard import MAX_CLBITS
from qmio_jupyter.drivers.aer.trees import indexes_by, rewrite
from qmio_jupyter.errors import ProgramError

#: Statements a program may have once its loops are unrolled.
MAX_STATEMENTS: Final = 200_000

_N = TypeVar("_N", bound=ast.QASMNode)
_COMPOUND: Final = {f"{op}=": op for op in ("+", "-", "*", "/", "%", "**", "<<", ">>", "&", "|", "^")}


class _Bits:
    """What a name that stands for classical bits is known by: their number, None for a single bit."""

    what = "bits"

    def __init__(self, size: int | None) -> None:
        self.size = size


class _Qubits(_Bits):
    """The same, of qubits."""

    what = "qubits"


class _Unset:
    """A classical variable that is declared and has no value yet."""


_UNSET: Final = _Unset()


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
    lowered.statements = list(_Lowering(max_qubits).block(program.statements))
    return lowered


class _Lowering:
    """One program on its way; `names` holds constants, known variables and the sizes of bits."""

    def __init__(self, max_qubits: int) -> None:
        self._max_qubits = max_qubits
        self._qubits = 0
        self._clbits = 0
        self._emitted = 0
        self._names: ChainMap[str, object] = ChainMap()
        #: True inside a branch or loop that only the run decides on: nothing known may change there.
        self._is_conditional = False
        #: True while the innermost loop is being unrolled.
        self._is_unrolling = False
        #: True inside such a branch of the innermost loop.
        self._is_break_conditional = False

    # ------------------------------------------------------------ statements

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
            case ast.Pragma():
                return []
            case ast.SubroutineDefinition() | ast.ExternDeclaration():
                return [node]
            case _:
                return [self._substituted(node)]

    def _count(self, node: ast.QASMNode) -> None:
        """Count a statement, or a round of a loop, towards `MAX_STATEMENTS`."""
        self._emitted += 1
        if self._emitted > MAX_STATEMENTS:
            raise ProgramError(
                f"{place(node)}unrolled, the program has more than {MAX_STATEMENTS} statements",
                hint="Make its loops shorter.",
                code="program.too_large",
            )

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
            return [self._substituted(node)]
        known = isinstance(kind, (ast.IntType, ast.UintType, ast.FloatType, ast.BoolType, ast.AngleType))
        if not known:
            return [node]
        if node.init_expression is None:
            self._names[name] = _UNSET
            return []
        value = self._known(node.init_expression)
        if value is None:
            return [node]
        self._names[name] = _fit(kind, value)
        return []

    def _bits_declared(
        self, node: ast.ClassicalDeclaration | ast.IODeclaration, kind: ast.BitType
    ) -> Sequence[ast.Statement]:
        size = None if kind.size is None else self._whole(kind.size, "a register's size")
        self._names[node.identifier.name] = _Bits(size)
        self._clbits += 1 if size is None else size
        if self._clbits > MAX_CLBITS:
            raise ProgramError(
                f"{place(node)}the program declares more than {MAX_CLBITS} classical bits",
                hint="Use fewer.",
                code="program.too_large",
            )
        if isinstance(node, ast.IODeclaration):
            if node.io_identifier is not ast.IOKeyword.output:
                return [node]
            declared = ast.ClassicalDeclaration(type=kind, identifier=node.identifier, init_expression=None)
            declared.span = node.span
            return [self._substituted(declared)]
        if isinstance(node.init_expression, ast.QuantumMeasurement):
            self._check_measured(node, node.identifier, node.init_expression)
        return [self._substituted(node)]

    def _qubits_declared(self, node: ast.QubitDeclaration) -> ast.Statement:
        size = 1 if node.size is None else self._whole(node.size, "a register's size")
        self._names[node.qubit.name] = _Qubits(None if node.size is None else size)
        self._qubits += size
        if self._qubits > self._max_qubits:
            raise ProgramError(
                f"{place(node)}the program declares more than {self._max_qubits} qubits",
                hint="Use fewer qubits.",
                code="program.too_wide",
            )
        return self._substituted(node)

    def _assignment(self, node: ast.ClassicalAssignment) -> Sequence[ast.Statement]:
        target = node.lvalue
        if not isinstance(target, ast.Identifier) or not isinstance(
            self._names.get(target.name), (bool, int, float, _Unset)
        ):
            return [self._substituted(node)]
        name = target.name
        operation = _COMPOUND.get(node.op.name)
        value = node.rvalue
        if operation is not None:
            value = ast.BinaryExpression(op=ast.BinaryOperator[operation], lhs=target, rhs=node.rvalue)
            value.span = node.span
        known = self._known(value)
        if known is None or self._is_conditional:
            raise ProgramError(
                f"{place(node)}{name!r} would depend on a measurement",
                hint="Use bits for what is measured; numbers must be known before the program runs.",
                code="program.unsupported",
            )
        for scope in self._names.maps:
            if name in scope:
                scope[name] = known
                break
        return []

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
            kept.while_condition = conditions.simple(self._substituted(node.while_condition), self._size_of)
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
        kept.condition = self._substituted(node.condition)
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
        self._names = self._names.new_child({argument.name: None for argument in node.arguments})
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
        before = (self._is_conditional, self._is_unrolling, self._is_break_conditional)
        self._is_conditional = self._is_break_conditional = True
        self._is_unrolling = self._is_unrolling and not is_loop
        lowered: list[ast.Statement] = []
        try:
            self._scoped(statements, lowered, {} if hide is None else {hide: None})
        finally:
            self._is_conditional, self._is_unrolling, self._is_break_conditional = before
        return lowered

    def _known(self, node: ast.Expression | ast.QuantumMeasurement) -> Constant | None:
        if not isinstance(node, ast.Expression):
            return None
        try:
            return evaluate(node, self._names)
        except NotConstantError:
            return None

    def _whole(self, node: ast.Expression, what: str) -> int:
        value = self._known(node)
        if not isinstance(value, int) or value < 1:
            raise ProgramError(
                f"{place(node)}{what} must be a whole number from 1, known before the program runs",
                hint="Correct it.",
                code="program.syntax",
            )
        return value

    def _values(
        self, node: ast.RangeDefinition | ast.DiscreteSet | ast.Expression
    ) -> Sequence[Constant] | None:
        match node:
            case ast.DiscreteSet(values=members):
                found = [self._known(member) for member in members]
                return None if any(value is None for value in found) else [v for v in found if v is not None]
            case ast.RangeDefinition(start=ast.Expression() as start, end=ast.Expression() as end, step=step):
                bounds = [self._known(start), self._known(end), 1 if step is None else self._known(step)]
                if not all(isinstance(bound, int) for bound in bounds) or bounds[2] == 0:
                    return None
                first, last, by = (int(bound) for bound in bounds if bound is not None)
                return range(first, last + (1 if by > 0 else -1), by)
            case _:
                return None

    def _size_of(self, name: str) -> int | None:
        """Return how many bits a name stands for: 0 for a single bit, None for no bits."""
        known = self._names.get(name)
        if isinstance(known, _Bits) and not isinstance(known, _Qubits):
            return known.size or 0
        return None

    def _substituted(self, node: _N) -> _N:
        """Return a copy in which every known expression is a literal."""
        return rewrite(node, self._literal)

    def _check_index(self, node: ast.QASMNode, name: str, index: ast.Expression) -> None:
        """Refuse an index beyond its register, by name: the converter would only say that it is out of range."""
        register = self._names.get(name)
        value = self._known(index)
        if not isinstance(register, _Bits) or not isinstance(value, int):
            return
        size = register.size
        if size is None:
            fault = f"{name!r} is no register"
        elif not -size <= value < size:
            fault = f"{name!r} has {size} {register.what}, the last is {name}[{size - 1}]"
        else:
            return
        raise ProgramError(
            f"{place(node)}{name}[{value}] does not exist: {fault}",
            hint="Correct the index, or the register's size.",
            code="program.syntax",
        )

    def _check_measured(
        self, node: ast.Statement, target: ast.QASMNode, measure: ast.QuantumMeasurement
    ) -> None:
        """Refuse one qubit into several bits: the converter would measure it several times."""
        qubits, bits = self._width(measure.qubit), self._width(target)
        if qubits is not None and bits is not None and qubits != bits:
            raise ProgramError(
                f"{place(node)}what is measured ({qubits}) and where it goes ({bits}) differ in size",
                hint="Measure as many qubits as there are bits.",
                code="program.syntax",
            )

    def _width(self, node: ast.QASMNode) -> int | None:
        """Return how many bits or qubits are named, None if that is not known."""
        match node:
            case ast.Identifier(name=name):
                known = self._names.get(name)
                return (1 if known.size is None else known.size) if isinstance(known, _Bits) else None
            case ast.IndexedIdentifier(indices=[[ast.Expression()]]):
                return 1
            case ast.IndexedIdentifier(indices=[[ast.RangeDefinition() as named]]):
                values = self._values(named)
                # From the end, counted by negative numbers, a range may go round.
                return (
                    None
                    if values is None or any(value < 0 for value in (*values[:1], *values[-1:]))
                    else len(values)
                )
            case _:
                return None

    def _literal(self, node: ast.QASMNode) -> ast.QASMNode | None:
        match node:
            case ast.IndexedIdentifier(name=name, indices=[[ast.Expression() as index]]):
                self._check_index(node, name.name, index)
            case ast.IndexExpression(collection=ast.Identifier(name=text), index=[ast.Expression() as index]):
                self._check_index(node, text, index)
            case _:
                pass
        if isinstance(node, ast.Identifier) and not isinstance(
            self._names.get(node.name), (bool, int, float)
        ):
            return None
        if isinstance(
            node, (ast.Identifier, ast.BinaryExpression, ast.UnaryExpression, ast.FunctionCall, ast.Cast)
        ):
            value = self._known(node)
            if value is not None:
                return literal(value, node)
        return None


def _fit(kind: ast.ClassicalType, value: Constant) -> Constant:
    match kind:
        case ast.BoolType():
            return bool(value)
        case ast.IntType() | ast.UintType():
            return int(value)
        case _:
            return float(value)


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
