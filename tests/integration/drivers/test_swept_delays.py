"""A T1 measurement as one task: the circuit travels once, the delays are a column of its matrix."""

import io
import math

import pytest
from qiskit import QuantumCircuit, qpy
from qiskit.circuit import Parameter

from qmio_jupyter.calibration.samples import sample
from qmio_jupyter.drivers import registry
from qmio_jupyter.errors import ProgramError
from qmio_jupyter.model.program import DELAY_UNITS, QPY
from qmio_jupyter.model.result import outcomes
from qmio_jupyter.testing import runs

SOON_S = 90
QUBIT = 6
SHOTS = 20_000


@pytest.fixture(scope="module")
def emulated():
    driver = registry.make("emulator", "device", {})
    yield driver
    driver.close()


def t1_program():
    wait, angle = Parameter("t"), Parameter("a")
    circuit = QuantumCircuit(1, 1)
    circuit.rx(angle, 0)
    circuit.delay(wait, 0, unit="us")
    circuit.measure(0, 0)
    circuit.metadata = {DELAY_UNITS: ["us"]}  # as our clients do
    data = io.BytesIO()
    qpy.dump(circuit, data)
    return runs.program(data.getvalue(), QPY)


def result(driver, rows, **options):
    run = runs.run(
        t1_program(),
        shots=SHOTS,
        parameters=runs.matrix(("t", "a"), rows),
        snapshot=driver.snapshot(),
        layout=(QUBIT,),
        **options,
    )
    return driver.start(run, lambda result: None, lambda stage: None).result(SOON_S)


def excited(item, row):
    counts = dict(outcomes(item, row))
    return counts.get("1", 0) / SHOTS


def test_excitation_decays_with_the_delay_of_each_binding(emulated):
    qubit = sample("qmio").qubits[QUBIT]
    assert qubit.t1_s is not None
    times_us = [0.0, 10.0, 30.0, 80.0]
    item = result(emulated, [(t, math.pi) for t in times_us] + [(50.0, 0.0)]).items[0]
    up, down = qubit.prob_meas1_prep0, qubit.prob_meas0_prep1
    start = (excited(item, 0) - up) / (1 - up - down)
    assert start > 0.98  # the pulse itself errs a little
    for row, time in enumerate(times_us):
        left = start * math.exp(-time * 1e-6 / qubit.t1_s)
        assert excited(item, row) == pytest.approx(up + left * (1 - up - down), abs=0.015)
    assert excited(item, 4) == pytest.approx(up, abs=0.015)


def test_counts_do_not_depend_on_the_other_bindings(emulated):
    alone = result(emulated, [(10.0, math.pi)]).items[0]
    first = result(emulated, [(10.0, math.pi), (20.0, 1.0)]).items[0]
    assert dict(outcomes(alone, 0)) == dict(outcomes(first, 0))


def test_without_noise_delays_do_nothing(emulated):
    item = result(emulated, [(80.0, math.pi)], ideal=True).items[0]
    assert excited(item, 0) == 1.0


def test_negative_delays_are_refused(emulated):
    with pytest.raises(ProgramError, match="comes out as") as caught:
        result(emulated, [(10.0, 0.1), (-5.0, 0.1)])
    assert caught.value.code == "program.parameters"
