"""What outputs look like: dark and light, wide and narrow, and to who cannot see them."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import expect

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


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("front", ["lab", "notebook"])
def test_outputs_are_for_everybody(desk: Any, front: Any, theme: Any) -> None:
    sheet = desk.open(["%load_ext qmio_jupyter", GHZ, MISTAKE, *LINES], front=front)
    sheet.theme(theme)
    for index in range(len(LINES) + 3):
        sheet.run(index)
    for index in range(1, len(LINES) + 3):
        desk.picture(sheet, f"{index}", sheet.output(index))
        assert obstacles(sheet.output(index)) == []


@pytest.mark.parametrize("front", ["lab", "notebook"])
def test_an_obstacle_would_be_found(desk: Any, front: Any) -> None:
    planted = '<button></button><p style="color:#777;background:#888">hardly to be read</p>'
    sheet = desk.open([f"from IPython.display import HTML\nHTML({planted!r})"], front=front)
    found = obstacles(sheet.run(0))
    assert {one.split(" ")[0] for one in found} == {"button-name", "color-contrast"}


@pytest.mark.parametrize("front", ["lab", "notebook"])
def test_a_narrow_window_cuts_nothing_off(desk: Any, front: Any) -> None:
    sheet = desk.open(["%load_ext qmio_jupyter", GHZ, *LINES], front=front)
    sheet.page.set_viewport_size({"width": 600, "height": 900})
    if front == "lab":
        sheet.command("application:toggle-left-area")
    for index in range(len(LINES) + 2):
        sheet.run(index)
    for index in range(1, len(LINES) + 2):
        output = sheet.output(index)
        desk.picture(sheet, f"{index}", output)
        expect(output).to_be_visible()
        hidden = output.evaluate(
            "area => [...area.querySelectorAll('*')].filter(e => e.scrollWidth > e.clientWidth + 1"
            " && getComputedStyle(e).overflowX === 'hidden').map(e => e.className)"
        )
        assert hidden == []
        assert obstacles(output) == []
