"""What users are told of the queue: published by ticks, at most so often, on change, and worse only for a cause."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from qmio_jupyter.core import invariants
from qmio_jupyter.core.config import CoreConfig
from qmio_jupyter.core.effects import Accepted, Publish
from qmio_jupyter.core.inputs import CreateBooking
from qmio_jupyter.model.access import Booking, BookingKind
from qmio_jupyter.model.device import CostModel
from qmio_jupyter.model.task import Ahead, TaskState
from qmio_jupyter.testing.cores import Bench, dispatched, every, only


def told(step):
    """The (task, position, cause) of the published views of queued tasks."""
    views = [effect.view for effect in every(step, Publish)]
    return {view.task_id: (view.position, view.cause) for view in views if view.position is not None}


def test_a_reply_tells_the_position(busy: Bench):
    assert only(busy.do(busy.submission("ana")), Accepted).view.position is None
    for position in range(5):
        view = only(busy.do(busy.submission("ana")), Accepted).view
        assert (view.position, view.cause) == (position, "")
        # One runs (1 s, p90 twice that), the others follow one by one.
        assert view.start.p50_s == pytest.approx(1.0 + position)
        assert view.start.p90_s == pytest.approx(2 * view.start.p50_s)
        assert view.end.p50_s == pytest.approx(2.0 + position)
        assert view.start.samples == 0


def test_positions_are_published_by_ticks_at_most_so_often(busy: Bench):
    busy.submit("ana")
    tasks = [busy.submit("ana") for _ in range(3)]
    assert told(busy.tick()) == {}
    busy.cancel("ana", tasks[0])
    assert busy.core.next_deadline() == busy.now_ms + 200
    assert told(busy.tick(199)) == {}
    assert told(busy.tick(1)) == {tasks[1]: (0, ""), tasks[2]: (1, "")}
    assert told(busy.tick(200)) == {}


def test_a_long_queue_tells_positions_with_the_next_tick():
    bench = Bench(CoreConfig(position_in_reply=2, position_in_view=3))
    bench.user("ana")
    bench.agent(credit=0)
    bench.submit("ana")
    bench.submit("ana")
    request = bench.submission("ana")
    assert only(bench.do(request), Accepted).view.position is None
    assert bench.core.view(request.task_id, None).position == 2
    fourth = bench.submit("ana")
    assert bench.core.view(fourth, None).position is None
    step = bench.tick()
    assert told(step)[fourth] == (3, "")
    assert bench.core.view(fourth, None).position == 3
    assert bench.core.view(fourth, None).start is None


def test_whose_the_tasks_ahead_are_is_told(bench: Bench):
    bench.user("ana")
    bench.user("bea")
    bench.user("cid", "chemistry/cid")
    bench.agent(credit=0)
    bench.submit("ana")
    bench.submit("bea")
    third = bench.submission("ana")
    assert only(bench.do(third), Accepted).view.ahead == Ahead(own=1, account=1)
    last = bench.submit("cid")
    # The second account's turn comes after the first one's first task.
    assert bench.core.view(last, None).ahead == Ahead(others=1)
    assert bench.core.view(third.task_id, None).ahead == Ahead(own=1, account=1, others=1)


def test_a_change_of_whose_they_are_is_told_although_the_position_stays(busy: Bench):
    busy.user("cid", "chemistry/cid")
    busy.submit("ana")
    first, second = busy.submit("ana"), busy.submit("ana")
    busy.tick()
    assert busy.core.view(second, None).ahead == Ahead(own=1)
    busy.cancel("ana", first)
    busy.submit("cid")
    (view,) = [effect.view for effect in every(busy.tick(200), Publish) if effect.view.task_id == second]
    assert (view.position, view.ahead) == (1, Ahead(others=1))


def test_a_lighter_user_s_arrival_is_named(busy: Bench):
    busy.submit("ana")
    waits = [busy.submit("ana") for _ in range(3)]
    busy.tick()
    newcomer = busy.submission("bea")
    assert only(busy.do(newcomer), Accepted).view.position == 0
    cause = "a task of a lighter user arrived"
    assert told(busy.tick(200)) == {task_id: (index + 1, cause) for index, task_id in enumerate(waits)}


def test_a_view_that_is_asked_for_names_the_cause_and_the_publication_does_again(busy: Bench):
    busy.submit("ana")
    waits = busy.submit("ana")
    busy.tick()
    busy.submit("bea")
    for _ in range(2):
        view = busy.core.view(waits, "physics/ana")
        assert (view.position, view.cause) == (1, "a task of a lighter user arrived")
    assert told(busy.tick(200))[waits] == (1, "a task of a lighter user arrived")


def test_what_only_an_asker_was_told_is_not_forgotten(busy: Bench):
    """Published 1, an asker is told 0, then 1 is true again: that is worse than what she was told."""
    busy.submit("ana")
    first, second = busy.submit("ana"), busy.submit("ana")
    busy.tick()
    busy.cancel("ana", first)
    assert busy.core.view(second, None).position == 0
    busy.submit("bea")
    step = busy.tick(200)
    assert told(step)[second] == (1, "a task was cancelled; a task of a lighter user arrived")
    assert busy.core.view(second, None).cause == ""


def test_a_long_queue_repeats_what_the_asker_was_told_last():
    """Published 1, an asker is told 0, then the queue is too long for exact answers: she is told 0 again, not 1."""
    bench = Bench(CoreConfig(position_in_view=2))
    bench.user("ana")
    bench.user("bea", "chemistry/bea")
    bench.agent()
    bench.submit("ana")
    first, second = bench.submit("ana"), bench.submit("ana")
    bench.tick()
    bench.cancel("ana", first)
    assert bench.core.view(second, None).position == 0
    for _ in range(2):
        bench.submit("bea")
    view = bench.core.view(second, None)
    assert (view.position, view.cause) == (0, "")
    assert told(bench.tick(200))[second] == (1, "a task was cancelled; a task of a lighter user arrived")


def test_a_claim_that_comes_back_is_named(busy: Bench):
    lost = busy.submit("ana")
    busy.held(busy.ref(lost))
    waits = busy.submit("ana")
    busy.tick()
    step = busy.tick(15_000)
    assert told(step) == {
        lost: (0, "the lease ran out"),
        waits: (1, "the lease ran out: its task came back"),
    }


def test_a_silent_agent_is_heard_of_when_something_it_holds_ends(bench: Bench):
    """One lease has lapsed, another claim goes on: when that one ends, the booking still counts."""
    bench.user("ana")
    bench.user("bea", "chemistry/bea")
    bench.agent(credit=2, cost=CostModel(t0_s=20.0))
    lost, runs, waits = bench.submit("ana"), bench.submit("bea"), bench.submit("bea")
    booking = Booking(
        booking_id="b-1",
        device="dev",
        kind=BookingKind.EXCLUSIVE,
        holder="chemistry/bea",
        from_ms=bench.now_ms + 10_000,
        until_ms=bench.now_ms + 25_000,
    )
    bench.do(CreateBooking(origin=bench.origin("operator"), booking=booking))
    bench.held(bench.ref(lost))
    bench.tick(6_000)
    bench.started(bench.ref(runs))
    bench.tick(9_000)
    # The agent is left alone for a lease, until 30 s; but its other claim is expected to end at 20 s.
    assert bench.state_of(lost) is TaskState.QUEUED
    assert bench.core.positions("dev") == {waits: 0, lost: 1}
    assert bench.core.view(waits, None).start.p50_s == 11.0
    bench.tick(5_000)
    assert dispatched(bench.finish(bench.ref(runs))) == [waits]


def test_after_a_restart_the_restart_is_named(busy: Bench):
    busy.submit("ana")
    waits = busy.submit("ana")
    busy.tick()
    busy.restart()
    assert told(busy.tick()) == {waits: (0, "the gateway was restarted")}


def test_estimates_move_without_changes_of_the_queue(busy: Bench):
    """The running task takes longer than predicted: the one behind it is told, though its position stays."""
    busy.submit("ana")
    waits = busy.submit("ana")
    first = busy.core.view(waits, None)
    assert first.start.p50_s == 1.0
    busy.tick()
    step = busy.tick(5_000)
    assert told(step) == {waits: (0, "")}
    assert only(step, Publish).view.start.p50_s == 0.0
    assert only(step, Publish).view.revision == first.revision


def test_estimates_come_and_go_with_the_agents(bench: Bench):
    bench.user("ana")
    bench.enrol("agent")
    waits = bench.submit("ana")
    bench.tick()
    assert bench.core.view(waits, None).start is None
    bench.agent(credit=0)
    assert bench.core.view(waits, None).start is None
    second = bench.submit("ana")
    bench.tick(200)
    bench.agent(cost=CostModel(t0_s=3.0))
    # The first was charged before anything was known of the device; how long it takes is told as it is known now.
    assert told(bench.tick(200)) == {second: (0, "")}
    assert bench.core.view(second, None).start.p50_s == 2.8


def test_a_running_task_s_end_is_estimated(busy: Bench):
    task_id = busy.submit("ana")
    busy.started(busy.ref(task_id))
    busy.tick(400)
    view = busy.core.view(task_id, None)
    assert (view.end.p50_s, view.position, view.start) == (0.6, None, None)
    busy.tick(5_000)
    assert busy.core.view(task_id, None).end.p50_s == 0


def test_a_device_that_runs_two_at_once_serves_in_parallel(bench: Bench):
    bench.user("ana")
    bench.agent(credit=2, parallel=2, cost=CostModel(t0_s=4.0))
    bench.submit("ana")
    bench.tick(1_000)
    bench.submit("ana")
    starts = [only(bench.do(bench.submission("ana")), Accepted).view.start.p50_s for _ in range(3)]
    assert starts == [3.0, 4.0, 7.0]


def test_an_agent_with_more_claims_than_credit_is_free_when_the_last_end(bench: Bench):
    bench.user("ana")
    bench.agent(credit=2, parallel=2, cost=CostModel(t0_s=4.0))
    bench.submit("ana")
    bench.tick(1_000)
    bench.submit("ana")
    refs = tuple(claim.ref for claim in bench.core.state.claims.values())
    bench.agent(credit=1, parallel=2, holding=refs, cost=CostModel(t0_s=4.0))
    assert only(bench.do(bench.submission("ana")), Accepted).view.start.p50_s == 4.0


def test_learning_corrects_estimates_never_the_order(busy: Bench):
    tasks = [busy.submit(user) for user in ("ana", "ana", "bea", "ana", "bea")]
    order = busy.core.positions("dev")
    busy.finish(busy.ref(tasks[0]), device_s=50.0)
    assert busy.core.state.devices["dev"].row.model.samples == 1
    after = busy.core.positions("dev")
    started = next(task_id for task_id, position in order.items() if position == 0)
    assert started in busy.core.state.claims
    assert after == {task_id: position - 1 for task_id, position in order.items() if position}


def test_queries_of_what_is_not_there(bench: Bench):
    assert bench.core.positions("none") == {}
    assert bench.core.devices(None) == ()
    assert bench.core.bookings(None) == ()
    assert bench.core.view("t-none", None) is None
    assert bench.core.next_deadline() is None
    assert bench.core.live_tasks == bench.core.agents_present == 0


def test_time_never_goes_back(busy: Bench):
    waits = busy.submit("ana")
    busy.held(busy.ref(waits))
    busy.now_ms -= 1_000_000
    busy.submit("ana")
    assert busy.core.state.now_ms == busy.now_ms + 1_000_000
    busy.now_ms += 1_000_000
    busy.tick(14_999)
    assert busy.state_of(waits) is TaskState.CLAIMED


def test_an_epoch_must_rise(bench: Bench):
    from qmio_jupyter.core.core import Core

    with pytest.raises(ValueError, match="epoch 1 is not above"):
        Core(bench.config, bench.ledger.load_live(), 1, bench.now_ms)


def test_a_worse_position_without_a_cause_is_a_defect(busy: Bench):
    busy.submit("ana")
    busy.submit("ana")
    second = busy.submit("ana")
    busy.tick()
    device = busy.core.state.devices["dev"]
    device.shown[second] = replace(device.shown[second], lowest=0)
    assert busy.core.view(second, None).cause == "the queue was put in order"
    assert invariants.check(busy.core) == [f"dev: position got worse without a cause: {second}: 0 -> 1"]
    device.unexplained.clear()


def test_a_very_long_queue_is_published_less_often():
    bench = Bench()
    bench.check = lambda: None
    bench.user("ana")
    bench.agent(credit=0)
    for _ in range(2_000):
        bench.submit("ana")
    bench.tick()
    bench.submit("ana")
    assert bench.core.next_deadline() == bench.now_ms + 600
    assert len(told(bench.tick(600))) == 1
