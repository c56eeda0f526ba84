"""Parameterised circuits from a notebook: ``--bind`` in a cell, a matrix from Python, one circuit for all of them."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

from qmio_jupyter.config.places import places

CELLS = {
    "load": "%load_ext qmio_jupyter\nimport numpy as np\nimport qmio_jupyter\nangles = np.linspace(0, np.pi, 9)",
    "cell": (
        "%%qpu -d ideal -n 4000 --seed 3 --bind theta=angles -o swept\n"
        'OPENQASM 3.0;\ninclude "stdgates.inc";\ninput float theta;\nqubit q;\nbit c;\nrx(theta) q;\nc = measure q;'
    ),
    "cell-read": "print([dict(swept.counts(binding=k)).get('1', 0) / 4000 for k in range(9)])",
    "matrix": (
        "from qiskit import QuantumCircuit\nfrom qiskit.circuit import ParameterVector\n"
        "v = ParameterVector('v', 2)\ncircuit = QuantumCircuit(2)\ncircuit.rx(v[0], 0)\ncircuit.rx(v[1], 1)\n"
        "circuit.measure_all()\n"
        "rows = np.array([[a, b] for a in (0, np.pi) for b in (0, np.pi)])\n"
        "tables = {}\n"
        "for device in ('ideal', 'fake-qmio'):\n"
        "    handle = qmio_jupyter.run(circuit, device=device, shots=2000, seed=4, bind={'v': rows})\n"
        "    tables[device] = [max(handle.counts(binding=k), key=lambda pair: pair[1])[0] for k in range(4)]\n"
        "print(tables)"
    ),
    "hundred": (
        "many = qmio_jupyter.run(circuit, device='fake-qmio', shots=100, bind=np.zeros((100, 2)))\n"
        "print(len(many.result().items[0].bindings), many.result().shots_done)"
    ),
    "unbound": "qmio_jupyter.run(circuit, device='fake-qmio')",
    "one-of-two": "qmio_jupyter.run(circuit, device='fake-qmio', bind={'v[0]': 1.0})",
    "nan": "qmio_jupyter.run(circuit, device='fake-qmio', bind={'v': [1.0, float('nan')]})",
    "too-many": "qmio_jupyter.run(circuit, device='fake-qmio', bind={'v': [1.0, 2.0], 'w': 3.0})",
    "cell-nan": (
        "%%qpu -d fake-qmio --bind theta=np.nan\n"
        'OPENQASM 3.0;\ninclude "stdgates.inc";\ninput float theta;\nqubit q;\nbit c;\nrx(theta) q;\nc = measure q;'
    ),
}
#: Cells that must fail, and what their one line holds.
WRONG = {
    "unbound": "v[0], v[1] have no value",
    "one-of-two": "v[1] has no value",
    "nan": "a finite number is expected, not nan",
    "too-many": "no parameter 'w'",
    "cell-nan": "a finite number is expected, not nan",
}


@pytest.fixture(scope="module")
def outputs(site: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What each cell of one notebook put out: its printed text, or its error's lines."""
    path = tmp_path_factory.mktemp("notebook")
    cells = [new_code_cell(source) for source in CELLS.values()]
    for name, cell in zip(CELLS, cells, strict=True):
        if name in WRONG:
            cell.metadata["tags"] = ["raises-exception"]
    notebook = new_notebook(cells=cells)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (site | {"IPYTHONDIR": str(path / "ipython")}).items():
            patch.setenv(name, value)
        NotebookClient(
            notebook, timeout=90, kernel_name="python3", resources={"metadata": {"path": str(path)}}
        ).execute()
    found: dict[str, Any] = {}
    for name, cell in zip(CELLS, notebook.cells, strict=True):
        errors = [output.traceback for output in cell.outputs if output.output_type == "error"]
        found[name] = errors or "".join(output.get("text", "") for output in cell.outputs)
    return found


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_sweep_in_a_cell_follows_the_sine(outputs: dict[str, Any]) -> None:
    found = [float(word) for word in outputs["cell-read"].strip("[]\n ").split(",")]
    expected = [0.0, 0.0381, 0.1464, 0.3087, 0.5, 0.6913, 0.8536, 0.9619, 1.0]
    assert found == pytest.approx(expected, abs=5 * (0.25 / 4000) ** 0.5)


@pytest.mark.slow
def test_every_row_of_a_matrix_is_a_binding(outputs: dict[str, Any]) -> None:
    table = "['00', '10', '01', '11']"
    assert outputs["matrix"].strip() == f"{{'ideal': {table}, 'fake-qmio': {table}}}"
    assert outputs["hundred"].split() == ["100", "10000"]


@pytest.mark.slow
@pytest.mark.parametrize("name", WRONG)
def test_wrong_parameters_are_one_line(outputs: dict[str, Any], name: str) -> None:
    (lines,) = outputs[name]
    assert len(lines) == 1
    assert WRONG[name] in lines[0]


@pytest.mark.slow
def test_the_circuit_travelled_once(outputs: dict[str, Any], site: dict[str, str]) -> None:
    assert outputs["hundred"]
    uri = f"file:{places(site).ledger}?mode=ro"
    assert Path(places(site).ledger).exists()
    ledger = sqlite3.connect(uri, uri=True)
    try:
        stored = ledger.execute("SELECT media_type, count(*) FROM programs GROUP BY media_type").fetchall()
        tasks = ledger.execute("SELECT count(*) FROM tasks").fetchone()[0]
    finally:
        ledger.close()
    # One circuit in QPY for three tasks and 108 bindings, one text for a task of nine.
    assert dict(stored) == {"application/x-qpy": 1, "text/x-openqasm; version=3": 1}
    assert tasks == 4
