"""Programs whose delays last as long as a parameter says: how much noise there is depends on the binding."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from qiskit import QuantumCircuit

from qmio_jupyter.drivers.aer.bounded import Bounded
from qmio_jupyter.drivers.aer.tables import Matrix
from qmio_jupyter.emulation.compacting import with_durations

if TYPE_CHECKING:
    from qmio_jupyter.drivers.aer.planner import Sampler, Way

#: Sets of durations whose programs are kept by a plan.
_KEPT: Final = 64


class Timed:
    """A program that is made anew for each set of durations; its other parameters are bound as ever.

    Parameters
    ----------
    circuit : QuantumCircuit
        In the device's gates, some durations free.
    names : sequence of str
        Columns of the parameter matrix.
    make : callable
        How a circuit with durations is run.
    nominal : Way
        What `make` gives for durations of 0.
    """

    def __init__(
        self,
        circuit: QuantumCircuit,
        names: Sequence[str],
        make: Callable[[QuantumCircuit], Way],
        nominal: Way,
    ) -> None:
        self._circuit = circuit
        self._names = tuple(names)
        self._make = make
        self._nominal = nominal
        self._made: Bounded[bytes, Way] = Bounded(_KEPT, 4 * _KEPT)

    def step(self) -> int:
        """Return the shots between two looks at the clock."""
        return self._nominal.step()

    def rows_at_once(self) -> int:
        """Return 1: each binding is a program of its own."""
        return 1

    def samplers(
        self, matrix: Matrix, seed: int, item: int, first: int, *, keeps_memory: bool
    ) -> list[Sampler]:
        """Return what makes the shots of each row of `matrix`; the first row is binding number `first`."""
        found: list[Sampler] = []
        for row in range(len(matrix)):
            one = matrix[row : row + 1]
            found += self._way(one).samplers(one, seed, item, first + row, keeps_memory=keeps_memory)
        return found

    def _way(self, row: Matrix) -> Way:
        key = row.tobytes()
        way = self._made.get(key)
        if way is None:
            values = dict(zip(self._names, map(float, row[0]), strict=True))
            way = self._make(with_durations(self._circuit, values))
            self._made.keep(key, way, 1)
        return way
