"""What a user can do with a cell's output while the kernel is busy with that cell: sort, point, and read."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import expect

from qmio_jupyter.client.sync import Client
from qmio_jupyter.testing.browser import Sheet, obstacles

BODY = """OPENQASM 3.0;
include "stdgates.inc";
qubit[3] q;
bit[3] c;
h q[0];
cx q[0], q[1];
cx q[1], q[2];
c = measure q;"""
LONG = f"%%qpu --pace real -n 200000\n{BODY}"


def running(sheet: Sheet, index: int) -> Any:
    """Start the cell; wait until it shows shots."""
    output = sheet.start(index)
    expect(output.locator(".qmio-live .qmio-progress")).to_have_text(
        re.compile(r"[1-9].*00 of 200\s000 shots")
    )
    return output


@pytest.mark.parametrize("front", ["lab", "notebook"])
def test_bars_are_sorted_and_read_by_pointer_and_keyboard_while_shots_arrive(
    desk: Any, queue: Client, front: Any
) -> None:
    sheet = desk.open(["%load_ext qmio_jupyter", LONG], front=front)
    sheet.run(0)
    output = running(sheet, 1)
    assert obstacles(output) == []
    tip = output.locator(".qmio-tip")
    spots = output.locator(".qmio-spot")
    expect(spots).to_have_count(8)

    spots.first.hover()
    expect(tip).to_have_text(re.compile(r"^000: [\d\s]+ of [\d\s]+ \(\d+\.\d % ± \d\.\d %\)"))
    desk.picture(sheet, "hovered", output)
    read = tip.inner_text()
    expect(tip).not_to_have_text(read)  # the pointer rests, the counts go on

    output.get_by_role("button", name="Sort by count").click()
    expect(spots.nth(1)).to_have_attribute("aria-label", re.compile("^(000|111)"))
    desk.picture(sheet, "sorted", output)

    # As many steps as there are bars, whichever is where by now; the notebook's own arrow keys stay out of it.
    spots.nth(0).focus()
    read_out = set()
    for key in ["ArrowRight"] * 12 + ["Home", "ArrowDown"]:
        sheet.page.keyboard.press(key)
        focused = output.locator(".qmio-spot:focus")
        expect(focused).to_have_count(1)
        read_out.add(focused.get_attribute("data-key"))
    assert len(read_out) >= 6
    expect(tip).to_have_text(re.compile(f"^{focused.get_attribute('data-key')}: "))
    assert sheet.selected() == 1
    read = tip.inner_text()
    expect(tip).not_to_have_text(read)
    expect(focused).to_have_count(1)
