"""What the transpiler is told."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from qiskit.circuit import Parameter
from qiskit.circuit.library import RZZGate
from qiskit_aer.noise.device import basic_device_readout_errors

from qmio_jupyter.calibration.record import DeviceRecord, Gate, Qubit
from qmio_jupyter.emulation import target
from qmio_jupyter.errors import ConfigError


def test_working_gates_are_in_and_dead_ones_out(record: DeviceRecord) -> None:
    built = target.build(record)
    assert built.num_qubits == 4
    assert built.dt == record.dt_s
    assert sorted(built.operation_names) == [
        "delay",
        "ecr",
        "for_loop",
        "if_else",
        "measure",
        "reset",
        "rz",
        "sx",
    ]
    assert set(built["ecr"]) == {(0, 1), (1, 2)}
    assert set(built.build_coupling_map().get_edges()) == {(0, 1), (1, 2)}
    assert built["ecr"][(0, 1)].error == 0.03
    assert built["ecr"][(0, 1)].duration == 400e-9
    assert built.qubit_properties[0].t1 == 60e-6


def test_aer_sees_both_directions_of_a_readout_error(record: DeviceRecord) -> None:
    errors = {
        qubits[0]: error.probabilities
        for qubits, error in basic_device_readout_errors(target=target.build(record))
    }
    assert errors[0].tolist() == [[0.98, 0.02], [0.06, 0.94]]
    assert 3 not in errors
    measured = target.build(record)["measure"]
    assert measured[(0,)].error == pytest.approx(0.04)
    assert measured[(0,)].duration == 2e-6


def test_a_readout_of_which_only_the_duration_is_known(record: DeviceRecord) -> None:
    built = target.build(
        replace(record, qubits=(*record.qubits[:3], Qubit(readout_s=1e-6, prob_meas1_prep0=0.1)))
    )
    assert built["measure"][(3,)].duration == 1e-6
    errors = {qubits[0]: error.probabilities for qubits, error in basic_device_readout_errors(target=built)}
    assert errors[3].tolist() == [[1, 0], [0, 1]]


def test_fractional_gates_have_bounds(record: DeviceRecord) -> None:
    gates = (*record.gates, Gate(name="rzz", qubits=(0, 1), error=0.01))
    built = target.build(replace(record, gates=gates))
    angle = Parameter("a")
    assert isinstance(built.operation_from_name("rzz"), RZZGate)
    assert built.instruction_supported("rzz", (0, 1), parameters=[math.pi / 4])
    if target._knows_bounds():
        assert built.has_angle_bounds()
    assert built.instruction_supported("rzz", (0, 1), parameters=[angle])


@pytest.mark.parametrize(
    "gate",
    [
        Gate(name="warp", qubits=(0,)),
        Gate(name="measure", qubits=(0,)),
        Gate(name="ecr", qubits=(0,)),
        Gate(name="ecr", qubits=(1, 1)),
        Gate(name="sx", qubits=(4,)),
        Gate(name="ccx", qubits=(0, 1, 2)),
    ],
)
def test_gates_that_cannot_be_are_refused(record: DeviceRecord, gate: Gate) -> None:
    with pytest.raises(ConfigError, match=gate.name):
        target.build(replace(record, gates=(gate,)))


def test_control_flow_has_names(record: DeviceRecord) -> None:
    with pytest.raises(ConfigError, match="'goto'"):
        target.build(replace(record, control_flow=("goto",)))
