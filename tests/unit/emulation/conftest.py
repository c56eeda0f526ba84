"""A device of four qubits in a line, with something to say about each."""

from __future__ import annotations

import pytest
from hypothesis import settings

from qmio_jupyter.calibration.record import DeviceRecord, Gate, Qubit
from qmio_jupyter.emulation.noise import NoiseBook

settings.register_profile("house", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("house")


@pytest.fixture
def record() -> DeviceRecord:
    """0: T2 < T1. 1: T1 < T2 < 2 T1. 2: T2 > 2 T1, as dirty data has it. 3: nothing is known.

    Its ecr gates go 0 -> 1 -> 2 -> 3; that on 2-3 is dead. ``sx`` on 2 claims to be better than T1 allows.
    """
    return DeviceRecord(
        source="a test",
        taken_ms=1_700_000_000_000,
        dt_s=0.5e-9,
        qubits=(
            Qubit(t1_s=60e-6, t2_s=40e-6, readout_s=2e-6, prob_meas1_prep0=0.02, prob_meas0_prep1=0.06),
            Qubit(t1_s=50e-6, t2_s=80e-6, readout_s=2e-6, prob_meas1_prep0=0.01, prob_meas0_prep1=0.03),
            Qubit(t1_s=30e-6, t2_s=400e-3, readout_s=3e-6, prob_meas1_prep0=0.0, prob_meas0_prep1=0.0),
            Qubit(),
        ),
        gates=(
            Gate(name="delay", qubits=(0,)),
            Gate(name="delay", qubits=(1,)),
            Gate(name="delay", qubits=(2,)),
            Gate(name="delay", qubits=(3,)),
            Gate(name="ecr", qubits=(0, 1), duration_s=400e-9, error=0.03),
            Gate(name="ecr", qubits=(1, 2), duration_s=500e-9, error=0.02),
            Gate(name="ecr", qubits=(2, 3), duration_s=500e-9, error=1.0),
            *(Gate(name="reset", qubits=(q,), duration_s=2e-6) for q in range(4)),
            *(Gate(name="rz", qubits=(q,), duration_s=0.0, error=0.0) for q in range(4)),
            Gate(name="sx", qubits=(0,), duration_s=40e-9, error=0.002),
            Gate(name="sx", qubits=(1,), duration_s=40e-9, error=0.001),
            Gate(name="sx", qubits=(2,), duration_s=60e-9, error=1e-5),
            Gate(name="sx", qubits=(3,), duration_s=40e-9),
        ),
        control_flow=("for_loop", "if_else"),
    )


@pytest.fixture
def book(record: DeviceRecord) -> NoiseBook:
    return NoiseBook(record)
