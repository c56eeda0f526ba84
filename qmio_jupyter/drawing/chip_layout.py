"""Where the qubits of a chip are drawn: Qmio's real places, rows of a lattice, or a tidy layout of any couplings.

Deterministic and cached. Coordinates have x to the right and y downwards; the least distance between two qubits is
the unit.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Final

from qmio_jupyter.drawing.lattice import rows_of
from qmio_jupyter.drawing.spreading import spread

Point = tuple[float, float]
Pairs = tuple[tuple[int, int], ...]

#: Qmio's 32 qubits by index, x to the right and y upwards: the places that CESGA publishes in its package qmiotools
#: (``qmiotools.data.QUBIT_POSITIONS``, read in 2026). Coupled qubits are at most `_REACH` apart.
_QMIO: Final[tuple[Point, ...]] = (
    *((5, -7), (4, -7), (3, -7), (2, -7), (1, -7)),
    *((0.5, -6), (2.5, -6), (4.5, -6)),
    *((6, -5), (5, -5), (4, -5), (3, -5), (2, -5)),
    *((1.5, -4), (3.5, -4), (5.5, -4)),
    *((6, -3), (5, -3), (4, -3), (3, -3), (2, -3), (1, -3)),
    *((0.5, -2), (2.5, -2), (4.5, -2), (6.5, -2)),
    *((6, -1), (5, -1), (4, -1), (3, -1), (2, -1), (1, -1)),
)
_REACH: Final = 1.2
#: A chain of more qubits is folded.
_LONG: Final = 12
#: From here on a layout by forces takes too long, and its circles would be too small anyway.
_MANY: Final = 1200
#: Below this part of the usual distance, two qubits would hide each other.
_CROWDED: Final = 0.3


@lru_cache(maxsize=32)
def place(count: int, pairs: Pairs) -> tuple[Point, ...]:
    """Return the place of each qubit.

    Parameters
    ----------
    count : int
        Number of qubits.
    pairs : tuple of (int, int)
        Coupled qubits, the lower index first, each pair once, sorted. Empty: a grid.
    """
    if count == 0:
        return ()
    if is_qmio(count, pairs):
        return _in_units([(x, -y) for x, y in _QMIO])
    if count > _LONG and all(b == a + 1 for a, b in pairs) and len(pairs) == count - 1:
        return _in_units(folded(count))
    found = rows_of(count, pairs)
    if found is None and pairs and count <= _MANY:
        found = spread(count, pairs)
        if found is not None and _least(found) < _CROWDED:
            found = None
    return _in_units(found or grid(count))


def is_qmio(count: int, pairs: Pairs) -> bool:
    """Return whether the couplings are Qmio's, or some of them: 32 qubits, coupled where its are neighbours."""
    return (
        count == len(_QMIO) and bool(pairs) and all(math.dist(_QMIO[a], _QMIO[b]) < _REACH for a, b in pairs)
    )


def grid(count: int) -> list[Point]:
    """Return places in rows of equal length, somewhat wider than high."""
    across = max(1, math.ceil(math.sqrt(count * 1.6)))
    return [(float(at % across), float(at // across)) for at in range(count)]


def folded(count: int) -> list[Point]:
    """Return the places of a chain that turns back at the end of each row."""
    across = max(1, math.ceil(math.sqrt(count * 1.6)))
    return [
        (float(at % across if at // across % 2 == 0 else across - 1 - at % across), float(at // across))
        for at in range(count)
    ]


def _in_units(points: list[Point]) -> tuple[Point, ...]:
    least = _least(points)
    left = min(x for x, _ in points)
    top = min(y for _, y in points)
    return tuple((round((x - left) / least, 4), round((y - top) / least, 4)) for x, y in points)


def _least(points: list[Point]) -> float:
    """Return the least distance between two of the points, 1 for a single one."""
    ordered = sorted(points)
    least = math.inf
    for at, (x, y) in enumerate(ordered):
        for right, down in ordered[at + 1 :]:
            if right - x >= least:
                break
            least = min(least, math.hypot(right - x, down - y))
    return least if 0 < least < math.inf else 1.0
