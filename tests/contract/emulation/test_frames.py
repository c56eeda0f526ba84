"""Clifford circuits by their frames, against Aer's density matrix with the same events."""

import math

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit_aer import AerSimulator
from scipy.stats import chi2

from qmio_jupyter.calibration.samples import sample
from qmio_jupyter.emulation import unravelling
from qmio_jupyter.emulation.frames import Frames
from qmio_jupyter.emulation.noise import NoiseBook

SHOTS = 40_000
BOOK = NoiseBook(sample("qmio"))
#: Neighbours on the sample device: a path of five with its directed gates.
PATH = ((0, 1), (2, 1), (2, 3), (4, 3))


def random_clifford(seed: int, depth: int) -> QuantumCircuit:
    """Return a circuit in the device's gates, with resets on the way and delays of the order of T1."""
    random = np.random.default_rng(seed)
    circuit = QuantumCircuit(32, 5)
    for _ in range(depth):
        for qubit in range(5):
            circuit.rz(int(random.integers(4)) * math.pi / 2, qubit)
            if random.random() < 0.7:
                circuit.sx(qubit)
        circuit.ecr(*PATH[random.integers(4)])
        if random.random() < 0.3:
            circuit.delay(20, int(random.integers(5)), unit="us")
        if random.random() < 0.2:
            circuit.reset(int(random.integers(5)))
    for clbit, qubit in enumerate(random.permutation(5)):
        circuit.measure(int(qubit), clbit)
    return circuit


def drawn(frames: Frames, shots: int, seed: int = 5) -> np.ndarray:
    """Return counts by outcome of circuits with at most 8 bits."""
    keys = frames.sample(shots, np.random.default_rng(seed))
    return np.bincount(keys[:, 0], minlength=32)


def agree(first: np.ndarray, second: np.ndarray) -> float:
    """Return the p-value of two samples of equal size having one distribution."""
    seen = first + second > 10
    statistic = ((first - second)[seen] ** 2 / (first + second)[seen]).sum()
    return float(chi2.sf(statistic, max(1, seen.sum() - 1)))


@pytest.mark.parametrize("seed", range(6))
def test_the_counts_are_those_of_a_density_matrix(seed):
    circuit = random_clifford(seed, 4 + 4 * seed)
    made = unravelling.clifford(circuit, BOOK)
    simulator = AerSimulator(method="density_matrix", noise_model=made.noise_model, max_parallel_threads=1)
    counts = simulator.run(made.circuit, shots=SHOTS, seed_simulator=seed + 1).result().get_counts()
    expected = np.zeros(32, dtype=int)
    for outcome, count in counts.items():
        expected[int(outcome, 2)] = count
    assert agree(drawn(Frames(circuit, BOOK), SHOTS), expected) > 1e-4
