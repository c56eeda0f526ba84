"""Walking and copying the trees of OpenQASM 3's parser."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import TypeVar

from openqasm3 import ast

_N = TypeVar("_N", bound=ast.QASMNode)


def indexes_by(node: object, name: str, *, is_index: bool = False) -> bool:
    """Return whether a variable is part of an index anywhere below a node: such a loop cannot stay a loop."""
    if isinstance(node, ast.Identifier):
        return is_index and node.name == name
    if isinstance(node, list):
        return any(indexes_by(part, name, is_index=is_index) for part in node)
    if not isinstance(node, ast.QASMNode):
        return False
    return any(
        indexes_by(value, name, is_index=is_index or field in ("index", "indices"))
        for field, value in vars(node).items()
        if field != "span"
    )


def identifiers(node: object) -> Iterator[str]:
    """Return the names used anywhere in a tree."""
    if isinstance(node, ast.Identifier):
        yield node.name
    elif isinstance(node, list):
        for part in node:
            yield from identifiers(part)
    elif isinstance(node, ast.QASMNode):
        for field, value in vars(node).items():
            if field != "span":
                yield from identifiers(value)


def rewrite(node: _N, change: Callable[[ast.QASMNode], ast.QASMNode | None]) -> _N:
    """Return a copy of a tree in which `change` had the first word on every node below the top.

    Names that are declared, called or acted upon are no expressions and stay.
    """
    made = copy.copy(node)
    for field, value in vars(node).items():
        if field in ("span", "annotations", "identifier", "name", "type_") or value is None:
            continue
        if isinstance(value, ast.QASMNode):
            setattr(made, field, _rewrite_one(value, change))
        elif isinstance(value, list):
            setattr(made, field, _rewrite_list(value, change))
    return made


def _rewrite_list(
    values: list[object], change: Callable[[ast.QASMNode], ast.QASMNode | None]
) -> list[object]:
    return [
        _rewrite_one(value, change)
        if isinstance(value, ast.QASMNode)
        else _rewrite_list(value, change)
        if isinstance(value, list)
        else value
        for value in values
    ]


def _rewrite_one(value: ast.QASMNode, change: Callable[[ast.QASMNode], ast.QASMNode | None]) -> ast.QASMNode:
    changed = change(value)
    return rewrite(value, change) if changed is None else changed
