"""Calls of OpenQASM 3 subroutines: what their arguments stand for, and what may be returned.

A subroutine is written out where it is called, so it costs nothing and may use whatever a program may. It sees its
arguments and the program's constants, as the language says.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from openqasm3 import ast

from qmio_jupyter.drivers.aer.constants import Constant, place
from qmio_jupyter.drivers.aer.durations import Duration
from qmio_jupyter.drivers.aer.operands import Bits, Known, other_name, resolve
from qmio_jupyter.errors import ProgramError

#: Calls within calls.
DEEPEST: Final = 32
#: Types of classical variables that are worked out before the program runs.
NUMBERS: Final = (ast.IntType, ast.UintType, ast.FloatType, ast.BoolType, ast.AngleType, ast.DurationType)


def arguments(
    call: ast.FunctionCall,
    definition: ast.SubroutineDefinition,
    names: Mapping[str, object],
    known: Known,
) -> dict[str, object]:
    """Return what the names of a subroutine's arguments stand for in one call.

    Parameters
    ----------
    call : FunctionCall
        The call.
    definition : SubroutineDefinition
        What it calls.
    names : mapping
        What the names of the caller stand for.
    known : callable
        Gives the value of the caller's expressions that are known before the program runs.

    Raises
    ------
    ProgramError
        ``program.syntax`` or ``program.unsupported``, at the call.
    """
    name, formals = definition.name.name, definition.arguments
    if len(call.arguments) != len(formals):
        raise _wrong(
            call,
            f"{name} takes {len(formals)} argument{'s' * (len(formals) != 1)}, not {len(call.arguments)}",
        )
    bound: dict[str, object] = {}
    for formal, actual in zip(formals, call.arguments, strict=True):
        bound[formal.name.name] = (
            _qubits(call, formal, actual, names, known)
            if isinstance(formal, ast.QuantumArgument)
            else _value(call, formal, actual, names, known)
        )
    taken: set[tuple[str, int | None]] = set()
    for bits in bound.values():
        if isinstance(bits, Bits) and bits.is_quantum:
            if taken & set(bits.members) or len(set(bits.members)) < bits.size:
                raise _wrong(call, f"{name} is given the same qubit twice")
            taken |= set(bits.members)
    return bound


def _qubits(
    call: ast.FunctionCall,
    formal: ast.QuantumArgument,
    actual: ast.Expression,
    names: Mapping[str, object],
    known: Known,
) -> Bits:
    bits = resolve(actual, names, known)
    if bits is None or not bits.is_quantum:
        raise _wrong(call, f"{call.name.name} takes qubits as {formal.name.name!r}")
    _check_size(call, formal.name.name, formal.size, bits, known)
    return other_name(bits)


def _value(
    call: ast.FunctionCall,
    formal: ast.ClassicalArgument,
    actual: ast.Expression,
    names: Mapping[str, object],
    known: Known,
) -> object:
    name = formal.name.name
    if isinstance(formal.type, ast.BitType):
        bits = resolve(actual, names, known)
        if bits is None or bits.is_quantum:
            raise _wrong(call, f"{call.name.name} takes bits as {name!r}")
        _check_size(call, name, formal.type.size, bits, known)
        return other_name(bits, is_value=True)
    if not isinstance(formal.type, NUMBERS):
        raise ProgramError(
            f"{place(call)}{call.name.name} takes an array as {name!r}, which is not supported",
            hint="Pass qubits, bits and numbers.",
            code="program.unsupported",
        )
    value = known(actual)
    if value is None:
        raise ProgramError(
            f"{place(call)}the value of {name!r} is not known before the program runs",
            hint="Pass a number that is, or bits for what is measured.",
            code="program.unsupported",
        )
    return fit(formal.type, value, call)


def _check_size(
    call: ast.FunctionCall, name: str, size: ast.Expression | None, bits: Bits, known: Known
) -> None:
    wanted = None if size is None else known(size)
    if size is None and bits.is_register:
        raise _wrong(call, f"{call.name.name} takes one of the {bits.what} as {name!r}, not a register")
    if size is not None and (not bits.is_register or (wanted is not None and wanted != bits.size)):
        raise _wrong(call, f"{call.name.name} takes {wanted} {bits.what} as {name!r}, not {bits.size}")


def fit(kind: ast.ClassicalType, value: Constant, at: ast.QASMNode) -> Constant:
    """Return a value as a variable of a type holds it.

    Raises
    ------
    ProgramError
        ``program.syntax`` for a number where a time is wanted, or a time where a number is.
    """
    if isinstance(kind, ast.DurationType) is not isinstance(value, Duration):
        raise ProgramError(
            f"{place(at)}a time and a number do not go together",
            hint="Write times with a unit, like 100ns, and numbers without.",
            code="program.syntax",
        )
    if isinstance(value, Duration):
        return value
    match kind:
        case ast.BoolType():
            return bool(value)
        case ast.IntType() | ast.UintType():
            return int(value)
        case _:
            return float(value)


def returned_name(definition: ast.SubroutineDefinition) -> str:
    """Return the name of the local bits that a subroutine ends with returning; empty if it does something else."""
    last = definition.body[-1] if definition.body else None
    if not isinstance(last, ast.ReturnStatement) or not isinstance(last.expression, ast.Identifier):
        return ""
    return last.expression.name


def _wrong(call: ast.FunctionCall, what: str) -> ProgramError:
    return ProgramError(f"{place(call)}{what}", hint="Correct the call.", code="program.syntax")
