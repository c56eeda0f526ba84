"""Small multiples: one scale, titles, and the spots of every panel in their places."""

from __future__ import annotations

import pytest

from qmio_jupyter.drawing.histogram import histogram
from qmio_jupyter.drawing.multiples import PANELS, Panel, histograms, small_multiples
from qmio_jupyter.errors import UsageError
from qmio_jupyter.testing.pictures import SVG, parsed, texts

BELL = [("00", 50), ("11", 50)]
SKEW = [("00", 90), ("11", 10)]


def test_every_circuit_has_its_panel_and_all_one_axis() -> None:
    drawing = histograms([("Bell", BELL), ("Skew", SKEW)])
    written = texts(parsed(drawing))
    assert written.count("Bell") == written.count("Skew") == 1
    assert written.count("100 %") == 2
    assert [spot.key for spot in drawing.spots] == ["0:00", "0:11", "1:00", "1:11"]
    assert drawing.spots[0].text == "Bell: 00: 50 of 100 (50.0 % ± 5.0 %)"
    assert drawing.alt.startswith("2 pictures. Bell: Histogram of 100 shots: 00 50.0 %, 11 50.0 %; Skew: ")


def test_one_without_shots_says_nothing_of_the_others_axis() -> None:
    written = texts(parsed(histograms([("Bell", BELL), ("later", [])])))
    assert "100 %" not in written
    assert written.count("60 %") == 2
    assert "100 %" in texts(parsed(histograms([("Bell", [])])))
    assert texts(parsed(histograms([("Bell", BELL)], least_end=1.0))).count("100 %") == 1
    assert texts(parsed(histograms([("Bell", [])], least_end=0.4))).count("40 %") == 1


def test_panels_stand_beside_each_other_where_there_is_room() -> None:
    wide = histograms([("a", BELL), ("b", BELL)])
    narrow = histograms([("a", BELL), ("b", BELL)], width=320)
    assert wide.spots[2].y == wide.spots[0].y
    assert wide.spots[2].x > wide.spots[1].x
    assert narrow.spots[2].y > narrow.spots[0].y
    assert narrow.width == 320


def test_one_style_serves_all_panels() -> None:
    root = parsed(histograms([(str(at), BELL) for at in range(5)]))
    assert len(list(root.iter(f"{SVG}style"))) == 1
    panels = [one for one in root.iter(f"{SVG}g") if one.get("data-panel") is not None]
    assert [one.get("data-panel") for one in panels] == ["0", "1", "2", "3", "4"]


def test_pictures_that_are_too_wide_are_scaled_with_their_spots() -> None:
    inner = histogram(BELL, width=800)
    drawing = small_multiples([Panel("one", inner), Panel("two", inner)], columns=2, width=400)
    assert drawing.spots[0].width == pytest.approx(inner.spots[0].width * 192 / 800, abs=0.01)
    parsed(drawing)


def test_what_does_not_fit_is_counted() -> None:
    drawing = histograms([(str(at), BELL) for at in range(1000)])
    assert f"and {1000 - PANELS} more" in texts(parsed(drawing))
    assert len(drawing.svg) < 120_000


def test_titles_are_text_and_cut_to_what_fits() -> None:
    drawing = histograms([("<b>" + "x" * 500, BELL), ("", BELL)])
    assert max(map(len, texts(parsed(drawing)))) < 60
    assert drawing.spots[-1].text.startswith("11: ")


@pytest.mark.parametrize("panels", [[], [Panel("a", histogram(BELL))] * (PANELS + 1)])
def test_none_and_too_many_are_refused(panels: list[Panel]) -> None:
    with pytest.raises(UsageError):
        small_multiples(panels)


def test_no_result_is_refused() -> None:
    with pytest.raises(UsageError):
        histograms([])
