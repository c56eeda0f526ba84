"""The quick-start notebook runs top to bottom as a user runs it, and is committed without outputs."""

from __future__ import annotations

import os
import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from qmio_jupyter.testing.homes import Home

QUICKSTART = Path(__file__).parents[2] / "notebooks" / "quickstart.ipynb"


def test_it_is_committed_clean() -> None:
    notebook = nbformat.read(QUICKSTART, as_version=4)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert cell.outputs == []
            assert cell.execution_count is None


def _counts(table: str) -> dict[str, int]:
    """Return the counts of a result's table."""
    return {key: int(n) for key, n in re.findall(r"^([01]+) +(\d+) ", table, re.MULTILINE)}


@pytest.mark.slow
def test_it_runs_top_to_bottom(home: Home, tmp_path: Path) -> None:
    notebook = nbformat.read(QUICKSTART, as_version=4)
    client = NotebookClient(notebook, timeout=90, resources={"metadata": {"path": str(tmp_path)}})
    environ = home.environ(IPYTHONDIR=str(tmp_path / "ipython"))
    with pytest.MonkeyPatch.context() as patch:
        for name in set(os.environ) - set(environ):
            patch.delenv(name)
        for name, value in environ.items():
            patch.setenv(name, value)
        client.execute()
    cells = {cell.id: cell for cell in notebook.cells}

    def text(cell_id: str) -> str:
        return "\n".join(
            o.get("text", "") or o.get("data", {}).get("text/plain", "") for o in cells[cell_id].outputs
        )

    for device in ("fake-qmio", "ideal", "echo"):
        assert device in text("devices")
    assert "completed, 1000 shots" in text("bell")
    bell, ideal, real = (_counts(text(cell)) for cell in ("bell", "ideal", "real"))
    for noisy in (bell, real):
        assert set(noisy) == {"00", "01", "10", "11"}
        assert noisy["00"] + noisy["11"] > 750
    assert set(ideal) == {"00", "11"}
    assert "ghz" in text("ghz")
    assert "circuit 3 of 3" in text("several")
    assert "TVD from ideal" in text("compare")
    assert "9 bindings:" in text("sweep")
    read = re.findall(r"measured (\S+) ± \S+, expected (\S+)", text("sweep-read"))
    assert [expected for _, expected in read[::4]] == ["+1.00", "-1.00", "+1.00"]
    for measured, expected in read:
        assert abs(float(measured) - float(expected)) < 0.35
    assert "cancel" in text("cancel")
    assert "fake-qmio" in text("calibration")
    (chip,) = (o.data["text/html"] for o in cells["calibration"].outputs)
    assert "<img" in chip
    assert "readout error" in chip
    (error,) = cells["mistake"].outputs[-1:]
    assert error.output_type == "error"
    assert len(error.traceback) == 1
    assert re.search(r"line 6\b", error.traceback[0])
    assert "later, on fake-qmio, completed" in text("attach")
    for cell in notebook.cells:
        raised = [o for o in cell.get("outputs", []) if o.output_type == "error"]
        assert bool(raised) == (cell.id == "mistake")
