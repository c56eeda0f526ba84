"""A program on an emulated device: placed and compiled there, or taken as it was compiled and dealt with if stale."""

import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter

from qmio_jupyter.calibration.samples import sample
from qmio_jupyter.drivers.aer.placing import place
from qmio_jupyter.drivers.aer.read import read_program
from qmio_jupyter.emulation.transpiling import Transpiler
from qmio_jupyter.errors import DeviceError, ProgramError
from qmio_jupyter.model.task import StalePolicy, TaskOptions
from qmio_jupyter.testing.runs import qasm3

NOW, BEFORE = "a" * 64, "b" * 64


@pytest.fixture(scope="module")
def transpiler():
    return Transpiler(sample("qmio"))


@pytest.fixture
def put(transpiler):
    def put(circuit, **options):
        return place(circuit, options=TaskOptions(**options), snapshot_id=NOW, transpiler=transpiler, seed=0)

    return put


def ghz(n):
    circuit = QuantumCircuit(n, n)
    circuit.h(0)
    for qubit in range(1, n):
        circuit.cx(qubit - 1, qubit)
    circuit.measure(range(n), range(n))
    return circuit


def compiled(a=0, b=1):
    """A circuit in the device's own gates: its coupling 0-1 is directed."""
    circuit = QuantumCircuit(32, 2)
    circuit.sx(a)
    circuit.ecr(a, b)
    circuit.measure([a, b], [0, 1])
    return circuit


def test_a_program_is_compiled_into_the_devices_gates(put, transpiler):
    placed = put(ghz(5))
    transpiler.check_isa(placed.isa)
    assert placed.isa.num_qubits == 32
    assert len(set(placed.layout)) == 5
    assert placed.notes == ()


def test_the_layout_asked_for_is_the_layout(put):
    placed = put(ghz(3), layout=(6, 3, 2))
    assert placed.layout == (6, 3, 2)
    used = {placed.isa.find_bit(q).index for i in placed.isa.data if i.name != "barrier" for q in i.qubits}
    assert used == {6, 3, 2}


def test_the_layout_told_is_where_the_qubits_begin_though_they_are_swapped_later(put):
    """Two ends of the device: something between is needed, and the measurements follow the qubits."""
    circuit = QuantumCircuit(2, 2)
    circuit.x(0)
    circuit.cx(0, 1)
    circuit.measure([0, 1], [0, 1])
    placed = put(circuit, layout=(0, 31))
    assert placed.layout == (0, 31)
    assert placed.isa.count_ops()["ecr"] > 3


def test_the_same_seed_gives_the_same_circuit(put):
    assert put(ghz(8)).isa == put(ghz(8)).isa


def test_parameters_stay_free(put):
    theta = Parameter("theta")
    circuit = QuantumCircuit(1, 1)
    circuit.ry(theta, 0)
    circuit.measure(0, 0)
    assert set(put(circuit).isa.parameters) == {theta}


@pytest.mark.parametrize("level", [0, 1, 2, 3])
def test_every_level_compiles(put, transpiler, level):
    transpiler.check_isa(put(ghz(4), optimization_level=level).isa)


@pytest.mark.parametrize(
    ("options", "code", "named"),
    [
        ({"layout": (0, 1)}, "program", "0,1"),
        ({"layout": (0, 0, 1)}, "program", "0,0,1"),
        ({"layout": (0, 1, 32)}, "program", "0,1,32"),
        ({"layout": (0, 1, -2)}, "program", "0,1,-2"),
    ],
)
def test_a_layout_that_places_nothing_is_refused(put, options, code, named):
    with pytest.raises(ProgramError) as caught:
        put(ghz(3), **options)
    assert caught.value.code == code
    assert named in caught.value.message
    assert "32" in caught.value.message
    assert caught.value.hint


def test_too_many_qubits_are_refused_with_both_numbers(put):
    with pytest.raises(ProgramError, match=r"33 .*32") as caught:
        put(ghz(33))
    assert caught.value.code == "program.too_wide"


def test_a_compiled_program_is_taken_as_it_is(put):
    circuit = compiled()
    placed = put(circuit, compiled_for=NOW)
    assert placed.isa is circuit
    assert placed.layout == tuple(range(32))
    assert placed.notes == ()


def test_levels_make_no_difference_to_a_compiled_program_and_that_is_said(put):
    (note,) = put(compiled(), compiled_for=NOW, optimization_level=3).notes
    assert note[0] == "warning"
    assert "opt-level" in note[1]


@pytest.mark.parametrize(
    ("circuit", "named"),
    [
        (ghz(2), "no h"),
        (compiled(1, 0), "ecr on 1-0"),
        (compiled(0, 31), "ecr on 0-31"),
    ],
    ids=["a gate", "a direction", "a coupling"],
)
def test_what_the_device_lacks_is_named(put, circuit, named):
    with pytest.raises(ProgramError, match=named) as caught:
        put(circuit, compiled_for=NOW)
    assert caught.value.code == "program.unsupported"
    assert caught.value.hint


def test_a_compiled_program_takes_no_layout(put):
    with pytest.raises(ProgramError, match="layout"):
        put(compiled(), compiled_for=NOW, layout=tuple(range(32)))


def test_a_stale_program_runs_as_it_is_with_a_warning(put):
    circuit = compiled()
    placed = put(circuit, compiled_for=BEFORE)
    assert placed.isa is circuit
    ((kind, said),) = placed.notes
    assert kind == "warning"
    assert BEFORE[:12] in said
    assert NOW[:12] in said


def test_a_stale_program_whose_gates_are_gone_is_no_matter_of_warning(put):
    with pytest.raises(ProgramError, match="ecr on 1-0"):
        put(compiled(1, 0), compiled_for=BEFORE)


@pytest.mark.parametrize("circuit", [compiled(), compiled(1, 0)], ids=["fits still", "fits no more"])
def test_a_stale_program_is_compiled_again_if_that_is_wanted(put, transpiler, circuit):
    placed = put(circuit, compiled_for=BEFORE, stale=StalePolicy.RECOMPILE)
    transpiler.check_isa(placed.isa)
    ((kind, said),) = placed.notes
    assert kind == "stale"
    assert BEFORE[:12] in said


def test_a_stale_program_is_refused_if_that_is_wanted(put):
    with pytest.raises(DeviceError) as caught:
        put(compiled(), compiled_for=BEFORE, stale=StalePolicy.REFUSE)
    assert caught.value.code == "device.snapshot"
    assert put(compiled(), compiled_for=NOW, stale=StalePolicy.REFUSE).notes == ()


def named(text):
    """A program that names the device's own qubits."""
    return read_program(qasm3(text), 64)


def touched(circuit):
    return {circuit.find_bit(qubit).index for i in circuit.data if i.name != "barrier" for qubit in i.qubits}


def test_qubits_that_a_program_names_are_kept(put):
    placed = put(named("bit[2] c; h $17; cx $17, $24; c[0] = measure $17; c[1] = measure $24;"))
    assert touched(placed.isa) == {17, 24}
    assert placed.layout == tuple(range(25))
    assert dict(placed.notes)["qubits"]


def test_a_program_in_the_devices_gates_on_named_qubits_is_not_compiled_at_all(put):
    circuit = named("bit c; " + 5 * "sx $5; " + "c = measure $5;")
    assert put(circuit).isa is circuit
    shorter = put(circuit, optimization_level=2).isa
    assert touched(shorter) == {5}
    assert shorter.size() < circuit.size()


def test_a_layout_asked_for_moves_even_named_qubits(put):
    circuit = named("bit c; x $1; c = measure $1;")
    placed = put(circuit, layout=(4, 9))
    assert touched(placed.isa) == {9}
    assert placed.notes == ()


def test_named_qubits_that_are_not_there_are_refused(put):
    with pytest.raises(ProgramError) as caught:
        put(named("bit c; x $40; c = measure $40;"))
    assert caught.value.code == "program.too_wide"


def test_a_transpiled_circuit_stays_where_it_was_put(put, transpiler):
    before = put(ghz(4), layout=(10, 11, 12, 6)).isa
    placed = put(before)
    assert placed.isa is before
