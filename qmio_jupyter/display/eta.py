"""An estimate in words: a range, told honestly, counting down by the reader's own clock between two messages."""

from __future__ import annotations

from qmio_jupyter.model.task import Estimate

#: What is due sooner is over before it is read.
SOON_S = 1.0
_UNITS = ((90.0, 1, "s"), (90 * 60.0, 60, "min"), (float("inf"), 3600, "h"))


def eta_words(what: str, estimate: Estimate | None, passed_s: float) -> str:
    """Return ``starts in 10-25 s``, ``starts any moment``, ``no estimate yet``.

    The range is from the median to what is enough 9 times in 10 (`eta_hint` says so). An estimate without a spread is
    a device's clock, which is exact; any other one that no run has confirmed is not told.

    Parameters
    ----------
    what : str
        ``starts`` or ``ends``.
    passed_s : float
        Seconds since the estimate was made.
    """
    if estimate is None or not is_founded(estimate):
        return "no estimate yet"
    low, high = estimate.p50_s - passed_s, estimate.p90_s - passed_s
    if high < -SOON_S:
        return f"{what} later than estimated"
    if high < SOON_S:
        return f"{what} any moment"
    return f"{what} in {span(max(low, 0.0), high)}"


def eta_hint(estimate: Estimate | None) -> str:
    """Return what the numbers of `eta_words` mean; empty where there are none."""
    if estimate is None or not is_founded(estimate):
        return ""
    if is_exact(estimate):
        return "by the device's clock"
    runs = f"{estimate.samples} run{'' if estimate.samples == 1 else 's'}"
    return f"half of the time sooner than the first number, 9 times in 10 than the second; learnt from {runs}"


def is_exact(estimate: Estimate) -> bool:
    """Return whether an estimate has no spread: nothing in it was guessed."""
    return estimate.p50_s == estimate.p90_s


def is_founded(estimate: Estimate) -> bool:
    """Return whether an estimate rests on runs, or on a clock."""
    return estimate.samples > 0 or is_exact(estimate)


def span(low_s: float, high_s: float) -> str:
    """Return a range of durations, rounded so that it does not flicker: ``3-8 s``, ``50 s to 3 min``, ``12 s``."""
    low, low_unit = _rounded(low_s)
    high, high_unit = _rounded(high_s)
    if (low, low_unit) == (high, high_unit):
        return f"{high} {high_unit}"
    if low == 0:
        return f"less than {high} {high_unit}"
    if low_unit == high_unit:
        return f"{low}\N{EN DASH}{high} {high_unit}"
    return f"{low} {low_unit} to {high} {high_unit}"


def _rounded(seconds: float) -> tuple[int, str]:
    for limit, size, unit in _UNITS:
        if seconds < limit:
            number = seconds / size
            return (round(number) if number < 20 or size > 60 else 5 * round(number / 5)), unit
    raise AssertionError
