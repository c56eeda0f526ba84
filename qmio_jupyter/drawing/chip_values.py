"""A chip as a picture needs it: qubits and couplings with their places and values, and how values are written."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final, Literal

import msgspec

from qmio_jupyter.drawing.text import significant
from qmio_jupyter.errors import UsageError


class ChipQubit(msgspec.Struct, frozen=True, kw_only=True):
    """One physical qubit."""

    index: int
    #: What is written in it; the index where empty.
    label: str = ""
    #: Its place, x to the right, y downwards; neighbours are about 1 apart.
    x: float
    y: float
    #: By `Quantity.key`, SI units and fractions; what is not known is left out.
    values: Mapping[str, float] = {}
    #: Error bars of some of them.
    bars: Mapping[str, float] = {}
    #: It cannot be used.
    dead: bool = False

    @property
    def name(self) -> str:
        """What is written in it."""
        return self.label or str(self.index)


class ChipEdge(msgspec.Struct, frozen=True, kw_only=True):
    """A coupling of two qubits."""

    a: int
    b: int
    #: ``error`` (a fraction) and ``duration_s``.
    values: Mapping[str, float] = {}
    bars: Mapping[str, float] = {}
    #: Qiskit's name of the two-qubit gate that the values are of.
    gate: str = ""
    #: The gate works from `a` to `b` only.
    is_directed: bool = False
    dead: bool = False


class Chip(msgspec.Struct, frozen=True, kw_only=True):
    """A device on one day."""

    device: str = ""
    #: When it was measured, milliseconds since the Unix epoch; None: not known.
    taken_ms: int | None = None
    qubits: tuple[ChipQubit, ...]
    edges: tuple[ChipEdge, ...] = ()

    @property
    def taken(self) -> str:
        """When it was measured, ``2025-04-16 12:00 UTC``; empty if not known."""
        if self.taken_ms is None:
            return ""
        return datetime.fromtimestamp(self.taken_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")


class Quantity(msgspec.Struct, frozen=True):
    """Something that is known of qubits or couplings."""

    #: Its name among the values.
    key: str
    title: str
    unit: str
    #: From SI, or a fraction, to the unit.
    factor: float
    better: Literal["high", "low", ""]

    def written(self, value: float, bar: float | None = None) -> str:
        """Return a value with its unit, and its error bar where there is one: ``72.5 µs ± 6.9 µs``."""
        text = f"{significant(value * self.factor)} {self.unit}"
        return text if bar is None else f"{text} ± {significant(bar * self.factor, 2)} {self.unit}"


#: What qubits can be coloured by, by the name that users give.
QUANTITIES: Final[Mapping[str, Quantity]] = MappingProxyType(
    {
        "t1": Quantity("t1_s", "T1", "µs", 1e6, "high"),
        "t2": Quantity("t2_s", "T2", "µs", 1e6, "high"),
        "readout": Quantity("readout_error", "readout error", "%", 100, "low"),
        "sx": Quantity("sx_error", "SX error", "%", 100, "low"),
        "frequency": Quantity("frequency_hz", "frequency", "GHz", 1e-9, ""),
        "readout_time": Quantity("readout_s", "readout time", "µs", 1e6, "low"),
    }
)
#: What couplings are coloured by, and what else is told of them.
EDGE: Final = Quantity("error", "two-qubit error", "%", 100, "low")
EDGE_TIME: Final = Quantity("duration_s", "duration", "ns", 1e9, "low")


def known(values: Mapping[str, float], key: str) -> float | None:
    """Return a value, None if it is not known or no finite number."""
    value = values.get(key)
    return value if value is not None and math.isfinite(value) else None


def quantity_of(name: str) -> Quantity:
    """Return what users call `name`.

    Raises
    ------
    UsageError
        For a name that is not in `QUANTITIES`.
    """
    found = QUANTITIES.get(name)
    if found is None:
        raise UsageError(
            f"a chip cannot be coloured by {name[:40]!r}", hint=f"Choose one of: {', '.join(QUANTITIES)}."
        )
    return found


def outlying(values: Sequence[float], side: str, reach: float = 1.5) -> float | None:
    """Return the bound beyond which a value is outlying; None without one.

    Tukey's fence: `reach` times the distance of the quartiles beyond the nearer of them ("Exploratory Data Analysis",
    1977). From eight values on; none where the quartiles are equal.

    Parameters
    ----------
    values : sequence of float
        All values.
    side : {"low", "high", ""}
        The side on which values are looked for; empty: none.
    reach : float
        1.5 for the inner fence, 3 for the outer one.
    """
    if len(values) < 8 or not side:
        return None
    low, high = quantile(values, 0.25), quantile(values, 0.75)
    if low == high:
        return None
    return low - reach * (high - low) if side == "low" else high + reach * (high - low)


def quantile(values: Sequence[float], part: float) -> float:
    """Return the quantile at `part` (0 to 1) of at least one value, linear between neighbours."""
    ordered = sorted(values)
    place = part * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


def is_beyond(value: float, bound: float | None, side: str) -> bool:
    """Return whether a value is beyond a bound of `outlying`."""
    if bound is None:
        return False
    return value < bound if side == "low" else value > bound


def figure(value: float, letters: int = 5) -> str:
    """Return a number in few characters, as exactly as they allow.

    Examples
    --------
    >>> [figure(v) for v in (72.466, 0.006, 0.0449, 400750.0, 1753.2, 0.0)]
    ['72.5', '0.006', '0.045', '4e5', '1753', '0']
    """
    for digits in (3, 2, 1):
        written = significant(value, digits)
        if len(written) <= letters and "e" not in written:
            return written
    first, _, power = f"{value:.0e}".partition("e")
    return f"{first}e{int(power)}"
