"""How long a task takes: ``T0 + shots * alpha`` per binding, the driver's figures first, then fitted online.

The fit is a weighted least squares over sums that forget (`_KEEP` per sample), so it costs a few additions.
A mean is slow to leave a wrong figure and easily led astray by one wild run, a median is neither: where the last
runs agree that the fit is far off, it is multiplied by the median of what they took over what it says.

The model also keeps the last ratios of real to predicted duration; their quantiles make p50 and p90. They are taken
against the model that has learnt the run: what it was wrong by before is in the fit now, and must not count twice.

A task that keeps an emulated device's clock takes what the clock says: it is not fitted, and not learnt from.
"""

from __future__ import annotations

from math import isfinite
from statistics import median

from msgspec.structs import replace

from qmio_jupyter.core.records import DeviceRow, DurationModel
from qmio_jupyter.model.device import CostModel, DeviceDescription
from qmio_jupyter.model.task import TaskOptions, TaskSpec

#: Weight that older samples keep when a new one comes.
_KEEP = 0.98
#: The driver's figures count as much as this many samples.
_TRUST = 3.0
#: Ratios kept.
_RATIOS = 64
#: A ratio counts as at most this, and at least one over it.
_FARTHEST = 10.0
#: What is believed of ratios before any was seen: p50 1, p90 2.
_PRIOR_RATIOS = (0.5, 1.0, 1.0, 1.0, 2.0)
#: Runs that tell whether the fit is far off.
_RECENT = 8
#: The fit is left alone as long as it is off by less.
_OFF = 1.5
#: From this many samples on, a run moves the fit as if it had taken at most `_FARTHEST` times the prediction.
_SETTLED = 3
#: Nothing is predicted to take longer (three centuries): keeps arithmetic finite whatever a driver claims.
_CEILING_S = 1e10


def work(spec: TaskSpec) -> tuple[int, int]:
    """Return (bindings over all items, shots over all items and bindings)."""
    if len(spec.items) == 1:  # by far the most: no sum is needed
        item = spec.items[0]
        bindings = item.bindings
        return bindings, item.shots * bindings
    return sum(item.bindings for item in spec.items), spec.total_shots


def prior(cost: CostModel, spec: TaskSpec) -> float:
    """Return the driver's own prediction, seconds."""
    return _figured(cost, *work(spec))


def clock_of(description: DeviceDescription, options: TaskOptions) -> CostModel | None:
    """Return the clock that a task with these options keeps on a device, None if it keeps none."""
    return description.clock if keeps_clock(description, options) else None


def keeps_clock(description: DeviceDescription, options: TaskOptions) -> bool:
    """Return whether a task with these options keeps the device's clock, if it has one."""
    return options.pace == "real" or description.pace == "real"


def predict_on(row: DeviceRow, spec: TaskSpec, least_s: float) -> float:
    """Return the device-seconds a task is predicted to take on a device: by its clock if it keeps it, else fitted."""
    clock = clock_of(row.description, spec.options)
    if clock is not None:
        return max(prior(clock, spec), least_s)
    return predict(row.model, row.description.cost, spec, least_s)


def _figured(cost: CostModel, bindings: int, shots: float) -> float:
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
    return predict_work(model, cost, *work(spec), least_s)


def predict_work(model: DurationModel, cost: CostModel, bindings: int, shots: int, least_s: float) -> float:
    """Return the same as `predict` for so many bindings and shots (see `work`)."""
    return max(_finite(_mean(model, cost, bindings, shots) * model.factor), least_s)


def _mean(model: DurationModel, cost: CostModel, bindings: int, shots: int) -> float:
    """Return the driver's figures and the fit, weighed against each other."""
    own = _figured(cost, bindings, shots)
    if model.samples == 0 or model.sums[0] <= 0:
        return own
    mean_shots = model.sums[1] / model.sums[0]
    there = _figured(cost, bindings, mean_shots)
    fit = _finite(fitted(model, shots, own / there if there > 0 else 0.0))
    trust = _TRUST if own > 0 else 0.0
    return (trust * own + model.samples * fit) / (trust + model.samples)


def _factor(model: DurationModel, cost: CostModel, least_s: float) -> float:
    """Return what the last runs took over what the fit says: the median, 1 unless it is far off.

    One more run that was just as the fit says is counted in, so that a first run is believed by half.
    """
    # Runs are often alike: one prediction for all of a kind.
    said = {
        kind: max(_mean(model, cost, *kind), least_s)
        for kind in {(bindings, shots) for bindings, shots, _ in model.recent}
    }
    off = median(
        [1.0, *(max(seconds, least_s) / said[bindings, shots] for bindings, shots, seconds in model.recent)]
    )
    return 1.0 if 1 / _OFF <= off <= _OFF else off


def learn(
    model: DurationModel, cost: CostModel, spec: TaskSpec, seconds: float, least_s: float
) -> DurationModel:
    """Return the model after a run that took `seconds`."""
    bindings, shots = work(spec)
    x, y = float(shots), _finite(seconds)
    took_s = y
    if model.samples >= _SETTLED:
        before = predict_work(model, cost, bindings, shots, least_s)
        y = min(max(y, before / _FARTHEST), before * _FARTHEST)
    added = (1.0, x, y, x * x, x * y)
    sums = tuple(old * _KEEP + new for old, new in zip(model.sums, added, strict=True))
    learnt = replace(
        model,
        samples=min(model.samples + 1, 1_000_000),
        sums=(sums[0], sums[1], sums[2], sums[3], sums[4]),
        recent=(*model.recent[-(_RECENT - 1) :], (bindings, shots, took_s)),
    )
    learnt = replace(learnt, factor=_factor(learnt, cost, least_s))
    ratio = _clipped(took_s / predict_work(learnt, cost, bindings, shots, least_s))
    return replace(learnt, ratios=(*model.ratios[-(_RATIOS - 1) :], ratio))


def _clipped(ratio: float) -> float:
    return min(max(ratio, 1 / _FARTHEST), _FARTHEST)


def quantiles(model: DurationModel) -> tuple[float, float]:
    """Return (p50, p90) of real over predicted duration."""
    ordered = sorted([*_PRIOR_RATIOS, *model.ratios])
    last = len(ordered) - 1
    # Clipped again: a ledger may hold wilder ones. Clipping keeps the order.
    return _clipped(ordered[last // 2]), _clipped(ordered[-(-last * 9 // 10)])
