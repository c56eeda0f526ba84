"""Units of delays travel beside QPY, which has no place for them."""

from __future__ import annotations

import io

import pytest
from qiskit import QuantumCircuit, qpy
from qiskit.circuit import Parameter

from qmio_jupyter.drivers.aer import delays
from qmio_jupyter.drivers.aer.read import read_program
from qmio_jupyter.errors import ProgramError
from qmio_jupyter.model.device import DeviceDescription
from qmio_jupyter.model.program import DELAY_UNITS, QPY
from qmio_jupyter.notebook.circuits import _program
from qmio_jupyter.testing import runs

DEVICE = DeviceDescription(
    name="device", title="", n_qubits=4, driver="test", media_types=(QPY,), qpy_versions=(13, 18)
)


def travelled(circuit: QuantumCircuit) -> QuantumCircuit:
    """`circuit` as a worker reads what a client sends."""
    return read_program(_program(circuit, DEVICE), 40)


def durations(circuit: QuantumCircuit) -> list[tuple[object, str]]:
    found: list[tuple[object, str]] = []
    for instruction in circuit.data:
        if instruction.is_control_flow():
            for block in instruction.operation.blocks:
                found += durations(block)
        elif instruction.name == "delay":
            found.append((instruction.operation.duration, instruction.operation.unit))
    return found


@pytest.mark.parametrize(
    ("duration", "unit"),
    [(10, "us"), (1.5, "us"), (100, "ns"), (100, "dt"), (1e-6, "s"), (3.2, "ms"), (7, "ps")],
)
def test_a_delay_arrives_as_it_was(duration: float, unit: str) -> None:
    circuit = QuantumCircuit(1, 1, metadata={"mine": 1})
    circuit.delay(duration, 0, unit=unit)
    circuit.measure(0, 0)
    arrived = travelled(circuit)
    assert durations(arrived) == [(duration, unit)]
    assert arrived.metadata == {"mine": 1}
    assert circuit.metadata == {"mine": 1}  # the user's own circuit is hers
    assert arrived == circuit


def test_parameters_may_be_durations() -> None:
    wait = Parameter("t")
    circuit = QuantumCircuit(1, 1)
    circuit.delay(2 * wait, 0, unit="us")
    circuit.delay(wait, 0, unit="dt")
    circuit.measure(0, 0)
    arrived = travelled(circuit)
    assert [unit for _, unit in durations(arrived)] == ["us", "dt"]
    assert [parameter.name for parameter in arrived.parameters] == ["t"]
    bound = arrived.assign_parameters({"t": 3})
    assert durations(bound) == [(6, "us"), (3, "dt")]


def test_blocks_have_units_too() -> None:
    circuit = QuantumCircuit(2, 1)
    circuit.delay(1, 0, unit="us")
    with circuit.if_test((circuit.clbits[0], 1)) as otherwise:
        circuit.delay(2, 0, unit="ns")
        with circuit.for_loop(range(2)):
            circuit.delay(3, 1, unit="ms")
    with otherwise:
        circuit.delay(4, 0, unit="dt")
    circuit.delay(5, 1, unit="us")
    circuit.measure(0, 0)
    assert durations(travelled(circuit)) == [(1, "us"), (2, "ns"), (3, "ms"), (4, "dt"), (5, "us")]


def test_stretches_need_no_unit() -> None:
    circuit = QuantumCircuit(1, 1)
    circuit.delay(circuit.add_stretch("s"), 0)
    circuit.delay(5, 0, unit="us")
    circuit.measure(0, 0)
    assert [unit for _, unit in durations(travelled(circuit))] == ["expr", "us"]


def foreign(circuit: QuantumCircuit):
    data = io.BytesIO()
    qpy.dump(circuit, data)
    return runs.program(data.getvalue(), QPY)


@pytest.mark.parametrize("duration", [1.5, Parameter("t")], ids=["a fraction", "a parameter"])
def test_what_lost_its_unit_is_refused(duration: object) -> None:
    circuit = QuantumCircuit(1, 1)
    circuit.delay(duration, 0, unit="us")
    circuit.measure(0, 0)
    with pytest.raises(ProgramError, match="no unit") as caught:
        read_program(foreign(circuit), 40)
    assert caught.value.code == "program.format"


@pytest.mark.parametrize("units", [["us"], ["us"] * 3, ["hours", "us"], "us", [1, 2], [["us"], "us"]])
def test_units_that_do_not_belong_are_refused(units: object) -> None:
    circuit = QuantumCircuit(1, 1, metadata={DELAY_UNITS: units})
    circuit.delay(1, 0, unit="us")
    circuit.delay(2, 0, unit="us")
    circuit.measure(0, 0)
    with pytest.raises(ProgramError, match="other units"):
        read_program(foreign(circuit), 40)


def test_durations_that_their_unit_cannot_have_are_refused() -> None:
    circuit = QuantumCircuit(1, 1, metadata={DELAY_UNITS: ["dt"]})
    circuit.delay(1.5, 0, unit="us")
    circuit.measure(0, 0)
    with pytest.raises(ProgramError, match=r"1\.5 dt"):
        read_program(foreign(circuit), 40)


def test_circuits_without_delays_are_left_alone() -> None:
    circuit = QuantumCircuit(1, 1)
    circuit.measure(0, 0)
    assert delays.restored(circuit) is circuit
