"""Mixtures of events are the channels they stand for, to rounding."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from qiskit.quantum_info import SuperOp

from qmio_jupyter.emulation import channels, mixtures
from qmio_jupyter.emulation.noise import Terms

PAULI = {
    "I": np.eye(2),
    "X": np.array([[0, 1], [1, 0]]),
    "Y": np.array([[0, -1j], [1j, 0]]),
    "Z": np.diag([1, -1]),
}
RESET = (np.array([[1, 0], [0, 0]]), np.array([[0, 1], [0, 0]]))


def superop(*operators: np.ndarray) -> SuperOp:
    return SuperOp(sum(np.kron(k.conj(), k) for k in operators))


def event(name: str) -> SuperOp:
    return superop(*RESET) if name == mixtures.RESET else superop(PAULI[name])


def damping(probability: float, stay: float) -> SuperOp:
    kept, lost = np.diag([1, stay]), np.array([[0, math.sqrt(1 - stay**2)], [0, 0]])
    return (1 - probability) * superop(PAULI["I"]) + probability * superop(kept, lost)


def side_by_side(parts: list[SuperOp]) -> SuperOp:
    return parts[0] if len(parts) == 1 else parts[0].expand(parts[1])


def channel_of(mixture: mixtures.Mixture) -> np.ndarray:
    total = sum(p * side_by_side([event(name) for name in what]) for what, p in mixture.events.items())
    return total.compose(side_by_side([damping(*one) for one in mixture.damping])).data


def channel_from(terms: Terms) -> np.ndarray:
    parts = [
        channels.relaxations(np.array(a), np.array(b)) for a, b in zip(terms.lost, terms.faded, strict=True)
    ]
    whole = parts[0] if len(parts) == 1 else channels.side_by_side(parts[0], parts[1])
    return channels.depolarised(whole[None], np.array([terms.depolarising]))[0]


@st.composite
def relaxing(draw) -> tuple[float, float]:
    """1 - exp(-t / T1) and 1 - exp(-t / T2), from T2 far below T1 to exactly 2 T1."""
    rate = draw(st.floats(1e-7, 3.0))
    slope = draw(st.sampled_from([0.5, 1.0]) | st.floats(0.5, 5.0))
    return -math.expm1(-rate), -math.expm1(-rate * slope)


@st.composite
def terms(draw, n: int) -> Terms:
    most = 4**n / (4**n - 1)
    p = draw(st.sampled_from([0.0, 1.0, most]) | st.floats(1e-8, 0.3))
    pairs = [draw(relaxing()) for _ in range(n)]
    return Terms(depolarising=p, lost=tuple(a for a, _ in pairs), faded=tuple(b for _, b in pairs))


@pytest.mark.parametrize("n", [1, 2])
def test_a_mixture_is_its_channel(n: int) -> None:
    @given(terms(n))
    def holds(one: Terms) -> None:
        made = mixtures.mixture(one, is_clifford=False)
        assert all(p > 0 for p in made.events.values())
        assert sum(made.events.values()) == pytest.approx(1, abs=1e-13)
        assert np.abs(channel_of(made) - channel_from(one)).max() < 1e-12
        for (probability, stay), a, b in zip(made.damping, one.lost, one.faded, strict=True):
            assert 0 <= probability <= 1
            assert 0 <= stay <= 1
            assert b < a or probability == 0  # T2 <= T1 never asks for the state

    holds()


@pytest.mark.parametrize("n", [1, 2])
def test_clifford_mixtures_are_exact_or_say_they_are_not(n: int) -> None:
    @given(terms(n))
    def holds(one: Terms) -> None:
        made = mixtures.mixture(one, is_clifford=True)
        assert all(probability == 0 for probability, _ in made.damping)
        gap = np.abs(channel_of(made) - channel_from(one))
        if not any(mixtures.is_cut(one)):
            assert gap.max() < 1e-12
        # Populations are exact in any case: rows and columns of the diagonal.
        dim = 2**n
        diagonal = [index * (dim + 1) for index in range(dim)]
        assert gap[np.ix_(diagonal, diagonal)].max() < 1e-12

    holds()


def test_z_errors_make_up_for_a_long_t2() -> None:
    """A gate as calibrations have them, T2 = 1.5 T1: no damping is left, without depolarisation there is."""
    a, b = -math.expm1(-40e-9 / 60e-6), -math.expm1(-40e-9 / 90e-6)
    with_errors = Terms(depolarising=2e-3, lost=(a,), faded=(b,))
    assert mixtures.mixture(with_errors, is_clifford=False).damping == ((0.0, 1.0),)
    without = Terms(depolarising=0.0, lost=(a,), faded=(b,))
    ((probability, _),) = mixtures.mixture(without, is_clifford=False).damping
    assert 0 < probability < 2 * a


def test_the_damping_left_is_the_least() -> None:
    """No larger part of the channel could be the identity: what is left has lost rank."""
    e, c = 0.9, 0.94
    made = mixtures.relaxed(1 - e, 1 - c)
    whole = np.array([[1, c], [c, e]])
    rest = whole - made.nothing * np.ones((2, 2))
    assert np.linalg.det(rest) == pytest.approx(0, abs=1e-15)
    assert np.linalg.eigvalsh(rest).min() > -1e-15


@pytest.mark.parametrize("rate", [5e-324, 1e-300, 1e-30, 1e-17, 1e-16, 3e-16, 1e-12])
def test_at_the_shortest_times_probabilities_stay_probabilities(rate: float) -> None:
    for lost, faded in ((-math.expm1(-2 * rate), -math.expm1(-rate)), (2 * rate, rate), (rate, rate / 1.5)):
        made = mixtures.relaxed(lost, faded)
        assert all(0.0 <= one <= 1.0 for one in (made.nothing, made.flip, made.reset, made.damp, made.stay))
        assert made.nothing + made.flip + made.reset + made.damp == pytest.approx(1.0)


def test_the_two_qubits_share_what_there_is() -> None:
    for wanted, room in itertools.product(
        itertools.product([0.0, 1e-4, 1e-2, 0.5], repeat=2), [1e-4, 1e-2, 1.0]
    ):
        u, v = mixtures._two_excesses(list(wanted), room)
        assert 0.0 <= u <= wanted[0]
        assert 0.0 <= v <= wanted[1]
        assert u * (2 + v) <= room * (1 + 1e-12)
        assert v * (2 + u) <= room * (1 + 1e-12)
        if u < wanted[0] and v < wanted[1]:
            assert u * (2 + v) == pytest.approx(room)  # nothing is left lying
