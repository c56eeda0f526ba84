"""What names of qubits and bits stand for: registers, parts of them, aliases and arguments of subroutines.

Everything is brought back to declared registers, so that what comes after knows no aliases.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from openqasm3 import ast

from qmio_jupyter.drivers.aer.constants import Constant, place
from qmio_jupyter.errors import ProgramError

#: Value of an expression where it is known before the program runs.
Known = Callable[[ast.Expression], Constant | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bits:
    """What a name stands for when it is qubits or classical bits.

    Attributes
    ----------
    members : tuple of (str, int or None)
        Declared register and index, or a single qubit or bit (None), in order.
    is_register : bool
        Whether it can be indexed; a register may have one member.
    is_quantum : bool
        Qubits, or classical bits.
    is_other_name : bool
        Whether it must be replaced by what it stands for: an alias, an argument, a local of a subroutine.
    is_value : bool
        An argument that was passed by value: it may not be written to.
    """

    members: tuple[tuple[str, int | None], ...]
    is_register: bool
    is_quantum: bool
    is_other_name: bool = False
    is_value: bool = False

    @property
    def what(self) -> str:
        """The word for its members."""
        return "qubits" if self.is_quantum else "bits"

    @property
    def size(self) -> int:
        """Number of its members."""
        return len(self.members)


class Hidden:
    """What a subroutine cannot see: names of the program around it that are no constants."""


HIDDEN: Final = Hidden()


def declared(name: str, size: int | None, *, is_quantum: bool) -> Bits:
    """Return what a declaration makes of its name; `size` None: a single qubit or bit."""
    members = ((name, None),) if size is None else tuple((name, index) for index in range(size))
    return Bits(members=members, is_register=size is not None, is_quantum=is_quantum)


def other_name(bits: Bits, *, is_value: bool = False) -> Bits:
    """Return `bits` as another name stands for it."""
    return replace(bits, is_other_name=True, is_value=bits.is_value or is_value)


def resolve(node: ast.QASMNode, names: Mapping[str, object], known: Known) -> Bits | None:
    """Return what an expression names, None where that is no qubits or bits, or not known.

    Raises
    ------
    ProgramError
        ``program.syntax`` for an index beyond its register.
    """
    match node:
        case ast.Identifier(name=name) if name.startswith("$"):
            return Bits(members=((name, None),), is_register=False, is_quantum=True)
        case ast.Identifier(name=name):
            found = names.get(name)
            return found if isinstance(found, Bits) else None
        case ast.IndexedIdentifier(name=identifier, indices=indices):
            bits = resolve(identifier, names, known)
            for index in indices:
                bits = _part(bits, index, known, node, identifier.name)
            return bits
        case ast.IndexExpression(collection=collection, index=index):
            text = collection.name if isinstance(collection, ast.Identifier) else "it"
            return _part(resolve(collection, names, known), index, known, node, text)
        case ast.Concatenation(lhs=lhs, rhs=rhs):
            left, right = resolve(lhs, names, known), resolve(rhs, names, known)
            if left is None or right is None or not (left.is_register and right.is_register):
                return None
            if left.is_quantum is not right.is_quantum:
                return None
            return replace(left, members=left.members + right.members)
        case _:
            return None


def _part(
    bits: Bits | None,
    index: ast.DiscreteSet | Sequence[ast.Expression | ast.RangeDefinition],
    known: Known,
    node: ast.QASMNode,
    name: str,
) -> Bits | None:
    if bits is None:
        return None
    if isinstance(index, ast.DiscreteSet):
        values = [known(value) for value in index.values]
        wanted = [value for value in values if isinstance(value, int)]
        if len(wanted) < len(values):
            return None
        check_index(node, name, bits, wanted)
        return replace(bits, members=tuple(bits.members[i] for i in wanted))
    if len(index) != 1:
        return None
    (only,) = index
    if isinstance(only, ast.RangeDefinition):
        return _range(bits, only, known, node, name)
    value = known(only)
    if not isinstance(value, int):
        return None
    check_index(node, name, bits, [value])
    return replace(bits, members=(bits.members[value],), is_register=False)


def _range(
    bits: Bits, named: ast.RangeDefinition, known: Known, node: ast.QASMNode, name: str
) -> Bits | None:
    bounds = [None if part is None else known(part) for part in (named.start, named.end, named.step)]
    given = (named.start, named.end, named.step)
    if any(
        part is not None and not isinstance(bound, int) for part, bound in zip(given, bounds, strict=True)
    ):
        return None
    first, last, step = (None if bound is None else int(bound) for bound in bounds)
    step = 1 if step is None else step
    if step == 0:
        return None
    ends = (0, -1) if step > 0 else (-1, 0)
    first, last = ends[0] if first is None else first, ends[1] if last is None else last
    check_index(node, name, bits, [first, last])
    first, last = first % bits.size, last % bits.size
    return replace(
        bits, members=tuple(bits.members[i] for i in range(first, last + (1 if step > 0 else -1), step))
    )


def check_index(node: ast.QASMNode, name: str, bits: Bits, indices: Sequence[int]) -> None:
    """Refuse an index beyond its register, by name.

    Raises
    ------
    ProgramError
        ``program.syntax``, naming the register's size.
    """
    for index in indices:
        if not bits.is_register:
            fault = f"{name!r} is no register"
        elif not -bits.size <= index < bits.size:
            fault = f"{name!r} has {bits.size} {bits.what}, the last is {name}[{bits.size - 1}]"
        else:
            continue
        raise ProgramError(
            f"{place(node)}{name}[{index}] does not exist: {fault}",
            hint="Correct the index, or the register's size.",
            code="program.syntax",
        )


def expression(bits: Bits, sizes: Mapping[str, Bits], like: ast.QASMNode) -> ast.Expression:
    """Return the expression that names `bits` by declared registers, at the place of `like`.

    Parameters
    ----------
    bits : Bits
        What is to be named.
    sizes : mapping of str to Bits
        The declared registers.
    like : QASMNode
        Where it stands.
    """
    parts: list[tuple[str, list[int]]] = []
    for name, index in bits.members:
        if index is None:
            return _at(ast.Identifier(name=name), like)
        if not parts or parts[-1][0] != name:
            parts.append((name, []))
        parts[-1][1].append(index)
    made: ast.Expression | None = None
    for name, indices in parts:
        part = _of_one(name, indices, sizes, like, is_register=bits.is_register)
        made = part if made is None else _at(ast.Concatenation(lhs=made, rhs=part), like)
    return made if made is not None else _at(ast.Identifier(name="?"), like)


def _of_one(
    name: str, indices: list[int], sizes: Mapping[str, Bits], like: ast.QASMNode, *, is_register: bool
) -> ast.Expression:
    register = _at(ast.Identifier(name=name), like)
    whole = sizes.get(name)
    if is_register and whole is not None and indices == list(range(whole.size)):
        return register
    numbers = [_at(ast.IntegerLiteral(value=index), like) for index in indices]
    index: ast.DiscreteSet | list[ast.Expression | ast.RangeDefinition]
    index = ast.DiscreteSet(values=numbers) if is_register else [numbers[0]]
    return _at(ast.IndexExpression(collection=register, index=index), like)


def _at(node: ast.Expression, like: ast.QASMNode) -> ast.Expression:
    node.span = like.span
    return node
