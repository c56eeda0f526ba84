"""Noisy Clifford programs, sampled without Aer by their frames (see `qmio_jupyter.emulation.frames`): blocks.

A block is some shots done together, with a stream of random numbers of its own. Its size depends on the plan alone,
so that batches, which are whole blocks, change nothing.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

import numpy as np

from qmio_jupyter.drivers.aer.tables import Matrix
from qmio_jupyter.emulation.frames import Frames
from qmio_jupyter.model.result import BindingCounts, pack_counts

#: Shots of a block: four thousand take twice as long as one thousand, and partial counts are wanted soon.
BLOCK: Final = 4_000


class Framed:
    """A program run by its frames.

    Parameters
    ----------
    frames : Frames
        Ready to be sampled.
    n_bits : int
        Classical bits of the program.
    """

    def __init__(self, frames: Frames, n_bits: int) -> None:
        self._frames = frames
        self._n_bits = n_bits

    def step(self) -> int:
        """Return the shots between two looks at the clock: a block."""
        return BLOCK

    def rows_at_once(self) -> int:
        """Return 1: every block of every binding has random numbers of its own."""
        return 1

    def samplers(
        self, matrix: Matrix, seed: int, item: int, first: int, *, keeps_memory: bool
    ) -> list[FrameSampler]:
        """Return what runs the shots of each row of `matrix`; the first row is binding number `first`."""
        return [
            FrameSampler(self._frames, self._n_bits, (seed, item, first + row), keeps_memory=keeps_memory)
            for row in range(len(matrix))
        ]


class FrameSampler:
    """Runs the shots of one binding, in order, and counts them.

    Parameters
    ----------
    frames : Frames
        What is run.
    n_bits : int
        Classical bits of the program.
    stream : tuple of int
        (seed, item, binding).
    keeps_memory : bool
        Whether every shot is kept.
    """

    def __init__(
        self, frames: Frames, n_bits: int, stream: tuple[int, int, int], *, keeps_memory: bool
    ) -> None:
        self._frames = frames
        self._n_bits = n_bits
        self._stream = stream
        self._counts: Counter[bytes] = Counter()
        self._memory: list[bytes] | None = [] if keeps_memory else None
        self._blocks = 0
        self.block = BLOCK
        self.shots = 0

    def draw(self, shots: int) -> None:
        """Run the next `shots` shots; only the last call may ask for a part of a block."""
        for start in range(0, shots, BLOCK):
            self._run(min(BLOCK, shots - start))

    def columns(self) -> BindingCounts:
        """Return what was run so far."""
        pairs = [(int.from_bytes(key, "little"), count) for key, count in self._counts.items()]
        keys, counts = pack_counts(pairs, self._n_bits)
        memory = None if self._memory is None else b"".join(self._memory)
        return BindingCounts(shots=self.shots, keys=keys, counts=counts, memory=memory)

    def rows(self, shots: int) -> bytes:
        """Run the next block and return its outcomes, packed, one after the other, uncounted."""
        seed, item, binding = self._stream
        # 2**64 steps of the counter lie between one block's numbers and the next one's.
        random = np.random.Generator(np.random.Philox(counter=(0, self._blocks, binding, item), key=seed))
        self._blocks += 1
        return self._frames.sample(shots, random).tobytes()

    def _run(self, shots: int) -> None:
        data = self.rows(shots)
        self.shots += shots
        width = len(data) // shots
        self._counts.update(data[at : at + width] for at in range(0, len(data), width))
        if self._memory is not None:
            self._memory.append(data)
