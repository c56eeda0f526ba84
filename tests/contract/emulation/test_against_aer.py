"""The emulated devices against Aer's own model of them, ``NoiseModel.from_backend``: same gates, same outcomes.

Aer leaves out events rarer than 1e-10 when it reads a model, so on a device as good as Fez its probabilities add up
to less than 1, by some 1e-8. Its channels are therefore also given to it in Kraus form, where nothing gets lost.
"""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray
from qiskit import QuantumCircuit
from qiskit.circuit.random import random_circuit
from qiskit.providers import BackendV2, Options
from qiskit.quantum_info import Kraus, SuperOp, random_clifford
from qiskit_aer import AerSimulator
from qiskit_aer.noise import NoiseModel, QuantumError

from qmio_jupyter.calibration.samples import sample
from qmio_jupyter.emulation import baking, target, unravelling
from qmio_jupyter.emulation.noise import NoiseBook
from qmio_jupyter.emulation.transpiling import Transpiler

pytestmark = pytest.mark.slow

SIMULATOR = AerSimulator(method="density_matrix", max_parallel_threads=1)


class Backend(BackendV2):
    """What `from_backend` wants: something with a target."""

    def __init__(self, of) -> None:
        super().__init__(name="device")
        self._target = of

    @property
    def target(self):
        return self._target

    @property
    def max_circuits(self) -> None:
        return None

    @classmethod
    def _default_options(cls) -> Options:
        return Options()

    def run(self, run_input, **options) -> None:
        raise NotImplementedError


@dataclass(frozen=True)
class Device:
    name: str
    book: NoiseBook
    transpiler: Transpiler
    aer: NoiseModel

    @functools.cached_property
    def errors(self) -> dict[tuple[str, tuple[int, ...]], QuantumError]:
        return {
            (name, qubits): error
            for name, by_qubits in self.aer._local_quantum_errors.items()
            for qubits, error in by_qubits.items()
        }


@pytest.fixture(scope="module", params=["qmio", "fez"])
def device(request) -> Device:
    record = sample(request.param)
    return Device(
        name=request.param,
        book=NoiseBook(record),
        transpiler=Transpiler(record),
        aer=NoiseModel.from_backend(Backend(target.build(record))),
    )


# --- gates


@functools.cache
def _of_one(name: str, params: bytes) -> NDArray[np.complex128]:
    """Superoperator of one instruction of an error on one qubit; `params` are its Kraus operators."""
    circuit = QuantumCircuit(1)
    if name == "kraus":
        operators = np.frombuffer(params, dtype=complex).reshape(-1, 2, 2)
        return SuperOp(Kraus(list(operators))).data
    getattr(circuit, name)(0)
    return SuperOp(circuit).data


def superoperator(error: QuantumError) -> NDArray[np.complex128]:
    """The same as ``SuperOp(error).data``, fifty times faster: all of Aer's terms act on single qubits."""
    n = error.num_qubits
    total = np.zeros((4,) * 2 * n, dtype=complex)
    for circuit, probability in zip(error.circuits, error.probabilities, strict=True):
        single = [np.eye(4, dtype=complex) for _ in range(n)]
        for instruction in circuit.data:
            operation = instruction.operation
            where = [circuit.find_bit(qubit).index for qubit in instruction.qubits]
            if operation.name == "pauli":
                for qubit, letter in zip(where, reversed(operation.params[0]), strict=True):
                    single[qubit] = _of_one({"I": "id"}.get(letter, letter.lower()), b"") @ single[qubit]
                continue
            (qubit,) = where
            params = np.array(operation.params).tobytes() if operation.name == "kraus" else b""
            single[qubit] = _of_one(operation.name, params) @ single[qubit]
        total += probability * functools.reduce(np.multiply.outer, single).reshape(total.shape)
    if n == 1:
        return total
    # (c0 r0)(c0' r0')(c1 r1)(c1' r1') to columns and rows with the second qubit more significant.
    apart = total.reshape((2,) * 8)
    return apart.transpose(4, 0, 5, 1, 6, 2, 7, 3).reshape(16, 16)


def test_superoperators_are_taken_from_aer_correctly(device: Device) -> None:
    keys = sorted(device.errors)
    chosen = np.random.default_rng(5).choice(len(keys), size=12, replace=False)
    for key in (keys[index] for index in chosen):
        error = device.errors[key]
        assert np.allclose(superoperator(error), SuperOp(error).data, rtol=0, atol=1e-15), key


def test_every_gate_has_aers_error(device: Device) -> None:
    assert len(device.errors) > (90 if device.name == "qmio" else 900)
    for (name, qubits), error in device.errors.items():
        ours = device.book.channel(name, qubits)
        theirs = superoperator(error)
        if ours is None:
            ours = np.eye(len(theirs))
        assert np.abs(ours - theirs).max() < 1e-12, (name, qubits)


def test_no_gate_has_an_error_that_aer_does_not_know(device: Device) -> None:
    checked = 0
    built = device.transpiler.target
    for name in built.operation_names:
        for qubits in built[name] or {}:
            if qubits is None or name == "measure" or (name, tuple(qubits)) in device.errors:
                continue
            checked += 1
            assert device.book.channel(name, qubits) is None, (name, qubits)
    assert checked  # rz, delay


def test_readout_errors_are_aers(device: Device) -> None:
    theirs = {qubits[0]: error.probabilities for qubits, error in device.aer._local_readout_errors.items()}
    for qubit in range(device.book.record.n_qubits):
        ours = device.book.readout(qubit)
        ours = np.eye(2) if ours is None else ours
        assert np.array_equal(ours, theirs.get(qubit, np.eye(2))), qubit
    skewed = [q for q, p in theirs.items() if abs(p[0, 1] - p[1, 0]) > 1e-3]
    assert len(skewed) > len(theirs) / 2  # both directions, not their mean twice


# --- outcomes


def ghz(n: int) -> QuantumCircuit:
    circuit = QuantumCircuit(n, n, name=f"ghz{n}")
    circuit.h(0)
    for qubit in range(n - 1):
        circuit.cx(qubit, qubit + 1)
    circuit.measure(range(n), range(n))
    return circuit


def waiting(n: int) -> QuantumCircuit:
    """Delays in several units between gates, resets, and an idle qubit that only waits."""
    circuit = QuantumCircuit(n, n, name=f"waiting{n}")
    circuit.h(range(n))
    circuit.delay(3.2, 0, unit="us")
    circuit.cx(0, 1)
    circuit.delay(2000, 1, unit="dt")
    circuit.sx(1)
    circuit.reset(0)
    circuit.delay(400, 0, unit="ns")
    circuit.sx(0)
    circuit.delay(1e-6, range(n), unit="s")
    circuit.barrier()
    circuit.cx(1, 0)
    circuit.measure(range(n), range(n))
    return circuit


def branching() -> QuantumCircuit:
    """Control flow whose way is certain, so that its outcomes have exact probabilities."""
    circuit = QuantumCircuit(3, 3, name="branching")
    circuit.h(0)
    with circuit.if_test((circuit.clbits[0], 0)) as otherwise:
        circuit.cx(0, 1)
        circuit.sx(2)
        circuit.delay(800, 1, unit="ns")
    with otherwise:
        circuit.x(0)
    with circuit.for_loop(range(3)):
        circuit.sx(1)
        circuit.cx(1, 2)
    circuit.measure(range(3), range(3))
    return circuit


def programs() -> list[QuantumCircuit]:
    randoms = [random_circuit(2 + seed % 7, 4, max_operands=2, measure=True, seed=seed) for seed in range(20)]
    return [ghz(3), ghz(5), ghz(8), *randoms, waiting(2), waiting(4), branching()]


def saving(circuit: QuantumCircuit, qubits: list[int]) -> QuantumCircuit:
    """`circuit` with the probabilities of `qubits` saved in place of its measurements."""
    made = circuit.copy_empty_like()
    for instruction in circuit.data:
        if instruction.name not in ("measure", "barrier"):
            made.append(instruction)
    made.save_probabilities(qubits)
    return made


def probabilities(
    circuits: list[QuantumCircuit], noise: NoiseModel | None = None
) -> list[NDArray[np.float64]]:
    result = SIMULATOR.run(circuits, shots=1, noise_model=noise).result()
    assert result.success, result.status
    return [np.asarray(result.data(index)["probabilities"]) for index in range(len(circuits))]


def read_out(exact: NDArray[np.float64], matrices: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Outcome probabilities after each qubit's P[prepared, measured]; qubit 0 least significant."""
    n = len(matrices)
    shaped = exact.reshape((2,) * n)
    for qubit, matrix in enumerate(matrices):
        axis = n - 1 - qubit
        shaped = np.moveaxis(np.tensordot(shaped, matrix, axes=(axis, 0)), -1, axis)
    return shaped.reshape(-1)


def test_outcomes_are_those_of_aers_full_model(device: Device) -> None:
    compiled = [device.transpiler.run(circuit, level=1) for circuit in programs()]
    baked = [baking.bake(isa, device.book) for isa in compiled]
    measured = [[measure.qubit for measure in one.measures] for one in baked]
    ours = probabilities([saving(one.circuit, where) for one, where in zip(baked, measured, strict=True)])
    on_device = [
        saving(isa, [one.physical[qubit] for qubit in where])
        for isa, one, where in zip(compiled, baked, measured, strict=True)
    ]
    as_aer_reads_it = probabilities(on_device, device.aer)
    used = {
        (instruction.name, tuple(isa.find_bit(qubit).index for qubit in instruction.qubits))
        for isa in compiled
        for instruction in flat(isa)
    }
    whole = probabilities(on_device, in_kraus_form(device, used))
    for isa, one, mine, cropped, theirs in zip(compiled, baked, ours, as_aer_reads_it, whole, strict=True):
        errors = {q[0]: error.probabilities for q, error in device.aer._local_readout_errors.items()}
        mine = read_out(mine, [np.eye(2) if m.matrix is None else m.matrix for m in one.measures])
        reading = [errors.get(one.physical[m.qubit], np.eye(2)) for m in one.measures]
        theirs = read_out(theirs, reading)
        cropped = read_out(cropped, reading)
        assert abs(mine.sum() - 1) < 1e-12, isa.name
        assert np.abs(mine - theirs).max() < 1e-9, isa.name
        # What Aer loses on the way in is all there is between us: never more than our probability, 1e-7 in all.
        assert (cropped <= mine + 1e-12).all(), isa.name
        assert cropped.sum() > 1 - 1e-7, isa.name


def flat(circuit: QuantumCircuit, where: list[int] | None = None) -> list:
    """All instructions, those of blocks too (blocks of these programs have the device's width)."""
    found = []
    for instruction in circuit.data:
        if instruction.is_control_flow():
            inner = [
                type(instruction)(
                    inside.operation,
                    [instruction.qubits[block.find_bit(qubit).index] for qubit in inside.qubits],
                    [],
                )
                for block in instruction.operation.blocks
                for inside in block.data
            ]
            found += inner
        else:
            found.append(instruction)
    return found


def in_kraus_form(device: Device, used: set[tuple[str, tuple[int, ...]]]) -> NoiseModel:
    """Aer's model of the used gates, each error as its Kraus operators, delays as Aer has them."""
    model = NoiseModel()
    for (name, qubits), error in device.errors.items():
        if (name, qubits) in used:
            model.add_quantum_error(QuantumError(Kraus(SuperOp(superoperator(error)))), name, qubits)
    model._custom_noise_passes = device.aer._custom_noise_passes
    return model


# --- the same physics in its other forms


@pytest.fixture(scope="module")
def compiled(device: Device) -> list[QuantumCircuit]:
    small = [circuit for circuit in programs() if circuit.num_qubits <= 5]
    return [device.transpiler.run(circuit, level=1) for circuit in small]


def test_unravelled_noise_is_the_same_channel(device: Device, compiled: list[QuantumCircuit]) -> None:
    """Aer's density matrix adds the events up again; one ancilla may be among them."""
    ancillas = 0
    for isa in compiled:
        baked = baking.bake(isa, device.book)
        drawn = unravelling.unravel(isa, device.book)
        where = [measure.qubit for measure in baked.measures]
        assert [measure.qubit for measure in drawn.measures] == where
        (ours,) = probabilities([saving(baked.circuit, where)])
        (theirs,) = probabilities([saving(drawn.circuit, where)], drawn.noise_model)
        assert np.abs(ours - theirs).max() < 1e-7, isa.name  # events below 1e-10 are left out
        ancillas += drawn.has_ancilla
    assert ancillas


def test_clifford_noise_is_exact_or_next_to_it(device: Device) -> None:
    """Where T2 is cut to T1, outcomes move by a few hundredths of what noise moves them, and it is said."""
    exact = 0
    for circuit in (ghz(8), *(scrambled(seed) for seed in range(3))):
        isa = device.transpiler.run(circuit, level=1)
        baked = baking.bake(isa, device.book)
        drawn = unravelling.clifford(isa, device.book)
        where = [measure.qubit for measure in baked.measures]
        (ours,) = probabilities([saving(drawn.circuit, where)], drawn.noise_model)
        noisy, ideal = probabilities(
            [saving(baked.circuit, where), saving(baking.bake(isa, None).circuit, where)]
        )
        if any(what == "t2_cut" for what, _ in drawn.remarks):
            assert np.abs(ours - noisy).sum() < 0.05 * np.abs(ideal - noisy).sum(), circuit.name
        else:
            exact += 1
            assert np.abs(ours - noisy).max() < 1e-8, circuit.name
    assert exact or device.name == "qmio"


def scrambled(seed: int) -> QuantumCircuit:
    circuit = QuantumCircuit(5, 5, name=f"clifford{seed}")
    circuit.compose(random_clifford(5, seed=seed).to_circuit(), inplace=True)
    circuit.measure(range(5), range(5))
    return circuit


def test_merging_changes_nothing(device: Device, compiled: list[QuantumCircuit]) -> None:
    for isa in compiled:
        baked = baking.bake(isa, device.book)
        n = len(baked.physical)
        place = {qubit: index for index, qubit in enumerate(baked.physical)}
        plain = QuantumCircuit(n)
        if any(instruction.is_control_flow() for instruction in isa.data):
            continue
        for instruction in isa.data:
            physical = [isa.find_bit(qubit).index for qubit in instruction.qubits]
            if instruction.name in ("measure", "barrier") or not all(q in place for q in physical):
                continue
            qubits = [place[q] for q in physical]
            if instruction.name == "delay":
                scale = {"dt": device.book.record.dt_s, "s": 1.0, "us": 1e-6, "ns": 1e-9}
                seconds = instruction.params[0] * scale[instruction.operation.unit]
                channel = device.book.relaxation(physical[0], seconds)
            else:
                plain.append(instruction.operation, qubits)
                channel = device.book.channel(instruction.name, physical)
            if channel is not None:
                plain.append(SuperOp(channel).to_instruction(), qubits)
        where = [measure.qubit for measure in baked.measures]
        (merged,) = probabilities([saving(baked.circuit, where)])
        (apart,) = probabilities([saving(plain, where)])
        assert np.abs(merged - apart).max() < 1e-13, isa.name
        assert baked.circuit.size() < plain.size()


def test_an_order_only_renames(device: Device) -> None:
    isa = device.transpiler.run(ghz(4), level=1)
    plain = baking.bake(isa, device.book)
    results = []
    for order in itertools.islice(itertools.permutations(plain.physical), 0, 24, 7):
        turned = baking.bake(isa, device.book, order=order)
        assert turned.physical == order
        where = [measure.qubit for measure in turned.measures]
        results += probabilities([saving(turned.circuit, where)])
    for other in results[1:]:
        assert np.abs(other - results[0]).max() < 1e-13


def measured_on_the_way() -> QuantumCircuit:
    """Teleportation, measured twice on the way, with a qubit reset and used again."""
    circuit = QuantumCircuit(3, 4)
    circuit.ry(1.0, 0)
    circuit.h(1)
    circuit.cx(1, 2)
    circuit.cx(0, 1)
    circuit.h(0)
    circuit.measure((0, 1), (0, 1))
    with circuit.if_test((circuit.clbits[1], 1)):
        circuit.x(2)
    with circuit.if_test((circuit.clbits[0], 1)) as otherwise:
        circuit.z(2)
        circuit.delay(400, 2, unit="ns")
    with otherwise:
        circuit.delay(2, 2, unit="us")
    circuit.reset(0)
    circuit.sx(0)
    circuit.measure((2, 0), (2, 3))
    return circuit


@pytest.mark.parametrize("device", ["qmio"], indirect=True)  # one is enough, and the smaller far cheaper
def test_programs_measured_on_the_way_count_as_aers(device: Device) -> None:
    isa = device.transpiler.run(measured_on_the_way(), level=1)
    shots = 10_000

    def counts(circuit: QuantumCircuit, method: str, noise: NoiseModel | None, seed: int) -> dict[str, int]:
        # Aer's shot i draws from seed + i: seeds nearer than the number of shots would share draws.
        simulator = AerSimulator(method=method, max_parallel_threads=1)
        result = simulator.run(circuit, shots=shots, noise_model=noise, seed_simulator=seed).result()
        assert result.success, result.status
        return result.get_counts()

    theirs = counts(isa, "density_matrix", device.aer, 1)
    baked = baking.bake(isa, device.book)
    drawn = unravelling.unravel(isa, device.book)
    for ours in (
        counts(baked.circuit, "density_matrix", baked.readout_model(), 10**6),
        counts(drawn.circuit, "statevector", drawn.noise_model, 2 * 10**6),
        counts(drawn.circuit, "matrix_product_state", drawn.noise_model, 3 * 10**6),
    ):
        # Chi-squared of two samples; with 15 degrees of freedom one in a million is above 56.
        both = {key: (ours.get(key, 0), theirs.get(key, 0)) for key in ours.keys() | theirs.keys()}
        assert sum((one - other) ** 2 / (one + other) for one, other in both.values()) < 56
