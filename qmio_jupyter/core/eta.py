"""How long a task takes: ``T0 + shots * alpha`` per binding, the driver's figures first, then fitted online.

The fit is a weighted least squares over sums that forget (`_KEEP` per sample), so it costs a few additions.
Predictions also keep the last ratios of real to predicted duration; their quantiles make p50 and p90.
"""

from __future__ import annotations

from math import isfinite

from qmio_jupyter.core.records import DurationModel
from qmio_jupyter.model.device import CostModel
from qmio_jupyter.model.task import TaskSpec

#: Weight that older samples keep when a new one comes.
_KEEP = 0.98
#: The driver's figures count as much as this many samples.
_TRUST = 3.0
#: Ratios kept.
_RATIOS = 64
#: Without samples, p90 is this many times p50.
_UNKNOWN_SPREAD = 2.0
#: Nothing is predicted to take longer (three centuries): keeps arithmetic finite whatever a driver claims.
_CEILING_S = 1e10


def work(spec: TaskSpec) -> tuple[int, int]:
    """Return (bindings over all items, shots over all items and bindings)."""
    return sum(item.bindings for item in spec.items), spec.total_shots


def prior(cost: CostModel, spec: TaskSpec) -> float:
    """Return the driver's own prediction, seconds."""
    bindings, shots = work(spec)
    return _finite(cost.t0_s * bindings + cost.per_shot_s * shots)


def _finite(seconds: float) -> float:
    return min(max(seconds, 0.0), _CEILING_S) if isfinite(seconds) else 0.0


def fitted(model: DurationModel, shots: int, scale_from: float) -> float:
    """Return the fit's prediction for `shots` (the model must have samples).

    Where all samples had about the same number of shots no slope can be told: the mean duration is then
    scaled as `scale_from` (driver's prediction here over driver's prediction there, 0 if unknown) says.
    """
    weight, sum_x, sum_y, sum_xx, sum_xy = model.sums
    mean_x, mean_y = sum_x / weight, sum_y / weight
    variance = sum_xx / weight - mean_x * mean_x
    if variance <= 1e-6 * mean_x * mean_x:
        return mean_y * (scale_from if scale_from > 0 else 1.0)
    alpha = (sum_xy / weight - mean_x * mean_y) / variance
    if alpha <= 0:
        return mean_y
    t0 = mean_y - alpha * mean_x
    return t0 + alpha * shots if t0 > 0 else sum_xy / sum_xx * shots


def predict(model: DurationModel, cost: CostModel, spec: TaskSpec, least_s: float) -> float:
    """Return the device-seconds a task is predicted to take, at least `least_s`."""
    own = prior(cost, spec)
    if model.samples == 0 or model.sums[0] <= 0:
        return max(own, least_s)
    bindings, shots = work(spec)
    mean_shots = model.sums[1] / model.sums[0]
    there = _finite(cost.t0_s * bindings + cost.per_shot_s * mean_shots)
    fit = _finite(fitted(model, shots, own / there if there > 0 else 0.0))
    trust = _TRUST if own > 0 else 0.0
    return max((trust * own + model.samples * fit) / (trust + model.samples), least_s)


def learn(
    model: DurationModel, cost: CostModel, spec: TaskSpec, seconds: float, least_s: float
) -> DurationModel:
    """Return the model after a run that took `seconds`.

    The ratio kept is that to what the model would have predicted just before: a task may have been predicted long
    ago, when nothing was known of the device. The first run of a device without figures has nothing to compare with.
    """
    _, shots = work(spec)
    x, y = float(shots), _finite(seconds)
    added = (1.0, x, y, x * x, x * y)
    sums = tuple(old * _KEEP + new for old, new in zip(model.sums, added, strict=True))
    is_blind = model.samples == 0 and prior(cost, spec) <= 0
    ratio = 1.0 if is_blind else y / predict(model, cost, spec, least_s)
    return DurationModel(
        samples=min(model.samples + 1, 1_000_000),
        sums=(sums[0], sums[1], sums[2], sums[3], sums[4]),
        ratios=(*model.ratios[-(_RATIOS - 1) :], min(max(ratio, 1e-3), 1e3)),
    )


def quantiles(model: DurationModel) -> tuple[float, float]:
    """Return (p50, p90) of real over predicted duration."""
    if not model.ratios:
        return 1.0, _UNKNOWN_SPREAD
    ordered = sorted(model.ratios)
    last = len(ordered) - 1
    return ordered[last // 2], ordered[-(-last * 9 // 10)]
