"""The quick-start notebook, cell by cell, as a newcomer runs it; a picture of every output is kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

QUICKSTART = Path(__file__).parents[2] / "notebooks" / "quickstart.ipynb"


@pytest.mark.parametrize("front", ["lab", "notebook"])
def test_a_newcomer_runs_it_cell_by_cell(desk: Any, front: Any) -> None:
    cells = json.loads(QUICKSTART.read_text())["cells"]
    sheet = desk.open(QUICKSTART, front=front)
    codes = [index for index, cell in enumerate(cells) if cell["cell_type"] == "code"]
    sheet.cell(codes[0]).locator(".jp-InputPrompt").click()
    for index in codes:
        # Shift-Enter goes on to the next cell; over a text it only passes.
        while index != sheet.selected():
            sheet.page.keyboard.press("Shift+Enter")
        sheet.page.keyboard.press("Shift+Enter")
        output = sheet.ended(index)
        name = cells[index]["id"]
        if output.inner_text().strip():
            desk.picture(sheet, name, output)
        errors = output.locator("[data-mime-type='application/vnd.jupyter.stderr']")
        expect(errors).to_have_count(int(is_meant_to_fail(cells[index])))
    saved = {cell.id: cell for cell in sheet.save().cells}
    for index in codes:
        failed = any(one.output_type == "error" for one in saved[cells[index]["id"]].outputs)
        assert failed == is_meant_to_fail(cells[index])


def is_meant_to_fail(cell: dict[str, Any]) -> bool:
    """Return whether the notebook says that an error is what the cell shows."""
    return "raises-exception" in cell["metadata"].get("tags", [])
