"""Axes: where they end, and where their ticks are."""

from __future__ import annotations

import math
from typing import Final

#: Where an axis may end, as multiples of a power of ten, with the steps of its ticks in the same multiples.
_ENDS: Final = (
    (1.0, 0.25),
    (1.5, 0.5),
    (2.0, 0.5),
    (3.0, 1.0),
    (4.0, 1.0),
    (6.0, 2.0),
    (8.0, 2.0),
    (10.0, 2.5),
)


def end_of(highest: float) -> float:
    """Return the end of an axis from 0 that has room for `highest`: few values, so that it seldom changes.

    Examples
    --------
    >>> [end_of(v) for v in (0.52, 0.031, 1.0, 0.0)]
    [0.6, 0.04, 1.0, 1.0]
    """
    if not highest > 0 or not math.isfinite(highest):
        return 1.0
    power = 10.0 ** math.floor(math.log10(highest))
    fit = next((end for end, _ in _ENDS if highest <= end * power * (1 + 1e-9)), 10.0)
    return _neat(fit * power)


def ticks_to(end: float) -> tuple[float, ...]:
    """Return the ticks of an axis from 0 to `end`, an end of `end_of`, both included.

    Examples
    --------
    >>> ticks_to(0.6)
    (0.0, 0.2, 0.4, 0.6)
    """
    power = 10.0 ** math.floor(math.log10(end) + 1e-9)
    multiple = end / power
    step = min(_ENDS, key=lambda known: abs(known[0] - multiple))[1] * power
    return tuple(_neat(at * step) for at in range(round(end / step) + 1))


def nice_ticks(low: float, high: float, about: int = 5) -> tuple[float, ...]:
    """Return round numbers from `low` or above to `high` or below, some `about` of them.

    Steps are 1, 2, 2.5 or 5 times a power of ten. An empty or unbounded range gives its ends.

    Examples
    --------
    >>> nice_ticks(0.0, 6.3)
    (0.0, 2.0, 4.0, 6.0)
    """
    span = high - low
    if not (span > 0 and math.isfinite(span)):
        return (low,)
    raw = span / max(1, about)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(multiple * power for multiple in (1, 2, 2.5, 5, 10) if multiple * power >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return tuple(_neat(at * step) for at in range(first, last + 1))


def _neat(value: float) -> float:
    """Return the value without what binary arithmetic left at its end."""
    return float(f"{value:.10g}")
