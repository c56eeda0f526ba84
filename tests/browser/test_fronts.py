"""JupyterLab and Notebook 7 run a `%%qpu` cell, and nothing of it leaves the machine."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import expect

BELL = """%%qpu -d ideal -n 1000 -o bell
OPENQASM 3.0;
include "stdgates.inc";
qubit[2] q;
bit[2] c;
h q[0];
cx q[0], q[1];
c = measure q;"""


@pytest.mark.parametrize("front", ["lab", "notebook"])
def test_a_bell_pair_from_opening_to_saving(desk: Any, front: Any) -> None:
    sheet = desk.open(["%load_ext qmio_jupyter", BELL, "sum(n for _, n in bell.counts())"], front=front)
    sheet.run(0)
    expect(sheet.run(1)).to_contain_text(re.compile(r"completed.*ideal.*1000 shots"))
    expect(sheet.run(2)).to_contain_text("1000")
    desk.picture(sheet, "end")
    saved = sheet.save()
    assert "on ideal, completed, 1000 shots" in saved.cells[1].outputs[-1]["data"]["text/plain"]
    hosts = {url.split("/")[2] for url in desk.traffic.asked if "://" in url}
    assert hosts == {sheet.server.url.removeprefix("http://")}


def test_what_would_leave_the_machine_is_seen_and_stopped(desk: Any) -> None:
    page = desk.context.new_page()
    page.goto(f"{desk.server.url}/login")
    gone = page.evaluate("() => fetch('http://example.invalid/x').then(() => 'answered', () => 'stopped')")
    assert gone == "stopped"
    assert desk.traffic.elsewhere() == ["http://example.invalid/x"]
    desk.traffic.asked.clear()
