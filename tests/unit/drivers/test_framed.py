"""Shots by frames: the same however they are cut into batches."""

import numpy as np
import pytest
from qiskit import QuantumCircuit

from qmio_jupyter.calibration.samples import sample
from qmio_jupyter.drivers.aer.framed import BLOCK, Framed
from qmio_jupyter.drivers.aer.tables import Matrix
from qmio_jupyter.emulation.frames import Frames
from qmio_jupyter.emulation.noise import NoiseBook

N_BITS = 11


@pytest.fixture(scope="module")
def framed() -> Framed:
    """Return GHZ of three of the sample device's qubits, in the lowest, a middle and the highest of eleven bits."""
    circuit = QuantumCircuit(32, N_BITS)
    circuit.sx(0)
    circuit.ecr(0, 1)
    circuit.ecr(2, 1)
    circuit.measure([0, 1, 2], [0, 5, 10])
    return Framed(Frames(circuit, NoiseBook(sample("qmio"))), N_BITS)


def drawn(framed: Framed, *batches: int, seed: int = 3, binding: int = 0):
    """Return the counts and memory of shots drawn in batches."""
    (sampler,) = framed.samplers(_no_parameters(), seed, 0, binding, keeps_memory=True)
    for shots in batches:
        sampler.draw(shots)
    return sampler.columns()


def _no_parameters() -> Matrix:
    return np.zeros((1, 0))


def test_batches_change_nothing(framed):
    step = framed.step()
    assert step == BLOCK
    assert drawn(framed, 2 * step + 500) == drawn(framed, step, step, 500)


def test_counts_are_those_of_the_memory_and_every_bit_has_its_place(framed):
    columns = drawn(framed, 1_000)
    assert columns.shots == 1_000
    assert columns.memory is not None
    shots = [columns.memory[at : at + 2] for at in range(0, 2_000, 2)]
    keys = [columns.keys[at : at + 2] for at in range(0, len(columns.keys), 2)]
    counts = memoryview(columns.counts).cast("Q").tolist()
    assert dict(zip(keys, counts, strict=True)) == {key: shots.count(key) for key in keys}
    assert sum(counts) == 1_000
    assert all(int.from_bytes(key, "little") & ~0b100_0010_0001 == 0 for key in keys)
    assert len(keys) > 2


def test_bindings_and_seeds_draw_their_own_numbers(framed):
    first = drawn(framed, 200).memory
    assert first != drawn(framed, 200, binding=1).memory
    assert first != drawn(framed, 200, seed=4).memory
