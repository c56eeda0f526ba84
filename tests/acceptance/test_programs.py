"""Real OpenQASM programs go from a notebook through the gateway to the ideal agent, and the counts are right."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

from qmio_jupyter.testing.homes import Home

#: A program's file name -> {bitstring: probability}; what is not named has probability 0.
EXPECTED: dict[str, dict[str, float]] = {
    "bell3": {"00": 0.5, "11": 0.5},
    "bell2": {"00": 0.5, "11": 0.5},
    "two-registers-keep-their-places": {"1 01": 1.0},
    "own-gate-and-modifier": {"111": 1.0},
    "uneven-rotation": {"0": 0.25, "1": 0.75},
    "measure-reset-and-reuse": {"01": 1.0},
    "teleport-with-classical-control": {"1 0 0": 0.25, "1 0 1": 0.25, "1 1 0": 0.25, "1 1 1": 0.25},
    "loop-that-can-be-unrolled": {"0000": 0.5, "1111": 0.5},
    "grover-of-two-qubits": {"11": 1.0},
    "inverse-fourier-finds-five": {"101": 1.0},
    "input-parameter": {"0": 0.2919, "1": 0.7081},
    "forty-qubits-where-the-method-allows-it": {"0" * 40: 0.5, "1" * 40: 0.5},
    "seventy-bits": {"1" + "0" * 68 + "1": 1.0},
    "repetition-code-corrects-a-flip": {"111 10": 1.0},
    "try-until-it-succeeds": {"11 11": 1.0},
    "two-bit-addition": {"101": 1.0},
    "phase-bit-by-bit": {"011": 1.0},
    "bits-that-are-computed": {"0 0 00": 0.25, "0 0 11": 0.25, "1 1 01": 0.25, "1 1 10": 0.25},
}
#: Options of the cells that need some.
OPTIONS = {"input-parameter": "--bind theta=2"}
PROGRAMS = Path(__file__).parent / "programs"
SHOTS = 2000


@pytest.fixture(scope="module")
def counts(home: Home, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Run all programs as the cells of one notebook; return their counts by name."""
    path = tmp_path_factory.mktemp("notebook")
    cells = [new_code_cell("%load_ext qmio_jupyter")]
    for number, name in enumerate(EXPECTED):
        program = (PROGRAMS / f"{name}.qasm").read_text()
        cell = new_code_cell(
            f"%%qpu -d ideal -n {SHOTS} --seed 5 -o r{number} {OPTIONS.get(name, '')}\n{program}"
        )
        cell.metadata["tags"] = ["raises-exception"]
        cells.append(cell)
        cells.append(new_code_cell(f"print(r{number}.counts())"))
        cells[-1].metadata["tags"] = ["raises-exception"]
    notebook = new_notebook(cells=cells)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in home.environ(IPYTHONDIR=str(path / "ipython")).items():
            patch.setenv(name, value)
        NotebookClient(
            notebook, timeout=90, kernel_name="python3", resources={"metadata": {"path": str(path)}}
        ).execute()
    found: dict[str, Any] = {}
    for name, ran, printed in zip(EXPECTED, notebook.cells[1::2], notebook.cells[2::2], strict=True):
        errors = [o.evalue for o in ran.outputs if o.output_type == "error"]
        found[name] = errors or dict(ast.literal_eval(printed.outputs[0].text))
    return found


def test_every_program_is_tried() -> None:
    assert {path.stem for path in PROGRAMS.glob("*.qasm")} == set(EXPECTED)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", EXPECTED)
def test_counts(name: str, counts: dict[str, Any]) -> None:
    found, expected = counts[name], EXPECTED[name]
    assert isinstance(found, dict), found
    assert sum(found.values()) == SHOTS
    assert set(found) <= set(expected)
    for outcome, probability in expected.items():
        deviation = (probability * (1 - probability) * SHOTS) ** 0.5
        assert abs(found.get(outcome, 0) - probability * SHOTS) <= 5 * deviation + 1e-9
