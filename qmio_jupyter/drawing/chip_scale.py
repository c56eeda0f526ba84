"""From a quantity's values to parts of the colour scale: 0 for the best, 1 for the worst."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from qmio_jupyter.drawing.chip_values import Quantity, is_beyond, outlying, quantile


class Scale(msgspec.Struct, frozen=True):
    """The scale of one quantity over the elements of a chip that are alive and known."""

    quantity: Quantity
    #: Ends of the scale: the best and the worst value within the fences; for a quantity without better and worse, the
    #: lowest and the highest.
    best: float = 0.0
    worst: float = 0.0
    #: Tukey's inner fence on the worse side, and his outer one on the better side: what is so much better than all the
    #: others is a fit that failed.
    bound: float | None = None
    far: float | None = None
    lowest: float = 0.0
    highest: float = 0.0
    median: float = 0.0
    #: Values there are, those better than `best`, and those worse than `worst`.
    count: int = 0
    better: int = 0
    worse: int = 0

    @property
    def is_empty(self) -> bool:
        """Whether there is no value to show."""
        return self.count == 0

    @property
    def told(self) -> str:
        """What an alternative text says: range and median."""
        if self.is_empty:
            return " (not known)"
        written = self.quantity.written
        return f" ({written(self.lowest)} to {written(self.highest)}, median {written(self.median)})"

    def part(self, value: float) -> float:
        """Return where a value is on the scale, 0 to 1."""
        if self.best == self.worst:
            return 0.5
        return max(0.0, min(1.0, (value - self.best) / (self.worst - self.best)))

    def is_outlying(self, value: float) -> bool:
        """Return whether a value is beyond a fence."""
        worse, better = _sides(self.quantity)
        return is_beyond(value, self.bound, worse) or is_beyond(value, self.far, better)


def scale_of(found: Iterable[tuple[float | None, bool]], quantity: Quantity) -> Scale:
    """Return the scale of values, each with whether its element is dead."""
    values = [value for value, is_dead in found if value is not None and not is_dead]
    if not values:
        return Scale(quantity=quantity)
    bad_side, good_side = _sides(quantity)
    bound, good = outlying(values, bad_side), outlying(values, good_side)
    inside = [
        value
        for value in values
        if not is_beyond(value, bound, bad_side) and not is_beyond(value, good, good_side)
    ]
    best, worst = (max(inside), min(inside)) if quantity.better == "high" else (min(inside), max(inside))
    return Scale(
        quantity=quantity,
        best=best,
        worst=worst,
        bound=bound,
        far=outlying(values, good_side, 3.0),
        lowest=min(values),
        highest=max(values),
        median=quantile(values, 0.5),
        count=len(values),
        better=sum(is_beyond(value, good, good_side) for value in values),
        worse=sum(is_beyond(value, bound, bad_side) for value in values),
    )


def _sides(quantity: Quantity) -> tuple[str, str]:
    """Return on which side values are worse, and on which they are better."""
    return {"high": ("low", "high"), "low": ("high", "low")}.get(quantity.better, ("", ""))
