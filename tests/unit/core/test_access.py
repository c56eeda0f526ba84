"""Sessions and grants: opened, renewed, moved by activity, expired, closed; promised, bound once, spent, revoked."""

from __future__ import annotations

import math

import pytest
from msgspec.structs import replace

from qmio_jupyter.core.config import CoreConfig
from qmio_jupyter.core.effects import (
    Accepted,
    Acknowledged,
    CloseConnections,
    GrantShown,
    SessionShown,
    TaskShown,
)
from qmio_jupyter.core.inputs import (
    BindGrant,
    CloseSession,
    CreateGrant,
    EndJobSessions,
    OpenSession,
    QueryPrograms,
    RevokeGrant,
)
from qmio_jupyter.core.records import EpochSaved, GrantSaved, SessionSaved
from qmio_jupyter.model.task import TaskState
from qmio_jupyter.testing.cores import Bench, code, every, only


def kinds(values):
    return [type(value) for value in values]


def opening(bench: Bench, key: str = "ana", **changes) -> OpenSession:
    request = OpenSession(
        origin=bench.origin(key), session_id=f"s-{key}", uid=1, tenant="physics/ana", lease_s=60.0
    )
    return replace(request, **changes)


def ask(bench: Bench, key: str = "ana", after_ms: int = 0):
    """Do something that needs a session."""
    return bench.do(QueryPrograms(origin=bench.origin(key), digests=()), after_ms=after_ms)


def test_a_session_is_opened_once_and_renewed(bench: Bench):
    first = bench.do(opening(bench))
    session = only(first, SessionShown).session
    assert session.expires_ms == bench.now_ms + 60_000
    assert first.records == (SessionSaved(session=session),)
    again = bench.do(opening(bench, session_id="s-other"), after_ms=10_000)
    assert only(again, SessionShown).session == replace(session, expires_ms=bench.now_ms + 60_000)
    assert bench.core.session_of("ana").session_id == "s-ana"
    assert bench.core.session_of("nobody") is None


@pytest.mark.parametrize(
    "changes",
    [{"uid": 2}, {"tenant": "physics/eve"}, {"cluster": "c"}, {"job_id": "9"}, {"grant_id": "g"}],
    ids=lambda changes: next(iter(changes)),
)
def test_a_key_s_session_is_one_identity(bench: Bench, changes):
    bench.do(opening(bench))
    assert code(bench.do(opening(bench, **changes))) == "auth.credential"


@pytest.mark.parametrize("lease_s", [0.0, -1.0, math.nan, math.inf, 1e18])
def test_a_lease_is_a_number_of_seconds(bench: Bench, lease_s):
    assert code(bench.do(opening(bench, lease_s=lease_s))) == "auth.credential"


@pytest.mark.parametrize("tenant", ["", "/ana"])
def test_a_session_needs_a_tenant(bench: Bench, tenant):
    assert code(bench.do(opening(bench, tenant=tenant))) == "auth.credential"


def test_a_session_id_is_taken_once(bench: Bench):
    bench.do(opening(bench))
    assert code(bench.do(opening(bench, "bea", session_id="s-ana"))) == "auth.session"


def test_a_session_runs_out_and_activity_moves_it(bench: Bench):
    bench.do(opening(bench))
    # In its first half the lease is left alone, then moved and recorded.
    assert ask(bench, after_ms=29_000).records == ()
    assert kinds(ask(bench, after_ms=2_000).records) == [SessionSaved]
    assert ask(bench).records == ()
    bench.tick(59_999)
    assert bench.core.session_of("ana") is not None
    step = bench.tick_to_deadline()
    assert only(step, CloseConnections).key == "ana"
    assert step.records[0].session.close_cause == "its lease ran out"
    assert code(ask(bench)) == "auth.session"
    assert bench.core.next_deadline() is None


def test_a_session_that_ran_out_unnoticed_is_closed_when_opened_anew(bench: Bench):
    bench.do(opening(bench))
    assert code(ask(bench, after_ms=60_000)) == "auth.session"
    step = bench.do(opening(bench, session_id="s-2"))
    assert [record.session.is_open for record in step.records] == [False, True]
    assert bench.core.session_of("ana").session_id == "s-2"


def test_an_embedded_session_never_runs_out(bench: Bench):
    bench.do(opening(bench, lease_s=None))
    assert bench.core.next_deadline() is None
    assert ask(bench, after_ms=10**12).records == ()
    # It may get a lease, and lose it again.
    bench.do(opening(bench, lease_s=5.0))
    bench.do(opening(bench, lease_s=None))
    bench.tick(5_000)
    assert bench.core.session_of("ana").expires_ms is None


def test_closing_a_session_loses_no_task(busy: Bench):
    first, second = busy.submit("ana"), busy.submit("ana")
    step = busy.do(CloseSession(origin=busy.origin("ana")))
    assert kinds(step.effects) == [Acknowledged, CloseConnections]
    assert code(busy.do(CloseSession(origin=busy.origin("ana")))) == "auth.session"
    busy.finish(busy.ref(first))
    busy.finish(busy.ref(second))
    assert busy.state_of(second) is TaskState.COMPLETED
    assert not [one for one in busy.core.state.sessions.values() if not one.is_open]


def test_a_task_of_a_closed_session_is_still_the_tenant_s(busy: Bench):
    task_id = busy.submit("ana")
    busy.do(CloseSession(origin=busy.origin("ana")))
    busy.restart()
    busy.user("ana")
    assert only(busy.cancel("ana", task_id), TaskShown).view.state is TaskState.CANCELLING


def test_sessions_end_with_their_slurm_job(bench: Bench):
    bench.do(opening(bench, cluster="c", job_id="7"))
    bench.do(opening(bench, "bea", cluster="c", job_id="8"))
    bench.do(opening(bench, "carla"))
    assert bench.do(EndJobSessions(cluster="other", job_id="7")).records == ()
    step = bench.do(EndJobSessions(cluster="c", job_id="7"))
    assert only(step, CloseConnections).key == "ana"
    assert step.records[0].session.close_cause == "its Slurm job ended"
    assert bench.do(EndJobSessions(cluster="", job_id="")).records == ()
    assert bench.core.session_of("bea")
    assert bench.core.session_of("carla")


def test_one_run_of_a_job_ends_and_the_next_goes_on(bench: Bench):
    bench.do(opening(bench, cluster="c", job_id="7", submit_ms=1))
    bench.do(opening(bench, "bea", cluster="c", job_id="7", submit_ms=2, restarts=1))
    assert [(run.submit_ms, run.restarts) for run in bench.core.job_runs()] == [(1, 0), (2, 1)]
    assert (
        code(bench.do(opening(bench, cluster="c", job_id="7", submit_ms=2, restarts=1))) == "auth.credential"
    )
    step = bench.do(EndJobSessions(cluster="c", job_id="7", run=(1, 0)))
    assert only(step, CloseConnections).key == "ana"
    assert bench.core.session_of("bea")
    assert not bench.core.has_session("ana")


def test_a_job_has_only_so_many_sessions():
    bench = Bench(CoreConfig(sessions_per_job=2))
    for key, job in (("ana", "7"), ("bea", "7"), ("carla", "8")):
        only(bench.do(opening(bench, key, cluster="c", job_id=job)), SessionShown)
    assert code(bench.do(opening(bench, "dora", cluster="c", job_id="7"))) == "limit.rate"
    only(bench.do(opening(bench, "ana", cluster="c", job_id="7")), SessionShown)
    bench.do(EndJobSessions(cluster="c", job_id="7"))
    only(bench.do(opening(bench, "dora", cluster="c", job_id="7")), SessionShown)


def test_after_a_restart_sessions_have_a_moment(bench: Bench):
    bench.do(opening(bench, lease_s=100.0))
    bench.do(opening(bench, "bea", session_id="s-b", lease_s=5_000.0))
    bench.restart(after_ms=1_000_000)
    assert kinds(bench.core.start_records()) == [EpochSaved, SessionSaved]
    bench.tick(59_999)
    assert bench.core.session_of("ana")
    bench.tick(1)
    assert bench.core.session_of("ana") is None
    # Its lease is not known any more: activity moves it by the default.
    bench.tick(3_000_000)
    assert kinds(ask(bench, "bea").records) == [SessionSaved]
    assert bench.core.session_of("bea").expires_ms == bench.now_ms + 3_600_000


# ---------------------------------------------------------------- grants


def granting(bench: Bench, issuer: str = "hub", **changes) -> CreateGrant:
    request = CreateGrant(
        origin=bench.origin(issuer), grant_id="g", uid=1, tenant="physics/ana", ttl_s=600.0, budget_s=5.0
    )
    return replace(request, **changes)


def binding(bench: Bench, issuer: str = "hub", **changes) -> BindGrant:
    request = BindGrant(origin=bench.origin(issuer), grant_id="g", cluster="c", job_id="7")
    return replace(request, **changes)


def with_grant(bench: Bench, key: str = "ana", **changes) -> OpenSession:
    return opening(bench, key, **{"cluster": "c", "job_id": "7", "grant_id": "g", **changes})


def test_a_grant_is_made_once(bench: Bench):
    step = bench.do(granting(bench))
    grant = only(step, GrantShown).grant
    assert step.records == (GrantSaved(grant=grant),)
    again = bench.do(granting(bench), after_ms=1_000)
    assert (again.records, only(again, GrantShown).grant) == ((), grant)
    assert code(bench.do(granting(bench, uid=2))) == "grant"
    assert code(bench.do(granting(bench, "hub2"))) == "grant"


@pytest.mark.parametrize(
    "changes",
    [
        {"ttl_s": 0.0},
        {"ttl_s": math.nan},
        {"ttl_s": math.inf},
        {"budget_s": -1.0},
        {"budget_s": math.inf},
        {"kind": "other"},
        {"grant_id": ""},
        {"tenant": ""},
    ],
    ids=str,
)
def test_a_grant_must_make_sense(bench: Bench, changes):
    assert code(bench.do(granting(bench, **changes))) == "grant"
    assert bench.core.next_deadline() is None


def test_a_grant_is_bound_once_by_its_issuer(bench: Bench):
    bench.do(granting(bench))
    assert code(bench.do(binding(bench, "hub2"))) == "grant"
    assert code(bench.do(binding(bench, grant_id="none"))) == "grant"
    assert code(bench.do(binding(bench, job_id=""))) == "grant"
    assert only(bench.do(binding(bench)), GrantShown).grant.job_id == "7"
    assert bench.do(binding(bench)).records == ()
    assert code(bench.do(binding(bench, job_id="8"))) == "grant"


def test_an_expired_grant_is_not_bound(bench: Bench):
    bench.do(granting(bench))
    bench.now_ms += 600_000
    assert code(bench.do(binding(bench))) == "grant"
    bench.tick()
    assert not bench.core.state.grants


def test_a_session_on_a_grant(bench: Bench):
    bench.do(granting(bench, devices=("dev",)))
    assert code(bench.do(with_grant(bench, grant_id="none"))) == "grant"
    assert code(bench.do(with_grant(bench, uid=2))) == "grant"
    assert code(bench.do(with_grant(bench, tenant="physics/eve"))) == "grant"
    step = bench.do(with_grant(bench))
    # The hub's word on the job was still under way: the session binds the grant.
    assert kinds(step.records) == [GrantSaved, SessionSaved]
    assert only(step, SessionShown).session.devices == ("dev",)
    assert bench.do(binding(bench)).records == ()
    assert kinds(bench.do(with_grant(bench, "node2", session_id="s-2")).records) == [SessionSaved]
    assert code(bench.do(with_grant(bench, "node3", session_id="s-3", job_id="8"))) == "grant"


def test_a_revoked_grant_closes_its_sessions(bench: Bench):
    bench.do(granting(bench))
    bench.do(with_grant(bench))
    bench.do(opening(bench, "bea"))
    revoke = RevokeGrant(origin=bench.origin("hub"), grant_id="g")
    assert code(bench.do(replace(revoke, origin=bench.origin("hub2")))) == "grant"
    step = bench.do(revoke)
    assert kinds(step.records) == [GrantSaved, SessionSaved]
    assert kinds(step.effects) == [Acknowledged, CloseConnections]
    assert bench.do(revoke).records == ()
    assert code(bench.do(with_grant(bench))) == "grant"
    assert code(bench.do(binding(bench))) == "grant"


def test_a_grant_s_budget_is_shared_by_its_sessions(bench: Bench):
    bench.agent()
    bench.do(granting(bench))
    bench.do(with_grant(bench))
    bench.do(with_grant(bench, "node2", session_id="s-2"))
    tasks = [bench.submit(key) for key in ("ana", "node2", "ana", "node2", "ana")]
    assert code(bench.do(bench.submission("node2"))) == "limit.budget"
    # What waits gives back what it had reserved; what ran pays what it used.
    bench.cancel("ana", tasks[4])
    only(bench.do(bench.submission("node2")), Accepted)
    assert code(bench.do(bench.submission("ana"))) == "limit.budget"
    step = bench.finish(bench.ref(tasks[0]), device_s=0.75)
    assert [record.grant.used_s for record in step.records if isinstance(record, GrantSaved)] == [0.75]
    assert code(bench.do(bench.submission("ana"))) == "limit.budget"
    bench.finish(bench.ref(tasks[1]), device_s=0.25)
    only(bench.do(bench.submission("ana")), Accepted)


def test_lost_attempts_cost_no_budget_and_unmeasured_ones_as_predicted(bench: Bench):
    bench.agent(max_attempts=1)
    bench.do(granting(bench))
    bench.do(with_grant(bench))
    lost = bench.submit("ana")
    bench.started(bench.ref(lost))
    bench.tick(15_000)
    assert bench.state_of(lost) is TaskState.FAILED
    assert bench.core.state.grants["g"].used_s == 0
    bench.tick(15_000)
    task_id = bench.submit("ana")
    bench.finish(bench.ref(task_id), device_s=0.0)
    assert bench.core.state.grants["g"].used_s == 1.0


@pytest.mark.parametrize("device_s", [math.nan, math.inf, 1e308])
def test_a_duration_beyond_belief_is_charged_as_predicted(bench: Bench, device_s: float):
    bench.agent()
    bench.do(granting(bench))
    bench.do(with_grant(bench))
    bench.finish(bench.ref(bench.submit("ana")), device_s=device_s)
    assert bench.core.state.grants["g"].used_s == 1.0


def test_a_grant_lives_as_long_as_its_sessions(bench: Bench):
    bench.do(granting(bench))
    bench.do(with_grant(bench, lease_s=1_000.0))
    bench.tick(600_000)
    assert "g" in bench.core.state.grants
    bench.restart()
    assert "g" in bench.core.state.grants
    step = bench.tick(400_000)
    assert len(every(step, CloseConnections)) == 1
    bench.tick(3_600_000)
    assert "g" not in bench.core.state.grants


def test_a_task_outlives_its_grant(bench: Bench):
    bench.agent()
    bench.do(granting(bench))
    bench.do(with_grant(bench))
    task_id = bench.submit("ana")
    bench.held(bench.ref(task_id))
    bench.do(RevokeGrant(origin=bench.origin("hub"), grant_id="g"))
    bench.finish(bench.ref(task_id))
    assert bench.core.state.grants["g"].used_s == 1.0
