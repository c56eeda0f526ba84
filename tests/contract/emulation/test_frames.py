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
from qmio_jupyter.errors import ProgramError

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


def test_rotations_that_only_a_measurement_follows_change_nothing_and_others_are_refused():
    circuit, turned = random_clifford(1, 8), QuantumCircuit(32, 5)
    for instruction in circuit.data:
        if instruction.name == "measure":
            turned.rz(0.3, circuit.find_bit(instruction.qubits[0]).index)
        turned.append(instruction)
    assert (drawn(Frames(turned, BOOK), 2_000) == drawn(Frames(circuit, BOOK), 2_000)).all()
    refused = QuantumCircuit(32, 1)
    refused.rz(0.3, 0)
    refused.sx(0)
    refused.measure(0, 0)
    with pytest.raises(ProgramError, match="sx follows a rotation"):
        Frames(refused, BOOK)


def test_registers_wider_than_a_word_keep_every_bit():
    book = NoiseBook(sample("fez"))
    circuit = QuantumCircuit(156, 156)
    for qubit in range(1, 156, 3):
        circuit.x(qubit)
    circuit.measure(range(156), range(156))
    ideal = Frames(circuit, None).sample(3, np.random.default_rng(1))
    bits = np.unpackbits(ideal, axis=1, bitorder="little")[:, :156]
    assert (bits == [qubit % 3 == 1 for qubit in range(156)]).all()
    noisy = np.unpackbits(
        Frames(circuit, book).sample(4_000, np.random.default_rng(1)), axis=1, bitorder="little"
    )
    readout = np.array([book.readout(qubit) for qubit in range(156)])
    is_up = np.arange(156) % 3 == 1
    expected = np.where(is_up, readout[:, 1, 1], readout[:, 0, 1])
    # A gate or two changes little beside the readout; five standard deviations and a percent.
    margin = 5 * np.sqrt(expected * (1 - expected) / 4_000) + 0.01
    assert (abs(noisy[:, :156].mean(axis=0) - expected) < margin).all()


def test_ghz_keeps_its_parity_and_its_two_peaks():
    circuit = QuantumCircuit(32, 5)
    circuit.h(0)
    for first in range(4):
        circuit.cx(first, first + 1)
    circuit.measure(range(5), range(5))
    counts = drawn(Frames(circuit, None), 10_000)
    assert counts[0] + counts[31] == 10_000
    assert abs(int(counts[0]) - 5_000) < 5 * 50


def test_the_same_generator_gives_the_same_shots():
    frames = Frames(random_clifford(3, 10), BOOK)
    first, second, other = (frames.sample(500, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert (first == second).all()
    assert (first != other).any()
