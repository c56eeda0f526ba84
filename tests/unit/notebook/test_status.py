"""The line that says how a task is, and when it is shown."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import msgspec
import pytest

from qmio_jupyter.display.status import status_text
from qmio_jupyter.display.text import duration, plain
from qmio_jupyter.model.task import Estimate, TaskState, TaskView
from qmio_jupyter.notebook.screen import PlainScreen, QuietScreen, screen_for
from qmio_jupyter.notebook.status import StatusLine

VIEW = TaskView(
    task_id="t-1",
    device="ideal",
    state=TaskState.QUEUED,
    revision=1,
    label="",
    tenant="local/me",
    submitted_ms=0,
    updated_ms=0,
    shots=1000,
    shots_done=0,
    attempt=0,
)


def text(**changes: Any) -> str:
    """Return the line of a changed view."""
    return status_text(msgspec.structs.replace(VIEW, **changes))


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({}, "t-1 on ideal: queued"),
        ({"position": 0}, "t-1 on ideal: queued, next"),
        (
            {"position": 3, "start": Estimate(p50_s=12, p90_s=20, samples=9)},
            "t-1 on ideal: queued, 3 before it, starts in about 12 s (9 times in 10 within 20 s)",
        ),
        (
            {"position": 3, "start": Estimate(p50_s=12, p90_s=13, samples=9)},
            "t-1 on ideal: queued, 3 before it, starts in about 12 s",
        ),
        ({"position": 4, "cause": "a booking began"}, "t-1 on ideal: queued, 4 before it, a booking began"),
        (
            {"position": 3, "start": Estimate(p50_s=12, p90_s=120, samples=9)},
            "t-1 on ideal: queued, 3 before it, starts in about 12 s (9 times in 10 within 2 min 0 s)",
        ),
        (
            {"position": 3, "start": Estimate(p50_s=12, p90_s=121, samples=9)},
            "t-1 on ideal: queued, 3 before it, starts in about 12 s",
        ),
        ({"state": TaskState.CLAIMED, "stage": "compiling"}, "t-1 on ideal: claimed, compiling"),
        ({"state": TaskState.CLAIMED}, "t-1 on ideal: claimed, next on the device"),
        (
            {
                "state": TaskState.CLAIMED,
                "start": Estimate(p50_s=4, p90_s=5, samples=9),
                "end": Estimate(p50_s=8, p90_s=10, samples=9),
            },
            "t-1 on ideal: claimed, next on the device, starts in about 4 s, ends in about 8 s",
        ),
        (
            {"state": TaskState.RUNNING, "shots_done": 400, "stage": "reading"},
            "t-1 on ideal: running, 400 of 1000 shots (40 %)",
        ),
        (
            {"state": TaskState.RUNNING, "shots_done": 400, "end": Estimate(p50_s=3, p90_s=3, samples=9)},
            "t-1 on ideal: running, 400 of 1000 shots (40 %), ends in about 3 s",
        ),
        ({"state": TaskState.RUNNING, "stage": "running"}, "t-1 on ideal: running"),
        (
            {"state": TaskState.RUNNING, "end": Estimate(p50_s=0.0, p90_s=0.1, samples=9)},
            "t-1 on ideal: running",
        ),
        ({"position": 0, "start": Estimate(p50_s=0.0, p90_s=0.0, samples=0)}, "t-1 on ideal: queued, next"),
        ({"state": TaskState.COMPLETED, "shots_done": 1000}, "t-1 on ideal: completed"),
        ({"state": TaskState.CANCELLED, "cause": "by its user"}, "t-1 on ideal: cancelled, by its user"),
        (
            {"cause": "bad\x1b[2J\nline"},
            "t-1 on ideal: queued, bad\N{REPLACEMENT CHARACTER}[2J\N{REPLACEMENT CHARACTER}line",
        ),
    ],
)
def test_line(changes: dict[str, Any], line: str) -> None:
    assert text(**changes) == line


def test_a_silent_gateway_is_mentioned() -> None:
    assert "the gateway does not answer" in status_text(VIEW, connected=False)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-1, "0 ms"),
        (0.0004, "0 ms"),
        (0.0123, "12 ms"),
        (0.0996, "0.1 s"),
        (0.3, "0.3 s"),
        (0.96, "1 s"),
        (12.4, "12 s"),
        (99.4, "99 s"),
        (100, "1 min 40 s"),
        (5999, "99 min 59 s"),
        (7500, "2 h 5 min"),
    ],
)
def test_duration(seconds: float, said: str) -> None:
    assert duration(seconds) == said


def test_plain() -> None:
    assert plain("Ωk, ü") == "Ωk, ü"
    assert plain("a\rb") == "a\N{REPLACEMENT CHARACTER}b"


class Recorder:
    """A screen and a clock."""

    def __init__(self) -> None:
        self.now = 100.0
        self.said: list[tuple[float, str]] = []

    def clock(self) -> float:
        return self.now

    def line(self, text: str) -> None:
        self.said.append((round(self.now - 100, 3), text))

    def final(self, bundle: dict[str, Any]) -> None:
        self.said.append((round(self.now - 100, 3), f"final {bundle['text/plain']}"))


def test_a_quick_task_shows_no_line() -> None:
    screen = Recorder()
    line = StatusLine(screen, screen.clock)
    line.update("queued")
    screen.now += 0.14
    line.update("running")
    line.end({"text/plain": "result"})
    assert screen.said == [(0.14, "final result")]


def test_updates_are_throttled_and_the_final_state_is_forced() -> None:
    screen = Recorder()
    line = StatusLine(screen, screen.clock)
    for tick in range(1, 1001):
        screen.now = 100 + tick / 1000
        line.update(f"at {tick}")
    line.end({"text/plain": "result"})
    times = [at for at, _ in screen.said]
    assert times[0] == 0.15
    assert all(b - a >= 0.2 - 1e-9 for a, b in pairwise(times[:-1]))
    assert 4 <= len(times) <= 6
    assert screen.said[-1] == (1.0, "final result")


def test_what_did_not_change_is_not_shown_again_and_what_was_held_back_is() -> None:
    screen = Recorder()
    line = StatusLine(screen, screen.clock)
    assert line.next_s() == pytest.approx(0.15)
    screen.now += line.next_s()
    line.update("a")
    screen.now += 0.1
    line.update("b")
    assert line.next_s() == pytest.approx(0.1)
    screen.now += line.next_s()
    line.update("b")
    screen.now += 0.3
    line.update("b")
    assert screen.said == [(0.15, "a"), (0.35, "b")]


def test_without_a_kernel_the_line_is_written_once(capsys: pytest.CaptureFixture[str]) -> None:
    screen = screen_for(object())
    assert isinstance(screen, PlainScreen)
    screen.line("first")
    screen.line("second")
    screen.final({"text/plain": "result", "text/html": "<b>result</b>"})
    assert capsys.readouterr().out == "first\nresult\n"


def test_quiet_and_no_shell_show_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    for screen in (screen_for(object(), quiet=True), screen_for(None)):
        assert isinstance(screen, QuietScreen)
        screen.line("a")
        screen.final({"text/plain": "b"})
    assert capsys.readouterr().out == ""
