"""Two notebooks of one user at one device: each sees the other in its queue, and what one does moves the other."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

BODY = """OPENQASM 3.0;
include "stdgates.inc";
qubit[2] q;
bit[2] c;
h q[0];
cx q[0], q[1];
c = measure q;
"""
pytestmark = pytest.mark.slow


def paced(label: str, shots: int = 1000, options: str = "") -> str:
    """Return a cell that keeps the device's own clock: a second or two."""
    return f"%%qpu -o {label} --label {label} --pace real -n {shots} {options}\n{BODY}"


def shows(pattern: str) -> Callable[[Any], bool]:
    """Return whether the cell's output has `pattern`."""
    return lambda so_far: re.search(pattern, so_far.text) is not None


@pytest.fixture(scope="module")
def pair(kernels: Callable[[], Any]) -> tuple[Any, Any]:
    """Two notebooks whose device is warm."""
    one, two = kernels(), kernels()
    one.run(f"%%qpu -q\n{BODY}").ok()
    return one, two


def test_the_second_waits_behind_the_first_and_moves_up(pair: tuple[Any, Any]) -> None:
    one, two = pair
    # An agent holds two tasks: one that runs and one that is next on the device. The rest are in the queue.
    for label in ("a", "b", "c"):
        one.run(paced(label, 3000, "-a")).ok()
    mine = two.start(paced("mine"))
    two.wait(mine, until=shows(r"queued, 1 ahead \(yours\), starts in about \d"))
    two.wait(mine, until=shows(r"queued, next"))
    two.wait(mine, until=shows(r"claimed|running"))
    assert "mine, on fake-qmio, completed, 1000 shots" in two.wait(mine).ok().text
    assert one.value("[str(task.state) for task in (a, b, c)]") == ["completed"] * 3
    assert two.value("mine.task_id") in one.run("%qpu tasks -n 1").ok().text


def test_interrupting_one_moves_the_other_up(pair: tuple[Any, Any]) -> None:
    one, two = pair
    for label in ("a", "b"):
        one.run(paced(label, 20_000, "-a")).ok()
    gone = one.start(paced("gone"))
    one.wait(gone, until=shows("queued, next"))
    mine = two.start(paced("mine"))
    two.wait(mine, until=shows("queued, 1 ahead"))
    one.interrupt()
    assert one.wait(gone).errors[0]["ename"] == "KeyboardInterrupt"
    two.wait(mine, until=shows("queued, next"))
    # Nothing on the device had ended: the place is that of the task which was taken away.
    assert one.value("[str(task.state) for task in (a, b, gone)]") == ["running", "claimed", "cancelled"]
    one.run("%qpu cancel all").ok()
    assert two.wait(mine).errors[0]["ename"] == "TaskCancelledError"
