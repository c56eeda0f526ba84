"""Canonical JSON of any value: it reads back the same, and says the same in one way only."""

from __future__ import annotations

import json
import re

from hypothesis import given
from hypothesis import strategies as st

from qmio_jupyter.calibration.canonical import dumps, number

doubles = st.floats(allow_nan=False, allow_infinity=False)
texts = st.text(st.characters(exclude_categories=["Cs"]))
values = st.recursive(
    st.none() | st.booleans() | doubles | st.integers(-(2**53), 2**53) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=20,
)

#: ECMAScript's forms of a number: digits, digits with a point, digits with an exponent of a sign.
FORM = re.compile(r"-?(?:0|[1-9]\d{0,20}|(?:0|[1-9]\d*)\.\d*[1-9]|[1-9](?:\.\d*[1-9])?e[+-][1-9]\d*)")


def read(data: bytes) -> object:
    """Return what a reader gets to whom every number is a double, as JSON for machines has it (RFC 7493)."""
    return json.loads(data, parse_int=float)


def shuffled(value: object) -> object:
    """Return an equal value whose objects have their members in reverse order."""
    if isinstance(value, dict):
        return {key: shuffled(value[key]) for key in reversed(value)}
    if isinstance(value, list):
        return tuple(shuffled(item) for item in value)
    return value


@given(values)
def test_it_reads_back_equal(value: object) -> None:
    assert read(dumps(value)) == value


@given(values)
def test_equal_values_have_equal_bytes(value: object) -> None:
    assert dumps(shuffled(value)) == dumps(value)


@given(values)
def test_it_is_its_own_canonical_form(value: object) -> None:
    assert dumps(read(dumps(value))) == dumps(value)


@given(doubles)
def test_a_number_has_the_shortest_digits_in_a_form_of_ecmascript(value: float) -> None:
    text = number(value)
    assert float(text) == value
    assert FORM.fullmatch(text)
    digits = re.sub(r"e.*|[-.]", "", text).strip("0")
    assert len(digits) <= len(re.sub(r"e.*|[-.]", "", f"{value:.16e}").strip("0")) or not value
    assert ("e" in text) == (value != 0 and not 1e-6 <= abs(value) < 1e21)


@given(st.dictionaries(texts, st.integers(0, 9), max_size=6))
def test_keys_come_by_their_code_units(members: dict[str, int]) -> None:
    units = [key.encode("utf-16-be") for key in json.loads(dumps(members))]
    assert units == sorted(units)
