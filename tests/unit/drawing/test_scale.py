"""Axes end where there is room, in few places, with round ticks."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmio_jupyter.drawing.scale import end_of, nice_ticks, ticks_to


@given(st.floats(min_value=1e-9, max_value=1e9))
def test_there_is_room_and_not_too_much(highest: float) -> None:
    end = end_of(highest)
    assert highest <= end * (1 + 1e-6)
    assert end <= highest * 1.5 * (1 + 1e-6)


@given(st.floats(min_value=1e-9, max_value=1e9))
def test_ticks_go_from_zero_to_the_end(highest: float) -> None:
    end = end_of(highest)
    ticks = ticks_to(end)
    assert ticks[0] == 0
    assert math.isclose(ticks[-1], end)
    assert 4 <= len(ticks) <= 5
    steps = {round((b - a) / end, 6) for a, b in pairwise(ticks)}
    assert len(steps) == 1


def test_an_axis_seldom_changes_as_a_share_settles() -> None:
    assert {end_of(share / 1000) for share in range(501, 600)} == {0.6}


@pytest.mark.parametrize("odd", [0.0, -1.0, math.nan, math.inf])
def test_an_odd_highest_value_gives_a_whole_axis(odd: float) -> None:
    assert end_of(odd) == 1.0


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6))
def test_ticks_between_are_round_and_inside(low: float, span: float) -> None:
    high = low + span
    ticks = nice_ticks(low, high)
    assert len(ticks) <= 7
    slack = 1e-6 * (span + abs(low))
    assert all(low - slack <= tick <= high + slack for tick in ticks)


@pytest.mark.parametrize(("low", "high"), [(1.0, 1.0), (2.0, 1.0), (0.0, math.inf), (0.0, math.nan)])
def test_no_range_has_one_tick(low: float, high: float) -> None:
    assert nice_ticks(low, high) == (low,)
