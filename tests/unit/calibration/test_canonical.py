"""RFC 8785's own examples, and what it forbids."""

from __future__ import annotations

import json
import struct

import pytest

from qmio_jupyter.calibration.canonical import dumps, number

#: Appendix B: bits of a double and how it is written.
NUMBERS = (
    "0000000000000000 0",
    "8000000000000000 0",
    "0000000000000001 5e-324",
    "8000000000000001 -5e-324",
    "7fefffffffffffff 1.7976931348623157e+308",
    "ffefffffffffffff -1.7976931348623157e+308",
    "4340000000000000 9007199254740992",
    "c340000000000000 -9007199254740992",
    "4430000000000000 295147905179352830000",
    "44b52d02c7e14af5 9.999999999999997e+22",
    "44b52d02c7e14af6 1e+23",
    "44b52d02c7e14af7 1.0000000000000001e+23",
    "444b1ae4d6e2ef4e 999999999999999700000",
    "444b1ae4d6e2ef4f 999999999999999900000",
    "444b1ae4d6e2ef50 1e+21",
    "3eb0c6f7a0b5ed8c 9.999999999999997e-7",
    "3eb0c6f7a0b5ed8d 0.000001",
    "41b3de4355555553 333333333.3333332",
    "41b3de4355555554 333333333.33333325",
    "41b3de4355555555 333333333.3333333",
    "41b3de4355555556 333333333.3333334",
    "41b3de4355555557 333333333.33333343",
    "becbf647612f3696 -0.0000033333333333333333",
    "43143ff3c1cb0959 1424953923781206.2",
)


@pytest.mark.parametrize("row", NUMBERS)
def test_numbers_are_written_as_the_rfc_says(row: str) -> None:
    bits, text = row.split()
    (value,) = struct.unpack(">d", bytes.fromhex(bits))
    assert number(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1e16, "10000000000000000"),
        (1.5e16, "15000000000000000"),
        (1e-4, "0.0001"),
        (1.25e-5, "0.0000125"),
        (1e-7, "1e-7"),
        (1.5e-7, "1.5e-7"),
        (-12345678901234567890.0, "-12345678901234567000"),
        (7, "7"),
        (2**53, "9007199254740992"),
        (2**60, "1152921504606847000"),
        (-0.0, "0"),
        (100.0, "100"),
        (0.5, "0.5"),
    ],
)
def test_numbers_where_python_writes_them_otherwise(value: float, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    "value",
    [float("nan"), float("inf"), -float("inf"), 2**53 + 1, 10**400],
    ids=lambda value: f"{value}"[:20],
)
def test_no_double_no_number(value: float) -> None:
    with pytest.raises(ValueError, match="number"):
        dumps([value])


def test_the_example_of_the_rfc() -> None:
    value = json.loads(r"""{
        "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
        "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
        "literals": [null, true, false]
    }""")
    expected = (
        '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],'
        '"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
    )
    assert dumps(value) == expected.encode()


def test_keys_are_sorted_by_utf16_code_units() -> None:
    keys = ["\u20ac", "\r", "\ufb33", "1", "\U0001f600", "\x80", "\xf6"]
    assert list(json.loads(dumps(dict.fromkeys(keys, 0)))) == [
        "\r",
        "1",
        "\x80",
        "\xf6",
        "\u20ac",
        "\U0001f600",
        "\ufb33",
    ]


@pytest.mark.parametrize("value", [{1: 2}, {None: 2}, [b"bytes"], {1, 2}, object(), 1j])
def test_what_is_no_json_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match="no JSON form"):
        dumps(value)


def test_a_lone_surrogate_is_refused() -> None:
    with pytest.raises(ValueError, match="surrogates"):
        dumps({"\ud800": 1})


def test_a_value_inside_itself_is_refused() -> None:
    endless: list[object] = []
    endless.append(endless)
    with pytest.raises(ValueError, match="contains itself"):
        dumps(endless)
