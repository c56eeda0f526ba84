"""The record of Fez says what Qiskit's own fake backend says, and is had without importing Qiskit."""

from __future__ import annotations

import subprocess
import sys

import pytest

from qmio_jupyter.calibration.record import DeviceRecord
from qmio_jupyter.calibration.samples import sample

ALONE = """
import sys
from qmio_jupyter.calibration.samples import sample
from qmio_jupyter.calibration.snapshots import record_of, to_snapshot
assert record_of(to_snapshot(sample("fez"), "fake-fez")) == sample("fez")
heavy = {"qiskit", "qiskit_aer", "qiskit_ibm_runtime", "numpy", "zmq"} & set(sys.modules)
assert not heavy, heavy
"""


@pytest.fixture(scope="module")
def record() -> DeviceRecord:
    """Return our record."""
    return sample("fez")


@pytest.fixture(scope="module")
def backend() -> object:
    """Return Qiskit's fake backend."""
    from qiskit_ibm_runtime.fake_provider import FakeFez

    return FakeFez()


def test_every_gate_is_the_target_s(record: DeviceRecord, backend: object) -> None:
    target = backend.target
    theirs = {
        (name, qubits): (properties and properties.duration, properties and properties.error)
        for name in target.operation_names
        for qubits, properties in target[name].items()
        if qubits is not None and name != "measure"
    }
    ours = {(gate.name, gate.qubits): gate for gate in record.gates}
    assert set(ours) == set(theirs)
    for place, (duration, error) in theirs.items():
        if duration is None:  # a delay
            assert ours[place].duration_s is None
        else:
            assert ours[place].duration_s == pytest.approx(duration, rel=1e-15), place
        assert ours[place].error == error, place


def test_every_qubit_is_the_target_s(record: DeviceRecord, backend: object) -> None:
    target, properties = backend.target, backend.properties()
    assert record.n_qubits == target.num_qubits == 156
    assert record.dt_s == target.dt
    for index, qubit in enumerate(record.qubits):
        theirs = target.qubit_properties[index]
        measure = target["measure"][(index,)]
        assert (qubit.t1_s, qubit.t2_s) == pytest.approx((theirs.t1, theirs.t2), rel=1e-15)
        assert qubit.readout_s == pytest.approx(measure.duration, rel=1e-15)
        assert qubit.readout_error == pytest.approx(measure.error, rel=1e-12)
        values = properties.qubit_property(index)
        assert qubit.prob_meas1_prep0 == values["prob_meas1_prep0"][0]
        assert qubit.prob_meas0_prep1 == values["prob_meas0_prep1"][0]


def test_control_flow_and_couplings(record: DeviceRecord, backend: object) -> None:
    flows = {name for name in backend.target.operation_names if None in backend.target[name]}
    assert set(record.control_flow) == flows
    assert len(record.couplings) == 352 - 14  # seven pairs are dead in both directions
    alive = {qubits for qubits, properties in backend.target["cz"].items() if properties.error < 1}
    assert set(record.couplings) == alive


def test_it_is_had_without_qiskit() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ALONE], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
