"""Programs whose measurements all come last: the probabilities of every outcome once, then any number of shots."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray
from qiskit import QuantumCircuit
from qiskit.circuit import Gate
from qiskit_aer.library import SaveProbabilities

from qmio_jupyter.drivers.aer.bounded import Bounded
from qmio_jupyter.drivers.aer.direct import Engine, Options
from qmio_jupyter.drivers.aer.refusals import simulation_failed
from qmio_jupyter.drivers.aer.sampling import (
    STEP_SHOTS,
    Distribution,
    Outcomes,
    Probabilities,
    Sampler,
    distribution,
)
from qmio_jupyter.drivers.aer.tables import Matrix

#: Most measured qubits whose probabilities are taken: 8 bytes each, a few times over.
MAX_MEASURED: Final = 22
#: Bytes of probabilities asked for in one call: bounds memory, and lets a worker be told of in between.
_CALL_BYTES: Final = 2**24
#: Most bindings in one call.
_CALL_ROWS: Final = 200
#: Distributions kept by a worker: number and bytes.
KEPT: Final = (4096, 32 * 2**20)
#: Qubits whose readout errors are put into one matrix.
_GROUP: Final = 5

#: Operations that set a qubit whatever it was; the same in every shot where it was still in |0>.
_PREPARING: Final = frozenset({"reset", "initialize"})
#: What a density matrix takes beside gates.
_MIXED: Final = frozenset({"superop", "kraus", "reset", "initialize"})

#: What distributions are kept by: the plan's own number, and a binding's values.
Distributions = Bounded[tuple[int, bytes], Distribution]


class FinalMeasure(msgspec.Struct, frozen=True, kw_only=True):
    """A measurement that nothing follows.

    Attributes
    ----------
    qubit, clbit : int
        Indices in the circuit.
    readout : ndarray, shape (2, 2), or None
        P[prepared, measured]; None: what is measured is what is there.
    """

    qubit: int
    clbit: int
    readout: NDArray[np.float64] | None = None


def final_measures(circuit: QuantumCircuit, *, is_mixed: bool) -> list[FinalMeasure] | None:
    """Return a circuit's measurements, the last into each classical bit, or None where shots differ before them.

    Parameters
    ----------
    circuit : QuantumCircuit
        As it will be run.
    is_mixed : bool
        True for a density matrix, which takes channels and resets whole; a state vector would draw one branch.
    """
    touched: set[int] = set()
    measured: set[int] = set()
    found: dict[int, int] = {}
    index = {bit: at for at, bit in enumerate(circuit.qubits)}
    clbits = {bit: at for at, bit in enumerate(circuit.clbits)}
    for instruction in circuit.data:
        name = instruction.name
        if name in ("barrier", "delay"):
            continue
        qubits = [index[bit] for bit in instruction.qubits]
        if name == "measure":
            measured.update(qubits)
            found[clbits[instruction.clbits[0]]] = qubits[0]
            continue
        if instruction.clbits or instruction.is_control_flow() or not measured.isdisjoint(qubits):
            return None
        if not (_is_unitary(instruction) or (is_mixed and name in _MIXED)) and (
            name not in _PREPARING or not touched.isdisjoint(qubits)
        ):
            return None
        touched.update(qubits)
    return [FinalMeasure(qubit=qubit, clbit=clbit) for clbit, qubit in found.items()]


def _is_unitary(instruction: Any) -> bool:
    return instruction.is_standard_gate() or isinstance(instruction.operation, Gate)


class Exact:
    """A program run by its probabilities.

    Parameters
    ----------
    circuit : QuantumCircuit
        What is run; measurements in it are left out, `measures` stand for them.
    measures : sequence of FinalMeasure
        The last into each classical bit.
    n_bits : int
        Classical bits of the program.
    names : sequence of str
        Columns of the parameter matrix.
    engine : Engine
        What runs it.
    options : Options
        How.
    kept : Distributions
        Where distributions are kept, and the plan's own number in it.
    number : int
        This plan's number there.
    """

    def __init__(
        self,
        circuit: QuantumCircuit,
        measures: Sequence[FinalMeasure],
        n_bits: int,
        names: Sequence[str],
        engine: Engine,
        options: Options,
        kept: Distributions,
        number: int,
    ) -> None:
        wires = _wires(measures)
        self._outcomes = Outcomes(n_bits, [places for _, places, _ in wires])
        self._readout = _grouped([matrix for _, _, matrix in wires])
        self._assembled = engine.assemble(_saving(circuit, [qubit for qubit, _, _ in wires]), names, options)
        self._kept = kept
        self._number = number
        self._has_parameters = bool(names)

    def step(self) -> int:
        """Return the shots between two looks at the clock."""
        return STEP_SHOTS

    def rows_at_once(self) -> int:
        """Return how many bindings are worth one call."""
        return max(1, min(_CALL_ROWS, _CALL_BYTES // (8 * self._outcomes.number)))

    def samplers(
        self, matrix: Matrix, seed: int, item: int, first: int, *, keeps_memory: bool
    ) -> list[Sampler]:
        """Return what draws the shots of each row of `matrix`; the first row is binding number `first`."""
        return [
            Sampler(found, self._outcomes, (seed, item, first + row), keeps_memory=keeps_memory)
            for row, found in enumerate(self._distributions(matrix))
        ]

    def _distributions(self, matrix: Matrix) -> list[Distribution]:
        keys = [(self._number, row.tobytes()) for row in matrix]
        known = [self._kept.get(key) for key in keys]
        lacking = [row for row, found in enumerate(known) if found is None]
        if lacking:
            wanted = matrix if len(lacking) == len(matrix) else matrix[lacking]
            for row, probabilities in zip(lacking, self._assembled.probabilities(wanted), strict=True):
                try:
                    made = distribution(self._read_out(probabilities))
                except ValueError as problem:
                    raise simulation_failed(str(problem)) from problem
                known[row] = made
                self._kept.keep(keys[row], made, made.n_bytes + len(keys[row][1]) + 200)
        return [found for found in known if found is not None]

    def _read_out(self, probabilities: Probabilities) -> Probabilities:
        """Return the probabilities of what is read, from those of what is there."""
        if self._readout is None:
            return probabilities
        # Groups from the most significant on; each turn reads one and puts it behind the others, so that after
        # the last the order is the first one again.
        for matrix in self._readout:
            probabilities = probabilities.reshape(len(matrix), -1).T @ matrix
        return probabilities.reshape(-1)


def _wires(
    measures: Sequence[FinalMeasure],
) -> list[tuple[int, list[int], NDArray[np.float64] | None]]:
    """Return (qubit, classical bits, readout) by the highest classical bit.

    A qubit that is read into several bits without an error is one wire; with one, each reading errs on its own.
    """
    wires: list[tuple[int, list[int], NDArray[np.float64] | None]] = []
    plain: dict[int, list[int]] = {}
    for measure in sorted(measures, key=lambda m: m.clbit):
        if measure.readout is None and measure.qubit in plain:
            plain[measure.qubit].append(measure.clbit)
            continue
        places = [measure.clbit]
        if measure.readout is None:
            plain[measure.qubit] = places
        wires.append((measure.qubit, places, measure.readout))
    return sorted(wires, key=lambda wire: wire[1][-1])


def is_exact(measures: Sequence[FinalMeasure]) -> bool:
    """Return whether the outcomes' probabilities can be had: few bits, and no qubit read twice with errors."""
    wires = _wires(measures)
    return len(wires) <= MAX_MEASURED and len({qubit for qubit, _, _ in wires}) == len(wires)


def _saving(circuit: QuantumCircuit, qubits: Sequence[int]) -> QuantumCircuit:
    """Return the circuit without measurements, barriers, delays and unused qubits, saving probabilities at its end."""
    index = {bit: at for at, bit in enumerate(circuit.qubits)}
    kept = [
        instruction for instruction in circuit.data if instruction.name not in ("measure", "barrier", "delay")
    ]
    used = sorted({index[bit] for instruction in kept for bit in instruction.qubits} | set(qubits))
    # With the very same bits, instructions need not be looked into.
    made: Any = QuantumCircuit([circuit.qubits[qubit] for qubit in used])
    for instruction in kept:
        made._append(instruction)
    made.append(SaveProbabilities(len(qubits)), [circuit.qubits[qubit] for qubit in qubits], copy=False)
    return made


def _grouped(matrices: Sequence[NDArray[np.float64] | None]) -> list[NDArray[np.float64]] | None:
    """Return matrices of at most `_GROUP` wires each, the most significant wires first; None if nothing errs."""
    if all(matrix is None for matrix in matrices):
        return None
    filled = [np.eye(2) if matrix is None else np.asarray(matrix, dtype=np.float64) for matrix in matrices]
    groups = []
    for start in range(0, len(filled), _GROUP):
        made: NDArray[np.float64] = np.ones((1, 1))
        for matrix in filled[start : start + _GROUP]:
            made = np.asarray(np.kron(matrix, made), dtype=np.float64)
        groups.append(made)
    return groups[::-1]
