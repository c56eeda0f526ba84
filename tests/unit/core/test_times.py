"""Estimates of what an agent holds and of what waits behind it: one after the other, unless the device does more."""

from __future__ import annotations

import pytest

from qmio_jupyter.model.device import CostModel
from qmio_jupyter.model.task import TaskState
from qmio_jupyter.testing.cores import Bench

FOUR = CostModel(t0_s=4.0)


@pytest.fixture
def one(bench: Bench) -> Bench:
    """An agent that may hold two tasks and runs one at a time, four seconds each."""
    bench.user("ana")
    bench.agent(credit=2, cost=FOUR)
    return bench


def times(bench: Bench, task_id: str) -> tuple[float | None, float]:
    """The (start, end) told of a task, seconds from now."""
    view = bench.core.view(task_id, None)
    return None if view.start is None else view.start.p50_s, view.end.p50_s


def test_a_claimed_task_behind_another_is_told_its_turn(one: Bench):
    first, second, third, fourth = (one.submit("ana") for _ in range(4))
    assert one.state_of(second) is TaskState.CLAIMED
    one.started(one.ref(first))
    assert times(one, first) == (None, 4.0)
    assert times(one, second) == (4.0, 8.0)
    assert times(one, third) == (8.0, 12.0)
    assert times(one, fourth) == (12.0, 16.0)
    one.tick(1_000)
    assert times(one, second) == (3.0, 7.0)


def test_a_task_s_time_runs_from_its_start_not_from_its_claim(one: Bench):
    first, second = one.submit("ana"), one.submit("ana")
    one.started(one.ref(first))
    one.tick(4_000)
    one.finish(one.ref(first), device_s=4.0)
    # Its turn came with the end of the one before; then the agent says so.
    assert times(one, second) == (0.0, 4.0)
    one.tick(500)
    one.started(one.ref(second))
    assert times(one, second) == (None, 4.0)
    one.tick(1_000)
    assert times(one, second) == (None, 3.0)


@pytest.mark.parametrize("word", ["started", "progress"])
def test_one_that_has_started_comes_before_one_that_was_claimed_earlier(one: Bench, word: str):
    first, second = one.submit("ana"), one.submit("ana")
    one.tick(2_000)
    getattr(one, word)(one.ref(second))
    assert times(one, second) == (None, 4.0)
    assert times(one, first) == (4.0, 8.0)


def test_a_task_that_takes_longer_than_told_puts_the_next_off(one: Bench):
    first, second = one.submit("ana"), one.submit("ana")
    one.started(one.ref(first))
    one.tick(10_000)
    assert times(one, first) == (None, 0.0)
    assert times(one, second) == (0.0, 4.0)


def test_a_cancelled_one_is_waited_for_no_longer(one: Bench):
    first, second = one.submit("ana"), one.submit("ana")
    one.started(one.ref(first))
    one.cancel("ana", first)
    assert one.state_of(first) is TaskState.CANCELLING
    assert times(one, second) == (0.0, 4.0)


def test_after_a_restart_what_runs_comes_before_what_is_claimed(one: Bench):
    first, second = one.submit("ana"), one.submit("ana")
    one.started(one.ref(second))
    held = (one.ref(first), one.ref(second))
    one.restart()
    one.agent(credit=2, cost=FOUR, holding=held)
    assert times(one, second) == (None, 4.0)
    assert times(one, first)[0] == pytest.approx(4.0)


def test_each_agent_serves_for_itself(bench: Bench):
    bench.user("ana")
    bench.agent("east", credit=2, parallel=2, cost=FOUR)
    bench.agent("west", credit=2, parallel=2, cost=FOUR)
    tasks = [bench.submit("ana") for _ in range(8)]
    starts = [times(bench, task_id)[0] for task_id in tasks]
    assert starts == [0.0] * 4 + [4.0] * 4


def test_what_waits_is_told_by_what_was_learnt_since(one: Bench):
    """The driver says 4 s, it takes 40 ms: those that came before that was known are not told minutes."""
    one.user("bea")
    tasks = [one.submit("ana") for _ in range(10)]
    for task_id in tasks[:3]:
        one.started(one.ref(task_id))
        one.finish(one.ref(task_id), device_s=0.04)
    last = times(one, tasks[-1])[1]
    assert last == pytest.approx(7 * 0.04, rel=1.0)
    assert one.core.positions("dev") == {task_id: place for place, task_id in enumerate(tasks[5:])}


def test_an_estimate_is_counted_once(bench: Bench):
    """The first run took 1000 times what the driver says; the next is told about as long, with one sample."""
    bench.user("ana")
    bench.agent(cost=CostModel(t0_s=0.005))
    bench.finish(bench.ref(bench.submit("ana")), device_s=5.0)
    view = bench.core.view(bench.submit("ana"), None)
    assert 1.0 <= view.end.p50_s <= view.end.p90_s <= 15.0
    assert view.end.samples == 1


def test_a_device_says_when_all_that_it_holds_has_run(one: Bench):
    def cleared() -> float | None:
        (view,) = one.core.devices(None)
        return None if view.cleared is None else view.cleared.p50_s

    assert cleared() == 0.0
    first = one.submit("ana")
    for _ in range(3):
        one.submit("ana")
    one.started(one.ref(first))
    assert cleared() == 16.0
    one.tick(1_000)
    assert cleared() == 15.0
