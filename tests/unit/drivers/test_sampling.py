"""Own sampling: the same shots however they are cut, and the right outcomes in the right bits."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmio_jupyter.drivers.aer import sampling
from qmio_jupyter.drivers.aer.sampling import Outcomes, Sampler, distribution
from qmio_jupyter.model.result import Register, bitstring

STREAM = (7, 0, 0)


def drawn(probabilities, cuts, *, outcomes=None, stream=STREAM, memory=False):
    bits = (len(probabilities) - 1).bit_length()
    outcomes = outcomes or Outcomes(bits, [[bit] for bit in range(bits)])
    sampler = Sampler(distribution(np.array(probabilities)), outcomes, stream, keeps_memory=memory)
    for shots in cuts:
        sampler.draw(shots)
    return sampler.columns()


def counts_of(columns, width=1):
    keys = [columns.keys[i : i + width] for i in range(0, len(columns.keys), width)]
    return dict(zip(keys, np.frombuffer(columns.counts, "<u8").tolist(), strict=True))


@given(st.lists(st.integers(1, 50), min_size=1, max_size=8), st.booleans())
def test_cutting_the_shots_changes_nothing(cuts, memory):
    probabilities = [0.1, 0.0, 0.6, 0.3]
    assert drawn(probabilities, cuts, memory=memory) == drawn(probabilities, [sum(cuts)], memory=memory)


def test_steps_inside_one_draw_change_nothing(monkeypatch):
    whole = drawn([0.5, 0.2, 0.2, 0.1], [1000], memory=True)
    monkeypatch.setattr(sampling, "STEP_SHOTS", 64)
    assert drawn([0.5, 0.2, 0.2, 0.1], [1000], memory=True) == whole


@pytest.mark.parametrize("number", [4, 2048])
def test_memory_and_counts_are_the_same_shots(number):
    probabilities = np.random.default_rng(1).dirichlet(np.ones(number))
    kept, plain = (drawn(probabilities, [300, 200], memory=memory) for memory in (True, False))
    assert (kept.keys, kept.counts) == (plain.keys, plain.counts)
    width = 2 if number > 256 else 1
    shots = [kept.memory[i : i + width] for i in range(0, len(kept.memory), width)]
    assert {key: shots.count(key) for key in shots} == counts_of(plain, width)


def test_the_first_shots_of_a_longer_run_are_those_of_a_shorter_one():
    assert drawn([0.5, 0.5], [900], memory=True).memory[:400] == drawn([0.5, 0.5], [400], memory=True).memory


def test_seed_item_and_binding_each_make_other_shots():
    made = {
        drawn([0.5, 0.5], [64], stream=s, memory=True).memory
        for s in [(1, 0, 0), (2, 0, 0), (1, 1, 0), (1, 0, 1), (2**63 - 1, 0, 0)]
    }
    assert len(made) == 5


def test_the_numbers_are_philox_and_stay_what_they_are():
    """A seeded result is promised to stay the same: these outcomes may never change."""
    assert (
        drawn([0.5, 0.5], [16], stream=(42, 3, 5), memory=True).memory.hex()
        == "01010001000000010101000000000100"
    )


def test_what_cannot_happen_never_does():
    probabilities = [0.0, 0.25, 0.0, 0.75, 0.0, 0.0, 0.0, 0.0]
    assert set(counts_of(drawn(probabilities, [20_000]))) == {b"\1", b"\3"}


def test_frequencies_follow_the_probabilities():
    probabilities = np.array([0.01, 0.09, 0.3, 0.6])
    counts = counts_of(drawn(probabilities, [1_000_000]))
    seen = np.array([counts[bytes([i])] for i in range(4)])
    expected = probabilities * 1_000_000
    # Fixed numbers: chi-square of three degrees of freedom, five standard deviations above its mean.
    assert ((seen - expected) ** 2 / expected).sum() < 3 + 5 * 6**0.5


@pytest.mark.parametrize("probabilities", [[0.0, 0.0], [0.5, 0.4], [np.nan, 1.0], [0.6, 0.6]])
def test_what_is_no_distribution_is_refused(probabilities):
    with pytest.raises(ValueError, match="add up to"):
        distribution(np.array(probabilities))


def test_rounding_below_zero_is_zero():
    assert counts_of(drawn([-1e-17, 1.0], [10])) == {b"\1": 10}


def test_bits_go_to_their_places():
    outcomes = Outcomes(12, [[1], [0, 9], [11]])
    keys = outcomes.keys(np.arange(8))
    registers = (Register(name="c", bits=tuple(range(12))),)
    written = [bitstring(int.from_bytes(key.tobytes(), "little"), registers) for key in keys]
    assert written == sorted(written)
    assert written[0b101] == "100000000010"
    assert written[0b010] == "001000000001"
