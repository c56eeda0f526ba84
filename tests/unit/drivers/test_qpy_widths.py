"""The client's look into QPY agrees with what Qiskit writes."""

from io import BytesIO

import pytest
from qiskit import QuantumCircuit, qpy
from qiskit.circuit import Parameter

from qmio_jupyter.client.width import width_of
from qmio_jupyter.drivers.aer.read import NEWEST_QPY, OLDEST_QPY
from qmio_jupyter.model.program import QPY, Program

CIRCUITS = [
    QuantumCircuit(7, 3, name="ü" * 30, global_phase=0.5),
    QuantumCircuit(156),
    QuantumCircuit(2, global_phase=2 * Parameter("x"), metadata={"a": "b"}),
]


@pytest.mark.parametrize("version", range(OLDEST_QPY, NEWEST_QPY + 1))
@pytest.mark.parametrize("circuit", CIRCUITS, ids=["named", "wide", "symbolic"])
def test_the_header_has_the_width(version, circuit):
    data = BytesIO()
    qpy.dump(circuit, data, version=version)
    program = Program(digest="", media_type=QPY, data=data.getvalue())
    assert width_of(program) == circuit.num_qubits
