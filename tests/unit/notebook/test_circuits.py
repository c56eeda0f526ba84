"""What a cell's body is, what its Python ends with, and the programs that are sent."""

from __future__ import annotations

import io
import subprocess
import sys
from typing import Any

import pytest

from qmio_jupyter.errors import ProgramError, UsageError
from qmio_jupyter.model.device import DeviceDescription
from qmio_jupyter.model.program import MEDIA_TYPES, QASM2, QASM3, QPY
from qmio_jupyter.notebook.circuits import Text, as_programs, body_value, language, to_submission
from tests.conftest import missing

try:
    import qiskit
except ImportError:
    missing("qiskit")


def device(**changes: Any) -> DeviceDescription:
    """Return a device that reads everything, with changes."""
    base: dict[str, Any] = {
        "name": "ideal",
        "title": "Ideal",
        "n_qubits": None,
        "driver": "ideal",
        "media_types": MEDIA_TYPES,
        "qpy_versions": (13, 18),
    }
    return DeviceDescription(**base | changes)


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("OPENQASM 3.0;\nqubit q;", "qasm3"),
        ("OPENQASM 3;\n", "qasm3"),
        ("OPENQASM 3.1;\n", "qasm3"),
        ("OPENQASM 2.0;\n", "qasm2"),
        ("\n\n  OPENQASM 2.0 ;\n", "qasm2"),
        ("// a comment\n// another\nOPENQASM 3.0;", "qasm3"),
        ("/* a\n * long\n one */ OPENQASM 3.0;", "qasm3"),
        ("/* a */ // b\n\n/* c */\nOPENQASM\t2.0;", "qasm2"),
        ("\ufeffOPENQASM 3.0;", "qasm3"),
        ("x = 1\nOPENQASM 3.0;", "python"),
        ("qc", "python"),
        ("# OPENQASM 3.0;\nqc", "python"),
        ('"""OPENQASM 3.0;"""', "python"),
        ("/* never closed OPENQASM 3.0;", "python"),
        ("// OPENQASM 3.0;", "python"),
    ],
)
def test_language(body: str, found: str) -> None:
    assert language(body) == found


@pytest.mark.parametrize("lang", ["qasm2", "qasm3", "python"])
def test_lang_says_it_where_no_header_does(lang: str) -> None:
    assert language("qubit q;", lang) == lang


@pytest.mark.parametrize(
    ("body", "lang"),
    [
        ("OPENQASM 3.0;\n", "qasm2"),
        ("OPENQASM 2.0;\n", "qasm3"),
        ("OPENQASM 4.0;\n", "qasm3"),
        ("OPENQASM 3;\n", "python"),
    ],
)
def test_lang_against_the_header_is_refused(body: str, lang: str) -> None:
    with pytest.raises(UsageError, match=f"--lang says {lang}") as caught:
        language(body, lang)
    assert caught.value.code == "usage.language"
    assert language("OPENQASM 2.0;", "qasm2") == "qasm2"


def test_an_unknown_version_is_refused() -> None:
    with pytest.raises(UsageError, match="OpenQASM 4 is not known"):
        language("OPENQASM 4.0;")


def value_of(body: str, namespace: dict[str, Any] | None = None, lang: str | None = None) -> Any:
    """Return a body's value."""
    return body_value(body, lang, {} if namespace is None else namespace, filename="<cell>")


def test_openqasm_is_passed_on_untouched() -> None:
    source = "// π\nOPENQASM 3.0;\ngate g a { h a; }\n"
    assert value_of(source) == Text(source, QASM3)
    assert value_of("qubit q;", lang="qasm3") == Text("qubit q;", QASM3)
    assert value_of("OPENQASM 2.0;") == Text("OPENQASM 2.0;", QASM2)


def test_python_runs_in_the_namespace() -> None:
    namespace: dict[str, Any] = {"n": 2}
    assert value_of("import math\nm = n * 2\n\ndef f():\n    return m\n\nf() + 1\n", namespace) == 5
    assert namespace["m"] == 4
    assert namespace["f"]() == 4


def test_the_last_value_may_span_lines_and_end_in_a_semicolon() -> None:
    assert value_of("(1 +\n 2);") == 3
    assert value_of("x = 1; x") == 1


def test_this_modules_future_flags_do_not_leak() -> None:
    namespace: dict[str, Any] = {}
    value_of("def f(x: int): ...\nf", namespace)
    assert namespace["f"].__annotations__ == {"x": int}


@pytest.mark.parametrize(
    ("body", "code", "says"),
    [
        ("", "usage.cell", "no body"),
        (" \n\n", "usage.cell", "no body"),
        ("# only a comment", "usage.cell", "no value"),
        ("qc = 1", "usage.cell", "End the cell with a line qc"),
        ("for i in range(3):\n    i", "usage.cell", "the circuit, or a list of circuits"),
        ('include "stdgates.inc";\nqubit[2] q;\nh q[0];', "usage.language", "without its header"),
        ("# my program\nOPENQASM 3.0;\nqubit q;", "usage.language", "without its header"),
        ("qreg q[2];\nh q[0];", "usage.language", "--lang"),
    ],
)
def test_bodies_that_are_refused(body: str, code: str, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        value_of(body)
    assert caught.value.code == code
    assert says in str(caught.value)


def test_the_users_own_errors_pass_through() -> None:
    with pytest.raises(ZeroDivisionError):
        value_of("1/0")
    with pytest.raises(NameError):
        value_of("qc\n")


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("x = 1\nx = = 1\nx", "line 2, column 5: invalid syntax: x = = 1"),
        ("def f():\n    return 1\nreturn 2\nf()", "line 3, column 1: 'return' outside function"),
        ("x = 1\nawait f()", "await at the top is not possible"),
        ("async with f() as x:\n    pass\nx", "await at the top is not possible"),
    ],
)
def test_python_that_cannot_be_read_is_one_line_with_its_place(body: str, says: str) -> None:
    with pytest.raises(ProgramError) as caught:
        value_of(body)
    assert caught.value.code == "program.syntax"
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_nothing_runs_when_the_last_value_cannot_be_compiled() -> None:
    namespace: dict[str, Any] = {"log": []}
    with pytest.raises(ProgramError):
        value_of("log.append(1)\nawait log", namespace)
    assert namespace["log"] == []


def test_nothing_runs_when_the_last_line_is_no_value() -> None:
    namespace: dict[str, Any] = {"log": []}
    with pytest.raises(UsageError):
        value_of("log.append(1)\nx = 2", namespace)
    assert namespace["log"] == []


def bell() -> Any:
    """Return a Bell circuit."""
    circuit = qiskit.QuantumCircuit(2, 2)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure([0, 1], [0, 1])
    return circuit


def test_circuits_texts_and_lists_of_them() -> None:
    one = bell()
    text = Text("OPENQASM 3.0;", QASM3)
    assert as_programs(one) == [one]
    assert as_programs([one, one]) == [one, one]
    assert as_programs((one, text)) == [one, text]
    assert as_programs("OPENQASM 2.0;") == [Text("OPENQASM 2.0;", QASM2)]
    assert as_programs("qubit q;", lang="qasm3") == [Text("qubit q;", QASM3)]
    assert as_programs(["OPENQASM 3.0;"]) == [text]


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (None, "None, no circuit"),
        (5, "an int, no circuit"),
        ([], "an empty list"),
        ([None], "None, no circuit"),
        ({"a": 1}, "a dict, no circuit"),
        ("hello", "without an OPENQASM header"),
        ([5] * 1001, "at most 1000"),
    ],
)
def test_values_that_are_no_circuits(value: Any, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        as_programs(value)
    assert says in str(caught.value)


def test_a_circuit_travels_as_qpy_and_comes_back() -> None:
    from qiskit import qpy

    circuit = bell()
    sent = to_submission([circuit], shots=10, values={}, device=device())
    assert [p.media_type for p in sent.programs] == [QPY]
    assert qpy.load(io.BytesIO(sent.programs[0].data)) == [circuit]
    assert sent.items[0].program == sent.programs[0].digest
    assert sent.items[0].shots == 10
    assert sent.items[0].parameters is None


@pytest.mark.parametrize(
    ("versions", "written"), [((13, 13), 13), ((13, 15), 15), ((13, 99), None), ((0, 0), None)]
)
def test_the_newest_qpy_both_sides_know(versions: tuple[int, int], written: int | None) -> None:
    from qiskit import qpy

    sent = to_submission([bell()], shots=1, values={}, device=device(qpy_versions=versions))
    assert sent.programs[0].data[:6] == b"QISKIT"
    assert sent.programs[0].data[6] == (qpy.QPY_VERSION if written is None else written)


@pytest.mark.parametrize("versions", [(10, 12), (90, 99)])
def test_no_common_qpy_is_refused(versions: tuple[int, int]) -> None:
    with pytest.raises(ProgramError, match="this Qiskit writes"):
        to_submission([bell()], shots=1, values={}, device=device(qpy_versions=versions))


def test_a_device_without_qpy_gets_openqasm3() -> None:
    sent = to_submission([bell()], shots=1, values={}, device=device(media_types=(QASM3,)))
    assert sent.programs[0].media_type == QASM3
    assert sent.programs[0].data.startswith(b"OPENQASM 3")


def test_a_format_the_device_does_not_read_is_refused() -> None:
    with pytest.raises(ProgramError, match="does not read"):
        to_submission([Text("OPENQASM 2.0;", QASM2)], shots=1, values={}, device=device(media_types=(QASM3,)))


def test_equal_programs_travel_once() -> None:
    text = Text("OPENQASM 3.0;", QASM3)
    sent = to_submission([text, text, Text("OPENQASM 3.0; ", QASM3)], shots=1, values={}, device=device())
    assert len(sent.programs) == 2
    assert sent.items[0].program == sent.items[1].program != sent.items[2].program


def test_each_circuit_takes_its_own_parameters() -> None:
    from qiskit.circuit import Parameter, QuantumCircuit

    a, b = Parameter("a"), Parameter("b")
    first, second = QuantumCircuit(1), QuantumCircuit(1)
    first.rx(a, 0)
    second.rx(a + b, 0)
    sent = to_submission([first, second, bell()], shots=1, values={"a": [1, 2], "b": 3}, device=device())
    names = [item.parameters.names if item.parameters else () for item in sent.items]
    assert names == [("a",), ("a", "b"), ()]
    assert [item.bindings for item in sent.items] == [2, 2, 1]
    with pytest.raises(ProgramError, match="no parameter 'c'"):
        to_submission([first], shots=1, values={"a": 1, "c": 1}, device=device())


def test_openqasm_takes_what_it_is_given() -> None:
    sent = to_submission(
        [Text("OPENQASM 3.0; input float x;", QASM3)], shots=1, values={"x": 1}, device=device()
    )
    assert sent.items[0].parameters is not None
    assert sent.items[0].parameters.names == ("x",)


def test_text_needs_no_qiskit() -> None:
    script = (
        "import sys\n"
        "from qmio_jupyter.notebook.circuits import *\n"
        "from qmio_jupyter.model.device import DeviceDescription\n"
        "d = DeviceDescription(name='e', title='', n_qubits=None, driver='echo')\n"
        "v = body_value('OPENQASM 3.0;', None, {}, filename='c')\n"
        "to_submission(as_programs(v), shots=1, values={'x': 1}, device=d)\n"
        "assert 'qiskit' not in sys.modules and 'numpy' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
