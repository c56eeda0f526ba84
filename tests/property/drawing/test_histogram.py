"""Histograms of anything: well formed, inside their borders, complete, harmless."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from qmio_jupyter.drawing.columns import REST
from qmio_jupyter.drawing.histogram import histogram
from qmio_jupyter.drawing.html import figure
from qmio_jupyter.drawing.outcomes import select
from qmio_jupyter.drawing.text import clean
from qmio_jupyter.testing.pictures import keys, parsed

COUNTS = st.integers(0, 10) | st.integers(0, 2**53)
BITS = st.integers(1, 130).flatmap(
    lambda width: st.dictionaries(
        st.integers(0, 2**width - 1).map(lambda key: f"{key:0{width}b}"), COUNTS, max_size=60
    )
)
NAMES = st.dictionaries(st.text(max_size=250), COUNTS, max_size=12)


@given(
    counts=BITS | NAMES,
    top=st.integers(1, 80),
    sort=st.sampled_from(["bits", "value"]),
    width=st.integers(200, 1200),
    height=st.integers(120, 600),
    asked=st.none() | st.integers(0, 2**53),
)
def test_any_counts_give_a_sound_picture(counts, top, sort, width, height, asked) -> None:
    pairs = list(counts.items())
    drawing = histogram(pairs, top=top, sort=sort, width=width, height=height, asked=asked)
    root = parsed(drawing)
    assert (drawing.width, drawing.height) == (width, height)
    assert len(drawing.svg.encode()) < 40_000 + 400 * top
    drawn = keys(root)
    assert sorted(drawn) == sorted(spot.key for spot in drawing.spots)
    if not sum(counts.values()):
        assert not drawn
        return
    shown = [clean(bits) for bits, _ in select(pairs, top).pairs]
    if drawn[-1] == REST:
        # Where the width has no room for so many, fewer.
        assert set(drawn[:-1]) <= set(shown)
        assert len(drawn) - 1 <= min(top, len(pairs) - 2)
    else:
        assert drawn == shown
        assert len(drawn) == len(pairs)
    assert "<script" not in figure(drawing)


@given(counts=BITS, most=st.integers(1, 70))
def test_nothing_is_lost_in_the_selection(counts, most) -> None:
    pairs = list(counts.items())
    chosen = select(pairs, most)
    assert (
        sum(count for _, count in chosen.pairs) + chosen.other_shots == chosen.shots == sum(counts.values())
    )
    assert len(chosen.pairs) + chosen.others == len(pairs)
    assert len(chosen.pairs) == (len(pairs) if len(pairs) <= most + 1 else most)
    assert chosen.others != 1
    kept = {bits for bits, _ in chosen.pairs}
    left = [count for bits, count in pairs if bits not in kept]
    assert not left or min(count for _, count in chosen.pairs) >= max(left)
    assert sorted(chosen.by_value) == list(range(len(chosen.pairs)))
    assert list(chosen.pairs) == sorted(chosen.pairs, key=lambda pair: (len(pair[0]), pair[0]))
