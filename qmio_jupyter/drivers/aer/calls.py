"""Writing OpenQASM 3 subroutines out where they are called."""

from __future__ import annotations

from abc import abstractmethod
from collections import ChainMap
from collections.abc import Iterable, Sequence

import openqasm3
from openqasm3 import ast

from qmio_jupyter.drivers.aer import operands, subroutines
from qmio_jupyter.drivers.aer.constants import Constant, check_division, place
from qmio_jupyter.drivers.aer.operands import HIDDEN, Bits
from qmio_jupyter.drivers.aer.scope import Scope
from qmio_jupyter.errors import ProgramError


class Calls(Scope):
    """A scope that knows subroutines; see the module."""

    @abstractmethod
    def block(self, statements: Iterable[ast.Statement | ast.Pragma]) -> list[ast.Statement]:
        """Return what statements become."""

    def _of_subroutines(self, node: ast.Statement) -> Sequence[ast.Statement]:
        """Return what a statement becomes that may have to do with subroutines."""
        match node:
            case ast.SubroutineDefinition():
                self._subroutines[node.name.name] = node
                return []
            case ast.ExpressionStatement(expression=ast.FunctionCall() as call) if self._is_call(call):
                return self._call(call, None)[0]
            case ast.ExternDeclaration():
                raise ProgramError(
                    f"{place(node)}extern {node.name.name!r} is not supported: "
                    "no function outside the program can be called",
                    hint="Write it as a subroutine (def), or work with the counts afterwards.",
                    code="program.unsupported",
                )
            case ast.ReturnStatement():
                raise ProgramError(
                    f"{place(node)}return is only supported as the last statement of a subroutine",
                    hint="Set a bit in the branches, and return it at the end.",
                    code="program.unsupported",
                )
            case _:
                return [self._substituted(node)]

    def _is_call(self, node: ast.FunctionCall) -> bool:
        return node.name.name in self._subroutines

    def _call(
        self, call: ast.FunctionCall, target: Bits | None
    ) -> tuple[list[ast.Statement], Constant | None]:
        """Return a subroutine written out, and the value it returns if that is known before the program runs.

        What it returns otherwise goes to `target`.
        """
        name = call.name.name
        self._count(call)
        if name in self._calling or len(self._calling) >= subroutines.DEEPEST:
            raise ProgramError(
                f"{place(call)}{name} calls itself", hint="Use a loop.", code="program.unsupported"
            )
        definition = self._subroutines[name]
        bound = subroutines.arguments(call, definition, self._names, self._known)
        visible = {
            known: value if known in self._constants or value is None else HIDDEN
            for known, value in self._names.maps[-1].items()
        }
        before = (self._names, self._targets, self._frozen, self._is_unrolling, self._is_break_conditional)
        self._names = ChainMap(bound, visible)
        self._targets, self._frozen, self._is_unrolling = {}, 0, False
        self._calling.append(name)
        try:
            self._return_in_place(definition, target, bound)
            last = definition.body[-1] if definition.body else None
            if isinstance(last, ast.ReturnStatement):
                lowered = self.block(definition.body[:-1])
                value = self._returned(call, last, target, lowered)
            elif target is None:
                lowered, value = self.block(definition.body), None
            else:
                raise ProgramError(
                    f"{place(call)}{name} returns nothing", hint="Call it alone.", code="program.syntax"
                )
        finally:
            self._names, self._targets, self._frozen, self._is_unrolling, self._is_break_conditional = before
            self._calling.pop()
        return lowered, value

    def _return_in_place(
        self, definition: ast.SubroutineDefinition, target: Bits | None, bound: dict[str, object]
    ) -> None:
        """Let the bits that are returned be those they go to, unless an argument reads these as well."""
        name = subroutines.returned_name(definition)
        if target is None or not name or name in bound:
            return
        read = {m for bits in bound.values() if isinstance(bits, Bits) for m in bits.members}
        for statement in definition.body:
            if isinstance(statement, ast.ClassicalDeclaration) and statement.identifier.name == name:
                kind = statement.type
                if isinstance(kind, ast.BitType) and not read & set(target.members):
                    size = None if kind.size is None else self._whole(kind.size, "a register's size")
                    if target.is_register == (size is not None) and target.size == (size or 1):
                        self._targets[name] = target

    def _returned(
        self,
        call: ast.FunctionCall,
        last: ast.ReturnStatement,
        target: Bits | None,
        lowered: list[ast.Statement],
    ) -> Constant | None:
        value = last.expression
        if isinstance(value, ast.Expression):
            known = self._known(value)
            if known is not None and target is None:
                return known
        if value is None or target is None:
            if isinstance(value, ast.QuantumMeasurement):
                raise ProgramError(
                    f"{place(call)}what {call.name.name} measures is not assigned",
                    hint="Assign it to bits.",
                    code="program.unsupported",
                )
            return None
        if isinstance(value, ast.Identifier) and value.name in self._targets:
            return None
        goes_to = operands.expression(target, self._declared, call)
        made: ast.Statement
        if isinstance(value, ast.QuantumMeasurement):
            bits = operands.resolve(value.qubit, self._names, self._known)
            self._check_sizes(call, bits, target)
            made = ast.QuantumMeasurementStatement(measure=self._substituted(value), target=goes_to)  # type: ignore[arg-type]
        else:
            made = ast.ClassicalAssignment(
                lvalue=goes_to,  # type: ignore[arg-type]
                op=ast.AssignmentOperator["="],
                rvalue=self._substituted_one(value),
            )
        made.span = last.span
        lowered.append(made)
        return None

    def _gate(self, node: ast.QuantumGate) -> ast.Statement:
        name = node.name.name
        if name in self._subroutines:
            given = ", ".join(openqasm3.dumps(argument) for argument in (*node.arguments, *node.qubits))
            raise ProgramError(
                f"{place(node)}{name!r} is a subroutine, not a gate",
                hint=f"Call it: {name}({given});",
                code="program.syntax",
            )
        for angle in node.arguments:
            check_division(angle, self._names)
        return self._substituted(node)
