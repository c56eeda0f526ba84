"""Programs whose shots differ before their last measurement, or whose state is too large to be read off: blocks.

A block is the number of shots of one call of the simulator, with a seed of its own. Its size depends on the plan
alone, so that batches, which are whole blocks, change nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from qiskit import QuantumCircuit

from qmio_jupyter.drivers.aer.direct import Assembled, Counted, Engine, Options
from qmio_jupyter.drivers.aer.tables import Matrix
from qmio_jupyter.drivers.seeds import batch_seed
from qmio_jupyter.model.result import BindingCounts, key_width, pack_counts

#: Shots of a block where the state is computed once and all its shots are drawn from it.
SAMPLED_BLOCK: Final = 200_000
#: Seconds that a block of shots run one by one should take, by the prediction.
_BLOCK_S: Final = 0.05
#: Bounds of such a block: a call costs as much as some shots; partial counts are wanted ten times a second.
_SMALLEST: Final = 100
_LARGEST: Final = 2_000


def block_shots(*, is_sampled: bool, per_shot_s: float) -> int:
    """Return the size of a plan's blocks: a power of two times 100, or what all shots are drawn from at once."""
    if is_sampled:
        return SAMPLED_BLOCK
    size = _SMALLEST
    while size * 2 <= _LARGEST and size * 2 * per_shot_s <= _BLOCK_S:
        size *= 2
    return size


class Blocks:
    """A program run block by block.

    Parameters
    ----------
    circuit : QuantumCircuit
        With its measurements.
    names : sequence of str
        Columns of the parameter matrix.
    engine : Engine
        What runs it.
    options : Options
        How.
    block : int
        Shots of a block.
    """

    def __init__(
        self, circuit: QuantumCircuit, names: Sequence[str], engine: Engine, options: Options, block: int
    ) -> None:
        self._n_bits = circuit.num_clbits
        self._assembled = engine.assemble(circuit, names, options)
        self._block = block

    def step(self) -> int:
        """Return the shots between two looks at the clock: a block."""
        return self._block

    def rows_at_once(self) -> int:
        """Return 1: every block of every binding has a seed of its own."""
        return 1

    def samplers(
        self, matrix: Matrix, seed: int, item: int, first: int, *, keeps_memory: bool
    ) -> list[BlockSampler]:
        """Return what runs the shots of each row of `matrix`; the first row is binding number `first`."""
        return [
            BlockSampler(
                self._assembled,
                matrix[row : row + 1],
                (seed, item, first + row),
                self._n_bits,
                self._block,
                keeps_memory=keeps_memory,
            )
            for row in range(len(matrix))
        ]


class BlockSampler:
    """Runs the shots of one binding, in order, and counts them."""

    def __init__(
        self,
        assembled: Assembled,
        row: Matrix,
        stream: tuple[int, int, int],
        n_bits: int,
        block: int,
        *,
        keeps_memory: bool,
    ) -> None:
        self._assembled = assembled
        self._row = row
        self._stream = stream
        self._n_bits = n_bits
        self.block = block
        self._counts: Counter[int] = Counter()
        self._memory: list[bytes] | None = [] if keeps_memory else None
        self._blocks = 0
        self.shots = 0

    def draw(self, shots: int) -> None:
        """Run the next `shots` shots; only the last call may ask for a part of a block."""
        for start in range(0, shots, self.block):
            self._run(min(self.block, shots - start))

    def columns(self) -> BindingCounts:
        """Return what was run so far."""
        keys, counts = pack_counts(list(self._counts.items()), self._n_bits)
        memory = None if self._memory is None else b"".join(self._memory)
        return BindingCounts(shots=self.shots, keys=keys, counts=counts, memory=memory)

    def rows(self, shots: int) -> bytes:
        """Run the next block and return its outcomes, packed, one after the other, uncounted."""
        return b"".join(self._shots(self._next(shots, memory=True)))

    def _run(self, shots: int) -> None:
        counted = self._next(shots, memory=self._memory is not None)
        self.shots += shots
        for outcome, count in counted.counts.items():
            self._counts[int(outcome, 16)] += count
        if self._memory is not None:
            self._memory.extend(self._shots(counted))

    def _next(self, shots: int, *, memory: bool) -> Counted:
        seed = batch_seed(*self._stream, self._blocks)
        self._blocks += 1
        return self._assembled.count(self._row, shots, seed, memory=memory)

    def _shots(self, counted: Counted) -> Iterator[bytes]:
        width = key_width(self._n_bits)
        known = {text: int(text, 16).to_bytes(width, "little") for text in counted.counts}
        return (known[text] for text in counted.memory)
