"""Line plots: points, error bars, gaps, angles, many points, and what tells lines apart."""

from __future__ import annotations

import math

import pytest

from qmio_jupyter.drawing.lines import Line, line_plot
from qmio_jupyter.drawing.scale import angle_ticks, angle_written
from qmio_jupyter.errors import UsageError
from qmio_jupyter.testing.pictures import SVG, parsed, texts

XS = [at * math.pi / 4 for at in range(9)]
COSINE = [math.cos(x) for x in XS]


def test_every_point_is_drawn_and_can_be_hovered() -> None:
    drawing = line_plot(
        XS, [Line("⟨Z⟩", COSINE, [0.05] * 9)], x_label="theta", y_label="expectation", is_angle=True
    )
    root = parsed(drawing)
    assert len(list(root.iter(f"{SVG}circle"))) == 9 + 1
    assert [spot.text for spot in drawing.spots][:2] == [
        "theta = 0: ⟨Z⟩ 1.00 ± 0.050",
        "theta = π/4: ⟨Z⟩ 0.707 ± 0.050",
    ]
    assert {"0", "π", "2π", "theta", "expectation"} <= set(texts(root))
    assert drawing.alt == "expectation over theta, 9 points from 0 to 6.28: ⟨Z⟩ -1.00 to 1.00."


def test_points_come_in_order_of_the_parameter() -> None:
    straight = line_plot([1, 2, 3], [Line("a", [10, 20, 30])])
    assert line_plot([3, 1, 2], [Line("a", [30, 10, 20])]).svg == straight.svg


def test_a_missing_value_is_a_gap() -> None:
    for gap in (None, math.nan, math.inf):
        drawing = line_plot([0, 1, 2, 3], [Line("a", [1, 2, gap, 3])])
        curve = next(
            one
            for one in parsed(drawing).iter(f"{SVG}path")
            if "qmio-line" in (one.get("class") or "") and "L" in str(one.get("d"))
        )
        assert str(curve.get("d")).count("M") == 2
        assert "a no value" in drawing.spots[2].text


def test_an_ideal_curve_has_no_points() -> None:
    root = parsed(line_plot(XS, [Line("ideal", COSINE, is_ideal=True)]))
    assert not list(root.iter(f"{SVG}circle"))
    assert [one for one in root.iter(f"{SVG}path") if one.get("class") == "qmio-ideal"]


def test_lines_differ_by_dash_and_shape_as_well_as_by_colour() -> None:
    root = parsed(line_plot([0, 1], [Line(str(at), [at, at + 1]) for at in range(6)]))
    dashes = {
        one.get("stroke-dasharray")
        for one in root.iter(f"{SVG}path")
        if "qmio-line" in (one.get("class") or "")
    }
    assert len(dashes) == 6


def test_values_all_alike_have_an_axis_with_room() -> None:
    written = texts(parsed(line_plot([0, 1], [Line("a", [0.5, 0.5])])))
    assert "0.5" in written
    assert {"0.3", "0.7"} <= set(written)


def test_a_huge_error_bar_does_not_flatten_the_values() -> None:
    drawing = line_plot([0, 1, 2], [Line("a", [1.0, 2.0, 3.0], [0.1, 1e9, 0.1])])
    assert "2" in texts(parsed(drawing))
    assert "± 1.0e+09" in drawing.spots[1].text


def test_very_many_points_are_one_small_line() -> None:
    count = 100_000
    drawing = line_plot(range(count), [Line("a", [math.sin(at / 3000) for at in range(count)])])
    parsed(drawing)
    assert len(drawing.svg) < 60_000
    assert len(drawing.spots) <= 200


def test_nothing_and_one_point_are_pictures() -> None:
    assert "no values yet" in texts(parsed(line_plot([], [Line("a", [])])))
    assert len(line_plot([2.0], [Line("a", [1.0])]).spots) == 1


def test_labels_and_names_are_text() -> None:
    drawing = line_plot(
        [0, 1], [Line("<b>" + "x" * 400, [0, 1])], x_label="<x>\x00" * 60, y_label="\u202ey" * 200
    )
    assert max(map(len, texts(parsed(drawing)))) < 100


@pytest.mark.parametrize(
    ("xs", "series", "asked"),
    [
        ([0], [], {}),
        ([0], [Line("a", [1])] * 7, {}),
        ([0, 1], [Line("a", [1])], {}),
        ([0, 1], [Line("a", [1, 2], [0.1])], {}),
        ([math.nan], [Line("a", [1])], {}),
        ([0], [Line("a", [1])], {"width": 10}),
        ([0], [Line("a" * 60, [1])] * 6, {"height": 120, "width": 200}),
    ],
)
def test_what_cannot_be_drawn_is_refused(xs, series, asked) -> None:
    with pytest.raises(UsageError) as caught:
        line_plot(xs, series, **asked)
    assert caught.value.hint


def test_angles_are_parts_of_pi() -> None:
    assert [angle_written(part * math.pi / 8) for part in (-8, -3, 0, 1, 4, 12, 16)] == [
        "−π", "−3π/8", "0", "π/8", "π/2", "3π/2", "2π",
    ]  # fmt: skip
    assert angle_written(1.0) == "1"
    assert [angle_written(tick) for tick in angle_ticks(-math.pi, math.pi, 4)] == [
        "−π",
        "−π/2",
        "0",
        "π/2",
        "π",
    ]
    assert angle_ticks(0, 0.01) == (0, 0.002, 0.004, 0.006, 0.008, 0.01)
