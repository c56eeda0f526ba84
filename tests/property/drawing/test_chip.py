"""Chips of any couplings: every qubit has a place of its own, and the map is a sound picture."""

from __future__ import annotations

import math
from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from qmio_jupyter.drawing.chip import QUANTITIES, Chip, ChipEdge, ChipQubit, chip_map, table
from qmio_jupyter.drawing.chip_layout import place
from qmio_jupyter.testing.pictures import keys, parsed

GRAPHS = st.integers(1, 24).flatmap(
    lambda count: st.tuples(
        st.just(count),
        st.sets(st.sampled_from(list(combinations(range(count), 2)) or [(0, 0)]), max_size=40).map(
            lambda pairs: tuple(sorted(pair for pair in pairs if pair[0] != pair[1]))
        ),
    )
)
VALUES = st.dictionaries(
    st.sampled_from([one.key for one in QUANTITIES.values()]),
    st.floats(-1, 1e10) | st.sampled_from([math.nan, math.inf, -math.inf]),
    max_size=6,
)
ERRORS = st.dictionaries(
    st.sampled_from(["error", "duration_s"]), st.floats(-1, 2) | st.just(math.nan), max_size=2
)


@given(GRAPHS)
def test_no_two_qubits_are_in_each_others_way(graph) -> None:
    count, pairs = graph
    points = place(count, pairs)
    assert len(points) == count
    assert all(math.isfinite(value) and value >= 0 for point in points for value in point)
    for one, other in combinations(points, 2):
        assert math.dist(one, other) > 0.999


@given(graph=GRAPHS, data=st.data(), quantity=st.sampled_from(list(QUANTITIES)), width=st.integers(200, 1000))
def test_any_chip_is_a_sound_picture(graph, data, quantity, width) -> None:
    count, pairs = graph
    points = place(count, pairs)
    chip = Chip(
        device=data.draw(st.text(max_size=60)),
        taken_ms=data.draw(st.none() | st.integers(0, 2**41)),
        qubits=tuple(
            ChipQubit(
                index=at,
                label=data.draw(st.text(max_size=6)),
                x=points[at][0],
                y=points[at][1],
                values=data.draw(VALUES),
                bars=data.draw(VALUES),
                dead=data.draw(st.booleans()),
            )
            for at in range(count)
        ),
        edges=tuple(
            ChipEdge(a=a, b=b, values=data.draw(ERRORS), gate="cz", dead=data.draw(st.booleans()))
            for a, b in pairs
        ),
    )
    drawing = chip_map(chip, quantity, width=width)
    assert sorted(keys(parsed(drawing))) == sorted(spot.key for spot in drawing.spots)
    assert len(drawing.spots) == count + len(pairs)
    rows = table(chip)
    assert len(rows) == 1 + count + len(pairs)
