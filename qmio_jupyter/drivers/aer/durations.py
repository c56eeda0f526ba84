"""Times of OpenQASM 3 that are known before the program runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from openqasm3 import ast

#: Nanoseconds of each unit but the device's own.
_NANOSECONDS: Final = {"ns": 1.0, "us": 1e3, "ms": 1e6, "s": 1e9}


@dataclass(frozen=True, slots=True)
class Duration:
    """A length of time.

    Attributes
    ----------
    value : float
        How many.
    unit : str
        ``ns``, or ``dt``: samples of the device. The two do not mix: how long a sample is, only the device knows.
    """

    value: float
    unit: str

    def __add__(self, other: object) -> Duration:
        return Duration(self.value + self._same(other).value, self.unit)

    def __sub__(self, other: object) -> Duration:
        return Duration(self.value - self._same(other).value, self.unit)

    def __neg__(self) -> Duration:
        return Duration(-self.value, self.unit)

    def __mul__(self, factor: object) -> Duration:
        if not isinstance(factor, (int, float)):
            raise TypeError("a time is multiplied by a number")
        return Duration(self.value * factor, self.unit)

    __rmul__ = __mul__

    def __truediv__(self, other: object) -> Duration | float:
        if isinstance(other, (int, float)):
            return Duration(self.value / other, self.unit)
        return self.value / self._same(other).value

    def __lt__(self, other: object) -> bool:
        return self.value < self._same(other).value

    def __le__(self, other: object) -> bool:
        return self.value <= self._same(other).value

    def __int__(self) -> int:
        raise TypeError("a time is no number")

    def __float__(self) -> float:
        raise TypeError("a time is no number")

    def _same(self, other: object) -> Duration:
        if not isinstance(other, Duration):
            raise TypeError("a time and a number do not go together")
        if other.unit != self.unit:
            raise TypeError("dt and seconds do not go together")
        return other


def of_literal(node: ast.DurationLiteral) -> Duration:
    """Return what a literal says."""
    unit = node.unit.name
    if unit == "dt":
        return Duration(node.value, "dt")
    return Duration(node.value * _NANOSECONDS[unit], "ns")


def as_literal(duration: Duration) -> ast.DurationLiteral:
    """Return the literal that says it."""
    return ast.DurationLiteral(value=duration.value, unit=ast.TimeUnit[duration.unit])
