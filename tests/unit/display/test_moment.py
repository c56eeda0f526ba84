"""The words of the live view."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from qmio_jupyter.display.about import NOTHING, About
from qmio_jupyter.display.eta import eta_hint, eta_words, span
from qmio_jupyter.display.moment import moment
from qmio_jupyter.model.task import Ahead, Estimate, TaskState, TaskView

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
CURRENT = About(snapshot_id="ab" * 32, snapshot_ms=0)


def of(about: About = NOTHING, partial: Any = None, **changes: Any) -> Any:
    now = {name: changes.pop(name) for name in ("seen_s_ago", "connected") if name in changes}
    return moment(msgspec.structs.replace(VIEW, **changes), partial, about, now_ms=7_200_000, **now)


def estimate(p50: float, p90: float, samples: int = 9) -> Estimate:
    return Estimate(p50_s=p50, p90_s=p90, samples=samples)


@pytest.mark.parametrize(
    ("found", "passed", "said"),
    [
        (None, 0, "no estimate yet"),
        (estimate(10, 20, samples=0), 0, "no estimate yet"),
        (estimate(12, 12, samples=0), 0, "starts in 12 s"),
        (estimate(10, 25), 0, "starts in 10\N{EN DASH}25 s"),
        (estimate(10, 25), 4, "starts in 6\N{EN DASH}20 s"),
        (estimate(10, 25), 12, "starts in less than 13 s"),
        (estimate(10, 25), 24.5, "starts any moment"),
        (estimate(10, 25), 25.9, "starts any moment"),
        (estimate(10, 25), 27, "starts later than estimated"),
        (estimate(0.2, 0.4), 0, "starts any moment"),
        (estimate(50, 200), 0, "starts in 50 s to 3 min"),
        (estimate(7200, 40_000), 0, "starts in 2\N{EN DASH}11 h"),
    ],
)
def test_eta(found: Estimate | None, passed: float, said: str) -> None:
    assert eta_words("starts", found, passed) == said


def test_what_the_range_means_is_told() -> None:
    assert "9 times in 10" in eta_hint(estimate(1, 2))
    assert eta_hint(estimate(1, 2, 1)).endswith("1 run")
    assert eta_hint(estimate(1, 1)) == "by the device's clock"
    assert eta_hint(estimate(1, 2, 0)) == eta_hint(None) == ""


def test_spans_do_not_flicker() -> None:
    assert len({span(33 + tenth / 10, 61 + tenth / 10) for tenth in range(10)}) <= 2


@pytest.mark.parametrize(
    ("changes", "word", "place"),
    [
        ({}, "queued", ""),
        ({"position": 0}, "queued", "next"),
        ({"position": 3}, "queued", "3 ahead"),
        ({"position": 3, "ahead": Ahead(own=3)}, "queued", "3 ahead (yours)"),
        ({"position": 1, "ahead": Ahead(account=1)}, "queued", "1 ahead (of your account)"),
        ({"position": 3, "ahead": Ahead(own=1, others=2)}, "queued", "3 ahead (1 yours, 2 others')"),
        ({"state": TaskState.CLAIMED}, "next on the device", ""),
        ({"state": TaskState.CLAIMED, "stage": "compiling"}, "compiling", ""),
        ({"state": TaskState.RUNNING, "stage": "compiling"}, "compiling", ""),
        ({"state": TaskState.RUNNING, "stage": "compiling", "shots_done": 1}, "running", ""),
        ({"state": TaskState.CANCELLING}, "cancelling", ""),
        ({"state": TaskState.COMPLETED}, "completed", ""),
    ],
)
def test_state_and_place_in_words(changes: dict[str, Any], word: str, place: str) -> None:
    found = of(**changes)
    assert (found.word, found.place) == (word, place)


def test_the_snapshot_is_the_current_one_until_one_is_bound() -> None:
    assert of(CURRENT).snapshot == "current snapshot abababababab"
    assert of(CURRENT).calibrated == "calibrated 2 h ago"
    assert of(CURRENT, snapshot_id="ab" * 32, state=TaskState.RUNNING).snapshot == "snapshot abababababab"
    other = of(CURRENT, snapshot_id="cd" * 32, state=TaskState.RUNNING)
    assert (other.snapshot, other.calibrated) == ("snapshot cdcdcdcdcdcd", "")
    assert (of().snapshot, of().calibrated) == ("", "")


def test_progress_counts_what_is_newest() -> None:
    found = of(state=TaskState.RUNNING, shots_done=399, shots=100_000)
    assert (found.done, found.percent, found.progress) == (399, 0, "399 of 100\u202f000 shots")
    assert of(shots=0).percent == 0


def test_only_what_can_be_cancelled_offers_it() -> None:
    offered = {state for state in TaskState if of(state=state).can_cancel}
    assert offered == {TaskState.QUEUED, TaskState.CLAIMED, TaskState.RUNNING}
    assert {state for state in TaskState if of(state=state).is_final} == {s for s in TaskState if s.is_final}


def test_notes_are_harmless_and_short_and_a_silent_gateway_comes_first() -> None:
    assert of(cause="a\x1b[2J").note == "a\N{REPLACEMENT CHARACTER}[2J"
    assert len(of(cause="x" * 1000).note) < 200
    assert "does not answer" in of(cause="a booking began", connected=False).note


def test_times_are_told_only_where_there_are_some() -> None:
    assert of(state=TaskState.CANCELLING).eta == ""
    assert of(state=TaskState.RUNNING, end=estimate(3, 5)).eta == "ends in 3\N{EN DASH}5 s"
    assert of(state=TaskState.CLAIMED, start=estimate(3, 5), end=estimate(9, 9)).eta.startswith("starts")
