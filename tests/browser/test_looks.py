"""What outputs look like: dark and light, wide and narrow, and to who cannot see them."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Locator, expect

from qmio_jupyter.testing.browser import obstacles

GHZ = """%%qpu -n 1000
OPENQASM 3.0;
include "stdgates.inc";
qubit[5] q;
bit[5] c;
h q[0];
cx q[0], q[1];
cx q[1], q[2];
cx q[2], q[3];
cx q[3], q[4];
c = measure q;"""
MISTAKE = GHZ.replace("q[3], q[4]", "q[3], q[9]")
LINES = [
    "%qpu devices",
    "%qpu device",
    "%qpu tasks -n 3",
    "%qpu status last",
    "%qpu calibration",
    "%qpu session",
]
#: What nobody can use, so that one sees that it would be found.
PLANTED = '<button></button><p style="color:#777;background:#888">hardly to be read</p>'
CELLS = [
    "%load_ext qmio_jupyter",
    GHZ,
    MISTAKE,
    *LINES,
    f"from IPython.display import HTML\nHTML({PLANTED!r})",
]
#: The cells with outputs of ours.
OURS = range(1, len(CELLS) - 1)


def hidden(output: Locator) -> list[str]:
    """Return the elements of which a part cannot be seen, nor be scrolled to."""
    found: list[str] = output.evaluate(
        "area => [...area.querySelectorAll('*')].filter(e => e.scrollWidth > e.clientWidth + 1"
        " && getComputedStyle(e).overflowX === 'hidden').map(e => e.className)"
    )
    return found


@pytest.mark.parametrize("front", ["lab", "notebook"])
def test_outputs_are_for_everybody(desk: Any, front: Any) -> None:
    sheet = desk.open(CELLS, front=front)
    for index in range(len(CELLS)):
        sheet.run(index)
    error = sheet.output(2).locator("[data-mime-type='application/vnd.jupyter.stderr']")
    (line,) = (error.text_content() or "").strip().splitlines()
    assert re.search(r"^\[program.*line 9, column 10: q\[9\] does not exist", line)
    for theme in ("light", "dark"):
        sheet.theme(theme)
        for index in OURS:
            desk.picture(sheet, f"{theme}-{index}", sheet.output(index))
            assert obstacles(sheet.output(index)) == []
    planted = obstacles(sheet.output(len(CELLS) - 1))
    assert {one.split(" ")[0] for one in planted} == {"button-name", "color-contrast"}
    sheet.page.set_viewport_size({"width": 600, "height": 900})
    if front == "lab":
        sheet.command("application:toggle-left-area")
    for index in OURS:
        output = sheet.output(index)
        expect(output).to_be_visible()
        desk.picture(sheet, f"narrow-{index}", output)
        assert hidden(output) == []
        assert obstacles(output) == []
