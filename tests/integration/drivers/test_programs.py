"""What programs `ideal` takes, and what it makes of them."""

import io

import numpy as np
import pytest
from msgspec.structs import replace
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister, qpy
from qiskit.circuit import Clbit, Instruction, Parameter
from qiskit.circuit.library import CXGate, efficient_su2
from qiskit.quantum_info import Statevector

from qmio_jupyter.drivers.aer.read import NEWEST_QPY, OLDEST_QPY
from qmio_jupyter.model.program import QPY
from qmio_jupyter.model.result import Register, key_width
from qmio_jupyter.model.task import StalePolicy
from qmio_jupyter.testing import runs
from qmio_jupyter.testing.runs import matrix, program, qasm2, qasm3


def as_qpy(circuit):
    file = io.BytesIO()
    qpy.dump(circuit, file)
    return program(file.getvalue(), QPY)


def chi_square(counts, probabilities):
    """Return Pearson's statistic and its degrees of freedom; outcomes expected fewer than 5 times are pooled."""
    shots = sum(counts.values())
    assert all(probabilities.get(outcome, 0.0) > 1e-12 for outcome in counts)
    pooled = [(counts.get(o, 0), p * shots) for o, p in probabilities.items() if p * shots >= 5]
    rest = (shots - sum(n for n, _ in pooled), shots - sum(e for _, e in pooled))
    if rest[1] >= 5:
        pooled.append(rest)
    return sum((n - e) ** 2 / e for n, e in pooled), len(pooled) - 1


@pytest.mark.parametrize("qubits", [2, 5])
def test_counts_follow_the_state_vector(ideal, qubits):
    circuit = efficient_su2(qubits, reps=2)
    values = np.random.default_rng(qubits).uniform(-np.pi, np.pi, circuit.num_parameters)
    bound = circuit.assign_parameters(values)
    probabilities = Statevector(bound).probabilities_dict()
    bound.measure_all()
    counts = ideal.counts(as_qpy(bound), shots=20_000, seed=5)
    statistic, freedom = chi_square(counts, probabilities)
    # Seed and counts are fixed; the bound is five standard deviations above the mean of chi-square.
    assert statistic < freedom + 5 * (2 * freedom) ** 0.5


def test_openqasm_2_and_3_and_qpy_say_the_same(ideal):
    body = "h q[0]; cx q[0], q[1]; rz(0.3) q[1]; h q[1];"
    circuit = QuantumCircuit(QuantumRegister(2, "q"), ClassicalRegister(2, "c"))
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.rz(0.3, 1)
    circuit.h(1)
    circuit.measure([0, 1], [0, 1])
    three = ideal.item(qasm3(f"qubit[2] q; bit[2] c; {body} c = measure q;"))
    two = ideal.item(qasm2(f"qreg q[2]; creg c[2]; {body} measure q -> c;"))
    assert three.bindings == two.bindings == ideal.item(as_qpy(circuit)).bindings
    assert three.registers == (Register(name="c", bits=(0, 1)),)


def test_every_bit_keeps_its_place(ideal):
    program_ = qasm3(
        "qubit[3] q; bit[2] a; bit lone; bit[3] b; x q[0]; x q[2];"
        "a[1] = measure q[0]; lone = measure q[1]; b[0] = measure q[2];"
    )
    item = ideal.item(program_, shots=10)
    assert item.registers == (
        Register(name="a", bits=(0, 1)),
        Register(name="", bits=(2,)),
        Register(name="b", bits=(3, 4, 5)),
    )
    assert ideal.counts(program_, shots=10) == {"001 0 10": 10}


def test_lone_bits_of_a_circuit_keep_their_place(ideal):
    circuit = QuantumCircuit(QuantumRegister(2, "q"), [Clbit()], ClassicalRegister(2, "c"), [Clbit()])
    circuit.x(0)
    circuit.measure(0, 0)
    circuit.measure(1, 1)
    circuit.measure(0, 2)
    assert ideal.counts(as_qpy(circuit), shots=5) == {"0 10 1": 5}


def test_more_than_64_bits_work_with_memory(ideal):
    circuit = QuantumCircuit(2, 130)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure(0, 129)
    circuit.measure(1, 0)
    item = ideal.item(as_qpy(circuit), shots=100, memory=True)
    width = key_width(130)
    keys = {item.bindings[0].keys[i : i + width] for i in range(0, len(item.bindings[0].keys), width)}
    assert keys == {bytes(width), (1 << 129 | 1).to_bytes(width, "little")}
    assert len(item.bindings[0].memory) == 100 * width


def test_only_the_qubits_used_count(ideal):
    item = ideal.item(qasm3("qubit[40] q; bit[2] c; h q[0]; t q[0]; cx q[0], q[39]; c[0] = measure q[0];"))
    assert dict(item.notes)["method"] == "statevector"
    assert dict(item.notes)["active_qubits"] == "2"


@pytest.mark.parametrize(("gate", "method"), [("s", "stabilizer"), ("t", "matrix_product_state")])
def test_more_than_32_qubits_where_the_method_allows_it(ideal, gate, method):
    n = 60
    chain = "".join(f"cx q[{i}], q[{i + 1}];" for i in range(n - 1))
    program_ = qasm3(f"qubit[{n}] q; bit[{n}] c; h q[0]; {gate} q[0]; {chain} c = measure q;")
    item = ideal.item(program_, shots=200)
    assert dict(item.notes)["method"] == method
    counts = ideal.counts(program_, shots=200)
    assert set(counts) == {"0" * n, "1" * n}


def test_too_many_qubits_for_a_state_vector_are_tried_as_a_tensor_network(ideal):
    layers = "for int i in [0:29] { h q[i]; t q[i]; h q[i]; }"
    item = ideal.item(qasm3(f"qubit[30] q; bit[30] c; {layers} c = measure q;"), shots=10)
    assert dict(item.notes)["method"] == "matrix_product_state"


def test_a_state_vector_says_what_memory_it_needs(ideal):
    item = ideal.item(qasm3("qubit[12] q; bit[12] c; h q; t q; c = measure q;"), shots=10)
    assert 2**27 > int(dict(item.notes)["memory_predicted_bytes"]) >= 16 * 2**12


def test_mid_circuit_measurement_and_reset(ideal):
    program_ = qasm3(
        "qubit q; bit[3] c; x q; c[0] = measure q; reset q; c[1] = measure q; x q; c[2] = measure q;"
    )
    assert ideal.counts(program_, shots=50) == {"101": 50}


@pytest.mark.parametrize(
    ("condition", "taken"),
    [
        ("c[0]", True),
        ("!c[0]", False),
        ("c[0] == 1", True),
        ("c[0] == 0", False),
        ("c[1] == true", False),
        ("c[0] != 0", True),
        ("1 == c[0]", True),
        ("c == 5", True),
        ("c != 5", False),
        ('c == "101"', True),
        ("int[3](c) == 5", True),
        ("uint[3](c) < 5", False),
        ("c <= 5", True),
        ("c > 4", True),
        ("c >= 6", False),
        ("c[0] && c[2]", True),
        ("c[0] && c[1]", False),
        ("c[1] || c[2]", True),
        ("c[1] || !c[0]", False),
        ("!(c[1] || c[0])", False),
        ("c", True),
        ("3 > 2", True),
        ("3 == 2", False),
    ],
)
def test_conditions(ideal, condition, taken):
    program_ = qasm3(
        "qubit[3] q; bit[3] c; qubit w; bit[2] out; x q[0]; x q[2]; c = measure q;"
        f"if ({condition}) {{ x w; out[0] = measure w; }} else {{ x w; out[1] = measure w; }}"
    )
    assert ideal.counts(program_, shots=20) == {("01" if taken else "10") + " 101": 20}


@pytest.mark.parametrize(("value", "marked"), [(0, "0001"), (1, "0010"), (2, "0010"), (3, "1000")])
def test_switch(ideal, value, marked):
    prepare = "".join(f"x q[{bit}];" for bit in range(2) if value >> bit & 1)
    program_ = qasm3(
        f"qubit[2] q; qubit[4] w; bit[2] c; bit[4] out; {prepare} c = measure q;"
        "switch (int(c)) { case 0 { x w[0]; } case 1, 2 { x w[1]; } default { x w[3]; } }"
        "out = measure w;"
    )
    assert ideal.counts(program_, shots=20) == {f"{marked} {value:02b}": 20}


def test_loops_over_known_ranges_are_unrolled(ideal):
    program_ = qasm3(
        "const int n = 3; qubit[2 * n] q; bit[2 * n] c; uint mask = 5; int k = 0;"
        "for uint i in [0:n - 1] { if (bool(mask[i])) x q[i]; k += 1; }"
        "for int i in {3, 5} { x q[i]; }"
        "while (k > 2) { x q[4]; k -= 1; }"
        "for int i in [2:-1:0] { if (i == 1) { break; } cx q[i], q[1]; }"
        "c = measure q;"
    )
    assert ideal.counts(program_, shots=10) == {"111111": 10}


def test_a_loop_that_measurements_end(ideal):
    program_ = qasm3(
        "qubit q; bit c; bit[1] done; h q; c = measure q;"
        "while (!c) { reset q; h q; c = measure q; }"
        "done[0] = measure q;"
    )
    assert ideal.counts(program_, shots=100) == {"1 1": 100}


def test_a_loop_that_no_measurement_follows_or_precedes(ideal):
    program_ = qasm3("qubit[2] q; bit[2] c; while (!c[0]) { x q[0]; h q[1]; x q[1]; h q[1]; c = measure q; }")
    assert ideal.counts(program_, shots=20) == {"01": 20}


def test_a_loop_that_a_measurement_may_break_stays_a_loop(ideal):
    program_ = qasm3(
        "qubit q; bit c; bit[1] out; x q; c = measure q;"
        "for int i in [0:4] { if (c) { break; } x q; }"
        "out[0] = measure q;"
    )
    assert ideal.counts(program_, shots=10) == {"1 1": 10}


def test_a_known_loop_inside_a_branch_is_unrolled(ideal):
    program_ = qasm3(
        "qubit[3] q; bit c; bit[3] out; x q[0]; c = measure q[0];"
        "if (c) { for int i in [0:2] { if (i == 2) { break; } x q[i]; } }"
        "out = measure q;"
    )
    assert ideal.counts(program_, shots=10) == {"010 1": 10}


def test_constants_reach_gates_and_definitions(ideal):
    program_ = qasm3(
        "const float half = pi / 2; gate flip(a) x0 { rx(a + half) x0; }"
        "qubit q; bit c; flip(half) q; c = measure q;"
    )
    assert ideal.counts(program_, shots=10) == {"1": 10}


def test_inputs_are_bound_by_name(ideal):
    program_ = qasm3(
        "input float theta; input angle phi; qubit[2] q; bit[2] c;"
        "rx(theta) q[0]; rx(2 * phi) q[1]; c = measure q;"
    )
    item = ideal.item(
        program_, shots=10, parameters=matrix(["phi", "theta"], [[np.pi / 2, 0.0], [0.0, np.pi], [0.0, 0.0]])
    )
    assert [binding.keys for binding in item.bindings] == [b"\x02", b"\x01", b"\x00"]
    assert [binding.shots for binding in item.bindings] == [10, 10, 10]


def test_parameters_of_a_circuit_are_bound_by_name(ideal):
    a, b = Parameter("a"), Parameter("b")
    circuit = QuantumCircuit(2, 2)
    circuit.rx(a, 0)
    circuit.rx(a + b, 1)
    circuit.measure([0, 1], [0, 1])
    item = ideal.item(as_qpy(circuit), shots=10, parameters=matrix(["b", "a"], [[np.pi, 0.0], [0.0, np.pi]]))
    assert [binding.keys for binding in item.bindings] == [b"\x02", b"\x03"]


@pytest.mark.parametrize(
    ("names", "row", "named"),
    [
        ([], [], "theta"),
        (["theta", "extra"], [0.0, 0.0], "extra"),
        (["theta"], [float("nan")], "theta"),
        (["theta"], [float("inf")], "theta"),
        (["theta", "theta"], [0.0, 0.0], "theta"),
    ],
)
def test_parameters_that_do_not_fit_are_named(ideal, names, row, named):
    program_ = qasm3("input float theta; qubit q; bit c; rx(theta) q; c = measure q;")
    error = ideal.error(program_, parameters=matrix(names, [row]) if names else None)
    assert error.code == "program.parameters"
    assert named in error.message


def test_bindings_have_seeds_of_their_own(ideal):
    program_ = qasm3("input float theta; qubit q; bit c; rx(theta) q; c = measure q;")
    both = ideal.item(program_, parameters=matrix(["theta"], [[1.0], [1.0]]))
    assert both.bindings[0].counts != both.bindings[1].counts


def test_batches_do_not_change_the_seeds_of_earlier_ones(ideal):
    program_ = qasm3("qubit[3] q; bit[3] c; h q; c = measure q;")
    whole = ideal.item(program_, shots=300, batch_shots=100, memory=True).bindings[0].memory
    begun = ideal.item(program_, shots=200, batch_shots=100, memory=True).bindings[0].memory
    assert whole[:200] == begun


@pytest.mark.parametrize("level", [0, 1, 2, 3])
def test_an_optimisation_level_changes_no_distribution(ideal, level):
    program_ = qasm3("qubit[2] q; bit[2] c; x q[0]; cx q[0], q[1]; x q[0]; c = measure q;")
    assert ideal.counts(program_, shots=10, optimization_level=level) == {"10": 10}


def test_gates_that_aer_does_not_know_are_decomposed(ideal):
    mine = QuantumCircuit(2, name="mine")
    mine.x(0)
    mine.cx(0, 1)
    circuit = QuantumCircuit(3, 3)
    circuit.append(mine.to_gate(), [0, 1])
    circuit.rccx(0, 1, 2)
    circuit.measure(range(3), range(3))
    assert ideal.counts(as_qpy(circuit), shots=10) == {"111": 10}


def test_a_definition_named_like_a_qiskit_gate_is_the_users(ideal):
    program_ = qasm2(
        "gate mine a, b { x a; cx a, b; } qreg q[2]; creg c[2]; mine q[0], q[1]; measure q -> c;"
    )
    assert ideal.counts(program_, shots=10) == {"11": 10}


def test_openqasm_2_conditions(ideal):
    program_ = qasm2(
        "qreg q[2]; creg c[1]; creg d[1]; x q[0]; measure q[0] -> c[0]; if (c == 1) x q[1]; measure q[1] -> d[0];"
    )
    assert ideal.counts(program_, shots=10) == {"1 1": 10}


def test_the_description_names_the_qpy_versions_that_are_read(ideal):
    assert ideal.driver.describe().qpy_versions == (OLDEST_QPY, NEWEST_QPY)


def test_several_programs_make_several_items(ideal):
    zero = qasm3("qubit q; bit c; c = measure q;")
    one = qasm3("qubit q; bit c; x q; c = measure q;")
    result = ideal.result(zero, one, zero, shots=5)
    assert [item.bindings[0].keys for item in result.items] == [b"\0", b"\1", b"\0"]
    assert result.shots == 15


#: The last line of a program of two qubits, its error's code, and where and what it is said to be.
WRONG = {
    "cx q[0], q[0];": ("syntax", "column 1: duplicate qubits: q[0]"),
    "swap q[1], q[1];": ("syntax", "column 1: duplicate qubits: q[1]"),
    "ccx q[0], q[0], q[1];": ("syntax", "column 1: duplicate qubits: q[0]"),
    "cx q, q;": ("syntax", "column 1: duplicate qubits: q[0]"),
    "if (c[0]) { cx q[0], q[0]; }": ("syntax", "column 13: duplicate qubits: q[0]"),
    "h qq[0];": ("syntax", "column 3: Undefined symbol 'qq'"),
    "h a;": ("syntax", "column 3: Undefined symbol 'a'"),
    "rx(foo) q[0];": ("syntax", "column 4: Undefined symbol 'foo'"),
    "rx q[0];": ("syntax", "column 1: gate rx takes 1 parameter, not 0"),
    "h(1.0) q[0];": ("syntax", "column 1: gate h takes 0 parameters, not 1"),
    "U q[0];": ("syntax", "column 1: gate U takes 3 parameters, not 0"),
    "cx q[0];": ("syntax", "column 1: gate cx takes 2 qubits, not 1"),
    "qubit[2] q;": ("syntax", "column 1: 'q' is already declared"),
    "bit[3] d; d = measure q;": ("syntax", "column 11: what is measured (2) and where it goes (3) differ"),
    "c[0] = measure q[0:1];": ("syntax", "column 1: what is measured (2) and where it goes (1) differ"),
    "for int i in [0:1] { c[i] = measure q[i]; if (c[i]) { break; } }": ("unsupported", "column 55: a break"),
}


@pytest.mark.parametrize("line", WRONG)
def test_what_is_wrong_is_named_with_its_line_and_column(ideal, line):
    code, what = WRONG[line]
    error = ideal.error(qasm3(f"qubit[2] q; bit[2] c;\nc = measure q;\n{line}"))
    assert error.code == f"program.{code}"
    assert f"line 5, {what}" in error.message


def test_a_qubit_named_twice_is_refused_in_qpy_too(ideal):
    # Qiskit checks what is appended, not what is in a file.
    twice = QuantumCircuit(2, 2)
    twice._append(CXGate(), (twice.qubits[0], twice.qubits[0]))
    twice.measure([0, 1], [0, 1])
    inside = QuantumCircuit(2, 2)
    definition = QuantumCircuit(2, name="mine")
    definition._append(CXGate(), (definition.qubits[0], definition.qubits[0]))
    inside.append(definition.to_instruction(), [0, 1])
    inside.measure([0, 1], [0, 1])
    for circuit in (twice, inside):
        error = ideal.error(as_qpy(circuit))
        assert (error.code, "duplicate qubits" in error.message) == ("program.syntax", True)


def test_instructions_that_read_or_set_the_simulators_state_are_named(ideal):
    import qiskit_aer  # noqa: F401 - gives circuits these methods

    circuit = QuantumCircuit(1, 1)
    circuit.h(0)
    circuit.save_statevector()
    circuit.measure(0, 0)
    error = ideal.error(as_qpy(circuit))
    assert error.code == "program.unsupported"
    assert "'save_statevector'" in error.message
    circuit = QuantumCircuit(1, 1)
    circuit.set_statevector([0, 1])
    circuit.measure(0, 0)
    error = ideal.error(as_qpy(circuit))
    assert error.code == "program.unsupported"
    assert "'set_statevector'" in error.message


@pytest.mark.parametrize(
    "name",
    [
        "unitary",
        "u",
        "if_else",
        "kraus",
        "diagonal",
        "roerror",
        "qerror_loc",
        "multiplexer",
        "quantum_channel",
    ],
)
def test_an_instruction_that_the_simulator_chokes_on_is_one_error_of_the_program(ideal, name):
    circuit = QuantumCircuit(1, 1)
    circuit.append(Instruction(name, 1, 0, []), [0])
    circuit.measure(0, 0)
    error = ideal.error(as_qpy(circuit))
    assert error.code == "program.unsupported"
    assert "\n" not in error.one_line()


def test_a_damaged_qpy_is_said_in_a_few_words(ideal):
    whole = as_qpy(QuantumCircuit(2, 2)).data
    error = ideal.error(program(whole[:-7], QPY))
    assert error.message == f"the QPY data is damaged (format {NEWEST_QPY})"


@pytest.mark.parametrize(
    ("options", "warning"),
    [
        ({}, None),
        ({"stale": StalePolicy.REFUSE, "compiled_for": "sha256:" + "0" * 64}, None),
        ({"layout": (5, 3)}, "layout has no effect on this device"),
        ({"pace": "real"}, "pace real has no effect on this device"),
        ({"stale": StalePolicy.REFUSE}, "stale refuse has no effect on this device"),
        ({"layout": (0, 1), "pace": "real"}, "layout, pace real have no effect on this device"),
    ],
)
def test_options_that_make_no_difference_here_are_named(ideal, options, warning):
    run = runs.run(qasm3("qubit[2] q; bit[2] c; c = measure q;"), shots=5)
    spec = replace(run.spec, options=replace(run.spec.options, **options))
    done = ideal.driver.start(replace(run, spec=spec), lambda result: None, lambda stage: None)
    assert dict(done.result(90).items[0].notes).get("warning") == warning


@pytest.mark.parametrize("layout", [(0,), (0, 1, 2), (1, 1)])
def test_a_layout_of_other_qubits_is_refused(ideal, layout):
    run = runs.run(qasm3("qubit[2] q; bit[2] c; c = measure q;"), shots=5)
    spec = replace(run.spec, options=replace(run.spec.options, layout=layout))
    error = ideal.driver.start(replace(run, spec=spec), lambda result: None, lambda stage: None).exception(90)
    assert error.code == "program"
    assert "does not place 2 qubits" in error.message
