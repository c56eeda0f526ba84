"""Shots drawn from exact probabilities: shot i always takes the i-th number of its binding's own stream.

Counts, memory and partial counts are therefore the same however the shots are cut into batches, on every machine:
the numbers come from Philox4x64-10, a counter-based generator (Salmon et al., "Parallel random numbers: as easy as
1, 2, 3", SC11), whose key is the task's seed and whose counter starts at the item's and the binding's own place.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from qmio_jupyter.model.result import BindingCounts, key_width

#: Shots drawn in one step: bounds the memory that drawing takes (some 16 bytes per shot).
STEP_SHOTS: Final = 2**20
#: Up to so many outcomes have their keys made once.
_TABLED: Final = 2**16

Probabilities = NDArray[np.float64]
Whole = NDArray[np.int64]


class Outcomes:
    """What the index of an outcome means in classical bits.

    Parameters
    ----------
    n_bits : int
        Classical bits of the program.
    places : sequence of sequence of int
        Classical bits that bit j of the index is written to; ascending in their last one, so that a larger index
        is a larger key.
    """

    def __init__(self, n_bits: int, places: Sequence[Sequence[int]]) -> None:
        self.n_bits = n_bits
        self.width = key_width(n_bits)
        self.number = 1 << len(places)
        self._places = places
        self._table: NDArray[np.uint8] | None = None

    def keys(self, indices: Whole) -> NDArray[np.uint8]:
        """Return the outcomes' keys, shape (len(indices), width): classical bit 0 is bit 0 of byte 0."""
        if self.number > _TABLED:
            return self._made(indices)
        if self._table is None:
            self._table = self._made(np.arange(self.number))
        return self._table[indices]

    def _made(self, indices: Whole) -> NDArray[np.uint8]:
        keys = np.zeros((len(indices), self.width), dtype=np.uint8)
        for bit, places in enumerate(self._places):
            value = (indices >> bit & 1).astype(np.uint8)
            for place in places:
                keys[:, place >> 3] |= value << np.uint8(place & 7)
        return keys


class Distribution(msgspec.Struct, frozen=True):
    """Probabilities added up, ready to be drawn from: ``cumulative[i]`` is that of an index not above i.

    The last index that can happen has exactly 1.
    """

    cumulative: Probabilities

    @property
    def n_bytes(self) -> int:
        """Bytes it takes."""
        return self.cumulative.nbytes


def distribution(probabilities: Probabilities) -> Distribution:
    """Return a distribution of `probabilities`, which add up to 1 but for rounding.

    Raises
    ------
    ValueError
        If they do not.
    """
    cumulative = np.cumsum(np.maximum(probabilities, 0.0))
    total = cumulative[-1]
    # An empty state, or one that lost its norm, must never be drawn from as if it were one; NaN is no 1 either.
    if not abs(total - 1.0) < 1e-6:
        raise ValueError(f"probabilities add up to {total:.9g}")
    cumulative /= total
    return Distribution(cumulative)


class Sampler:
    """Draws the shots of one binding, in order, and counts them.

    Parameters
    ----------
    source : Distribution
        Where from.
    outcomes : Outcomes
        What indices mean.
    stream : tuple of int
        (seed, item, binding).
    keeps_memory : bool
        Whether every shot is kept.
    """

    def __init__(
        self, source: Distribution, outcomes: Outcomes, stream: tuple[int, int, int], *, keeps_memory: bool
    ) -> None:
        self._cumulative = source.cumulative
        self._outcomes = outcomes
        self._random = _stream(*stream)
        self._memory: list[bytes] | None = [] if keeps_memory else None
        self.shots = 0
        self._indices = np.zeros(0, dtype=np.int64)
        self._counts = np.zeros(0, dtype=np.int64)

    def draw(self, shots: int) -> None:
        """Draw the next `shots` shots."""
        for start in range(0, shots, STEP_SHOTS):
            self._draw(min(STEP_SHOTS, shots - start))
        self.shots += shots

    def columns(self) -> BindingCounts:
        """Return what was drawn so far."""
        return BindingCounts(
            shots=self.shots,
            keys=self._outcomes.keys(self._indices).tobytes(),
            counts=self._counts.astype("<u8").tobytes(),
            memory=None if self._memory is None else b"".join(self._memory),
        )

    def _draw(self, shots: int) -> None:
        numbers = self._random.random(shots)
        if self._memory is not None:
            indices = self._cumulative.searchsorted(numbers, side="right")
            self._memory.append(self._outcomes.keys(indices).tobytes())
            self._add(*np.unique(indices, return_counts=True))
            return
        # Without their order the numbers may be sorted first: the look-ups then go through memory once.
        numbers.sort()
        if len(self._cumulative) <= shots:
            below = numbers.searchsorted(self._cumulative, side="left")
            below[1:] -= below[:-1].copy()
            indices = below.nonzero()[0]
            self._add(indices, below[indices])
        else:
            indices = self._cumulative.searchsorted(numbers, side="right")
            self._add(*np.unique(indices, return_counts=True))

    def _add(self, indices: Whole, counts: Whole) -> None:
        """Add counts by ascending index."""
        if not len(self._indices):
            self._indices, self._counts = indices, counts
            return
        every, place = np.unique(np.concatenate((self._indices, indices)), return_inverse=True)
        added = np.zeros(len(every), dtype=np.int64)
        np.add.at(added, place, np.concatenate((self._counts, counts)))
        self._indices, self._counts = every, added


def _stream(seed: int, item: int, binding: int) -> np.random.Generator:
    """Return the stream of one binding: 2**128 blocks of numbers lie between one and the next."""
    return np.random.Generator(np.random.Philox(counter=(0, 0, binding, item), key=seed))
