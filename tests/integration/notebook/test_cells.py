"""Cells in a real kernel, through a real gateway, on real agents."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

import pytest

from qmio_jupyter.testing.homes import Home

QASM3 = """%%qpu -n 1000 -o r
OPENQASM 3.0;
include "stdgates.inc";
qubit[2] q;
bit[2] c;
h q[0];
cx q[0], q[1];
c = measure q;
"""
QASM2 = """%%qpu -n 1000 -o r
// the header comes after a comment
OPENQASM 2.0;
include "qelib1.inc";
qreg q[2];
creg c[2];
h q[0];
cx q[0],q[1];
measure q -> c;
"""
PYTHON = """%%qpu -n 1000 -o r
from qiskit import QuantumCircuit
bell = QuantumCircuit(2, 2)
bell.h(0)
bell.cx(0, 1)
bell.measure([0, 1], [0, 1])
bell
"""


@pytest.mark.parametrize("cell", [QASM3, QASM2, PYTHON], ids=["qasm3", "qasm2", "python"])
def test_a_bell_pair(kernel: Any, cell: str) -> None:
    outcome = kernel.run(cell).ok()
    counts = dict(kernel.value("r.counts()"))
    assert sum(counts.values()) == 1000
    assert 300 < counts["00"] < 600
    assert 300 < counts["11"] < 600
    shown = outcome.outputs[-1]["data"]
    assert list(shown) == ["text/plain", "text/html", "application/vnd.qmio.result+json"]
    document = shown["application/vnd.qmio.result+json"]
    assert document["items"][0]["bindings"][0]["outcomes"] == [
        [bits, n] for bits, n in sorted(counts.items())
    ]
    assert document["calibration_age_s"] > 0
    assert "<script" not in shown["text/html"]
    assert re.search(rf"^00 +{counts['00']} ", shown["text/plain"], re.MULTILINE)
    kernel.run(cell.replace("-o r", "-o r --ideal")).ok()
    assert {key for key, _ in kernel.value("r.counts()")} == {"00", "11"}


def test_a_list_of_circuits_and_a_sweep(kernel: Any) -> None:
    kernel.run(
        "import numpy as np\nfrom qiskit import QuantumCircuit\nfrom qiskit.circuit import Parameter, ParameterVector\n"
        "def ghz(n):\n    c = QuantumCircuit(n)\n    c.h(0)\n    for i in range(1, n): c.cx(i - 1, i)\n"
        "    c.measure_all()\n    return c\n"
    ).ok()
    kernel.run("%%qpu -n 100 --ideal -o r\n[ghz(2), ghz(3), ghz(4)]").ok()
    for item, n in enumerate((2, 3, 4)):
        counts = dict(kernel.value(f"r.counts({item})"))
        assert set(counts) <= {"0" * n, "1" * n}
        assert sum(counts.values()) == 100
    kernel.run(
        "turn = QuantumCircuit(2)\nv = ParameterVector('v', 2)\n"
        "[turn.rx(v[i], i) for i in range(2)]\nturn.measure_all()"
    ).ok()
    kernel.run(
        "%qpu run turn -n 50 --ideal --bind v=np.array([[0, 0], [np.pi, 0], [0, np.pi], [np.pi, np.pi]]) -o r"
    ).ok()
    found = [kernel.value(f"r.counts(0, {binding})") for binding in range(4)]
    assert found == [[("00", 50)], [("01", 50)], [("10", 50)], [("11", 50)]]


def test_an_array_of_bindings_from_python(kernel: Any) -> None:
    kernel.run(
        "import numpy as np\nimport qmio_jupyter\nfrom qiskit import QuantumCircuit\n"
        "from qiskit.circuit import Parameter\nturn = QuantumCircuit(2)\n"
        "[turn.rx(Parameter(name), i) for i, name in enumerate('ba')]\nturn.measure_all()\n"
        "h = qmio_jupyter.run(turn, shots=50, ideal=True, bind=np.pi * np.array([[0, 0], [1, 0], [0, 1]]))"
    ).ok()
    # Columns follow circuit.parameters: a (qubit 1), then b (qubit 0).
    assert kernel.value("[p.name for p in turn.parameters]") == ["a", "b"]
    found = [kernel.value(f"h.counts(0, {binding})") for binding in range(3)]
    assert found == [[("00", 50)], [("10", 50)], [("01", 50)]]


def test_a_result_is_the_same_page_wherever_it_is_shown(kernel: Any) -> None:
    ran = kernel.run(QASM3.replace("-o r", "-o r --label twice --expect ZZ")).ok().outputs[-1]["data"]
    assert re.search(r"<ZZ> = 0\.\d{4} ± 0\.\d{4}", ran["text/plain"])
    assert kernel.run("r").ok().outputs[-1]["data"] == ran
    task_id = kernel.value("r.task_id")
    asked = kernel.run(f"%qpu result {task_id} --expect ZZ").ok().outputs[-1]["data"]
    assert asked["text/plain"] == ran["text/plain"]
    assert (
        kernel.run("%qpu attach last --expect ZZ").ok().outputs[-1]["data"]["text/plain"] == ran["text/plain"]
    )


def test_an_expectation_of_bits_that_are_not_there_fails_after_the_result_is_shown(kernel: Any) -> None:
    outcome = kernel.run(QASM3.replace("-o r", "-o r --expect ZZZ"))
    assert outcome.status == "error"
    assert "3 letters, and the program has 2 classical bits" in outcome.errors[0]["traceback"][0]
    assert len(outcome.errors[0]["traceback"]) == 1
    assert "completed, 1000 shots" in outcome.text
    refused = kernel.run(QASM3.replace("-o r", "--expect XX"))
    assert "turn the qubit" in refused.errors[0]["traceback"][0]


def test_a_handle_under_way_shows_a_picture_of_the_moment(kernel: Any) -> None:
    cell = QASM3.replace("-o r", "-a -o r -d echo --device-option seconds=30")
    shown = kernel.run(cell).ok().outputs[-1]["data"]
    assert f"%qpu attach {kernel.value('r.task_id')}" in shown["text/html"]
    assert shown["text/html"].count("<img") == 1
    kernel.run("%qpu cancel all").ok()
    kernel.run("r.wait(10)").ok()
    ended = kernel.run("r").ok().outputs[-1]["data"]
    assert "cancelled" in ended["text/plain"]
    assert ended["application/vnd.qmio.result+json"]["state"] == "cancelled"


def test_a_dry_run_shows_the_compiled_circuit_and_queues_nothing(kernel: Any) -> None:
    before = kernel.value("len(__import__('qmio_jupyter').tasks(100))")
    outcome = kernel.run(QASM3.replace("-o r", "-o d --dry-run")).ok()
    (shown,) = outcome.outputs
    text = shown["data"]["text/plain"]
    assert re.search(r"^dry run on \S+, snapshot [0-9a-f]{12}: nothing was run", text)
    for line in (r"program +2 qubits, 2 bits, 1000 shots", r"compiled +depth \d+", r"fidelity +\d\d\.\d %"):
        assert re.search(f"^{line}", text, re.MULTILINE), text
    assert re.search(r"^ecr \$\d+, \$\d+;$", text, re.MULTILINE)
    assert kernel.value("d.items[0].two_qubit_gates") == 1
    assert kernel.value("len(__import__('qmio_jupyter').tasks(100))") == before
    refused = kernel.run(QASM3.replace("-o r", "--dry-run").replace("cx q[0], q[1]", "cx q[0], q[7]"))
    assert refused.status == "error"
    assert re.search(r"line 6\b", refused.errors[0]["traceback"][0])


def test_a_seed_repeats_and_the_twin_agrees(kernel: Any) -> None:
    kernel.run(QASM3.replace("-o r", "-o a --seed 11")).ok()
    kernel.run(QASM3.replace("-o r", "-o b --seed 11")).ok()
    kernel.run(
        "import qmio_jupyter\nc = qmio_jupyter.run('''"
        + QASM3.split("\n", 1)[1]
        + "''', shots=1000, seed=11)"
    ).ok()
    assert kernel.value("a.counts() == b.counts() == c.counts()") is True


def test_a_program_with_a_mistake_is_one_line_that_names_the_place(kernel: Any) -> None:
    outcome = kernel.run(QASM3.replace("cx q[0], q[1]", "cx q[0], q[7]"))
    assert outcome.status == "error"
    (error,) = outcome.errors
    assert error["ename"] == "TaskFailedError"
    assert len(error["traceback"]) == 1
    assert error["traceback"][0].startswith("[program")
    assert re.search(r"line 6\b", error["traceback"][0]), error["traceback"]
    kernel.run(QASM3).ok()


def test_a_waiting_cell_shows_its_state_and_ends_with_the_table_in_place(kernel: Any) -> None:
    msg_id = kernel.start(QASM3.replace("-o r", "-o r -d echo --device-option seconds=2"))
    waiting = kernel.wait(msg_id, until=lambda so_far: "on echo:" in so_far.text)
    assert re.search(r"t-\w{26} on echo: (queued|claimed|running)", waiting.text)
    outcome = kernel.wait(msg_id).ok()
    shown = [o for o in outcome.outputs if o["output_type"] == "display_data"]
    assert len(shown) == 1
    assert "completed, 1000 shots" in shown[0]["data"]["text/plain"]
    assert outcome.updates <= 2 * 10 + 2


def test_a_quick_cell_shows_only_its_table(kernel: Any) -> None:
    kernel.run(QASM3.replace("-o r", "-q -d echo")).ok()  # warm
    outcome = kernel.run(QASM3.replace("-o r", "-d echo")).ok()
    assert len(outcome.outputs) == 1
    assert "completed" in outcome.text


def test_no_wait_then_attach(kernel: Any) -> None:
    outcome = kernel.run(QASM3.replace("-o r", "-a -o r -d echo --device-option seconds=0.5")).ok()
    assert re.search(r"^t-\w+ on echo: ", outcome.text)
    task_id = kernel.value("r.task_id")
    assert kernel.value("_qpu.task_id") == task_id
    outcome = kernel.run("%qpu attach last -o again").ok()
    assert "completed, 1000 shots" in outcome.text
    assert kernel.value("again.counts() == r.counts()") is True
    assert task_id in kernel.run("%qpu tasks -n 3").ok().text
    assert task_id in kernel.run(f"%qpu status {task_id}").ok().text
    assert "outcome" in kernel.run(f"%qpu result {task_id[:20]}").ok().text


def test_a_timeout_leaves_the_task_running(kernel: Any) -> None:
    outcome = kernel.run(QASM3.replace("-o r", "-o r -t 0.5 -d echo --device-option seconds=30"))
    assert outcome.errors[0]["ename"] == "DeadlineError"
    task_id = kernel.value("r.task_id")
    assert f"%qpu attach {task_id}" in outcome.errors[0]["traceback"][0]
    assert kernel.value("str(r.state)") in ("claimed", "running")
    assert "cancel" in kernel.run(f"%qpu cancel {task_id}").ok().text
    outcome = kernel.run(f"%qpu attach {task_id}")
    assert outcome.errors[0]["ename"] == "TaskCancelledError"


def test_lines_about_devices_gateway_and_session(kernel: Any) -> None:
    devices = kernel.run("%qpu devices").ok().text
    for device in ("fake-qmio", "ideal", "echo"):
        assert re.search(rf"^{device} +idle", devices, re.MULTILINE)
    assert "device options" in kernel.run("%qpu device echo").ok().text
    assert "sqlite" in kernel.run("%qpu status").ok().text
    assert "local/" in kernel.run("%qpu session").ok().text
    assert "qmio_jupyter.snapshot('fake-qmio')" in kernel.run("%qpu calibration").ok().text
    assert kernel.run("%qpu calibration ideal").errors[0]["ename"] == "NotYetError"


def test_compare_two_tasks(kernel: Any) -> None:
    kernel.run(QASM3.replace("-o r", "-o a")).ok()
    kernel.run(QASM3.replace("-o r", "-o b")).ok()
    ids = f"{kernel.value('a.task_id')} {kernel.value('b.task_id')}"
    assert "TVD from A" in kernel.run(f"%qpu compare {ids}").ok().text
    shown = kernel.run(f"%qpu compare {ids} --ideal").ok().outputs[-1]["data"]
    assert re.search(r"^A +1000 +0\.\d{4} +0\.\d{4} +0\.\d{4}$", shown["text/plain"], re.MULTILINE)
    assert shown["text/html"].count("<img") == 1


def test_a_device_and_its_calibration_show_the_chip(kernel: Any) -> None:
    for line in ("%qpu device fake-qmio --quantity t2", "%qpu calibration fake-qmio"):
        shown = kernel.run(line).ok().outputs[-1]["data"]
        assert shown["text/html"].count('class="qmio-spot') == 32 + 33
        assert (
            kernel.value("__import__('qmio_jupyter').device('fake-qmio').snapshot_id") in shown["text/plain"]
        )
    kernel.run(QASM3).ok()
    for line in ("%qpu tasks", "%qpu status", "%qpu devices", "%qpu device ideal", "%qpu session"):
        shown = kernel.run(line).ok().outputs[-1]["data"]
        assert "<table" in shown["text/html"], (line, shown["text/plain"])
    refused = kernel.run("%qpu calibration --quantity t3")
    assert "one of t1, t2, readout" in refused.errors[0]["traceback"][0]


def test_the_users_own_error_is_her_own_traceback(kernel: Any) -> None:
    outcome = kernel.run("%%qpu\ndef f():\n    return 1 / 0\nf()\n")
    (error,) = outcome.errors
    assert error["ename"] == "ZeroDivisionError"
    text = re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(error["traceback"]))
    assert "return 1 / 0" in text
    assert "qmio_jupyter" not in text


def test_completion_in_a_kernel(kernels: Any) -> None:
    kernel = kernels()
    assert kernel.complete("%%qpu --sh") == ["--shots"]
    assert kernel.complete("%qpu at") == ["attach"]
    kernel.run("%qpu devices").ok()
    assert {"echo", "fake-qmio", "ideal"} <= set(kernel.complete("%%qpu -d "))
    kernel.run(QASM3).ok()
    assert kernel.value("r.task_id") in kernel.complete("%qpu status t-")
    assert kernel.value("'jedi' in __import__('sys').modules") is False


def test_two_notebooks_at_once_share_gateway_and_tasks(kernel: Any, kernels: Any, home: Home) -> None:
    one, two = kernel, kernels()
    first = one.start(QASM3.replace("-o r", "-o r -d echo --label one --device-option seconds=1"))
    second = two.start(QASM3.replace("-o r", "-o r -d echo --label two --device-option seconds=1"))
    assert "one, on echo, completed" in one.wait(first).ok().text
    assert "two, on echo, completed" in two.wait(second).ok().text
    assert one.value("r.task_id") in two.run("%qpu tasks").ok().text
    gateways = [p for p in home.processes() if "gateway" in p.cmdline()]
    assert len(gateways) == 1


def test_loading_imports_neither_qiskit_nor_widgets(kernels: Any) -> None:
    kernel = kernels()
    heavy = kernel.value(
        "sorted({m.split('.')[0] for m in __import__('sys').modules}"
        " & {'qiskit', 'qiskit_aer', 'numpy', 'ipywidgets', 'anywidget', 'matplotlib'})"
    )
    assert heavy == []
    kernel.run(QASM3).ok()
    assert kernel.value("'qiskit' in __import__('sys').modules") is False


def test_importing_the_package_loads_nothing_of_it() -> None:
    script = (
        "import sys, qmio_jupyter\n"
        "loaded = {m for m in sys.modules if m.startswith('qmio_jupyter.')}\n"
        "assert loaded == {'qmio_jupyter._version'}, loaded\n"
        "assert 'run' in dir(qmio_jupyter) and callable(qmio_jupyter.run)\n"
        "assert not {'IPython', 'qiskit', 'numpy'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
