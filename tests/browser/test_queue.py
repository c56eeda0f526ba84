"""A cell behind another user's tasks, in the device's own time: what its output shows from the queue to the counts."""

from __future__ import annotations

import re
from itertools import groupby, pairwise
from typing import Any

import pytest
from playwright.sync_api import expect

from qmio_jupyter.client.sync import Client
from qmio_jupyter.model.ids import digest
from qmio_jupyter.model.program import QASM3, Program
from qmio_jupyter.model.task import Item, TaskOptions, TaskSpec
from qmio_jupyter.testing.browser import Watch

BODY = """OPENQASM 3.0;
include "stdgates.inc";
qubit[2] q;
bit[2] c;
h q[0];
cx q[0], q[1];
c = measure q;"""
WARM = f"%%qpu -n 10\n{BODY}"
CELL = f"%%qpu --pace real -n 3000 --label mine\n{BODY}"


def somebody_elses(colleague: Client, count: int, shots: int = 2000) -> None:
    """Queue `count` tasks that keep the device's clock: a second and a half each."""
    data = BODY.encode()
    program = Program(digest=digest(data), media_type=QASM3, data=data)
    for number in range(count):
        colleague.submit(
            TaskSpec(
                device="fake-qmio",
                items=(Item(program=program.digest, shots=shots),),
                options=TaskOptions(pace="real"),
                label=f"somebody else's {number}",
            ),
            (program,),
        )


def fallen(values: list[int]) -> bool:
    """Return whether there are values, and none is above the one before."""
    return bool(values) and all(later <= earlier for earlier, later in pairwise(values))


def read(pattern: str, texts: list[str]) -> list[int]:
    """Return the number that `pattern` finds in each text that has one."""
    return [int(found[1]) for text in texts if (found := re.search(pattern, text))]


@pytest.mark.parametrize("front", ["lab", "notebook"])
def test_position_estimate_and_shots_move_and_nothing_jumps(desk: Any, colleague: Client, front: Any) -> None:
    sheet = desk.open(["%load_ext qmio_jupyter", WARM, CELL, "'what is below'"], front=front)
    sheet.run(0)
    sheet.run(1)
    sheet.run(3)
    somebody_elses(colleague, 5)
    watch = Watch(sheet.output(2))
    output = sheet.start(2)
    expect(output).to_contain_text(re.compile(r"[2-9] ahead \(others.\)"))
    desk.picture(sheet, "queued", output)
    expect(output).to_contain_text(re.compile("[1-9]00 of 3000 shots"))
    desk.picture(sheet, "running", output)
    expect(sheet.ended(2)).to_contain_text(re.compile(r"completed.*3000 shots"))
    desk.picture(sheet, "completed", output)

    texts = watch.texts()
    places = read(r"(\d+) ahead\b", texts)
    assert fallen(places)
    assert places[0] > places[-1] == 1
    starts = read(r"starts in (\d+)", texts)
    assert fallen(starts)
    assert starts[0] > starts[-1]
    shots = read(r"(\d+) of 3000 shots", texts)
    assert len(set(shots)) >= 4
    assert fallen(shots[::-1])
    states = [
        word for text in texts if (word := re.search("queued|next on the device|running|completed", text))
    ]
    assert [word for word, _ in groupby(match[0] for match in states)] == [
        "queued",
        "next on the device",
        "running",
        "completed",
    ]
    # From the first word to the last the box is the same, while numbers change and when the widget becomes a page.
    boxes = {
        (one.x, one.width, one.height)
        for one in watch.seen()
        if re.search("queued|running|completed", one.text)
    }
    assert len(boxes) == 1
