"""Compiling for a device: its gates on its qubits, the same every time, and clear about what cannot be."""

from __future__ import annotations

import itertools
import math
import os
import subprocess
import sys
from dataclasses import replace

import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter
from qiskit.quantum_info import Statevector

from qmio_jupyter.calibration.record import DeviceRecord, Gate, Qubit
from qmio_jupyter.calibration.samples import sample
from qmio_jupyter.emulation import baking, compacting, transpiling
from qmio_jupyter.emulation.shadow import two_qubit_gates
from qmio_jupyter.emulation.survey import survey
from qmio_jupyter.emulation.transpiling import Transpiler
from qmio_jupyter.errors import ProgramError


@pytest.fixture(scope="module")
def qmio() -> Transpiler:
    return Transpiler(sample("qmio"))


def ghz(n: int) -> QuantumCircuit:
    circuit = QuantumCircuit(n, n)
    circuit.h(0)
    for qubit in range(n - 1):
        circuit.cx(qubit, qubit + 1)
    circuit.measure(range(n), range(n))
    return circuit


@pytest.mark.parametrize("level", [0, 1, 2, 3])
def test_what_is_compiled_is_the_devices_own(qmio: Transpiler, level: int) -> None:
    isa = qmio.run(ghz(6), level=level)
    qmio.check_isa(isa)
    assert isa.num_qubits == 32
    assert isa == qmio.run(ghz(6), level=level)


def test_the_same_seed_gives_the_same_circuit_in_another_transpiler(qmio: Transpiler) -> None:
    circuit = QuantumCircuit(7, 7)
    for qubit in range(7):
        circuit.h(qubit)
        circuit.cx(qubit, (qubit * 3 + 2) % 7 if (qubit * 3 + 2) % 7 != qubit else (qubit + 1) % 7)
        circuit.t(qubit)
    circuit.measure_all()
    assert qmio.run(circuit, seed=3) == Transpiler(sample("qmio")).run(circuit, seed=3)


def test_a_layout_is_kept(qmio: Transpiler) -> None:
    isa = qmio.run(ghz(2), layout=(0, 1), level=1)
    assert {isa.find_bit(i.qubits[0]).index: i.clbits for i in isa.data if i.name == "measure"}.keys() == {
        0,
        1,
    }
    for wrong in ((0,), (0, 0), (0, 32), (-1, 0)):
        with pytest.raises(ProgramError, match="layout") as caught:
            qmio.run(ghz(2), layout=wrong)
        assert caught.value.code == "program"


def test_parameters_stay_free(qmio: Transpiler) -> None:
    angle = Parameter("a")
    circuit = QuantumCircuit(1, 1)
    circuit.rx(angle, 0)
    circuit.measure(0, 0)
    assert set(qmio.run(circuit).parameters) == {angle}


@pytest.mark.parametrize("level", [2, 3])
def test_clifford_circuits_stay_clifford(qmio: Transpiler, level: int) -> None:
    isa = qmio.run(ghz(16), level=level)
    assert survey(isa).is_clifford
    assert isa.num_nonlocal_gates() == 15
    qmio.check_isa(isa)


def test_keeping_clifford_keeps_the_circuit(qmio: Transpiler) -> None:
    circuit = QuantumCircuit(3)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.sdg(1)
    circuit.cz(1, 2)
    circuit.rx(math.pi / 2, 2)
    circuit.cx(2, 0)
    made = qmio._manager(2, (), 0, keeps_clifford=True).run(circuit)
    qmio.check_isa(made)
    assert survey(made).is_clifford
    final = made.layout.final_index_layout()
    order = (*final, *(qubit for qubit in range(32) if qubit not in final))
    ours = Statevector(baking.bake(made, None, order=order).circuit)
    theirs = Statevector(circuit)
    for _ in range(ours.num_qubits - 3):
        theirs = theirs.expand(Statevector([1, 0]))
    assert ours.equiv(theirs)


def test_dynamic_circuits_may_be_clifford_too(qmio: Transpiler) -> None:
    circuit = QuantumCircuit(3, 3)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure(0, 0)
    with circuit.if_test((circuit.clbits[0], 1)) as otherwise:
        circuit.x(1)
        circuit.cx(1, 2)
    with otherwise:
        circuit.reset(2)
    circuit.delay(100, 1, unit="ns")
    circuit.barrier()
    circuit.measure((1, 2), (1, 2))
    made = qmio._manager(2, (), 0, keeps_clifford=True).run(circuit)
    qmio.check_isa(made)
    assert survey(made).is_clifford


def test_pass_managers_are_kept_and_bounded(qmio: Transpiler) -> None:
    circuit = ghz(2)
    qmio.run(circuit, seed=11)
    kept = qmio._managers[(2, (), 11, False)]
    qmio.run(circuit, seed=11)
    assert qmio._managers[(2, (), 11, False)] is kept
    for seed in range(20, 40):
        qmio.run(circuit, seed=seed, level=0)
    assert len(qmio._managers) <= transpiling._KEPT


def test_wide_programs_are_refused(qmio: Transpiler) -> None:
    for call in (qmio.run, qmio.check_isa):
        with pytest.raises(ProgramError, match="33 qubits, the device has 32") as caught:
            call(QuantumCircuit(33))
        assert caught.value.code == "program.too_wide"


def test_what_cannot_be_compiled_is_said_in_one_line(qmio: Transpiler) -> None:
    from qiskit.circuit import Gate

    circuit = QuantumCircuit(1)
    circuit.append(Gate("mystery", 1, []), [0])
    with pytest.raises(ProgramError, match="cannot be compiled") as caught:
        qmio.run(circuit)
    assert "\n" not in caught.value.one_line()


def test_delays_that_are_rounded_are_no_warning(qmio: Transpiler) -> None:
    circuit = QuantumCircuit(1, 1)
    circuit.delay(1.3e-9, 0, unit="s")
    circuit.measure(0, 0)
    assert "delay" in qmio.run(circuit).count_ops()


# --- ISA programs


def test_a_gate_that_the_device_lacks_is_named(qmio: Transpiler) -> None:
    isa = QuantumCircuit(32)
    isa.cz(0, 1)
    with pytest.raises(ProgramError, match="the device has no cz") as caught:
        qmio.check_isa(isa)
    assert "ecr" in caught.value.hint
    assert caught.value.code == "program.unsupported"


def test_a_coupling_that_the_device_lacks_is_named(qmio: Transpiler) -> None:
    first, second = min(qmio.target["ecr"])
    turned = QuantumCircuit(32)
    turned.ecr(second, first)
    with pytest.raises(ProgramError, match=f"no ecr on {second}-{first}") as caught:
        qmio.check_isa(turned)
    assert f"{first}-{second}" in caught.value.hint
    apart = QuantumCircuit(32)
    apart.ecr(0, 31)
    with pytest.raises(ProgramError, match="no ecr on 0-31"):
        qmio.check_isa(apart)


def test_blocks_are_looked_into(qmio: Transpiler) -> None:
    isa = QuantumCircuit(32, 1)
    isa.measure(5, 0)
    with isa.if_test((isa.clbits[0], 1)):
        isa.sx(5)
        isa.barrier()
    qmio.check_isa(isa)
    with isa.if_test((isa.clbits[0], 1)):
        isa.h(5)
    with pytest.raises(ProgramError, match="no h"):
        qmio.check_isa(isa)


def test_warming_up_starts_no_thread() -> None:
    """A forked process has none of its parent's threads, and would wait for Rust's for ever."""
    code = (
        "import os\n"
        "from qmio_jupyter.emulation import transpiling\n"
        "transpiling.warm()\n"
        "print(len(os.listdir('/proc/self/task')))\n"
    )
    one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS"), "1")
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **one, "QISKIT_PARALLEL": "FALSE"},
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )
    assert done.stdout.split() == ["1"]


@pytest.mark.parametrize("lost", [0, 14])
def test_programs_go_around_qubits_that_do_not_work(lost: int) -> None:
    """14 is amid the chip: without it, it is still in one piece."""
    record = sample("qmio")
    gates = tuple(
        replace(gate, error=1.0) if (gate.name, gate.qubits) == ("sx", (lost,)) else gate
        for gate in record.gates
    )
    transpiler = Transpiler(replace(record, gates=gates))
    for level, n in itertools.product((0, 1, 2, 3), (1, 2, 12)):
        isa = transpiler.run(ghz(n), level=level)
        transpiler.check_isa(isa)
        assert lost not in compacting.active(isa)
    with pytest.raises(ProgramError, match="32 qubits, the device has 31 that work"):
        transpiler.run(QuantumCircuit(32))
    asked = QuantumCircuit(32)
    asked.rz(0.1, lost)
    with pytest.raises(ProgramError, match=f"no rz on {lost}"):
        transpiler.check_isa(asked)


def test_qubits_are_chosen_by_what_stands_in_blocks_too(qmio: Transpiler) -> None:
    """Qiskit alone places these three far apart, and needs 96 gates over 17 qubits."""
    circuit = QuantumCircuit(3, 3)
    circuit.h(0)
    circuit.measure(0, 0)
    with circuit.if_test((circuit.clbits[0], 0)), circuit.for_loop(range(2)):
        circuit.ccx(1, 0, 2)
        circuit.reset(1)
    circuit.h(0)
    circuit.measure(range(3), range(3))
    for level in (1, 2, 3):
        isa = qmio.run(circuit, level=level)
        qmio.check_isa(isa)
        assert len(compacting.active(isa)) <= 5
        assert two_qubit_gates(isa) <= 20


def test_a_device_without_couplings_takes_single_qubits_only() -> None:
    gates = tuple(Gate(name=name, qubits=(qubit,)) for name in ("rz", "sx") for qubit in range(3))
    alone = Transpiler(DeviceRecord(source="t", taken_ms=0, dt_s=1e-9, qubits=(Qubit(),) * 3, gates=gates))
    circuit = QuantumCircuit(2)
    circuit.h([0, 1])
    circuit.measure_all()
    alone.check_isa(alone.run(circuit))
    with pytest.raises(ProgramError, match="the program has two-qubit gates, the device has none"):
        alone.run(ghz(3))


def test_a_panic_of_the_transpiler_is_one_line(qmio: Transpiler, monkeypatch: pytest.MonkeyPatch) -> None:
    class PanicException(BaseException):
        """As Rust's."""

    def panic(*_: object) -> None:
        raise PanicException("capacity overflow")

    monkeypatch.setattr(Transpiler, "_compiled", panic)
    with pytest.raises(ProgramError, match="cannot be compiled for the device: capacity overflow"):
        qmio.run(ghz(3))
