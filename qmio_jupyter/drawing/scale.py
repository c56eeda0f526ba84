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


def angle_ticks(low: float, high: float, about: int = 5) -> tuple[float, ...]:
    """Return multiples of a part of pi from `low` to `high`, about so many; round numbers where pi is no measure.

    Examples
    --------
    >>> [angle_written(tick) for tick in angle_ticks(0, 6.2832, 4)]
    ['0', 'π/2', 'π', '3π/2', '2π']
    """
    span = (high - low) / math.pi
    if not 0.2 <= span <= 64:
        return nice_ticks(low, high, about)
    wanted = span / max(1, about)
    step = next((part for part in (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1, 2, 4, 8, 16) if part >= wanted * 0.99), 32)
    first = math.ceil(low / math.pi / step - 1e-3)
    last = math.floor(high / math.pi / step + 1e-3)
    return tuple(max(low, min(high, at * step * math.pi)) for at in range(first, last + 1))


def angle_written(angle: float) -> str:
    """Return an angle in radians as a part of pi, ``3π/4``, where it is one (sixteenths); else as a number."""
    sixteenths = angle / math.pi * 16
    whole = round(sixteenths)
    if abs(sixteenths - whole) > 2e-3 or abs(whole) > 1024:
        return f"{angle:.4g}".replace("-", "\u2212")
    if whole == 0:
        return "0"
    shared = math.gcd(whole, 16)
    over, under = abs(whole) // shared, 16 // shared
    sign = "\u2212" if whole < 0 else ""
    return f"{sign}{'' if over == 1 else over}π{'' if under == 1 else f'/{under}'}"


def _neat(value: float) -> float:
    """Return the value without what binary arithmetic left at its end."""
    return float(f"{value:.10g}")
