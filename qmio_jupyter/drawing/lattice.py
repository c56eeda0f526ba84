"""Devices that are numbered row by row (heavy-hexagon and square lattices): their rows, found in the couplings.

Runs of consecutive coupled indices are rows; what lies between two rows hangs at the column of its neighbours. Where
that gives one place to every qubit, and every coupling the length 1, it is the lattice. Otherwise it is not one.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable

Point = tuple[float, float]


def rows_of(count: int, pairs: Iterable[tuple[int, int]]) -> list[Point] | None:
    """Return the place of each qubit of a lattice that is numbered row by row; None if it is none.

    Parameters
    ----------
    count : int
        Number of qubits.
    pairs : iterable of (int, int)
        Coupled qubits, the lower index first.
    """
    neighbours: defaultdict[int, list[int]] = defaultdict(list)
    for a, b in pairs:
        neighbours[a].append(b)
        neighbours[b].append(a)
    found: dict[int, tuple[int, int]] = {0: (0, 0)}
    waiting = deque([0])
    while waiting:
        at = waiting.popleft()
        x, y = found[at]
        for other in sorted(neighbours[at]):
            # Within a row to the side, otherwise straight down to higher indices and up to lower ones.
            is_beside = abs(other - at) == 1
            place = (x + other - at, y) if is_beside else (x, y + 1 if other > at else y - 1)
            if other not in found:
                found[other] = place
                waiting.append(other)
            elif found[other] != place:
                return None
    places = [found[at] for at in range(count)] if len(found) == count else []
    if len(set(places)) != count or len({y for _, y in places}) < 2:
        return None
    wide, high = (max(part) - min(part) for part in zip(*places, strict=True))
    # What stands is laid down: pages are wider than high.
    return [(float(y), float(x)) if high > 1.3 * wide else (float(x), float(y)) for x, y in places]
