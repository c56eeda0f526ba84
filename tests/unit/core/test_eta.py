"""The duration model: the driver's figures first, then the fit; honest quantiles; nothing hostile breaks it."""

from __future__ import annotations

import math
import random

import pytest

from qmio_jupyter.core import eta
from qmio_jupyter.core.records import DurationModel
from qmio_jupyter.model.device import CostModel
from qmio_jupyter.model.task import Item, ParameterMatrix, TaskSpec

COST = CostModel(t0_s=2.0, per_shot_s=0.01)
NOTHING = CostModel()


def spec(shots, *, bindings=1, items=1):
    parameters = None
    if bindings > 1:
        parameters = ParameterMatrix(names=("x",), bindings=bindings, data=bytes(8 * bindings))
    item = Item(program="0" * 64, shots=shots, parameters=parameters)
    return TaskSpec(device="d", items=(item,) * items)


def learn(cost, runs):
    """A model that has seen runs of (shots, seconds)."""
    model = DurationModel()
    for shots, seconds in runs:
        model = eta.learn(model, cost, spec(shots), seconds, 0.001)
    return model


def test_without_samples_the_driver_is_believed():
    assert eta.predict(DurationModel(), COST, spec(100), 0.001) == pytest.approx(3.0)
    assert eta.predict(DurationModel(), COST, spec(100, bindings=4, items=2), 0.001) == pytest.approx(24.0)
    assert eta.predict(DurationModel(), NOTHING, spec(100), 0.5) == 0.5
    assert eta.quantiles(DurationModel()) == (1.0, 2.0)


@pytest.mark.parametrize("cost", [COST, NOTHING], ids=["with figures", "without"])
def test_the_fit_finds_the_device_s_own_figures(cost):
    model = learn(cost, [(shots, 1.0 + 0.05 * shots) for shots in (100, 200, 400, 800) * 50])
    assert eta.predict(model, cost, spec(1000), 0.001) == pytest.approx(51.0, rel=0.1)
    assert model.samples == 200
    assert len(model.ratios) == 64


def test_one_size_of_task_tells_the_mean():
    model = learn(NOTHING, [(100, 4.0)] * 50)
    assert eta.predict(model, NOTHING, spec(100), 0.001) == pytest.approx(4.0)
    assert eta.predict(model, NOTHING, spec(1000), 0.001) == pytest.approx(4.0)


def test_one_size_of_task_is_scaled_as_the_driver_says():
    model = learn(COST, [(100, 6.0)] * 300)
    assert eta.predict(model, COST, spec(100), 0.001) == pytest.approx(6.0, rel=0.02)
    # The driver says 12 s here and 3 s there.
    assert eta.predict(model, COST, spec(1000), 0.001) == pytest.approx(24.0, rel=0.02)


def test_more_shots_never_take_less_time():
    model = learn(NOTHING, [(100, 8.0), (1000, 2.0)] * 20)
    assert eta.predict(model, NOTHING, spec(10**6), 0.001) == pytest.approx(5.0, rel=0.1)


def test_a_start_up_time_below_nothing_is_none():
    model = learn(NOTHING, [(100, 0.001), (1000, 9.0), (2000, 30.0)] * 20)
    assert eta.predict(model, NOTHING, spec(1), 0.0) >= 0


@pytest.mark.parametrize("figure", [1e300, 1.7e308, math.inf, math.nan])
def test_a_driver_s_wild_figures_stay_finite(figure):
    cost = CostModel(t0_s=figure, per_shot_s=figure)
    for model in (DurationModel(), learn(NOTHING, [(100, 1.0), (200, 2.0)])):
        assert 0 < eta.predict(model, cost, spec(100, items=3), 0.001) <= 1e10


@pytest.mark.parametrize("seconds", [0.0, 1e300, math.inf, math.nan])
def test_wild_durations_stay_finite(seconds):
    model = learn(COST, [(100, seconds)] * 3)
    assert 0 < eta.predict(model, COST, spec(100), 0.001) <= 1e10
    p50, p90 = eta.quantiles(model)
    assert 0 < p50 <= p90 < math.inf


def test_quantiles_cover_what_they_say():
    draw = random.Random(1)
    model = DurationModel()
    late_50 = late_90 = 0
    rounds = 2000
    for _ in range(rounds):
        one = spec(draw.choice((100, 300, 1000)))
        predicted = eta.predict(model, COST, one, 0.001)
        p50, p90 = eta.quantiles(model)
        seconds = (1.0 + 0.02 * one.total_shots) * draw.lognormvariate(0.0, 0.3)
        late_50 += seconds > predicted * p50
        late_90 += seconds > predicted * p90
        model = eta.learn(model, COST, one, seconds, 0.001)
    assert 0.4 < late_50 / rounds < 0.6
    assert 0.05 < late_90 / rounds < 0.15


def test_the_first_run_of_a_device_without_figures_says_nothing_of_its_spread():
    assert learn(NOTHING, [(100, 50.0)]).ratios == (1.0,)
    assert learn(COST, [(100, 30.0)]).ratios == (10.0,)
    # What a task was predicted when nothing was known of the device is no measure of the model.
    assert learn(NOTHING, [(100, 50.0)] * 3).ratios == pytest.approx((1.0, 1.0, 1.0))
