"""Overlays of anything are sound pictures."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from qmio_jupyter.drawing.overlay import Series, overlay
from qmio_jupyter.testing.pictures import keys, parsed

COUNTS = st.dictionaries(st.integers(0, 255).map("{:08b}".format), st.integers(0, 2**40), max_size=40)
CHANCES = st.dictionaries(
    st.integers(0, 255).map("{:08b}".format), st.floats(0, 1, allow_subnormal=False), max_size=40
)
SERIES = st.builds(
    Series,
    st.text(max_size=300),
    pairs=COUNTS.map(lambda counts: list(counts.items())),
    is_ideal=st.booleans(),
) | st.builds(
    Series,
    st.text(max_size=10),
    probabilities=CHANCES.map(lambda chances: list(chances.items())),
    is_ideal=st.booleans(),
)


@given(
    series=st.lists(SERIES, min_size=1, max_size=6),
    refers=st.booleans(),
    top=st.integers(1, 50),
    sort=st.sampled_from(["bits", "value"]),
    width=st.integers(200, 1200),
    height=st.integers(240, 600),
)
def test_any_series_give_a_sound_picture(series, refers, top, sort, width, height) -> None:
    drawing = overlay(
        series, reference=len(series) - 1 if refers else None, top=top, sort=sort, width=width, height=height
    )
    assert sorted(keys(parsed(drawing))) == sorted(spot.key for spot in drawing.spots)
    assert len(drawing.spots) <= top + 1
