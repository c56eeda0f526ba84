"""Batches smaller than blocks, for runs that keep their device's clock.

Shots that are computed together, a block, are not measured together: the device has them one after the other. A block
is computed whole, so that its outcomes are the same as without a clock, and revealed batch by batch.
"""

from __future__ import annotations

from collections import Counter
from typing import Protocol, runtime_checkable

from qmio_jupyter.model.result import BindingCounts, key_width, pack_counts


@runtime_checkable
class InBlocks(Protocol):
    """What makes the shots of one binding in blocks."""

    @property
    def block(self) -> int:
        """Shots of a block; the last one may be smaller."""
        ...

    def rows(self, shots: int) -> bytes:
        """Run the next block and return its outcomes, packed, one after the other, uncounted."""
        ...


class Revealed:
    """Counts the shots of one binding in steps of any size.

    Parameters
    ----------
    blocks : InBlocks
        What makes the shots; nobody else asks it for any.
    total : int
        Shots in all: they say how large the last block is.
    n_bits : int
        Classical bits of the program.
    keeps_memory : bool
        Whether every shot is kept.
    """

    def __init__(self, blocks: InBlocks, total: int, n_bits: int, *, keeps_memory: bool) -> None:
        self._blocks = blocks
        self._computed = 0
        self._total = total
        self._n_bits = n_bits
        self._width = key_width(n_bits)
        self._rows = b""
        self._at = 0
        self._counts: Counter[bytes] = Counter()
        self._memory: list[bytes] | None = [] if keeps_memory else None
        self.shots = 0

    def draw(self, shots: int) -> None:
        """Reveal the next `shots` shots."""
        until = self.shots + shots
        while self.shots < until:
            if self._at == len(self._rows):
                size = min(self._blocks.block, self._total - self._computed)
                self._rows, self._at = self._blocks.rows(size), 0
                self._computed += size
            end = min(len(self._rows), self._at + (until - self.shots) * self._width)
            data = self._rows[self._at : end]
            self._counts.update(data[at : at + self._width] for at in range(0, len(data), self._width))
            if self._memory is not None:
                self._memory.append(data)
            self.shots += len(data) // self._width
            self._at = end

    def columns(self) -> BindingCounts:
        """Return the counts of what was revealed."""
        pairs = [(int.from_bytes(key, "little"), count) for key, count in self._counts.items()]
        keys, counts = pack_counts(pairs, self._n_bits)
        memory = None if self._memory is None else b"".join(self._memory)
        return BindingCounts(shots=self.shots, keys=keys, counts=counts, memory=memory)
