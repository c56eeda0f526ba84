"""Canonical JSON (RFC 8785): one value, one sequence of bytes, so that a digest of it names the value.

Numbers are IEEE doubles written as ECMAScript writes them, keys are sorted by their UTF-16 code units, nothing is
escaped that need not be, and there is no white space.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal

_escape = json.JSONEncoder(ensure_ascii=False).encode


def dumps(value: object) -> bytes:
    """Return the canonical JSON of a value, UTF-8.

    Parameters
    ----------
    value : object
        None, booleans, numbers, strings, and lists, tuples and string-keyed mappings of such.

    Raises
    ------
    ValueError
        For NaN, an infinity, a whole number that no double holds exactly, a lone surrogate, or a value that
        contains itself or is nested too deeply.
    TypeError
        For any other type.
    """
    parts: list[str] = []
    try:
        _write(value, parts)
    except RecursionError as problem:
        raise ValueError("the value contains itself or is nested too deeply") from problem
    return "".join(parts).encode("utf-8")


def number(value: float) -> str:
    """Return a number as ECMAScript's ``Number::toString`` writes it: shortest digits that read back the same.

    Raises
    ------
    ValueError
        For NaN, an infinity, or a whole number that no double holds exactly.
    """
    if isinstance(value, int):
        value = _exact(value)
    if value != value or value in (float("inf"), float("-inf")):
        raise ValueError(f"{value} is no JSON number")
    if value == 0:
        return "0"  # -0 as well
    text = repr(value)
    if "e" not in text:
        # Below 1e16 and not below 1e-4, where Python and ECMAScript differ in the ending only.
        return text.removesuffix(".0")
    sign = "-" if value < 0 else ""
    parts = Decimal(text.lstrip("-")).normalize().as_tuple()
    assert isinstance(parts.exponent, int)
    digits = "".join(map(str, parts.digits))
    point = len(digits) + parts.exponent  # the value is 0.digits * 10**point
    return sign + _place(digits, point)


def _place(digits: str, point: int) -> str:
    """Return ``0.digits * 10**point`` by the cases of ECMAScript's Number::toString."""
    if len(digits) <= point <= 21:
        return digits + "0" * (point - len(digits))
    if 0 < point <= 21:
        return f"{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"0.{'0' * -point}{digits}"
    fraction = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{digits[0]}{fraction}e{point - 1:+d}"


def _exact(value: int) -> float:
    try:
        double = float(value)
    except OverflowError:
        double = float("nan")
    if double != value:
        raise ValueError("a whole number is too large for a JSON number")
    return double


def _write(value: object, parts: list[str]) -> None:
    if value is None:
        parts.append("null")
    elif isinstance(value, bool):
        parts.append("true" if value else "false")
    elif isinstance(value, str):
        parts.append(_escape(value))
    elif isinstance(value, int | float):
        parts.append(number(value))
    elif isinstance(value, Mapping):
        _write_mapping(value, parts)
    elif isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        parts.append("[")
        for position, item in enumerate(value):
            if position:
                parts.append(",")
            _write(item, parts)
        parts.append("]")
    else:
        raise TypeError(f"{type(value).__name__} has no JSON form")


def _write_mapping(value: Mapping[object, object], parts: list[str]) -> None:
    for key in value:
        if not isinstance(key, str):
            raise TypeError(f"a key of type {type(key).__name__} has no JSON form")
    parts.append("{")
    # Big-endian UTF-16 compares, byte by byte, as its code units do.
    ordered = sorted(value.items(), key=lambda item: str(item[0]).encode("utf-16-be", "surrogatepass"))
    for position, (key, item) in enumerate(ordered):
        if position:
            parts.append(",")
        parts.append(_escape(str(key)))
        parts.append(":")
        _write(item, parts)
    parts.append("}")
