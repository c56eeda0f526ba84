"""When the live view shows what."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import msgspec
import pytest

from qmio_jupyter.display.about import NOTHING
from qmio_jupyter.model.task import Estimate, TaskState
from qmio_jupyter.notebook.live import director as directing
from qmio_jupyter.notebook.live.director import Director
from tests.unit.display.making import VIEW, item, result

RUNNING = msgspec.structs.replace(VIEW, state=TaskState.RUNNING, shots=1000, shots_done=0)


class Recorder:
    """A screen and its clock; a frame takes as long as `takes_s` says."""

    def __init__(self) -> None:
        self.now = 100.0
        self.takes_s = 0.0
        self.frames: list[tuple[float, Any]] = []
        self.ends: list[tuple[float, Any]] = []

    def clock(self) -> float:
        return self.now

    def show(self, frame: Any) -> None:
        self.frames.append((round(self.now - 100, 3), frame))
        self.now += self.takes_s

    def final(self, bundle: Any) -> None:
        self.ends.append((round(self.now - 100, 3), bundle))

    @property
    def times(self) -> list[float]:
        return [at for at, _ in self.frames]


def directed() -> tuple[Recorder, Director]:
    screen = Recorder()
    return screen, Director(screen, screen.clock, lambda: 0)


def counted(shots: int) -> Any:
    return result(item([(0, shots)], ("c", 1)), shots=1000, shots_done=shots, is_final=False, revision=shots)


def done(shots: int) -> Any:
    return msgspec.structs.replace(RUNNING, shots_done=shots)


def test_a_quick_task_shows_nothing_but_its_end() -> None:
    screen, director = directed()
    director.update(RUNNING, None, NOTHING)
    screen.now += 0.14
    director.update(done(5), counted(5), NOTHING)
    director.end({"text/plain": "result"}, done(1000), counted(1000), NOTHING)
    assert screen.frames == []
    assert screen.ends == [(0.14, {"text/plain": "result"})]


def test_at_most_ten_frames_a_second_and_the_end_always() -> None:
    screen, director = directed()
    for tick in range(1, 1001):
        screen.now = 100 + tick / 1000
        director.update(done(tick), counted(tick), NOTHING)
    director.end({"text/plain": "result"}, done(1000), counted(1000), NOTHING)
    assert screen.times[0] == 0.15
    assert all(b - a >= 0.1 - 1e-9 for a, b in pairwise(screen.times))
    assert len(screen.times) == 9
    assert screen.ends == [(1.0, {"text/plain": "result"})]


def test_what_did_not_change_is_not_shown_again_and_what_was_held_back_is() -> None:
    screen, director = directed()
    assert director.next_s() == pytest.approx(0.15)
    screen.now += director.next_s()
    director.update(done(1), None, NOTHING)
    screen.now += 0.05
    director.update(done(2), None, NOTHING)
    assert director.next_s() == pytest.approx(0.05)
    screen.now += director.next_s()
    director.update(done(2), None, NOTHING)
    screen.now += 0.3
    director.update(done(2), None, NOTHING)
    assert screen.times == [0.15, 0.25]
    assert [frame.moment.done for _, frame in screen.frames] == [1, 2]


def test_counts_are_drawn_once(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Any] = []
    pictures = directing.pictures
    monkeypatch.setattr(directing, "pictures", lambda *a, **k: drawn.append(a) or pictures(*a, **k))
    screen, director = directed()
    partial = counted(10)
    for state in (TaskState.RUNNING, TaskState.CANCELLING):
        screen.now += 0.2
        director.update(msgspec.structs.replace(done(10), state=state), partial, NOTHING)
    assert len(screen.frames) == 2
    assert len(drawn) == 1
    assert screen.frames[0][1].drawings is screen.frames[1][1].drawings


def test_the_axis_does_not_shrink_while_shots_arrive() -> None:
    screen, director = directed()
    screen.now += 0.2
    all_zero = result(item([(0, 100)], ("c", 2)), shots_done=100, is_final=False)
    director.update(done(100), all_zero, NOTHING)
    screen.now += 0.2
    spread = result(item([(0, 250), (1, 250), (2, 250), (3, 250)], ("c", 2)), shots_done=1000, is_final=False)
    director.update(done(1000), spread, NOTHING)
    assert all("100 %" in frame.drawings[0].svg for _, frame in screen.frames)


def test_slow_drawing_is_done_less_often() -> None:
    screen, director = directed()
    screen.takes_s = 0.2
    for tick in range(1, 2000):
        screen.now = max(screen.now, 100 + tick / 100)
        director.update(done(tick), counted(tick), NOTHING)
    # The first frame may have loaded what it is shown with, so it does not count.
    assert screen.times[1] - screen.times[0] < 0.5
    assert all(b - a >= 0.2 * (1 + directing.LEISURE) - 1e-6 for a, b in pairwise(screen.times[1:]))


def test_an_estimate_counts_down_between_two_messages() -> None:
    screen, director = directed()
    waiting = msgspec.structs.replace(
        RUNNING, state=TaskState.QUEUED, position=1, start=Estimate(p50_s=9, p90_s=9, samples=0)
    )
    for passed in (0.2, 3.2):
        screen.now = 100 + passed
        director.update(waiting, None, NOTHING, seen_s_ago=passed)
    assert [frame.moment.eta for _, frame in screen.frames] == ["starts in 9 s", "starts in 6 s"]


def test_a_silent_gateway_is_mentioned() -> None:
    screen, director = directed()
    screen.now += 0.2
    director.update(RUNNING, None, NOTHING, connected=False)
    assert "does not answer" in screen.frames[0][1].moment.note
    assert "does not answer" in screen.frames[0][1].line


class Keeper(Recorder):
    """A screen that keeps its last frame."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[Any] = []

    def last(self, frame: Any) -> None:
        self.kept.append(frame)


def test_who_keeps_a_last_frame_gets_the_end_if_anything_was_shown() -> None:
    for waited, kept in ((0.0, 0), (0.2, 1)):
        screen = Keeper()
        director = Director(screen, screen.clock, lambda: 0)
        screen.now += waited
        director.update(done(5), counted(5), NOTHING)
        ended = msgspec.structs.replace(RUNNING, state=TaskState.COMPLETED, shots_done=1000)
        director.end({"text/plain": "result"}, ended, counted(1000), NOTHING)
        assert len(screen.kept) == kept
        assert len(screen.ends) == 1
        for frame in screen.kept:
            assert (frame.moment.state, frame.moment.done) == ("completed", 1000)
            assert frame.drawings is not screen.frames[0][1].drawings


def test_any_moment_is_said_for_a_moment_only() -> None:
    """The gateway says "now" again and again of a task that takes longer than it thought."""
    screen, director = directed()
    late = Estimate(p50_s=0.0, p90_s=0.0, samples=3)
    for tick in range(1, 30):
        screen.now = 100 + tick / 5
        director.update(msgspec.structs.replace(done(tick), end=late), None, NOTHING)
    said = [frame.moment.eta for _, frame in screen.frames]
    assert said[0] == "ends any moment"
    assert said[-1] == "ends later than estimated"
    screen.now += 1
    soon = Estimate(p50_s=20.0, p90_s=30.0, samples=3)
    director.update(msgspec.structs.replace(done(40), end=soon), None, NOTHING)
    assert screen.frames[-1][1].moment.eta.startswith("ends in 20")
