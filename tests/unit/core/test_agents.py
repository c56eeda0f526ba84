"""Agents: who may speak, incarnations, links, credit, redispatch, what restarts of either side do."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from qmio_jupyter.core.effects import (
    AbortClaim,
    AgentWelcomed,
    ClaimRecorded,
    CloseConnections,
    Dispatch,
    Publish,
    Refused,
    Renewed,
)
from qmio_jupyter.core.inputs import Announce, Disconnected, EnrolKey, Finish, GiveBack, Renew, RevokeKey
from qmio_jupyter.core.records import (
    DeviceSaved,
    EnrolmentDropped,
    EnrolmentSaved,
    EpochSaved,
    SnapshotSaved,
    TaskUpdated,
)
from qmio_jupyter.model.access import Enrolment, Role
from qmio_jupyter.model.device import DeviceState
from qmio_jupyter.model.result import Outcome
from qmio_jupyter.model.task import ClaimRef, TaskState
from qmio_jupyter.testing.cores import Bench, aborts, code, dispatched, every, only, result, snapshot

Q, C, R, X = TaskState.QUEUED, TaskState.CLAIMED, TaskState.RUNNING, TaskState.CANCELLING


def kinds(values):
    return [type(value) for value in values]


def test_an_enrolled_agent_makes_its_device_known(bench: Bench):
    step = bench.enrol("agent")
    assert kinds(step.records) == [EnrolmentSaved, DeviceSaved]
    assert bench.enrol("agent").records == ()
    assert bench.core.enrolment("agent").role is Role.AGENT
    (view,) = bench.core.devices(None)
    assert (view.state, view.agents, view.queued) == (DeviceState.OFFLINE, 0, 0)
    # Tasks may wait for it, even with options that only the agent can judge.
    bench.user("ana")
    task_id = bench.submit("ana")
    assert bench.core.view(task_id, "physics/ana").start is None
    assert dispatched(bench.agent()) == [task_id]


def test_announcing(bench: Bench):
    bench.enrol("agent")
    shot = snapshot("dev")
    step = bench.agent(snapshot=shot)
    assert kinds(step.records) == [SnapshotSaved, DeviceSaved]
    assert step.effects == (AgentWelcomed(origin=step.effects[0].origin, lease_s=15.0),)
    assert bench.agent(snapshot=shot).records == ()
    (view,) = bench.core.devices(None)
    assert (view.state, view.agents, view.snapshot_id) == (DeviceState.IDLE, 1, shot.snapshot_id)
    assert bench.core.agents_present == 1
    older = snapshot("dev", 0)
    bench.agent(snapshot=older)
    assert bench.core.devices(None)[0].snapshot_id == shot.snapshot_id


def test_who_may_not_announce(bench: Bench):
    bench.agent()
    request = Announce(
        origin=bench.origin("stranger"),
        agent="agent",
        incarnation=9,
        sequence=1,
        description=bench.core.devices(None)[0].description,
        state=DeviceState.IDLE,
        credit=1,
    )
    assert code(bench.do(request)) == "auth.role"
    own = replace(request, origin=bench.origin("agent"))
    other = replace(own.description, name="other")
    assert code(bench.do(replace(own, description=other))) == "auth.role"
    assert code(bench.do(replace(own, incarnation=0))) == "agent"
    assert code(bench.do(replace(own, agent="a b"))) == "usage"
    assert code(bench.do(replace(own, snapshot=snapshot("other")))) == "device"
    forged = replace(snapshot("dev"), data=b"{}")
    assert code(bench.do(replace(own, snapshot=forged))) == "wire.digest"
    user = Enrolment(key="ana", role=Role.USER)
    bench.do(EnrolKey(origin=bench.origin("operator"), enrolment=user))
    assert code(bench.do(replace(own, origin=bench.origin("ana")))) == "auth.role"


def test_a_late_or_doubled_announcement_changes_nothing(busy: Bench):
    task_id = busy.submit("ana")
    ref = busy.ref(task_id)
    late = Announce(
        origin=replace(busy.origin("agent"), connection=99),
        agent="agent",
        incarnation=1,
        sequence=1,
        description=busy.core.devices(None)[0].description,
        state=DeviceState.ERROR,
        credit=0,
        holding=(ref, replace(ref, attempt=7)),
    )
    step = busy.do(late)
    assert step.records == ()
    assert aborts(step) == (replace(ref, attempt=7),)
    agent = busy.core.state.devices["dev"].agents["agent"]
    assert (agent.connection, agent.credit) == (busy.connections["agent"], 1)


@pytest.mark.parametrize(
    ("asked", "given"), [(-5, 0), (0, 0), (3, 3), (10**9, 8)], ids=["negative", "none", "some", "all"]
)
def test_an_agent_never_holds_more_than_its_credit(bench: Bench, asked, given):
    bench.user("ana")
    bench.agent(credit=asked)
    for _ in range(8):
        bench.submit("ana")
    assert len(bench.core.state.claims) == given
    # Credit lowered below what it holds: nothing new, nothing taken away.
    refs = tuple(claim.ref for claim in bench.core.state.claims.values())
    assert dispatched(bench.agent(credit=1, holding=refs)) == ([] if given else list(bench.core.state.claims))


def test_the_agent_with_most_credit_to_spare_is_served_first(bench: Bench):
    bench.user("ana")
    bench.agent("b", credit=2)
    bench.agent("a", credit=2)
    bench.agent("c", credit=1)
    got = [bench.core.state.tasks[bench.submit("ana")].agent for _ in range(5)]
    assert got == ["a", "b", "a", "b", "c"]


@pytest.mark.parametrize("state", sorted(DeviceState))
def test_only_working_devices_get_tasks(bench: Bench, state):
    bench.user("ana")
    bench.agent(state=state)
    task_id = bench.submit("ana")
    working = {DeviceState.IDLE, DeviceState.BUSY, DeviceState.DEGRADED}
    assert bench.state_of(task_id) is (C if state in working else Q)
    view = bench.core.devices(None)[0]
    # A device said to be idle is shown busy while it runs something.
    assert view.state is (DeviceState.BUSY if state is DeviceState.IDLE else state)


def test_an_unacknowledged_dispatch_is_sent_again(busy: Bench):
    ref = busy.ref(busy.submit("ana"))
    for _ in range(3):
        assert busy.tick(999).effects == ()
        step = busy.tick_to_deadline()
        assert (only(step, Dispatch).ref, step.records) == (ref, ())
    # Announcing starts the wait anew.
    busy.tick(500)
    assert only(busy.agent(), Dispatch).ref == ref
    assert busy.tick(999).effects == ()
    assert only(busy.tick(1), Dispatch).ref == ref
    busy.held(ref)
    assert busy.tick(5_000).effects == ()


def test_nothing_is_sent_to_a_link_that_is_gone(busy: Bench):
    first = busy.submit("ana")
    second = busy.submit("ana")
    step = busy.do(Disconnected(connection=busy.connections["agent"]))
    assert kinds(step.records) == [DeviceSaved]
    assert busy.do(Disconnected(connection=12345)).records == ()
    assert busy.tick(2_000).effects[1:] == ()
    assert busy.core.devices(None)[0].state is DeviceState.OFFLINE
    step = busy.cancel("ana", first)
    assert every(step, AbortClaim) == []
    busy.tick(15_000)
    assert busy.state_of(first) is TaskState.CANCELLED
    assert busy.state_of(second) is Q
    assert dispatched(busy.agent()) == [second]


def test_renewing_keeps_a_claim_and_tells_what_to_stop(busy: Bench):
    ref = busy.ref(busy.submit("ana"))
    stale = replace(ref, attempt=2)
    absent = ClaimRef(task_id="t-none", epoch=1, attempt=1)
    for _ in range(4):
        step = busy.do(Renew(origin=busy.origin("agent"), refs=(ref, stale, absent)), after_ms=14_000)
        assert step.records == ()
        assert only(step, Renewed).abort == (stale, absent)
    assert busy.state_of(ref.task_id) is C
    step = busy.do(Renew(origin=busy.origin("agent"), refs=(ref,), stages=("compiling",)))
    assert kinds(step.records) == [TaskUpdated]
    assert only(step, Publish).view.stage == "compiling"
    busy.cancel("ana", ref.task_id)
    assert only(busy.do(Renew(origin=busy.origin("agent"), refs=(ref,))), Renewed).abort == (ref,)


def test_being_heard_of_ends_the_silence(busy: Bench):
    ref = busy.ref(busy.submit("ana"))
    busy.held(ref)
    second = busy.submit("ana")
    busy.tick(15_000)
    assert busy.core.state.devices["dev"].agents["agent"].silent_until_ms
    assert busy.state_of(second) is Q
    step = busy.do(Renew(origin=busy.origin("agent"), refs=(ref,)))
    assert only(step, Renewed).abort == (ref,)
    assert dispatched(step) == [ref.task_id]


@pytest.mark.parametrize("what", ["held", "started", "progress"])
def test_messages_of_a_stale_claim_are_told_to_stop(busy: Bench, what):
    ref = busy.ref(busy.submit("ana"))
    say = getattr(busy, what)
    for wrong in (replace(ref, attempt=2), replace(ref, epoch=2), replace(ref, task_id="t-none")):
        step = say(wrong)
        assert step.records == ()
        assert step.effects == (AbortClaim(connection=busy.connections["agent"], ref=wrong),)
    busy.cancel("ana", ref.task_id)
    step = say(ref)
    assert (step.records, kinds(step.effects)) == ((), [AbortClaim])


def test_started_twice_changes_nothing(busy: Bench):
    ref = busy.ref(busy.submit("ana"))
    busy.started(ref)
    assert busy.started(ref).records == ()


def test_nobody_speaks_for_another_s_claim(busy: Bench):
    ref = busy.ref(busy.submit("ana"))
    busy.agent("other")
    busy.agent("elsewhere", device="dev2")
    for name in ("other", "elsewhere"):
        assert every(busy.started(ref, name), AbortClaim)
        assert code(busy.finish(ref, name)) == "task.stale_claim"
        assert busy.core.held(name, ref) is None
    for name in ("ana", "stranger"):
        assert code(busy.held(ref, name)) == "auth.role"
        assert code(busy.finish(ref, name)) == "auth.role"
        assert code(busy.do(Renew(origin=busy.origin(name), refs=(ref,)))) == "auth.role"
        assert busy.core.held(name, ref) is None
    assert busy.core.held("agent", ref).task_id == ref.task_id
    assert busy.state_of(ref.task_id) is C


def test_a_new_start_of_an_agent_loses_what_it_does_not_hold(busy: Bench):
    task_id = busy.submit("ana")
    ref = busy.ref(task_id)
    busy.started(ref)
    step = busy.agent(incarnation=2)
    assert busy.ref(task_id) == replace(ref, attempt=2)
    assert dispatched(step) == [task_id]
    assert busy.core.state.tasks[task_id].lapses == 1


def test_a_start_with_an_earlier_clock_counts_once_the_later_one_is_gone(busy: Bench):
    busy.agent(incarnation=100)
    ref = busy.ref(busy.submit("ana"))
    busy.started(ref)
    busy.sequences["agent"] = 0
    again = busy.core.state.devices["dev"].agents["agent"]
    assert again.incarnation == 100
    busy.do(Disconnected(connection=busy.connections["agent"]))
    step = busy.agent(incarnation=50)
    assert dispatched(step) == [ref.task_id]
    assert busy.ref(ref.task_id).attempt == 2


def test_a_new_start_keeps_what_it_holds(busy: Bench):
    ref = busy.ref(busy.submit("ana"))
    busy.started(ref)
    busy.tick(10_000)
    step = busy.agent(incarnation=2, holding=(ref,))
    assert aborts(step) == ()
    busy.tick(14_999)
    assert busy.state_of(ref.task_id) is R


def test_the_same_start_is_sent_again_what_it_has_not_heard_of(busy: Bench):
    ref = busy.ref(busy.submit("ana"))
    assert only(busy.agent(), Dispatch).ref == ref
    busy.started(ref)
    # It runs: an announcement that crossed the dispatch is no proof; the lease decides.
    assert every(busy.agent(), Dispatch) == []
    assert busy.state_of(ref.task_id) is R


def test_a_cancelled_claim_it_holds_is_aborted_again_not_disowned(busy: Bench):
    ref = busy.ref(busy.submit("ana"))
    busy.started(ref)
    busy.cancel("ana", ref.task_id)
    step = busy.agent(holding=(ref,))
    assert aborts(step) == ()
    assert only(step, AbortClaim).ref == ref


def test_a_cancelled_claim_it_never_heard_of_is_over(busy: Bench):
    ref = busy.ref(busy.submit("ana"))
    busy.cancel("ana", ref.task_id)
    busy.agent()
    assert busy.state_of(ref.task_id) is TaskState.CANCELLED


def test_a_cancelled_claim_it_once_held_waits_for_its_end(busy: Bench):
    ref = busy.ref(busy.submit("ana"))
    busy.started(ref)
    busy.cancel("ana", ref.task_id)
    busy.agent()
    assert busy.state_of(ref.task_id) is X


def test_what_is_held_and_is_not_its_own_is_disowned(busy: Bench):
    ref = busy.ref(busy.submit("ana"))
    busy.held(ref)
    busy.tick(15_000)
    assert aborts(busy.agent("other", holding=(ref,))) == (ref,)


def test_after_a_restart_leases_start_anew_and_agents_go_on(busy: Bench):
    ref = busy.ref(busy.submit("ana"))
    busy.started(ref)
    busy.restart(after_ms=60_000)
    assert busy.core.epoch == 2
    assert kinds(busy.core.start_records()) == [EpochSaved, TaskUpdated]
    assert busy.tick(14_999).records == ()
    step = busy.agent(holding=(ref,))
    assert aborts(step) == ()
    assert kinds(busy.finish(ref).effects) == [ClaimRecorded, Publish]


def test_after_a_restart_an_end_may_come_before_the_announcement(busy: Bench):
    ref = busy.ref(busy.submit("ana"))
    busy.restart()
    assert kinds(busy.finish(ref).effects) == [ClaimRecorded, Publish]
    assert kinds(busy.finish(ref).effects) == [ClaimRecorded]


def test_after_a_restart_a_claim_lapses_if_its_agent_stays_away(busy: Bench):
    ref = busy.ref(busy.submit("ana"))
    busy.started(ref)
    busy.restart()
    busy.tick(15_000)
    assert busy.state_of(ref.task_id) is Q


def test_after_a_restart_a_task_whose_dispatch_was_lost_is_claimed_anew(busy: Bench):
    """Not sent again: whether it is the same start of the agent only the clocks of two hosts could tell."""
    ref = busy.ref(busy.submit("ana"))
    busy.restart()
    step = busy.agent()
    assert only(step, AbortClaim).ref == ref
    assert only(step, Dispatch).ref == ClaimRef(task_id=ref.task_id, epoch=2, attempt=2)
    assert busy.core.state.tasks[ref.task_id].lapses == 0


def test_after_a_restart_what_runs_and_is_not_announced_is_left_to_its_lease(busy: Bench):
    ref = busy.ref(busy.submit("ana"))
    busy.started(ref)
    busy.restart()
    assert dispatched(busy.agent()) == []
    assert busy.state_of(ref.task_id) is R


@pytest.mark.parametrize("is_repeatable", [True, False])
def test_after_a_restart_a_new_start_of_the_agent_loses_its_claims(bench: Bench, is_repeatable):
    bench.user("ana")
    bench.agent(repeatable=is_repeatable, max_attempts=1)
    ref = bench.ref(bench.submit("ana"))
    bench.started(ref)
    bench.restart()
    bench.agent(repeatable=is_repeatable, max_attempts=1, incarnation=bench.now_ms + 1)
    assert bench.state_of(ref.task_id) is (C if is_repeatable else TaskState.FAILED)


def test_giving_back_what_is_not_held_is_stale(busy: Bench):
    ref = busy.ref(busy.submit("ana"))
    for wrong in (replace(ref, attempt=2), replace(ref, task_id="t-none")):
        assert code(busy.do(GiveBack(origin=busy.origin("agent"), ref=wrong))) == "task.stale_claim"
    busy.finish(ref)
    assert kinds(busy.do(GiveBack(origin=busy.origin("agent"), ref=ref)).effects) == [ClaimRecorded]
    assert (
        code(busy.do(GiveBack(origin=busy.origin("agent"), ref=replace(ref, epoch=5)))) == "task.stale_claim"
    )


def test_giving_back_after_a_restart_needs_no_announcement(busy: Bench):
    ref = busy.ref(busy.submit("ana"))
    busy.restart()
    step = busy.do(GiveBack(origin=busy.origin("agent"), ref=ref))
    assert only(step, Publish).view.cause == "the agent gave it back"
    assert busy.state_of(ref.task_id) is Q


@pytest.mark.parametrize(
    ("outcome", "expected", "message"),
    [
        (Outcome(state=TaskState.COMPLETED), "agent", "no result of this task"),
        (Outcome(state=TaskState.RUNNING), "agent", "ended it in state running"),
        (Outcome(state=TaskState.FAILED, error_code="made.up", error_message="x"), "agent", "x"),
        (Outcome(state=TaskState.FAILED, error_code="agent.memory"), "agent.memory", "ran out"),
        (Outcome(state=TaskState.FAILED, device_s=float("nan")), "agent", "An agent failed"),
        (Outcome(state=TaskState.FAILED, device_s=-1.0), "agent", "An agent failed"),
    ],
    ids=["no result", "no end", "made up code", "known code", "not a number", "negative"],
)
def test_an_agent_that_breaks_the_rules_fails_the_task(busy: Bench, outcome, expected, message):
    ref = busy.ref(busy.submit("ana"))
    busy.started(ref)
    step = busy.do(Finish(origin=busy.origin("agent"), ref=ref, outcome=outcome))
    error = only(step, Publish).view.error
    assert error.code == expected
    assert message in error.message


def test_a_result_of_another_task_fails_this_one(busy: Bench):
    ref = busy.ref(busy.submit("ana"))
    foreign = Outcome(state=TaskState.COMPLETED, result=result(replace(ref, task_id="t-none")))
    busy.do(Finish(origin=busy.origin("agent"), ref=ref, outcome=foreign))
    assert busy.state_of(ref.task_id) is TaskState.FAILED


def test_a_revoked_key_is_no_agent_s_any_more(busy: Bench):
    ref = busy.ref(busy.submit("ana"))
    step = busy.do(RevokeKey(origin=busy.origin("operator"), key="agent"))
    assert kinds(step.records) == [EnrolmentDropped, DeviceSaved]
    assert only(step, CloseConnections).key == "agent"
    assert busy.do(RevokeKey(origin=busy.origin("operator"), key="agent")).records == ()
    assert code(busy.finish(ref)) == "auth.role"
    assert busy.core.agents_present == 0
    busy.tick(15_000)
    assert busy.state_of(ref.task_id) is Q


def test_an_agent_enrolled_for_another_device_leaves_the_first(busy: Bench):
    busy.submit("ana")
    step = busy.enrol("agent", "dev2")
    assert kinds(step.records) == [EnrolmentSaved, DeviceSaved, DeviceSaved]
    assert busy.core.agents_present == 0


def test_a_user_s_revoked_key_closes_her_session(busy: Bench):
    step = busy.do(RevokeKey(origin=busy.origin("operator"), key="ana"))
    assert only(step, CloseConnections).key == "ana"
    assert busy.core.session_of("ana") is None
    assert not [effect for effect in step.effects if isinstance(effect, Refused)]


def test_a_bad_device_name_is_refused_at_enrolment(bench: Bench):
    enrolment = Enrolment(key="agent", role=Role.AGENT, device="no such name")
    assert code(bench.do(EnrolKey(origin=bench.origin("operator"), enrolment=enrolment))) == "usage"
