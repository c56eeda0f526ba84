"""The line that says how a task is."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from qmio_jupyter.display.status import status_text
from qmio_jupyter.display.text import duration, plain
from qmio_jupyter.model.task import Estimate, TaskState, TaskView

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
            "t-1 on ideal: queued, 3 ahead, starts in about 12 s (9 times in 10 within 20 s)",
        ),
        (
            {"position": 3, "start": Estimate(p50_s=12, p90_s=13, samples=9)},
            "t-1 on ideal: queued, 3 ahead, starts in about 12 s",
        ),
        ({"position": 4, "cause": "a booking began"}, "t-1 on ideal: queued, 4 ahead, a booking began"),
        (
            {"position": 3, "start": Estimate(p50_s=12, p90_s=120, samples=9)},
            "t-1 on ideal: queued, 3 ahead, starts in about 12 s (9 times in 10 within 2 min 0 s)",
        ),
        (
            {"position": 3, "start": Estimate(p50_s=12, p90_s=121, samples=9)},
            "t-1 on ideal: queued, 3 ahead, starts in about 12 s",
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
    assert plain("10\u202f000") == "10\u202f000"
