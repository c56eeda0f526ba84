"""Timelines, line plots and small multiples of anything are sound pictures."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from qmio_jupyter.drawing.lines import Line, line_plot
from qmio_jupyter.drawing.multiples import histograms
from qmio_jupyter.drawing.timeline import timeline
from qmio_jupyter.model.task import Stamp
from qmio_jupyter.testing.pictures import keys, parsed

STAGES = [
    "accepted",
    "queued",
    "claimed",
    "compiled",
    "on_device",
    "measured",
    "recorded",
    "failed",
    "requeued",
]
STAMPS = st.lists(
    st.builds(
        Stamp,
        stage=st.sampled_from(STAGES) | st.text(max_size=30),
        at_ms=st.integers(0, 2**41),
        seconds=st.none() | st.floats(0, 1e9) | st.just(math.nan),
    ),
    max_size=30,
)
FLOATS = st.floats(-9e299, 9e299) | st.floats(-2, 2)


@given(stamps=STAMPS, now=st.none() | st.integers(0, 2**42), width=st.integers(200, 1200))
def test_any_stamps_give_a_sound_picture(stamps, now, width) -> None:
    drawing = timeline(stamps, now_ms=now, width=width)
    assert keys(parsed(drawing)) == [spot.key for spot in drawing.spots]
    assert drawing.width == width


@st.composite
def plots(draw):
    count = draw(st.integers(0, 12))
    xs = draw(st.lists(FLOATS, min_size=count, max_size=count))
    values = st.none() | st.floats()
    series = [
        Line(
            draw(st.text(max_size=80)),
            draw(st.lists(values, min_size=count, max_size=count)),
            draw(st.just([]) | st.lists(values, min_size=count, max_size=count)),
            is_ideal=draw(st.booleans()),
        )
        for _ in range(draw(st.integers(1, 6)))
    ]
    return xs, series


@given(plot=plots(), angle=st.booleans(), label=st.text(max_size=100), width=st.integers(200, 1000))
def test_any_values_give_a_sound_plot(plot, angle, label, width) -> None:
    xs, series = plot
    drawing = line_plot(xs, series, x_label=label, y_label=label, is_angle=angle, width=width, height=400)
    parsed(drawing)
    assert len(drawing.spots) <= len(xs)
    assert len(drawing.svg) < 60_000


@given(
    results=st.lists(
        st.tuples(
            st.text(max_size=40),
            st.dictionaries(st.integers(0, 31).map("{:05b}".format), st.integers(0, 1000), max_size=20).map(
                lambda counts: list(counts.items())
            ),
        ),
        min_size=1,
        max_size=30,
    ),
    width=st.integers(200, 1200),
)
def test_any_results_give_sound_multiples(results, width) -> None:
    drawing = histograms(results, width=width)
    root = parsed(drawing)
    assert len(keys(root)) == len(drawing.spots)
