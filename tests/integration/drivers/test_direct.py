"""Aer's private interface gives what the public one gives, and is left alone where it would not."""

import os
import signal

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter
from qiskit.circuit.library import CRXGate, efficient_su2
from qiskit_aer.library import SaveProbabilities

from qmio_jupyter.drivers.aer import direct, selfcheck
from qmio_jupyter.drivers.aer.direct import DirectCircuit, Engine, Options, PublicCircuit
from qmio_jupyter.errors import ProgramError

PURE = Options(method="statevector")


def saving(circuit):
    circuit.append(SaveProbabilities(circuit.num_qubits), circuit.qubits)
    return circuit


def test_the_private_way_is_known_and_right_here():
    assert selfcheck.agrees()


def test_a_version_nobody_looked_at_is_not_used(monkeypatch):
    assert direct.is_known("0.18.2")
    assert not direct.is_known("0.19.0")
    monkeypatch.setattr(direct, "KNOWN", ("0.1",))
    assert not selfcheck.agrees()


@pytest.mark.parametrize("broken", ["counts", "probabilities", "raises"])
def test_a_private_way_that_differs_is_not_used(monkeypatch, broken):
    count, probabilities = DirectCircuit.count, DirectCircuit.probabilities

    def other_count(self, row, shots, seed, *, memory):
        return count(self, row, shots, seed + 1, memory=memory)

    def other_probabilities(self, matrix):
        if broken == "raises":
            raise AttributeError("no such thing any more")
        return [p[::-1] for p in probabilities(self, matrix)]

    if broken == "counts":
        monkeypatch.setattr(DirectCircuit, "count", other_count)
    else:
        monkeypatch.setattr(DirectCircuit, "probabilities", other_probabilities)
    assert not selfcheck.agrees()


def test_many_bindings_in_one_call_are_those_of_one_call_each():
    circuit = saving(efficient_su2(3, reps=1))
    names = [parameter.name for parameter in circuit.parameters]
    rows = np.random.default_rng(5).uniform(-3, 3, (20, len(names)))
    ours = DirectCircuit(circuit, names, PURE)
    together = ours.probabilities(rows)
    for row, found in zip(rows, together, strict=True):
        assert (ours.probabilities(row[None])[0] == found).all()
    np.testing.assert_allclose(together, PublicCircuit(circuit, names, PURE).probabilities(rows), atol=1e-12)


def test_a_circuit_without_parameters_gives_every_row_the_same():
    circuit = QuantumCircuit(1)
    circuit.x(0)
    for way in (DirectCircuit, PublicCircuit):
        found = way(saving(circuit.copy()), (), PURE).probabilities(np.zeros((2, 0)))
        np.testing.assert_allclose(found, [[0, 1], [0, 1]])


def test_a_parameter_of_the_global_phase_alone_is_no_hindrance():
    circuit = QuantumCircuit(1, global_phase=Parameter("g"))
    circuit.x(0)
    (found,) = DirectCircuit(saving(circuit), ("g",), PURE).probabilities(np.array([[0.5]]))
    np.testing.assert_allclose(found, [0, 1])


@pytest.mark.parametrize("is_inside", [False, True])
def test_gates_with_open_controls_and_parameters_go_the_public_way(is_inside):
    """Aer's own parameter table would turn one of the gates around it instead."""
    gate = CRXGate(Parameter("a"), ctrl_state=0)
    circuit = QuantumCircuit(2, 1)
    if is_inside:
        with circuit.if_test((circuit.clbits[0], 0)):
            circuit.append(gate, [0, 1])
    else:
        circuit.append(gate, [0, 1])
    circuit.measure(1, 0)
    assert isinstance(Engine(is_direct=True).assemble(circuit, ("a",), PURE), PublicCircuit)
    circuit = circuit.assign_parameters([0.5])
    assert isinstance(Engine(is_direct=True).assemble(circuit, (), PURE), DirectCircuit)
    assert isinstance(Engine(is_direct=False).assemble(circuit, (), PURE), PublicCircuit)


@pytest.mark.parametrize("way", [DirectCircuit, PublicCircuit])
def test_what_the_core_refuses_is_one_error(way):
    circuit = QuantumCircuit(2, 1)
    circuit.rx(0.1, 0)
    circuit.measure(0, 0)
    with pytest.raises(ProgramError) as caught:
        way(circuit, (), Options(method="stabilizer")).count(np.zeros((1, 0)), 10, 1, memory=False)
    assert caught.value.code == "program.unsupported"


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize(
    ("agrees", "expected"),
    [(lambda: True, True), (lambda: False, False), (lambda: os.kill(os.getpid(), signal.SIGKILL), False)],
)
def test_the_check_leaves_nothing_behind(monkeypatch, agrees, expected):
    monkeypatch.setattr(selfcheck, "agrees", agrees)
    assert selfcheck.agrees_in_child() is expected
