"""What a record's values become, the odd ones too."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from qmio_jupyter.calibration.record import Gate, Qubit
from qmio_jupyter.emulation import noise
from qmio_jupyter.emulation.noise import NoiseBook
from qmio_jupyter.errors import ProgramError


def test_channels_keep_the_trace_and_are_read_only(book: NoiseBook) -> None:
    for name, qubits in (("sx", (0,)), ("ecr", (0, 1)), ("ecr", (1, 2)), ("reset", (2,))):
        channel = book.channel(name, qubits)
        assert channel is not None
        assert channel.shape == (4 ** len(qubits),) * 2
        trace = np.eye(2 ** len(qubits)).reshape(-1)
        assert np.allclose(trace @ channel, trace, atol=1e-14)
        with pytest.raises(ValueError, match="read-only"):
            channel[0, 0] = 0


def test_nothing_known_is_nothing_emulated(book: NoiseBook) -> None:
    assert book.channel("sx", (3,)) is None
    assert book.relaxation(3, 1.0) is None
    assert book.readout(3) is None
    assert book.channel("rz", (0,)) is None
    assert book.channel("delay", (0,)) is None
    assert book.infidelity("sx", (3,)) == 0.0


def test_a_gate_error_without_times_only_depolarises(record) -> None:
    gates = (*record.gates[:-1], Gate(name="sx", qubits=(3,), duration_s=40e-9, error=0.01))
    book = NoiseBook(replace(record, gates=gates))
    assert book.infidelity("sx", (3,)) == pytest.approx(0.01)
    terms = book.terms("sx", (3,))
    assert terms.lost == terms.faded == (0.0,)
    assert terms.depolarising == pytest.approx(0.02)


def test_a_reset_relaxes_and_does_not_depolarise(record) -> None:
    reset = Gate(name="reset", qubits=(0,), duration_s=1e-6, error=0.5)
    book = NoiseBook(replace(record, gates=(reset,)))
    assert book.terms("reset", (0,)).depolarising == 0.0


def test_t2_is_at_most_twice_t1(book: NoiseBook) -> None:
    terms = book.waiting(2, 10e-6)
    assert terms.faded[0] == pytest.approx(1 - math.exp(-10e-6 / 60e-6))
    assert book.waiting(1, 10e-6).faded[0] == pytest.approx(1 - math.exp(-10e-6 / 80e-6))


@pytest.mark.parametrize(
    ("qubit", "excited", "coherence"),
    [
        (Qubit(t1_s=10e-6), 1 / math.e, math.exp(-0.5)),
        (Qubit(t2_s=10e-6), 1.0, 1 / math.e),
        (Qubit(t1_s=-1.0, t2_s=math.nan), 1.0, 1.0),
    ],
)
def test_half_known_times(record, qubit: Qubit, excited: float, coherence: float) -> None:
    book = NoiseBook(replace(record, qubits=(qubit,), gates=()))
    terms = book.waiting(0, 10e-6)
    assert 1 - terms.lost[0] == pytest.approx(excited)
    assert 1 - terms.faded[0] == pytest.approx(coherence)


def test_readout_is_prepared_by_measured(book: NoiseBook) -> None:
    matrix = book.readout(0)
    assert matrix is not None
    assert np.allclose(matrix, [[0.98, 0.02], [0.06, 0.94]])
    assert book.readout(2) is None  # without error


def test_remarks_name_qubits_and_gates(book: NoiseBook) -> None:
    said = dict(book.remarks([("sx", (2,)), ("sx", (0,)), ("ecr", (1, 2)), ("rz", (2,))], [0, 1, 2]))
    assert said["t2_capped"].endswith(": qubit 2")
    assert said["coherence_limit"].endswith(": sx 2")
    assert book.remarks([("sx", (0,)), ("rz", (0,))], [0]) == ()


def test_remarks_name_values_that_no_qubit_has(record) -> None:
    odd = Qubit(t1_s=-1.0, prob_meas1_prep0=1.5, prob_meas0_prep1=0.1)
    book = NoiseBook(replace(record, qubits=(odd, odd)))
    assert dict(book.remarks([], [1])) == {
        "not_usable": "values that no qubit has, not emulated: qubit 1",
    }
    assert book.readout(1) is None


def test_gates_that_are_not_there_are_refused(book: NoiseBook) -> None:
    for name, qubits in (("ecr", (2, 3)), ("ecr", (1, 0)), ("cz", (0, 1)), ("sx", (7,))):
        with pytest.raises(ProgramError, match=f"no {name} on") as caught:
            book.channel(name, qubits)
        assert caught.value.code == "program.unsupported"


def test_delays_are_times(book: NoiseBook) -> None:
    for seconds in (-1e-9, math.nan, math.inf):
        with pytest.raises(ProgramError, match="delay of"):
            book.relaxation(0, seconds)
    assert book.relaxation(0, 0.0) is None


def test_delays_kept_are_bounded(book: NoiseBook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(noise, "_DELAYS", 8)
    for step in range(1, 50):
        one = book.relaxation(0, step * 1e-9)
        assert one is book.relaxation(0, step * 1e-9)
        assert len(book._delays) <= 8
