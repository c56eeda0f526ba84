"""The duration model: the driver's figures first, then the fit; honest quantiles; nothing hostile breaks it."""

from __future__ import annotations

import math
import random

import msgspec
import pytest

from qmio_jupyter.core import eta
from qmio_jupyter.core.records import DeviceRow, DurationModel
from qmio_jupyter.model.device import CostModel, DeviceDescription, DeviceState
from qmio_jupyter.model.task import Item, ParameterMatrix, TaskOptions, TaskSpec

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
    # The fit has learnt it: counted once, not ten times more.
    assert 1.0 <= learn(COST, [(100, 30.0)]).ratios[0] <= 2.0
    assert learn(NOTHING, [(100, 50.0)] * 3).ratios == pytest.approx((1.0, 1.0, 1.0))


def told(model, cost, shots=100):
    """The (p50, p90) that a user would be told of a task's duration, seconds."""
    predicted = eta.predict(model, cost, spec(shots), 0.001)
    return tuple(predicted * ratio for ratio in eta.quantiles(model))


FAST = CostModel(t0_s=0.01, per_shot_s=1e-6)


@pytest.mark.parametrize(
    ("cost", "runs", "truth"),
    [
        (FAST, [10.0] * 3, 10.0),
        (FAST, [7.0] + [2.6] * 3, 2.6),
        (FAST, [10.0] + [0.01] * 3, 0.01),
        (NOTHING, [10.0] + [0.01] * 3, 0.01),
        (NOTHING, [5.0] + [4.0] * 3, 4.0),
        (CostModel(t0_s=10.0), [0.01] * 3, 0.01),
        (FAST, [0.02] * 3, 0.02),
        (FAST, [0.02] * 40, 0.02),
        (FAST, [0.02] * 20 + [20.0, 0.02], 0.02),
        (FAST, [0.02] * 20 + [20.0] + [0.02] * 3, 0.02),
        (FAST, [0.02] * 20 + [20.0] * 6, 20.0),
    ],
    ids=[
        "all 1000x the figures",
        "start-up in the first",
        "first 1000x, then as told",
        "first 1000x, no figures",
        "echo",
        "all 1000x less",
        "steady",
        "long steady",
        "an outlier just now",
        "an outlier",
        "slow from now on",
    ],
)
def test_what_is_told_is_right_after_three_runs(cost, runs, truth):
    p50, p90 = told(learn(cost, [(100, seconds) for seconds in runs]), cost)
    assert truth / 2 <= p50 <= 2 * truth
    assert p50 <= p90 <= 10 * p50


@pytest.mark.parametrize("runs", range(3, 80))
@pytest.mark.parametrize("cost", [FAST, NOTHING], ids=["with figures", "without"])
def test_two_kinds_that_look_alike_are_told_as_one_between_them(cost, runs):
    p50, p90 = told(learn(cost, [(100, (1.0, 0.01)[index % 2]) for index in range(runs)]), cost)
    assert 0.05 <= p50 <= 1.0
    assert p50 <= p90 <= min(10 * p50, 2.0)


def test_a_first_run_pulls_the_model_at_once():
    """Told 10 ms by the driver, it took 7 s: the next is told seconds, not milliseconds and not minutes."""
    p50, p90 = told(learn(FAST, [(100, 7.0)]), FAST)
    assert 2.0 <= p50 <= p90 <= 20.0


def test_ratios_of_an_older_ledger_are_clipped():
    wild = DurationModel(samples=2, sums=(2.0, 200.0, 5.0, 20000.0, 500.0), ratios=(1000.0,) * 60)
    assert eta.quantiles(wild) == (10.0, 10.0)


CLOCK = CostModel(t0_s=0.5, per_shot_s=0.002)


def row(model, **about):
    description = DeviceDescription(name="d", title="", n_qubits=5, driver="x", cost=COST, **about)
    return DeviceRow(description=description, state=DeviceState.IDLE, model=model)


@pytest.mark.parametrize(
    ("about", "pace", "seconds"),
    [
        ({"clock": CLOCK}, "real", 2 * 0.5 + 200 * 0.002),
        ({"clock": CLOCK}, "fast", None),
        ({"clock": CLOCK, "pace": "real"}, "fast", 2 * 0.5 + 200 * 0.002),
        ({}, "real", None),
        ({"pace": "real"}, "real", None),
    ],
)
def test_a_task_that_keeps_the_clock_takes_what_the_clock_says_whatever_was_learnt(about, pace, seconds):
    model = learn(COST, [(100, 70.0)] * 20)
    asked = msgspec.structs.replace(spec(100, items=2), options=TaskOptions(pace=pace))
    expected = eta.predict(model, COST, asked, 0.001) if seconds is None else seconds
    assert eta.predict_on(row(model, **about), asked, 0.001) == pytest.approx(expected, rel=1e-12)


def test_a_clock_that_says_nothing_is_charged_the_least():
    asked = msgspec.structs.replace(spec(100), options=TaskOptions(pace="real"))
    assert eta.predict_on(row(DurationModel(), clock=NOTHING), asked, 0.25) == 0.25
