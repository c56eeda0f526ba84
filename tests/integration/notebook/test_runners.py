"""Errors fail a notebook under nbclient, papermill and nbmake, each run for real; good notebooks pass."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from qmio_jupyter.testing.homes import Home

GOOD = '%%qpu -d echo -n 10\nOPENQASM 3.0;\ninclude "stdgates.inc";\nqubit q;\nbit c;\nc = measure q;\n'
CASES = {
    "good": (True, GOOD),
    "option": (False, GOOD.replace("-n 10", "--shost 10")),
    "empty": (False, "%%qpu"),
    "failed-task": (False, GOOD.replace("-n 10", "--device-option fail=program.syntax")),
}
RUNNERS: dict[str, Callable[[Path], list[str]]] = {
    "nbclient": lambda path: ["-c", "from nbclient.cli import main; main()", str(path)],
    "papermill": lambda path: [
        "-m",
        "papermill",
        "--no-progress-bar",
        str(path),
        str(path.with_suffix(".out.ipynb")),
    ],
    "nbmake": lambda path: [
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "--nbmake",
        "-c",
        "/dev/null",
        str(path),
    ],
}


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("runner", RUNNERS)
def test_errors_fail_the_notebook(runner: str, home: Home, tmp_path: Path) -> None:
    found = {}
    started = {}
    for name, (_, source) in CASES.items():
        path = tmp_path / f"{name}.ipynb"
        cells = [new_code_cell("%load_ext qmio_jupyter"), new_code_cell(source)]
        notebook = new_notebook(cells=cells)
        notebook.metadata["kernelspec"] = {
            "name": "python3",
            "display_name": "Python 3",
            "language": "python",
        }
        nbformat.write(notebook, path)
        started[name] = [sys.executable, *RUNNERS[runner](path)]
    environ = home.environ(IPYTHONDIR=str(tmp_path / "ipython"), PYTHONWARNINGS="default")
    for name, argv in started.items():
        ran = subprocess.run(
            argv, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=120, check=False
        )
        found[name] = ran.returncode == 0
        if found[name] != CASES[name][0]:
            pytest.fail(f"{runner} {name}: exit code {ran.returncode}\n{ran.stdout}\n{ran.stderr}")
    assert found == {name: good for name, (good, _) in CASES.items()}
