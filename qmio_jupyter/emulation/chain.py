"""How entangled a circuit can become along a chain of its qubits: what a matrix product state would have to hold.

The Schmidt rank across a cut is at most the product of the operator Schmidt ranks of the gates that cross it, at
most 2 to the number of qubits on either side, and at most twice that of the next cut (Vidal, Phys. Rev. Lett. 91,
147902 (2003)). Noise on single qubits changes none of these. The bound holds whatever the angles; it is not tight
where entanglement is undone again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from qmio_jupyter.emulation.survey import Link

#: Gates between two looks at the cuts, where there are many: bounds memory, and lets bonds grow early.
_ROWS: Final = 4096
#: Bonds beyond this are out of reach for anybody: logarithm to base 2.
HOPELESS: Final = 24.0


class Chain(NamedTuple):
    """An order of the qubits, and what it would take.

    Attributes
    ----------
    order : tuple of int
        Qubits from one end to the other.
    steps : float
        Two-site operations: gates, and the swaps that bring their qubits together.
    cubes : float
        Sum over these of the cube of the bond dimension there (a singular value decomposition's share).
    squares : float
        Mean over sites of the square of the bond dimension at the end.
    bond : float
        Largest bond dimension.
    """

    order: tuple[int, ...]
    steps: float
    cubes: float
    squares: float
    bond: float


def best(links: Sequence[Link], n_qubits: int, turns: int = 1) -> Chain:
    """Return the cheaper of the qubits' own order and one that keeps those that share gates together.

    Parameters
    ----------
    links : sequence of Link
        The gates between qubits, in order.
    n_qubits : int
        Qubits.
    turns : int
        How often the links are passed, at the most.
    """
    own = tuple(range(n_qubits))
    found = along(own, links, turns)
    if not links or n_qubits <= 2:
        return found
    other = along(_spectral(links, n_qubits), links, turns)
    return other if other.cubes < found.cubes else found


def along(order: Sequence[int], links: Sequence[Link], turns: int = 1) -> Chain:
    """Return what the links would take along one order; parameters as for `best`."""
    n = len(order)
    if n < 2 or not links:
        return Chain(tuple(order), 0.0, 0.0, 1.0, 1.0)
    place = np.empty(n, dtype=np.intp)
    place[list(order)] = np.arange(n)
    ends = np.array([(place[list(link.qubits)].min(), place[list(link.qubits)].max()) for link in links])
    ranks = np.log2([link.rank for link in links]) * turns
    cuts = np.arange(n - 1)
    most = np.minimum(cuts + 1, n - 1 - cuts).astype(np.float64)
    before = np.zeros(n - 1)
    steps = cubes = 0.0
    last = before
    for start in range(0, len(links), _ROWS):
        low, high = ends[start : start + _ROWS, :1], ends[start : start + _ROWS, 1:]
        crossed = (low <= cuts) & (cuts < high)
        grown = before + np.cumsum(crossed * ranks[start : start + _ROWS, None], axis=0)
        before = grown[-1]
        bonds = _capped(np.minimum(grown, most))
        steps += float(crossed.sum()) * turns
        cubes += float((crossed * 8.0 ** np.minimum(bonds, HOPELESS)).sum()) * turns
        last = bonds[-1]
    last = np.minimum(last, HOPELESS)
    return Chain(tuple(order), steps, cubes, float((4.0**last).mean()), float(2.0 ** last.max()))


def _capped(bonds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return logarithms of bonds none of which is more than 1 above the next."""
    for cut in range(1, bonds.shape[1]):
        np.minimum(bonds[:, cut], bonds[:, cut - 1] + 1.0, out=bonds[:, cut])
    for cut in range(bonds.shape[1] - 2, -1, -1):
        np.minimum(bonds[:, cut], bonds[:, cut + 1] + 1.0, out=bonds[:, cut])
    return bonds


def _spectral(links: Sequence[Link], n_qubits: int) -> tuple[int, ...]:
    """Return the qubits by the second eigenvector of their graph's Laplacian.

    It makes the sum of squared distances of linked qubits smallest (Juvan and Mohar, Discrete Appl. Math. 36, 153
    (1992)). Parts without links between them stay apart.
    """
    weights = np.zeros((n_qubits, n_qubits))
    for link in links:
        for place, first in enumerate(link.qubits):
            for second in link.qubits[place + 1 :]:
                weights[first, second] += 1.0
                weights[second, first] += 1.0
    order: list[int] = []
    for part in _parts(weights > 0):
        inside = weights[np.ix_(part, part)]
        laplacian = np.diag(inside.sum(axis=1)) - inside
        values = np.linalg.eigh(laplacian)[1][:, min(1, len(part) - 1)]
        # Rounded, so that the same circuit has the same order on every machine.
        keys = np.round(values * (1 if values[int(np.argmax(np.abs(values)))] > 0 else -1), 6)
        order += [part[place] for place in sorted(range(len(part)), key=lambda at: (keys[at], at))]
    return tuple(order)


def _parts(linked: NDArray[np.bool_]) -> list[list[int]]:
    left = set(range(len(linked)))
    parts = []
    while left:
        reached = {min(left)}
        edge = list(reached)
        while edge:
            fresh = {int(q) for q in np.flatnonzero(linked[edge.pop()])} - reached
            reached |= fresh
            edge.extend(fresh)
        left -= reached
        parts.append(sorted(reached))
    return parts
