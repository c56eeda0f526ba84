"""What the names of an OpenQASM 3 program stand for while it is lowered, and putting it in their place."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Sequence
from typing import Final, TypeVar

from openqasm3 import ast

from qmio_jupyter.drivers.aer import operands
from qmio_jupyter.drivers.aer.constants import CONSTANTS, Constant, NotConstantError, evaluate, literal, place
from qmio_jupyter.drivers.aer.guard import MAX_CLBITS
from qmio_jupyter.drivers.aer.hints import LIBRARY_3
from qmio_jupyter.drivers.aer.operands import Bits, Hidden
from qmio_jupyter.drivers.aer.trees import identifiers, rewrite
from qmio_jupyter.errors import ProgramError

#: Statements a program may have once its loops are unrolled.
MAX_STATEMENTS: Final = 200_000

_N = TypeVar("_N", bound=ast.QASMNode)


class Unset:
    """A classical variable that is declared and has no value yet."""


UNSET: Final = Unset()


class Formula:
    """A number that depends on inputs: the expression that stands for it.

    Parameters
    ----------
    expression : Expression
        Without names but those of inputs.
    """

    def __init__(self, expression: ast.Expression) -> None:
        self.expression = expression


class Scope:
    """Names, registers and limits of one program on its way.

    Parameters
    ----------
    max_qubits : int
        Qubits it may declare.
    taken : set of str
        Names of the program that bits of its blocks and subroutines may not get.
    """

    def __init__(self, max_qubits: int, taken: set[str]) -> None:
        self._max_qubits = max_qubits
        #: Names that a local's bits may not get: those of the program and of the standard gates.
        self._taken = taken | LIBRARY_3 | {"U"}
        #: The statement that is being lowered.
        self._current: ast.QASMNode | None = None
        self._inputs: set[str] = set()
        #: Registers, qubits and bits as they are declared to the converter.
        self._declared: dict[str, Bits] = {}
        #: Where the bits are that a declaration inside a block stands for, by the declaration.
        self._locals: dict[int, Bits] = {}
        #: Declarations that have to come before the statement that is being lowered.
        self._ahead: list[ast.Statement] = []
        self._constants: set[str] = set()
        self._subroutines: dict[str, ast.SubroutineDefinition] = {}
        #: Names of the subroutines that are being written out.
        self._calling: list[str] = []
        #: Where the bits go that a subroutine declares in order to return them.
        self._targets: dict[str, Bits] = {}
        self._qubits = 0
        self._clbits = 0
        self._emitted = 0
        self._names: ChainMap[str, object] = ChainMap()
        #: How many outer scopes are out of reach because only the run decides on a branch or loop around:
        #: nothing known may change there.
        self._frozen = 0
        #: True while the innermost loop is being unrolled.
        self._is_unrolling = False
        #: True inside such a branch of the innermost loop.
        self._is_break_conditional = False

    # ------------------------------------------------------------ declarations

    def _count(self, node: ast.QASMNode) -> None:
        """Count a statement, or a round of a loop, towards `MAX_STATEMENTS`."""
        self._current = node
        self._emitted += 1
        if self._emitted > MAX_STATEMENTS:
            raise ProgramError(
                f"{place(node)}unrolled, the program has more than {MAX_STATEMENTS} statements",
                hint="Make its loops shorter.",
                code="program.too_large",
            )

    def _qubits_declared(self, node: ast.QubitDeclaration) -> ast.Statement:
        size = 1 if node.size is None else self._whole(node.size, "a register's size")
        self._qubits += size
        if self._qubits > self._max_qubits:
            raise ProgramError(
                f"{place(node)}the program declares more than {self._max_qubits} qubits",
                hint="Use fewer qubits.",
                code="program.too_wide",
            )
        name = node.qubit.name
        bits = operands.declared(name, None if node.size is None else size, is_quantum=True)
        self._names[name] = self._declared[name] = bits
        return self._substituted(node)

    def _to_converter(
        self, node: ast.Statement, kind: ast.BitType, name: str, size: int | None
    ) -> ast.Statement:
        """Return the declaration of bits as the converter is to see it."""
        self._clbits += 1 if size is None else size
        if self._clbits > MAX_CLBITS:
            raise ProgramError(
                f"{place(node)}the program declares more than {MAX_CLBITS} classical bits",
                hint="Use fewer.",
                code="program.too_large",
            )
        self._declared[name] = operands.declared(name, size, is_quantum=False)
        made = ast.ClassicalDeclaration(type=kind, identifier=ast.Identifier(name=name), init_expression=None)
        made.span = node.span
        return self._substituted(made)

    def _local(self, node: ast.Statement, kind: ast.BitType, name: str, size: int | None) -> Bits:
        """Return the bits of the program that a declaration inside a block stands for; each time the same."""
        found = self._locals.get(id(node))
        if found is None or found.size != (1 if size is None else size):
            number, own = 0, name
            while own in self._taken:
                number += 1
                own = f"{name}_{number}"
            self._taken.add(own)
            self._ahead.append(self._to_converter(node, kind, own, size))
            found = self._locals[id(node)] = operands.other_name(self._declared[own])
        return found

    def _alias(self, node: ast.AliasStatement) -> Sequence[ast.Statement]:
        name = node.target.name
        if name in self._names.parents:
            raise ProgramError(
                f"{place(node)}this {name!r} would be another than the {name!r} outside, and end with its block",
                hint="Give it another name.",
                code="program.unsupported",
            )
        bits = operands.resolve(node.value, self._names, self._known)
        if bits is None:
            self._substituted(node)  # says what is hidden from a subroutine
            raise ProgramError(
                f"{place(node)}an alias must name qubits or bits that are known before the program runs",
                hint="Use registers with known indices.",
                code="program.unsupported",
            )
        self._names[name] = operands.other_name(bits)
        return []

    # ------------------------------------------------------------ values

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
        known = self._declared.get(name)
        if known is None or known.is_quantum:
            return None
        return known.size if known.is_register else 0

    # ------------------------------------------------------------ putting things in their names' place

    def _substituted(self, node: _N) -> _N:
        """Return a copy in which every known expression is a literal, and every other name what it stands for."""
        return rewrite(node, self._literal)

    def _substituted_one(self, node: ast.Expression) -> ast.Expression:
        """Return the same of an expression, itself included."""
        changed = self._literal(node)
        return self._substituted(node) if not isinstance(changed, ast.Expression) else changed

    def _literal(self, node: ast.QASMNode) -> ast.QASMNode | None:
        match node:
            case ast.Identifier(name=name) | ast.IndexedIdentifier(name=ast.Identifier(name=name)):
                found = self._names.get(name)
                if isinstance(found, Hidden):
                    raise self._out_of_sight(name)
                if isinstance(found, Bits) and (
                    found.is_other_name or isinstance(node, ast.IndexedIdentifier)
                ):
                    return self._bits_by_name(node, found)
            case ast.IndexExpression(collection=ast.Identifier(name=name)):
                found = self._names.get(name)
                if isinstance(found, Bits):
                    return self._bits_by_name(node, found)
            case ast.FunctionCall(name=ast.Identifier(name=name)) if name in self._subroutines:
                raise ProgramError(
                    f"{place(node)}the call of {name!r} is part of an expression",
                    hint="Assign what it returns to bits first.",
                    code="program.unsupported",
                )
            case _:
                pass
        if isinstance(node, ast.Identifier):
            stands_for = self._names.get(node.name)
            if isinstance(stands_for, Formula):
                return stands_for.expression
            if isinstance(stands_for, Unset):
                raise self._no_value(self._current or node, node.name)
            if not isinstance(stands_for, CONSTANTS):
                return None
        if isinstance(
            node, (ast.Identifier, ast.BinaryExpression, ast.UnaryExpression, ast.FunctionCall, ast.Cast)
        ):
            value = self._known(node)
            if value is not None:
                return literal(value, node)
        return None

    def _bits_by_name(self, node: ast.QASMNode, found: Bits) -> ast.QASMNode | None:
        """Return what another name stands for; None to leave the node as it is, if its indices are right."""
        bits = operands.resolve(node, self._names, self._known)
        if not found.is_other_name:
            return None
        if bits is None:
            raise ProgramError(
                f"{place(node)}the index is not known before the program runs",
                hint="Use a loop over a known range, or a number.",
                code="program.unsupported",
            )
        return operands.expression(bits, self._declared, node)

    # ------------------------------------------------------------ what is wrong

    def _check_sizes(self, node: ast.QASMNode, qubits: Bits | None, bits: Bits) -> None:
        if qubits is not None and qubits.size != bits.size:
            raise ProgramError(
                f"{place(node)}what is measured ({qubits.size}) and where it goes ({bits.size}) differ in size",
                hint="Measure as many qubits as there are bits.",
                code="program.syntax",
            )

    def _check_written(self, node: ast.QASMNode, bits: Bits) -> None:
        """Refuse to write to qubits, and to an argument: it was passed by value, and is not copied here."""
        if not bits.is_quantum and not bits.is_value:
            return
        what = "qubits" if bits.is_quantum else "an argument of a subroutine"
        raise ProgramError(
            f"{place(node)}{what} cannot be assigned to",
            hint="Use bits that are declared for it.",
            code="program.syntax" if bits.is_quantum else "program.unsupported",
        )

    def _out_of_sight(self, name: str) -> ProgramError:
        return ProgramError(
            f"{'' if self._current is None else place(self._current)}subroutine {self._calling[-1]!r} cannot see "
            f"{name!r}: only its arguments, its own names and constants",
            hint=f"Pass {name!r} as an argument.",
            code="program.syntax",
        )

    def _no_value(self, node: ast.QASMNode, name: str) -> ProgramError:
        return ProgramError(
            f"{place(node)}{name!r} has no value yet",
            hint="Give it one where it is declared.",
            code="program.syntax",
        )

    def _not_known(self, node: ast.Statement, name: str, value: ast.QASMNode) -> ProgramError:
        """Return the error for a number whose value depends on the run, or on a variable without one."""
        for used in identifiers(value):
            if self._names.get(used) is UNSET:
                return self._no_value(node, used)
        return ProgramError(
            f"{place(node)}{name!r} would depend on a measurement",
            hint="Use bits for what is measured; numbers must be known before the program runs.",
            code="program.unsupported",
        )
