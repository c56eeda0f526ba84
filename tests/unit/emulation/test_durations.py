"""Delays whose durations are parameters."""

from __future__ import annotations

import math

import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter, ParameterVector

from qmio_jupyter.emulation import baking, compacting, fidelity
from qmio_jupyter.emulation.noise import NoiseBook
from qmio_jupyter.errors import ProgramError

WAIT, ANGLE = Parameter("t"), Parameter("a")


def sweep(unit: str = "us") -> QuantumCircuit:
    isa = QuantumCircuit(1, 1)
    isa.sx(0)
    isa.delay(2 * WAIT, 0, unit=unit)
    isa.rz(ANGLE, 0)
    isa.measure(0, 0)
    return isa


def test_durations_get_values_and_angles_stay_free(book: NoiseBook) -> None:
    timed = compacting.with_durations(sweep(), {"t": 1.5, "a": 0.3})
    assert timed.data[1].operation.duration == 3.0
    assert timed.data[1].operation.unit == "us"
    assert set(timed.parameters) == {ANGLE}
    assert not compacting.needs_values(timed)
    assert set(baking.bake(timed, book).circuit.parameters) == {ANGLE}


def test_samples_are_whole_ones() -> None:
    timed = compacting.with_durations(sweep("dt"), {"t": 100.3, "a": 0.0})
    assert timed.data[1].operation.duration == 201


def test_vectors_go_by_their_elements() -> None:
    times = ParameterVector("t", 2)
    isa = QuantumCircuit(1)
    isa.delay(times[0] + times[1], 0, unit="ns")
    timed = compacting.with_durations(isa, {"t[0]": 10.0, "t[1]": 5.0})
    assert timed.data[0].operation.duration == 15.0


def test_blocks_have_durations_too() -> None:
    isa = QuantumCircuit(1, 1)
    with isa.for_loop(range(2)):
        isa.delay(WAIT, 0, unit="us")
    timed = compacting.with_durations(isa, {"t": 4.0})
    assert not compacting.needs_values(timed)
    (body,) = timed.data[0].operation.blocks
    assert body.data[0].operation.duration == 4.0


@pytest.mark.parametrize("value", [-1.0, math.inf])
def test_durations_that_cannot_be_are_refused(value: float) -> None:
    with pytest.raises(ProgramError, match="comes out as") as caught:
        compacting.with_durations(sweep(), {"t": value, "a": 0.0})
    assert caught.value.code == "program.parameters"


def test_without_noise_they_do_not_matter() -> None:
    assert dict(baking.bake(sweep(), None).circuit.count_ops()) == {"sx": 1, "rz": 1, "measure": 1}


def test_an_expected_fidelity_counts_them_as_nothing(record) -> None:
    assert fidelity.expected(sweep(), record) == pytest.approx((1 - 0.002) * (1 - 0.04))
