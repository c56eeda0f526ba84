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

    assert "ideal" in text("devices")
    assert "completed, 1000 shots" in text("bell")
    assert re.search(r"^00 +\d+ ", text("bell"), re.MULTILINE)
    assert "ghz" in text("ghz")
    assert "circuit 3 of 3" in text("several")
    assert "binding 5 of 5" in text("sweep")
    assert "theta = 3.14: measured 1 in 1.00, expected 1.00" in text("sweep-read")
    (error,) = cells["mistake"].outputs[-1:]
    assert error.output_type == "error"
    assert len(error.traceback) == 1
    assert re.search(r"line 6\b", error.traceback[0])
    assert "later, on ideal, completed" in text("attach")
    for cell in notebook.cells:
        raised = [o for o in cell.get("outputs", []) if o.output_type == "error"]
        assert bool(raised) == (cell.id == "mistake")
