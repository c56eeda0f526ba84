"""Text of users in pictures: harmless, short, told apart."""

from __future__ import annotations

import pytest

from qmio_jupyter.drawing.text import (
    LONGEST,
    clean,
    escape,
    isolated,
    middle_cut,
    percent,
    plural,
    said,
    shortened,
    significant,
    tail_cut,
    thousands,
    width_of,
)


def test_markup_is_text() -> None:
    assert escape("<b a=\"1\" c='2'>&amp;") == "&lt;b a=&quot;1&quot; c=&#39;2&#39;&gt;&amp;amp;"


@pytest.mark.parametrize(
    ("foreign", "harmless"),
    [
        ("plain", "plain"),
        ("a\nb\r\tc", "a b  c"),
        ("\x00\x1b[31m\x7f", "\u2400\u241b[31m\u2421"),
        ("\x9b\ud800\ufffe\ue000", "\ufffd" * 4),
        ("a\u202eb\u2066c\u200fd", "abcd"),
        ("café 量子 שלום", "café 量子 שלום"),
    ],
)
def test_what_cannot_be_shown_is_replaced(foreign: str, harmless: str) -> None:
    assert clean(foreign) == harmless


def test_right_to_left_names_keep_to_themselves() -> None:
    assert isolated("שלום") == "\u2068שלום\u2069"
    assert isolated("äöü") == "äöü"


def test_a_sentence_repeats_the_start_of_a_long_name() -> None:
    assert said("x" * 1000) == "x" * (LONGEST - 1) + "…"


def test_names_lose_their_end_and_bitstrings_their_middle() -> None:
    assert tail_cut("abcdef", 4) == "abc…"
    assert middle_cut("0001000", 5) == "00…00"
    assert middle_cut("01", 5) == "01"


def test_bitstrings_that_differ_in_the_middle_only_show_the_middle() -> None:
    zeros = "0" * 40
    labels = [f"{zeros}{middle}{zeros}" for middle in ("00", "01", "10")]
    short = shortened(labels, 8)
    assert len(set(short)) == 3
    assert all(len(label) <= 8 for label in short)
    assert short[0][0] == short[0][-1] == "…"


def test_bitstrings_that_differ_at_their_ends_keep_them() -> None:
    zeros = "0" * 40
    assert shortened([f"1{zeros}", f"{zeros}1"], 7) == ["100…000", "000…001"]
    assert shortened(["1" * 90, "0" * 90, "1" * 89 + "0"], 7) == ["111…111", "000…000", "111…110"]


def test_what_cannot_be_told_apart_is_cut_all_the_same() -> None:
    labels = ["0" * 10 + bits + "0" * 10 for bits in ("1" + "0" * 30 + "0", "0" + "0" * 30 + "1")]
    assert [len(label) for label in shortened(labels, 7)] == [7, 7]


def test_numbers_are_written_short() -> None:
    assert [percent(share) for share in (1 / 3, 0.00012, 1.0, 0.9999)] == [
        "33.3 %",
        "0.01 %",
        "100 %",
        "100.0 %",
    ]
    assert [significant(value) for value in (4.3378, 0.00999, 123456.0)] == ["4.34", "0.00999", "123456"]
    assert plural(1, "shot") == "1 shot"
    assert plural(12_000, "shot") == "12\u202f000 shots"
    assert thousands(9999) == "9999"


def test_wide_characters_count_double() -> None:
    assert width_of("量子", 10) == 20
    assert width_of("ab", 10) < 20
