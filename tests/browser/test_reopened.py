"""What a saved notebook shows when it is opened again: the same, whatever has become of kernel and page."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from qmio_jupyter.testing.browser import Sheet

BELL = """%%qpu -n 1000 --label bell
OPENQASM 3.0;
include "stdgates.inc";
qubit[2] q;
bit[2] c;
h q[0];
cx q[0], q[1];
c = measure q;"""
SLOW = BELL.replace("--label bell", "-d echo --label slow --device-option seconds=5")
CELLS = ["%load_ext qmio_jupyter", BELL, "%qpu devices", "%qpu tasks -n 1"]
FRONTS = pytest.mark.parametrize("front", ["lab", "notebook"])


def shown(sheet: Sheet) -> list[tuple[str, list[bool]]]:
    """Return what each cell's output says, and whether each of its images is one."""
    images = "area => [...area.querySelectorAll('img')].map(one => one.complete && one.naturalWidth > 0)"
    return [
        (area.inner_text(), area.evaluate(images))
        for area in sheet.page.locator(".jp-Notebook .jp-CodeCell .jp-Cell-outputArea").all()
    ]


@FRONTS
def test_a_saved_notebook_shows_the_same_to_its_owner_and_to_others(desk: Any, front: Any) -> None:
    sheet = desk.open(CELLS, front=front)
    for index in range(len(CELLS)):
        sheet.run(index)
    expect(sheet.output(1)).to_contain_text(re.compile(r"completed.*1000 shots"))
    before = shown(sheet)
    sheet.save()
    sheet.page.close()
    (session,) = sheet.server.api("sessions")
    sheet.server.api(f"sessions/{session['id']}", "DELETE")
    again = desk.reopen(sheet.path, front=front)
    desk.picture(again, "reopened")
    assert shown(again) == before
    # To somebody else it is not trusted: what was signed is another text.
    path = Path(shutil.copy(sheet.path, sheet.path.with_name(f"foreign-{front}.ipynb")))
    path.write_text(path.read_text().replace("--label bell", "--label bell "))
    foreign = desk.reopen(path, front=front)
    desk.picture(foreign, "untrusted")
    assert [(re.sub(r"\s+", " ", text), images) for text, images in shown(foreign)] == [
        (re.sub(r"\s+", " ", text), images) for text, images in before
    ]


@FRONTS
def test_a_page_reloaded_while_a_cell_runs_comes_back_to_the_task(desk: Any, queue: Any, front: Any) -> None:
    sheet = desk.open(["%load_ext qmio_jupyter", SLOW, "%qpu attach last"], front=front)
    sheet.run(0)
    expect(sheet.start(1)).to_contain_text("running")
    sheet.save()
    sheet.reload()
    desk.picture(sheet, "reloaded")
    sheet.ready()
    assert queue.tasks(1)[0].state == "completed"
    expect(sheet.run(2)).to_contain_text(re.compile(r"completed.*slow.*echo.*1000 shots"))
    desk.picture(sheet, "attached")
