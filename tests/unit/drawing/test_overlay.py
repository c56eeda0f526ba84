"""Overlays: grouped bars, ideal marks, distances in the legend, and what tells series apart without colour."""

from __future__ import annotations

import pytest

from qmio_jupyter.drawing.columns import REST
from qmio_jupyter.drawing.overlay import Series, overlay
from qmio_jupyter.errors import UsageError
from qmio_jupyter.testing.pictures import SVG, keys, parsed, texts

A = Series("A", pairs=[("00", 450), ("01", 50), ("11", 500)])
B = Series("B", pairs=[("00", 90), ("10", 10), ("11", 100)])
IDEAL = Series("ideal", probabilities=[("00", 0.5), ("11", 0.5)], is_ideal=True)


def test_each_outcome_of_any_series_has_a_column() -> None:
    drawing = overlay([A, B, IDEAL])
    root = parsed(drawing)
    assert keys(root) == ["00", "01", "10", "11"]
    assert drawing.spots[0].text == "00: A 45.0 % ± 1.6 %; B 45.0 % ± 3.5 %; ideal 50.0 %"
    assert drawing.spots[1].text == "01: A 5.0 % ± 0.7 %; B 0 % ± 0 %; ideal 0 %"
    assert {"A", "B", "ideal", "1000", "200", "exact"} <= set(texts(root))


def test_distances_are_given_from_the_reference() -> None:
    drawing = overlay([A, B, IDEAL], reference=2)
    written = texts(parsed(drawing))
    assert "0.050" in written
    assert "reference" in written
    assert drawing.alt == (
        "Shares of outcomes of A (total variation distance 0.050, Hellinger fidelity 0.949), "
        "B (total variation distance 0.050, Hellinger fidelity 0.949), ideal, compared with ideal."
    )


def test_series_differ_by_filling_as_well_as_by_colour() -> None:
    six = [Series(str(at), pairs=[("0", 50), ("1", 50)]) for at in range(6)]
    root = parsed(overlay(six, height=400))
    fillings = set()
    for at in range(1, 7):
        filled = [one for one in root.iter() if one.get("class") == f"qmio-f{at}"]
        lines = [one for one in root.iter() if one.get("class") == f"qmio-s{at}"]
        dashes = {one.get("stroke-dasharray") for one in lines} - {None}
        fillings.add((bool(filled), *sorted(str(dash) for dash in dashes)))
    assert len(fillings) == 6


def test_ideal_distributions_are_marks_and_not_bars() -> None:
    root = parsed(overlay([IDEAL]))
    assert not [one for one in root.iter(f"{SVG}rect") if (one.get("class") or "").startswith("qmio-f")]
    assert [one for one in root.iter(f"{SVG}path") if one.get("class") == "qmio-ideal"]


def test_outcomes_left_out_are_summed_for_each_series() -> None:
    wide = [(f"{key:07b}", 1 + key) for key in range(128)]
    drawing = overlay([Series("A", pairs=wide), IDEAL], top=5)
    assert keys(parsed(drawing))[-1] == REST
    left = sum(count for _, count in wide[:-3]) / sum(count for _, count in wide)
    assert drawing.spots[-1].text == f"125 other outcomes: A {100 * left:.1f} %; ideal 0 %"


def test_sorted_by_value_the_largest_share_of_any_series_is_first() -> None:
    assert [spot.key for spot in overlay([A, B], sort="value").spots] == ["11", "00", "01", "10"]


def test_many_series_get_fewer_columns_with_bars_that_can_be_seen() -> None:
    wide = [(f"{key:08b}", 1 + key) for key in range(256)]
    drawing = overlay([Series(str(at), pairs=wide) for at in range(6)], top=200, width=400, height=300)
    widths = [
        float(one.get("width", "0"))
        for one in parsed(drawing).iter(f"{SVG}rect")
        if one.get("class") == "qmio-f1"
    ]
    assert min(widths) >= 3


def test_a_series_without_shots_yet_is_in_the_legend() -> None:
    written = texts(parsed(overlay([Series("late"), A])))
    assert {"late", "none yet"} <= set(written)
    parsed(overlay([Series("late")], reference=0))


def test_names_are_text_and_cut_to_what_fits() -> None:
    root = parsed(overlay([Series("<b>" + "x" * 500, pairs=[("0", 1)]), A], reference=1, width=320))
    assert max(map(len, texts(root))) < 60


@pytest.mark.parametrize(
    ("series", "asked"),
    [
        ([], {}),
        ([A] * 7, {}),
        ([A], {"reference": 1}),
        ([A], {"height": 119}),
        ([A] * 6, {"height": 150}),
        ([A], {"top": 0}),
        ([Series("A", pairs=[("0", -1), ("1", 3)])], {}),
    ],
)
def test_what_cannot_be_drawn_is_refused(series: list[Series], asked: dict[str, int]) -> None:
    with pytest.raises(UsageError) as caught:
        overlay(series, **asked)  # type: ignore[arg-type]
    assert caught.value.hint
