"""Closed forms against Qiskit's own way of writing the same channels."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from qiskit.quantum_info import Choi, SuperOp, average_gate_fidelity, process_fidelity
from qiskit_aer.noise import depolarizing_error, thermal_relaxation_error

from qmio_jupyter.emulation import channels

#: T1 and T2 / T1, and a time, all in one unit.
TIMES = st.tuples(st.floats(1.0, 100.0), st.floats(0.05, 2.0), st.floats(0.0, 50.0))


def relaxation(t1: float, ratio: float, time: float) -> np.ndarray:
    return channels.relaxations(*channels.decayed(np.array(time), np.array([t1, ratio * t1])))


@given(TIMES)
def test_relaxation_is_aers_and_a_channel(times: tuple[float, float, float]) -> None:
    t1, ratio, time = times
    ours = SuperOp(relaxation(t1, ratio, time))
    theirs = SuperOp(thermal_relaxation_error(t1, ratio * t1, time))
    # Aer leaves out Kraus operators whose Choi eigenvalue is below 1e-8 (T2 near 2 T1, very long times).
    assert np.allclose(ours.data, theirs.data, rtol=0, atol=2e-8)
    assert ours.is_tp(atol=1e-14)
    assert np.linalg.eigvalsh(Choi(ours).data).min() > -1e-12


def test_relaxation_takes_many_at_once() -> None:
    lost, faded = np.array([0.1, 0.5]), np.array([0.2, 0.4])
    both = channels.relaxations(lost, faded)
    assert both.shape == (2, 4, 4)
    for one, a, b in zip(both, lost, faded, strict=True):
        assert np.array_equal(one, channels.relaxations(np.array(a), np.array(b)))


@given(TIMES, TIMES)
def test_side_by_side_has_the_first_qubit_least_significant(one, two) -> None:
    first, second = relaxation(*one), relaxation(*two)
    expected = SuperOp(first).expand(SuperOp(second)).data
    assert np.array_equal(channels.side_by_side(first, second), expected)


@given(TIMES, TIMES)
def test_fidelities_are_qiskits(one, two) -> None:
    for channel in (relaxation(*one), channels.side_by_side(relaxation(*one), relaxation(*two))):
        assert channels.process_fidelity(channel) == pytest.approx(
            process_fidelity(SuperOp(channel)), abs=1e-12
        )
        assert channels.average_fidelity(channel) == pytest.approx(
            average_gate_fidelity(SuperOp(channel)), abs=1e-12
        )


@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize("p", [0.0, 0.01, 0.7, 1.0])
def test_depolarised_is_depolarisation_first(n: int, p: float) -> None:
    channel = relaxation(30.0, 1.4, 5.0)
    if n == 2:
        channel = channels.side_by_side(channel, relaxation(20.0, 0.5, 5.0))
    expected = SuperOp(depolarizing_error(p, n)).compose(SuperOp(channel)).data
    made = channels.depolarised(channel[None], np.array([p]))[0]
    assert np.allclose(made, expected, rtol=0, atol=1e-14)


@given(TIMES, st.floats(0.0, 0.66))
def test_a_gate_has_the_error_that_was_measured(times, error: float) -> None:
    channel = relaxation(*times)[None]
    limit = 1.0 - channels.average_fidelity(channel)
    part = channels.depolarising_parts(np.array([error]), 1.0 - limit, 2)
    whole = 1.0 - channels.average_fidelity(channels.depolarised(channel, part))
    if error > limit[0] and part[0] < 4 / 3:
        assert whole[0] == pytest.approx(error, abs=1e-9)
    else:
        assert whole[0] == pytest.approx(max(limit[0], min(error, whole[0])), abs=1e-9)


def test_what_is_not_known_or_better_than_possible_depolarises_nothing() -> None:
    errors = np.array([math.nan, 0.01, 0.0, -0.02])
    fidelity = np.array([1.0, 0.98, 0.99, 1.0])
    assert channels.depolarising_parts(errors, fidelity, 2).tolist() == [0.0, 0.0, 0.0, 0.0]


def test_errors_that_no_channel_has_are_the_largest() -> None:
    # Fully relaxed, and fully depolarised: where the formula divides by zero, and beyond.
    parts = channels.depolarising_parts(np.array([0.9, 0.99]), np.array([1.0, 0.5]), 2)
    assert parts.tolist() == pytest.approx([4 / 3, 4 / 3])
    parts = channels.depolarising_parts(np.array([0.99]), np.array([1.0]), 4)
    assert parts.tolist() == pytest.approx([16 / 15])
