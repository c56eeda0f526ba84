"""Every edge of the task table is reachable, each shown with its whole step; every other move is refused."""

from __future__ import annotations

import itertools

import pytest
from msgspec.structs import replace

from qmio_jupyter.core.effects import (
    AbortClaim,
    Accepted,
    ClaimRecorded,
    Dispatch,
    Publish,
    TaskShown,
)
from qmio_jupyter.core.inputs import GiveBack, Progress
from qmio_jupyter.core.records import (
    DeviceSaved,
    ProgramStored,
    ResultStored,
    TaskInserted,
    TaskUpdated,
    UsageSaved,
)
from qmio_jupyter.core.task import EDGE_CAUSES, EDGES, IllegalMoveError, move
from qmio_jupyter.model.ids import seed_from
from qmio_jupyter.model.task import Contract, StalePolicy, TaskOptions, TaskState
from qmio_jupyter.testing.cores import Bench, code, every, only, program, result, snapshot
from qmio_jupyter.testing.ledgers import new_task

Q, C, R, X = TaskState.QUEUED, TaskState.CLAIMED, TaskState.RUNNING, TaskState.CANCELLING
DONE, FAILED, CANCELLED = TaskState.COMPLETED, TaskState.FAILED, TaskState.CANCELLED


def moved(step):
    """The (from, to) of every record of a step that moves a task."""
    return [
        (record.expect_state, record.task.state)
        for record in step.records
        if isinstance(record, TaskUpdated) and record.expect_state is not record.task.state
    ]


def kinds(values):
    return [type(value) for value in values]


@pytest.mark.parametrize(("start", "to"), list(itertools.product(TaskState, TaskState)))
def test_only_the_table_s_moves_are_made(start, to):
    task = replace(new_task(1), state=start)
    if (start, to) in EDGES:
        new, record = move(task, to, task.updated_ms + 5)
        assert (new.state, new.revision, new.updated_ms) == (to, 2, task.updated_ms + 5)
        assert record == TaskUpdated(
            task=new, expect_state=start, expect_revision=1, expect_epoch=0, expect_attempt=0
        )
    else:
        with pytest.raises(IllegalMoveError, match="no edge"):
            move(task, to, task.updated_ms)


def test_final_states_have_no_way_out():
    assert not [edge for edge in EDGES if edge[0].is_final]
    assert set(EDGE_CAUSES) == EDGES


def test_a_timeline_keeps_its_beginning_and_its_end(busy: Bench):
    task_id = busy.submit("ana")
    for _ in range(50):
        busy.do(GiveBack(origin=busy.origin("agent"), ref=busy.ref(task_id)))
        busy.tick(1_000)
    step = busy.finish(busy.ref(task_id))
    stages = [stamp.stage for stamp in only(step, Publish).view.timeline]
    assert len(stages) == 64
    assert stages[:2] == ["accepted", "queued"]
    assert stages[-6:] == ["requeued", "claimed", "compiled", "on_device", "measured", "recorded"]


def test_a_change_never_goes_back_in_time():
    task = new_task(1)
    assert move(task, C, 0)[0].updated_ms == task.updated_ms


def test_submit_to_an_idle_device_is_accepted_and_dispatched_in_one_step(bench: Bench):
    bench.user("ana")
    shot = snapshot("dev")
    bench.agent(snapshot=shot)
    request = bench.submission("ana")
    step = bench.do(request)
    assert kinds(step.records) == [ProgramStored, TaskInserted, TaskUpdated, UsageSaved]
    assert kinds(step.effects) == [Accepted, Dispatch]
    accepted, dispatch = step.effects
    assert accepted.origin == request.origin
    assert (accepted.view.state, accepted.view.revision, accepted.view.attempt) == (C, 2, 1)
    assert not accepted.from_index
    assert [stamp.stage for stamp in accepted.view.timeline] == ["accepted", "queued", "claimed"]
    assert dispatch == Dispatch(
        connection=bench.connections["agent"],
        agent="agent",
        ref=bench.ref(request.task_id),
        spec=request.spec,
        contract=Contract(
            programs=(program().digest,),
            seed=seed_from(request.task_id),
            snapshot_id=shot.snapshot_id,
            batch_shots=1_000_000,
        ),
        tenant="physics/ana",
        lease_s=15.0,
        is_repeatable=True,
    )
    assert [(row.node, row.seconds) for row in step.records[3].rows] == [
        ("physics", 1.0),
        ("physics/ana", 1.0),
    ]


def test_queued_claimed_running_completed(busy: Bench):
    task_id = busy.submit("ana")
    ref = busy.ref(task_id)
    assert busy.held(ref).effects == ()
    step = busy.started(ref)
    assert moved(step) == [(C, R)]
    assert kinds(step.effects) == [Publish]
    step = busy.finish(ref)
    assert moved(step) == [(R, DONE)]
    assert kinds(step.records) == [DeviceSaved, ResultStored, TaskUpdated]
    assert kinds(step.effects) == [ClaimRecorded, Publish]
    view = step.effects[1].view
    assert [(stamp.stage, stamp.seconds) for stamp in view.timeline[3:]] == [
        ("compiled", 0.25),
        ("on_device", 0.5),
        ("measured", 0.125),
        ("recorded", None),
    ]
    assert view.shots_done == view.shots == 100
    assert busy.core.view(task_id, "physics/ana") is None


def test_the_word_that_it_started_is_not_needed(busy: Bench):
    ref = busy.ref(busy.submit("ana"))
    assert moved(busy.finish(ref)) == [(C, DONE)]


@pytest.mark.parametrize("is_started", [False, True])
def test_a_failure_is_recorded(busy: Bench, is_started):
    ref = busy.ref(busy.submit("ana"))
    if is_started:
        busy.started(ref)
    step = busy.finish(ref, state=FAILED)
    assert moved(step) == [(R if is_started else C, FAILED)]
    error = only(step, Publish).view.error
    assert (error.code, error.message, error.hint) == ("program", "it is wrong", "Correct the named place.")


@pytest.mark.parametrize("is_started", [False, True])
def test_a_lapsed_claim_is_queued_again_and_then_fails(busy: Bench, is_started):
    task_id = busy.submit("ana")
    ref = busy.ref(task_id)
    busy.held(ref)
    if is_started:
        busy.started(ref)
    assert moved(busy.tick(14_999)) == []
    step = busy.tick(1)
    assert moved(step) == [(R if is_started else C, Q)]
    assert every(step, AbortClaim) == [AbortClaim(connection=busy.connections["agent"], ref=ref)]
    view = only(step, Publish).view
    assert (view.state, view.position, view.cause) == (Q, 0, "the lease ran out")
    assert busy.core.state.devices["dev"].ready.usage.of("physics") == 0
    # The silent agent is left alone for a lease, then tried again.
    assert moved(busy.tick(14_999)) == []
    assert moved(busy.tick_to_deadline()) == [(Q, C)]
    again = busy.ref(task_id)
    assert (again.attempt, again.epoch) == (2, 1)
    busy.held(again)
    if is_started:
        busy.started(again)
    step = busy.tick(15_000)
    assert moved(step) == [(R if is_started else C, FAILED)]
    assert only(step, Publish).view.error.code == "task.lost_agent"


def test_an_unacknowledged_lapse_costs_a_repeatable_device_no_attempt(busy: Bench):
    task_id = busy.submit("ana")
    for attempt in range(2, 6):
        busy.tick(15_000)
        assert busy.state_of(task_id) is Q
        busy.tick(15_000)
        assert busy.ref(task_id).attempt == attempt
    assert busy.core.state.tasks[task_id].lapses == 0


def test_an_unacknowledged_lapse_counts_on_a_device_that_may_not_run_twice(bench: Bench):
    bench.user("ana")
    bench.agent(repeatable=False, max_attempts=1)
    task_id = bench.submit("ana")
    assert moved(bench.tick(15_000)) == [(C, FAILED)]
    assert bench.state_of(task_id) is FAILED


def test_the_user_s_limit_of_attempts_counts(bench: Bench):
    bench.user("ana")
    bench.agent(max_attempts=1)
    task_id = bench.submit("ana", options=TaskOptions(max_attempts=2))
    bench.held(bench.ref(task_id))
    assert moved(bench.tick(15_000)) == [(C, Q)]


@pytest.mark.parametrize("is_started", [False, True])
def test_a_claim_given_back_costs_nothing(busy: Bench, is_started):
    task_id = busy.submit("ana")
    ref = busy.ref(task_id)
    if is_started:
        busy.started(ref)
    request = GiveBack(origin=busy.origin("agent"), ref=ref, reason="shutting down")
    step = busy.do(request)
    assert moved(step) == [(R if is_started else C, Q)]
    assert kinds(step.effects) == [ClaimRecorded, Publish]
    assert step.effects[1].view.cause == "the agent gave it back (shutting down)"
    task = busy.core.state.tasks[task_id]
    assert (task.lapses, task.attempt, task.submitted_ms) == (0, 1, task.timeline[0].at_ms)
    # Again: answered alike, nothing changes; the agent is left alone for a second.
    assert kinds(busy.do(request).effects) == [ClaimRecorded]
    assert moved(busy.tick(999)) == []
    assert moved(busy.tick_to_deadline()) == [(Q, C)]
    assert code(busy.do(request)) == "task.stale_claim"


def test_cancelled_while_it_waits(busy: Bench):
    busy.submit("ana")
    task_id = busy.submit("ana")
    step = busy.cancel("ana", task_id)
    assert moved(step) == [(Q, CANCELLED)]
    assert kinds(step.effects) == [TaskShown]
    assert step.effects[0].view.state is CANCELLED


@pytest.mark.parametrize("is_started", [False, True])
@pytest.mark.parametrize("last", [CANCELLED, DONE, FAILED])
def test_cancelled_through_its_agent_or_the_end_comes_first(busy: Bench, is_started, last):
    task_id = busy.submit("ana")
    ref = busy.ref(task_id)
    if is_started:
        busy.started(ref)
    step = busy.cancel("ana", task_id)
    assert moved(step) == [(R if is_started else C, X)]
    assert kinds(step.effects) == [TaskShown, AbortClaim]
    assert busy.cancel("ana", task_id).records == ()
    step = busy.finish(ref, state=last)
    assert moved(step) == [(X, last)]
    step = busy.cancel("ana", task_id)
    assert kinds(step.effects) == [TaskShown]
    assert step.effects[0].from_index
    assert (step.effects[0].view.state, step.records) == (last, ())


def test_an_abort_is_repeated_until_answered(busy: Bench):
    task_id = busy.submit("ana")
    ref = busy.ref(task_id)
    busy.cancel("ana", task_id)
    for _ in range(3):
        step = busy.tick_to_deadline()
        assert step.effects == (AbortClaim(connection=busy.connections["agent"], ref=ref),)


def test_a_cancelled_claim_that_lapses_is_cancelled(busy: Bench):
    task_id = busy.submit("ana")
    busy.cancel("ana", task_id)
    assert moved(busy.tick(15_000)) == [(X, CANCELLED)]


def test_a_cancelled_claim_given_back_is_cancelled(busy: Bench):
    task_id = busy.submit("ana")
    ref = busy.ref(task_id)
    busy.cancel("ana", task_id)
    step = busy.do(GiveBack(origin=busy.origin("agent"), ref=ref))
    assert moved(step) == [(X, CANCELLED)]
    again = busy.do(GiveBack(origin=busy.origin("agent"), ref=ref))
    assert kinds(again.effects) == [ClaimRecorded]


@pytest.mark.parametrize("last", [DONE, FAILED])
def test_a_late_end_is_good_while_nobody_claimed_again(busy: Bench, last):
    task_id = busy.submit("ana")
    ref = busy.ref(task_id)
    busy.held(ref)
    busy.tick(15_000)
    step = busy.finish(ref, state=last)
    assert moved(step) == [(Q, last)]
    assert kinds(step.effects) == [ClaimRecorded, Publish]


def test_a_late_end_is_stale_once_somebody_claimed_again(busy: Bench):
    task_id = busy.submit("ana")
    ref = busy.ref(task_id)
    busy.held(ref)
    busy.tick(15_000)
    busy.agent("other")
    assert busy.ref(task_id).attempt == 2
    assert code(busy.finish(ref)) == "task.stale_claim"
    assert busy.state_of(task_id) is C


def test_a_late_cancellation_of_a_lapsed_claim_changes_nothing(busy: Bench):
    task_id = busy.submit("ana")
    ref = busy.ref(task_id)
    busy.held(ref)
    busy.tick(15_000)
    step = busy.finish(ref, state=CANCELLED)
    # The agent is heard of again: it gets the task anew.
    assert kinds(step.effects) == [ClaimRecorded, Dispatch, Publish]
    assert moved(step) == [(Q, C)]
    assert busy.ref(task_id).attempt == 2


def test_an_agent_that_stops_unasked_loses_the_claim(busy: Bench):
    task_id = busy.submit("ana")
    ref = busy.ref(task_id)
    busy.started(ref)
    step = busy.finish(ref, state=CANCELLED)
    assert moved(step) == [(R, Q), (Q, C)]
    assert busy.ref(task_id).attempt == 2
    assert busy.core.state.tasks[task_id].lapses == 1


def test_a_queued_task_fails_when_its_snapshot_is_gone(bench: Bench):
    bench.user("ana")
    old, new = snapshot("dev", 1), snapshot("dev", 2)
    bench.agent(credit=0, snapshot=old)
    asked = bench.submit("ana", options=TaskOptions(snapshot=old.snapshot_id))
    strict = bench.submit("ana", options=TaskOptions(compiled_for=old.snapshot_id, stale=StalePolicy.REFUSE))
    lax = bench.submit("ana", options=TaskOptions(compiled_for=old.snapshot_id))
    step = bench.agent(credit=1, snapshot=new)
    assert moved(step) == [(Q, FAILED), (Q, FAILED), (Q, C)]
    assert bench.state_of(asked) is bench.state_of(strict) is FAILED
    assert bench.core.state.tasks[lax].contract.snapshot_id == new.snapshot_id


def _claimed(bench):
    return bench.ref(bench.submit("ana"))


def _running(bench):
    ref = _claimed(bench)
    bench.started(ref)
    return ref


def _cancelling(bench):
    ref = _running(bench)
    bench.cancel("ana", ref.task_id)
    return ref


def _lapsed(bench):
    ref = _running(bench)
    bench.tick(15_000)
    return ref


def _waiting(bench):
    bench.submit("ana")
    return bench.submit("ana")


WALKS = {
    (Q, C): _claimed,
    (Q, CANCELLED): lambda bench: bench.cancel("ana", _waiting(bench)),
    (Q, DONE): lambda bench: bench.finish(_lapsed(bench)),
    (Q, FAILED): lambda bench: bench.finish(_lapsed(bench), state=FAILED),
    (C, R): _running,
    (C, Q): lambda bench: (_claimed(bench), bench.tick(15_000)),
    (C, X): lambda bench: bench.cancel("ana", _claimed(bench).task_id),
    (C, DONE): lambda bench: bench.finish(_claimed(bench)),
    (C, FAILED): lambda bench: bench.finish(_claimed(bench), state=FAILED),
    (R, Q): _lapsed,
    (R, X): _cancelling,
    (R, DONE): lambda bench: bench.finish(_running(bench)),
    (R, FAILED): lambda bench: bench.finish(_running(bench), state=FAILED),
    (X, CANCELLED): lambda bench: bench.finish(_cancelling(bench), state=CANCELLED),
    (X, DONE): lambda bench: bench.finish(_cancelling(bench)),
    (X, FAILED): lambda bench: bench.finish(_cancelling(bench), state=FAILED),
}


@pytest.mark.parametrize(("start", "to"), sorted(EDGES))
def test_every_edge_is_reachable(busy: Bench, start, to):
    WALKS[start, to](busy)
    assert busy.watch.edges[start, to] == 1


def test_a_repeated_end_is_recorded_once(busy: Bench):
    ref = busy.ref(busy.submit("ana"))
    busy.finish(ref)
    again = busy.finish(ref)
    assert again.records == ()
    assert kinds(again.effects) == [ClaimRecorded]
    assert code(busy.finish(ref, state=FAILED)) == "task.stale_claim"
    assert code(busy.finish(replace(ref, attempt=2))) == "task.stale_claim"
    assert code(busy.finish(replace(ref, epoch=2))) == "task.stale_claim"


def test_partial_counts(busy: Bench):
    task_id = busy.submit("ana")
    ref = busy.ref(task_id)
    step = busy.progress(ref, done=30)
    assert moved(step) == [(C, R)]
    assert kinds(step.records) == [ResultStored, TaskUpdated]
    assert not step.records[0].result.is_final
    assert only(step, Publish).view.shots_done == 30
    assert busy.progress(ref, done=30).records == ()
    assert busy.progress(ref, revision=2, done=1000).records[1].task.shots_done == 100
    # Older in shots than what is known: kept as a result, the number shown does not go back.
    assert kinds(busy.progress(ref, revision=3, done=10).records) == [ResultStored]
    foreign = result(replace(ref, task_id="t-0"), revision=9)
    assert busy.do(Progress(origin=busy.origin("agent"), ref=ref, result=foreign)).records == ()


def test_a_task_whose_snapshot_went_while_it_ran_does_not_come_back(bench: Bench):
    bench.user("ana")
    old, new = snapshot("dev", 1), snapshot("dev", 2)
    bench.agent(snapshot=old)
    ref = bench.ref(bench.submit("ana", options=TaskOptions(snapshot=old.snapshot_id)))
    bench.held(ref)
    bench.agent(snapshot=new, holding=(ref,))
    step = bench.tick(15_000)
    assert moved(step) == [(C, FAILED)]
    assert only(step, Publish).view.error.code == "device.snapshot"
