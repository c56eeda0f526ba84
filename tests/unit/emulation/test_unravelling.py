"""Noise drawn shot by shot: Aer reads the models, no Kraus operator is in them, and they are the same physics."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter
from qiskit.circuit.library import IGate, XGate
from qiskit_aer import AerSimulator
from qiskit_aer.noise import NoiseModel, QuantumError, ReadoutError

from qmio_jupyter.emulation import baking, unravelling
from qmio_jupyter.emulation.noise import NoiseBook
from qmio_jupyter.errors import ProgramError


def run(circuit: QuantumCircuit, method: str, noise: NoiseModel | None, shots: int = 4000) -> dict[str, int]:
    simulator = AerSimulator(method=method, max_parallel_threads=1)
    result = simulator.run(circuit, shots=shots, noise_model=noise, seed_simulator=7).result()
    assert result.success, result.status
    return result.get_counts()


def distance(one: dict[str, int], other: dict[str, int]) -> float:
    """Total variation distance of two sets of counts."""
    first, second = sum(one.values()), sum(other.values())
    keys = one.keys() | other.keys()
    return sum(abs(one.get(key, 0) / first - other.get(key, 0) / second) for key in keys) / 2


def long_lived() -> QuantumCircuit:
    """Mostly relaxation: a superposition that waits, on a qubit with T2 < T1, one with T2 > T1, one at 2 T1."""
    isa = QuantumCircuit(4, 3)
    for qubit in range(3):
        isa.sx(qubit)
        isa.delay(10, qubit, unit="us")
        isa.rz(math.pi / 2, qubit)
        isa.sx(qubit)
    isa.ecr(0, 1)
    isa.ecr(1, 2)
    isa.measure(range(3), range(3))
    return isa


def exact(circuit: QuantumCircuit, qubits: list[int], noise: NoiseModel | None) -> np.ndarray:
    made = circuit.copy_empty_like()
    for instruction in circuit.data:
        if instruction.name != "measure":
            made.append(instruction)
    made.save_probabilities(qubits)
    simulator = AerSimulator(method="density_matrix", max_parallel_threads=1)
    result = simulator.run(made, shots=1, noise_model=noise).result()
    assert result.success, result.status
    return np.asarray(result.data()["probabilities"])


def test_events_add_up_to_the_baked_channels(book: NoiseBook) -> None:
    isa = long_lived()
    drawn, baked = unravelling.unravel(isa, book), baking.bake(isa, book)
    assert drawn.physical == baked.physical == (0, 1, 2)
    assert drawn.has_ancilla
    assert drawn.circuit.num_qubits == 4
    where = [0, 1, 2]
    ours = exact(drawn.circuit, where, drawn.noise_model)
    assert np.abs(ours - exact(baked.circuit, where, None)).max() < 1e-8


@pytest.mark.parametrize("method", ["statevector", "matrix_product_state"])
def test_trajectories_count_as_the_density_matrix_says(book: NoiseBook, method: str) -> None:
    isa = long_lived()
    drawn, baked = unravelling.unravel(isa, book), baking.bake(isa, book)
    ours = run(drawn.circuit, method, drawn.noise_model)
    theirs = run(baked.circuit, "density_matrix", baked.readout_model(), shots=40_000)
    assert distance(ours, theirs) < 0.03


def test_no_kraus_operator_is_in_a_model(book: NoiseBook) -> None:
    """One would make Aer turn the whole model into Kraus form."""
    drawn = unravelling.unravel(long_lived(), book)
    assert drawn.noise_model is not None
    names = {
        instruction["name"]
        for error in drawn.noise_model.to_dict()["errors"]
        for way in error.get("instructions", ())
        for instruction in way
    }
    assert names == {"id", "x", "y", "z", "reset", "unitary"}


def test_no_ancilla_without_damping(book: NoiseBook) -> None:
    isa = QuantumCircuit(2, 2)
    isa.sx(0)
    isa.sx(1)  # T2 > T1, but its depolarisation makes up for it
    isa.measure((0, 1), (0, 1))
    drawn = unravelling.unravel(isa, book)
    assert not drawn.has_ancilla
    assert drawn.circuit.num_qubits == 2


def test_models_are_written_as_aer_writes_them() -> None:
    """The form is Aer's own, so that a version which changes it is noticed here."""
    theirs = NoiseModel()
    theirs.add_quantum_error(QuantumError([((IGate(), [0]), 0.75), ((XGate(), [0]), 0.25)]), "sx", [1])
    theirs.add_readout_error(ReadoutError([[0.9, 0.1], [0.2, 0.8]]), [0])
    gate, read = theirs.to_dict(serializable=True)["errors"]
    ours = unravelling._Errors((5, 6), is_clifford=False)
    ours._write("sx", [1], [[{"name": "id", "qubits": [0]}], [{"name": "x", "qubits": [0]}]], [0.75, 0.25])
    made_gate, made_read = ours.finished({0: np.array([[0.9, 0.1], [0.2, 0.8]])})
    del gate["id"], made_gate["id"]  # random there, the place here
    assert made_gate == gate
    assert made_read == read


def test_a_model_may_be_asked_whether_it_is_ideal(book: NoiseBook) -> None:
    assert unravelling.EventNoise([]).is_ideal()
    drawn = unravelling.unravel(long_lived(), book)
    assert drawn.noise_model is not None
    assert not drawn.noise_model.is_ideal()


def test_without_noise_there_is_no_model(book: NoiseBook) -> None:
    isa = QuantumCircuit(4, 1)
    isa.sx(3)
    isa.delay(1, 3, unit="us")
    isa.measure(3, 0)
    drawn = unravelling.unravel(isa, book)
    assert drawn.noise_model is None
    assert [instruction.name for instruction in drawn.circuit.data] == ["sx", "measure"]


def test_parameters_stay_free(book: NoiseBook) -> None:
    angle = Parameter("a")
    isa = QuantumCircuit(1, 1)
    isa.rz(angle, 0)
    isa.sx(0)
    isa.measure(0, 0)
    assert set(unravelling.unravel(isa, book).circuit.parameters) == {angle}


def test_blocks_may_use_the_ancilla(book: NoiseBook) -> None:
    isa = QuantumCircuit(4, 2)
    isa.sx(1)
    isa.sx(1)
    isa.measure(1, 0)
    with isa.if_test((isa.clbits[0], 1)):
        isa.delay(40, 1, unit="us")
    with isa.for_loop(range(2)):
        isa.delay(5, 1, unit="us")
    isa.measure(1, 1)
    drawn, baked = unravelling.unravel(isa, book), baking.bake(isa, book)
    assert drawn.has_ancilla
    theirs = run(baked.circuit, "density_matrix", baked.readout_model())
    for method in ("statevector", "matrix_product_state"):
        assert distance(run(drawn.circuit, method, drawn.noise_model), theirs) < 0.03


def quarter_turns() -> QuantumCircuit:
    isa = QuantumCircuit(2, 2)
    for quarters in (1, 2, 3, 4, -1, 0):
        isa.sx(0)
        isa.rz(quarters * math.pi / 2, 0)
    isa.ecr(0, 1)
    isa.sx(1)
    isa.delay(4, 0, unit="us")
    isa.measure((0, 1), (0, 1))
    return isa


def test_clifford_noise_is_exact_where_it_can_be(book: NoiseBook) -> None:
    """Qubit 0 has T2 < T1; qubit 1 has T2 > T1, but only gates that make up for it."""
    isa = quarter_turns()
    drawn, baked = unravelling.clifford(isa, book), baking.bake(isa, book)
    assert drawn.remarks == ()
    assert not drawn.has_ancilla
    assert "rz" not in drawn.circuit.count_ops()
    theirs = exact(baked.circuit, [0, 1], None)
    assert np.abs(exact(drawn.circuit, [0, 1], drawn.noise_model) - theirs).max() < 1e-8
    counts = run(drawn.circuit, "stabilizer", drawn.noise_model)
    assert distance(counts, run(baked.circuit, "density_matrix", baked.readout_model(), shots=40_000)) < 0.03


def test_clifford_noise_says_where_it_is_not_exact(book: NoiseBook) -> None:
    isa = QuantumCircuit(3, 3)
    isa.sx(1)
    isa.delay(10, 1, unit="us")
    isa.sx(2)
    isa.measure(range(3), range(3))
    said = dict(unravelling.clifford(isa, book).remarks)
    assert said["t2_cut"].endswith(": qubit 1, qubit 2")


def test_other_rotations_are_no_clifford(book: NoiseBook) -> None:
    for angle in (0.3, Parameter("a")):
        isa = QuantumCircuit(1, 1)
        isa.rz(angle, 0)
        isa.measure(0, 0)
        with pytest.raises(ProgramError, match="quarter turn"):
            unravelling.clifford(isa, book)


def test_the_rarest_events_are_left_out(record) -> None:
    book = NoiseBook(replace(record, qubits=tuple(replace(q, t1_s=1e3, t2_s=1e3) for q in record.qubits)))
    isa = QuantumCircuit(1, 1)
    isa.sx(0)
    isa.measure(0, 0)
    drawn = unravelling.unravel(isa, book)
    assert drawn.noise_model is not None
    (error,) = [e for e in drawn.noise_model.to_dict()["errors"] if e["type"] == "qerror"]
    assert min(error["probabilities"]) > unravelling.RAREST
    assert math.fsum(error["probabilities"]) == pytest.approx(1, abs=1e-15)
