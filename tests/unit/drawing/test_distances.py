"""Distances between distributions, against values worked out by hand, known bounds, and simulation."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmio_jupyter.drawing.distances import hellinger_fidelity, sampling_tvd, tvd
from qmio_jupyter.errors import UsageError

COUNTS = st.dictionaries(st.sampled_from("abcdefgh"), st.integers(0, 1000), min_size=1).filter(
    lambda counts: sum(counts.values()) > 0
)


def test_by_hand() -> None:
    p, q = {"0": 0.5, "1": 0.5}, {"0": 0.9, "1": 0.1}
    assert tvd(p, q) == pytest.approx(0.4)
    assert hellinger_fidelity(p, q) == pytest.approx((math.sqrt(0.45) + math.sqrt(0.05)) ** 2)


@given(COUNTS, COUNTS)
def test_they_agree_on_the_ends_and_bound_each_other(p, q) -> None:
    distance, fidelity = tvd(p, q), hellinger_fidelity(p, q)
    assert 0 <= distance <= 1
    assert 0 <= fidelity <= 1
    assert tvd(q, p) == distance
    # 1 - F' <= D <= sqrt(1 - F) with F' = sqrt(F): Fuchs and van de Graaf, of classical distributions.
    assert 1 - math.sqrt(fidelity) <= distance + 1e-9
    assert distance <= math.sqrt(max(0.0, 1 - fidelity)) + 1e-7


@given(COUNTS)
def test_a_distribution_is_no_distance_from_itself(p) -> None:
    assert tvd(p, p) == 0
    assert hellinger_fidelity(p, p) == pytest.approx(1)


def test_counts_and_shares_are_the_same() -> None:
    assert tvd({"0": 30, "1": 10}, {"0": 1}) == tvd({"0": 0.75, "1": 0.25}, {"0": 1.0}) == 0.25


@pytest.mark.parametrize("shots", [(1000, 0), (1000, 500)])
def test_shot_noise_gives_the_distance_that_is_expected(shots: tuple[int, int]) -> None:
    chance = random.Random(11)
    p = {"00": 0.4, "01": 0.1, "10": 0.15, "11": 0.35}

    def sample(n: int) -> dict[str, float]:
        drawn = chance.choices(list(p), list(p.values()), k=n)
        return {key: drawn.count(key) / n for key in p}

    n, m = shots
    seen = [tvd(sample(n), sample(m) if m else p) for _ in range(300)]
    assert sum(seen) / len(seen) == pytest.approx(sampling_tvd(p, n, m), rel=0.08)


@pytest.mark.parametrize("broken", [{}, {"0": 0}, {"0": -1, "1": 2}, {"0": math.inf}, {"0": math.nan}])
def test_what_is_no_distribution_is_refused(broken: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        tvd(broken, {"0": 1})
    with pytest.raises(UsageError):
        hellinger_fidelity({"0": 1}, broken)


def test_before_the_first_shot_there_is_no_noise_to_expect() -> None:
    with pytest.raises(UsageError):
        sampling_tvd({"0": 1}, 0)
