"""The histogram: what is drawn of counts, in which order, and what it says."""

from __future__ import annotations

import math
from xml.etree import ElementTree as ET

import pytest

from qmio_jupyter.drawing.columns import REST
from qmio_jupyter.drawing.histogram import axis_end, histogram
from qmio_jupyter.drawing.outcomes import select, standard_error
from qmio_jupyter.errors import UsageError
from qmio_jupyter.testing.pictures import SVG, keys, parsed, texts

BELL = [("00", 503), ("01", 12), ("10", 9), ("11", 476)]
MANY = [(f"{key:08b}", 1 + key * 37 % 199) for key in range(200)]


def bars(root: ET.Element) -> dict[str, dict[str, str]]:
    """Return the attributes of each bar by its key."""
    return {key: dict(one.attrib) for one in root.iter(f"{SVG}g") if (key := one.get("data-key")) is not None}


def test_every_outcome_has_a_bar_a_label_and_a_spot() -> None:
    drawing = histogram(BELL)
    root = parsed(drawing)
    assert keys(root) == ["00", "01", "10", "11"]
    assert texts(root, "qmio-mono") == ["00", "01", "10", "11"]
    assert [spot.key for spot in drawing.spots] == ["00", "01", "10", "11"]
    assert drawing.spots[0].text == "00: 503 of 1000 (50.3 % ± 1.6 %)"
    assert drawing.alt == "Histogram of 1000 shots: 00 50.3 %, 11 47.6 %, 01 1.2 %, and 1 other outcome."


def test_a_bar_is_as_high_as_its_share() -> None:
    root = parsed(histogram(BELL))
    heights = [
        float(one.get("height", "0")) for one in root.iter(f"{SVG}rect") if one.get("class") == "qmio-fill"
    ]
    for (_, count), height in zip(BELL, heights, strict=True):
        assert height / heights[0] == pytest.approx(count / 503, abs=0.01)


def test_a_count_that_would_not_be_seen_has_a_pixel() -> None:
    root = parsed(histogram([("0", 10**9), ("1", 1)]))
    heights = [
        float(one.get("height", "0")) for one in root.iter(f"{SVG}rect") if one.get("class") == "qmio-fill"
    ]
    assert heights[1] == 1


def test_both_orders_are_in_the_picture() -> None:
    for sort in ("bits", "value"):
        found = bars(parsed(histogram(BELL, sort=sort)))
        assert [found[key]["data-bits"] for key in ("00", "01", "10", "11")] == ["0", "1", "2", "3"]
        assert [found[key]["data-value"] for key in ("00", "01", "10", "11")] == ["0", "2", "3", "1"]
        for attributes in found.values():
            assert attributes["style"] == f"--qmio-i:{attributes[f'data-{sort}']}"


def test_sorted_by_value_the_spots_follow() -> None:
    assert [spot.key for spot in histogram(BELL, sort="value").spots] == ["00", "11", "01", "10"]


def test_the_rest_is_summed_in_one_bar_that_is_always_last() -> None:
    drawing = histogram(MANY, top=20, sort="value")
    root = parsed(drawing)
    found = bars(root)
    assert len(found) == 21
    assert found[REST]["data-bits"] == found[REST]["data-value"] == "20"
    assert "+180 others" in texts(root)
    shown = {spot.key for spot in drawing.spots} - {REST}
    rest = sum(count for bits, count in MANY if bits not in shown)
    shots = sum(count for _, count in MANY)
    said = drawing.spots[-1].text.replace("\u202f", "")
    assert said == f"180 other outcomes: {rest} of {shots} ({100 * rest / shots:.1f} %)"


def test_there_is_never_a_rest_of_one() -> None:
    five = [(f"{key:03b}", 5 - key) for key in range(5)]
    assert [spot.key for spot in histogram(five, top=4).spots] == [bits for bits, _ in five]
    assert [spot.key for spot in histogram(five, top=3).spots] == ["000", "001", "010", REST]


def test_of_equal_counts_those_come_whose_bits_are_first() -> None:
    assert [bits for bits, _ in select([("11", 1), ("10", 1), ("01", 1), ("00", 1)], 2).pairs] == ["00", "01"]
    assert [bits for bits, _ in select([("11", 5), ("10", 1), ("01", 1), ("00", 1)], 2).pairs] == ["00", "11"]


def test_labels_of_other_lengths_are_ordered_as_numbers() -> None:
    assert [bits for bits, _ in select([("10", 1), ("11", 1), ("2", 1), ("1", 1)], 2).pairs] == ["1", "2"]


def test_shots_that_are_still_to_come_are_said() -> None:
    root = parsed(histogram([("0", 200)], asked=1000))
    assert "200 of 1000 shots" in texts(root)
    assert "200 shots" in texts(parsed(histogram([("0", 200)], asked=200)))


@pytest.mark.parametrize("pairs", [[], [("0", 0)], [("0", 0), ("1", 0)]])
def test_without_shots_there_is_a_frame_of_the_same_size(pairs: list[tuple[str, int]]) -> None:
    drawing = histogram(pairs, asked=100)
    root = parsed(drawing)
    assert "no shots yet" in texts(root)
    assert "0 of 100 shots" in texts(root)
    assert drawing.spots == ()
    assert (drawing.width, drawing.height) == (560, 220)


def test_a_program_without_bits_has_one_bar() -> None:
    drawing = histogram([("", 7)])
    assert keys(parsed(drawing)) == [""]
    assert drawing.spots[0].text.startswith("(no bits): 7 of 7 (100 %")


def test_the_axis_stays_when_the_caller_keeps_it() -> None:
    early, late = [("0", 9), ("1", 1)], [("0", 520), ("1", 480)]
    assert axis_end(early) == 1.0
    assert axis_end(late) == 0.6
    assert "100 %" in texts(parsed(histogram(late, least_end=axis_end(early))))


def test_wide_registers_are_cut_on_the_axis_and_whole_in_the_hover_text() -> None:
    bits = "01" * 32 + " " + "10" * 3
    drawing = histogram([(bits, 3), ("0" * 64 + " " + "1" * 6, 4), ("1" * 64 + " " + "0" * 6, 1)])
    labels = texts(parsed(drawing), "qmio-mono")
    assert len(set(labels)) == 3
    assert all(len(label) < 30 for label in labels)
    assert any(spot.text.startswith(bits) for spot in drawing.spots)
    assert bits in keys(parsed(drawing))


def test_text_of_a_user_is_text() -> None:
    odd = "<script>alert('1')</script>\x00\u202e\"&"
    drawing = histogram([(odd, 1), ("x" * 200, 2), ("שלום", 3)])
    root = parsed(drawing)
    assert not [element for element in root.iter() if "script" in element.tag]
    assert len(keys(root)) == 3
    assert all(len(text) < 40 for text in texts(root))


def test_a_narrow_picture_draws_fewer_outcomes() -> None:
    drawing = histogram(MANY, top=200, width=320)
    assert len(drawing.spots) < 25
    assert drawing.spots[-1].key == REST
    assert min(spot.width for spot in drawing.spots) >= 12


def test_equal_counts_give_equal_bytes() -> None:
    assert histogram(MANY).svg == histogram(list(MANY)).svg


def test_a_million_outcomes_are_one_small_picture() -> None:
    drawing = histogram([(f"{key:020b}", 1 + key % 7) for key in range(10**6)])
    assert len(drawing.svg) < 40_000
    assert len(drawing.spots) == 21


@pytest.mark.parametrize(
    "asked",
    [{"width": 10}, {"height": 10}, {"width": 100_000}, {"top": 0}],
)
def test_what_cannot_be_drawn_is_refused_in_one_line(asked: dict[str, int]) -> None:
    with pytest.raises(UsageError) as caught:
        histogram(BELL, **asked)  # type: ignore[arg-type]
    assert caught.value.hint


def test_negative_counts_are_refused() -> None:
    with pytest.raises(UsageError):
        histogram([("0", -1)])


def test_the_standard_error_is_the_binomial_one() -> None:
    assert standard_error(0.5, 100) == pytest.approx(0.05)
    assert standard_error(0.2, 400) == pytest.approx(math.sqrt(0.2 * 0.8 / 400))
    assert standard_error(1.0, 10) == 0
    assert standard_error(0.5, 0) == 0
