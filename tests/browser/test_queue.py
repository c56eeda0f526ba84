"""A cell behind another user's tasks, in the device's own time: what its output shows from the queue to the counts."""

from __future__ import annotations

import re
from itertools import pairwise
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


def somebody_elses(queue: Client, count: int, shots: int = 2000) -> None:
    """Queue `count` tasks that keep the device's clock: a second and a half each."""
    data = BODY.encode()
    program = Program(digest=digest(data), media_type=QASM3, data=data)
    for number in range(count):
        queue.submit(
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


@pytest.mark.parametrize("front", ["lab", "notebook"])
def test_position_estimate_and_shots_move_and_nothing_jumps(desk: Any, queue: Client, front: Any) -> None:
    sheet = desk.open(["%load_ext qmio_jupyter", WARM, CELL], front=front)
    sheet.run(0)
    expect(sheet.run(1)).to_contain_text("completed")
    somebody_elses(queue, 5)
    watch = Watch(sheet.output(2))
    sheet.start(2)
    expect(sheet.output(2)).to_contain_text("ahead")
    sheet.output(2).scroll_into_view_if_needed()
    desk.picture(sheet, "queued")
    expect(sheet.output(2)).to_contain_text(re.compile(r"[1-9]\d* of 3000 shots"))
    desk.picture(sheet, "running")
    expect(sheet.ended(2)).to_contain_text(re.compile(r"completed.*3000 shots"))
    desk.picture(sheet, "completed")
    told = [one for one in watch.seen() if re.search(r"queued|next on|running|completed", one.text)]
    texts = [one.text for one in told]
    places = [int(found[1]) for text in texts if (found := re.search(r"^(\d+) ahead", text, re.MULTILINE))]
    assert fallen(places)
    assert places[0] > places[-1] >= 1
    starts = [int(found[1]) for text in texts if (found := re.search(r"starts in (\d+)", text))]
    assert fallen(starts)
    assert starts[0] > starts[-1]
    shots = [int(found[1]) for text in texts if (found := re.search(r"(\d+) of 3000 shots", text))]
    assert len(set(shots)) >= 3
    assert fallen(shots[::-1])
    # From the first words to the saved page: nothing below the cell moves.
    assert len({(one.x, one.width, one.height) for one in told}) == 1
