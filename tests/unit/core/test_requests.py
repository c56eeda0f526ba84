"""What users ask for, and every way to be refused; programs, their references and their end."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from qmio_jupyter.core.config import CoreConfig
from qmio_jupyter.core.effects import Accepted, Acknowledged, ProgramsMissing, Refused, TaskShown
from qmio_jupyter.core.inputs import Forget, OpenSession, Origin, PutPrograms, QueryPrograms, Submit
from qmio_jupyter.core.records import (
    ForgottenId,
    ForgottenIdDropped,
    ForgottenIdSaved,
    ProgramDropped,
    ProgramStored,
    TaskForgotten,
)
from qmio_jupyter.errors import CODES
from qmio_jupyter.model.device import CostModel
from qmio_jupyter.model.program import QASM2, QPY
from qmio_jupyter.model.task import ParameterMatrix, StalePolicy, TaskOptions, TaskState
from qmio_jupyter.testing.cores import Bench, code, every, only, program, snapshot


def kinds(values):
    return [type(value) for value in values]


def refused(step):
    """The error of a refusal; its code is known and it says what to do next."""
    assert code(step) in CODES
    error = only(step, Refused).error
    assert error.message
    assert error.hint
    assert "\n" not in error.message
    return error


def test_a_repeated_submit_is_answered_with_the_present_state(busy: Bench):
    request = busy.submission("ana")
    busy.do(request)
    step = busy.do(request)
    assert step.records == ()
    assert kinds(step.effects) == [Accepted]
    assert step.effects[0].view.state is TaskState.CLAIMED
    busy.finish(busy.ref(request.task_id))
    for _ in range(2):
        step = busy.do(request)
        accepted = only(step, Accepted)
        assert (accepted.from_index, accepted.view.state, accepted.view.shots) == (
            True,
            TaskState.COMPLETED,
            100,
        )
        busy.restart()


def test_a_task_id_is_taken_once(busy: Bench):
    request = busy.submission("ana")
    busy.do(request)
    assert refused(busy.do(replace(request, spec_digest="other"))).code == "task.conflict"
    assert refused(busy.do(replace(request, origin=busy.origin("bea")))).code == "task.conflict"
    busy.finish(busy.ref(request.task_id))
    assert refused(busy.do(replace(request, spec_digest="other"))).code == "task.conflict"


def _spec(request: Submit, **changes) -> Submit:
    return replace(request, spec=replace(request.spec, **changes))


def _item(request: Submit, **changes) -> Submit:
    return _spec(request, items=(replace(request.spec.items[0], **changes),))


def _options(request: Submit, **changes) -> Submit:
    return _spec(request, options=TaskOptions(**changes))


REFUSALS = {
    "no session": (lambda bench, request: replace(request, origin=bench.origin("nobody")), "auth.session"),
    "no task id": (lambda _, request: replace(request, task_id="t-1"), "usage"),
    "a session's id": (
        lambda _, request: replace(request, task_id="s" + request.task_id[1:]),
        "usage",
    ),
    "a huge id": (lambda _, request: replace(request, task_id="x" * 10_000_000), "usage"),
    "no such device": (lambda _, request: _spec(request, device="none"), "device.unknown"),
    "no items": (lambda _, request: _spec(request, items=()), "program"),
    "no shots": (lambda _, request: _item(request, shots=0), "limit.shots"),
    "too many shots": (lambda _, request: _item(request, shots=1001), "limit.shots"),
    "observables": (lambda _, request: _item(request, observables=("Z",)), "program.unsupported"),
    "precision": (lambda _, request: _item(request, precision=0.1), "program.unsupported"),
    "pace": (lambda _, request: _options(request, pace="slow"), "usage.option"),
    "option": (lambda _, request: _options(request, device_options=(("x", "1"),)), "device.option"),
    "snapshot": (lambda _, request: _options(request, snapshot="0" * 64), "device.snapshot"),
    "stale": (
        lambda _, request: _options(request, compiled_for="0" * 64, stale=StalePolicy.REFUSE),
        "device.snapshot",
    ),
    "program not here": (lambda _, request: replace(request, programs=()), "program.missing"),
    "format": (
        lambda _, request: replace(request, programs=(replace(request.programs[0], media_type=QPY),)),
        "program.format",
    ),
    "too long": (lambda bench, request: _spec(request, items=request.spec.items * 90_000), "limit.duration"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_refused_submit_changes_nothing(bench: Bench, name):
    bench.user("ana")
    shot = snapshot("dev")
    bench.agent(max_shots=1000, media_types=(QASM2, program().media_type), snapshot=shot)
    change, expected = REFUSALS[name]
    request = bench.submission("ana", options=TaskOptions(compiled_for=shot.snapshot_id))
    assert refused(bench.do(change(bench, request))).code == expected
    assert not bench.core.live_tasks
    assert not bench.core.state.programs
    only(bench.do(request), Accepted)


def test_missing_programs_may_be_sent_and_tried_again(busy: Bench):
    assert refused(busy.do(busy.submission("ana", attach=False))).retryable


def with_matrix(bench: Bench, user: str, bindings: int = 100):
    """Return a submission whose parameter values have 8 bytes per binding."""
    request = bench.submission(user)
    matrix = ParameterMatrix(names=("x",), bindings=bindings, data=bytes(8 * bindings))
    item = replace(request.spec.items[0], parameters=matrix)
    return replace(request, spec=replace(request.spec, items=(item,)))


def test_the_bytes_of_a_tenants_live_tasks_are_bounded():
    bench = Bench(CoreConfig(live_bytes_per_tenant=2_000))
    bench.agent()
    bench.user("ana")
    bench.user("bea", "chemistry/bea")
    first, second = with_matrix(bench, "ana"), with_matrix(bench, "ana")
    only(bench.do(first), Accepted)
    only(bench.do(second), Accepted)
    third = with_matrix(bench, "ana")
    error = refused(bench.do(third))
    assert (error.code, error.retryable) == ("limit.queue", True)
    # Others are not held up, and what was taken is still answered.
    only(bench.do(with_matrix(bench, "bea")), Accepted)
    only(bench.do(first), Accepted)
    # Room is made by whatever ends a task, and a restart counts alike.
    bench.cancel("ana", second.task_id)
    bench.restart()
    bench.user("ana")
    only(bench.do(third), Accepted)
    assert code(bench.do(with_matrix(bench, "ana"))) == "limit.queue"
    bench.cancel("ana", third.task_id)
    bench.agent(holding=(bench.ref(first.task_id),))
    bench.finish(bench.ref(first.task_id))
    assert bench.core.state.live_bytes.keys() == {"chemistry/bea"}


def test_limits_of_the_queue():
    bench = Bench(CoreConfig(live_per_session=2, live_per_tenant=3))
    bench.agent(credit=0)
    bench.user("ana")
    bench.user("bob", "physics/ana")
    bench.user("eve")
    bench.submit("ana")
    bench.submit("ana")
    error = refused(bench.do(bench.submission("ana")))
    assert (error.code, error.retryable) == ("limit.queue", True)
    first = bench.submit("bob")
    assert refused(bench.do(bench.submission("bob"))).code == "limit.queue"
    bench.submit("eve")
    bench.cancel("bob", first)
    bench.submit("bob")


def test_tasks_queue_for_a_device_without_agents(bench: Bench):
    bench.user("ana")
    bench.enrol("agent")
    request = bench.submission("ana", options=TaskOptions(device_options=(("seconds", "2"),)))
    view = only(bench.do(request), Accepted).view
    assert (view.state, view.position, view.start) == (TaskState.QUEUED, 0, None)


def test_another_tenant_s_task_looks_like_an_absent_one(busy: Bench):
    task_id = busy.submit("ana")
    for ended in (False, True):
        seen = refused(busy.cancel("bea", task_id))
        absent = refused(busy.cancel("bea", busy.task_id()))
        assert seen.code == absent.code == "task.unknown"
        assert seen.message.replace(task_id, "") == absent.message.replace(absent.message.split("'")[1], "")
        assert refused(busy.do(Forget(origin=busy.origin("bea"), task_id=task_id))).code == "task.unknown"
        assert busy.core.view(task_id, "chemistry/bea") is None
        if not ended:
            assert busy.core.view(task_id, "physics/ana").task_id == task_id
            assert busy.core.view(task_id, None).task_id == task_id
            busy.finish(busy.ref(task_id))


def test_a_tenant_s_tasks_belong_to_all_her_sessions(busy: Bench):
    busy.user("ana2", "physics/ana")
    task_id = busy.submit("ana")
    assert only(busy.cancel("ana2", task_id), TaskShown).view.state is TaskState.CANCELLING


def test_forgetting(busy: Bench):
    task_id = busy.submit("ana")
    request = Forget(origin=busy.origin("ana"), task_id=task_id)
    assert refused(busy.do(request)).code == "task.not_finished"
    busy.finish(busy.ref(task_id))
    step = busy.do(request)
    forgotten = ForgottenId(task_id=task_id, forgotten_ms=busy.now_ms)
    assert step.records == (TaskForgotten(task_id=task_id), ForgottenIdSaved(forgotten=forgotten))
    assert kinds(step.effects) == [Acknowledged]
    assert refused(busy.do(request)).code == "task.unknown"
    # Nobody refers to the program any more: it goes after a while.
    assert busy.tick(3_599_999).records == ()
    step = busy.tick_to_deadline()
    assert step.records == (ProgramDropped(tenant="physics/ana", digest=program().digest),)
    assert not busy.ledger.tables.programs


def test_a_late_copy_of_a_forgotten_submission_starts_nothing(busy: Bench):
    """Neither in this life nor in the next: its claim would have the numbers of the one that was recorded."""
    request = busy.submission("ana")
    busy.do(request)
    ref = busy.ref(request.task_id)
    busy.finish(ref)
    busy.do(Forget(origin=busy.origin("ana"), task_id=request.task_id))
    for _ in range(2):
        error = refused(busy.do(request))
        assert (error.code, error.retryable) == ("task.unknown", False)
        assert "was forgotten" in error.message
        assert refused(busy.do(replace(request, origin=busy.origin("bea")))).code == "task.unknown"
        busy.restart()
        busy.agent()
    assert not busy.core.live_tasks


def test_forgotten_ids_are_free_again_when_their_time_or_room_is_over():
    bench = Bench(CoreConfig(retention_s=100.0, retained_tasks=2))
    bench.user("ana")
    bench.agent()
    for _ in range(3):
        task_id = bench.submit("ana")
        bench.finish(bench.ref(task_id))
        bench.do(Forget(origin=bench.origin("ana"), task_id=task_id), after_ms=10_000)
    first, *others = bench.core.state.forgotten
    assert bench.tick_to_deadline().records == (ForgottenIdDropped(task_id=first),)
    bench.restart()
    assert list(bench.core.state.forgotten) == others
    assert list(bench.ledger.tables.forgotten) == others
    bench.tick(89_999)
    assert list(bench.core.state.forgotten) == others
    bench.tick(1)
    assert list(bench.core.state.forgotten) == others[1:]
    bench.tick_to_deadline()
    assert not bench.core.state.forgotten
    assert not bench.ledger.tables.forgotten


def test_requests_need_a_session(busy: Bench):
    stranger = Origin(77, 1, "stranger")
    for request in (
        Forget(origin=stranger, task_id="t-1"),
        QueryPrograms(origin=stranger, digests=()),
        PutPrograms(origin=stranger, programs=(program(),)),
        replace(busy.submission("ana"), origin=stranger),
    ):
        assert refused(busy.do(request)).code == "auth.session"


def test_programs_are_stored_once_per_tenant(busy: Bench):
    query = QueryPrograms(origin=busy.origin("ana"), digests=(program().digest, program("two").digest))
    assert only(busy.do(query), ProgramsMissing).digests == query.digests
    put = PutPrograms(origin=busy.origin("ana"), programs=(program(), program()))
    assert kinds(busy.do(put).records) == [ProgramStored]
    assert busy.do(put).records == ()
    assert only(busy.do(query), ProgramsMissing).digests == (program("two").digest,)
    # What one tenant has stored another does not see.
    other = replace(query, origin=busy.origin("bea"))
    assert only(busy.do(other), ProgramsMissing).digests == query.digests
    task = busy.do(busy.submission("ana", attach=False))
    assert only(task, Accepted)


def test_the_same_bytes_are_stored_in_one_format(busy: Bench):
    busy.do(PutPrograms(origin=busy.origin("ana"), programs=(program(),)))
    other = replace(program(), media_type=QASM2)
    put = PutPrograms(origin=busy.origin("ana"), programs=(other,))
    assert refused(busy.do(put)).code == "program.format"
    submit = replace(busy.submission("ana"), programs=(other,))
    assert refused(busy.do(submit)).code == "program.format"
    # Another tenant's are her own affair.
    only(busy.do(replace(put, origin=busy.origin("bea"))), Acknowledged)


def test_an_unused_program_is_kept_while_somebody_asks_for_it(busy: Bench):
    busy.do(PutPrograms(origin=busy.origin("ana"), programs=(program(), program("two"))))
    query = QueryPrograms(origin=busy.origin("ana"), digests=(program().digest,))
    busy.do(query, after_ms=3_000_000)
    step = busy.tick(600_000)
    assert [record.digest for record in step.records] == [program("two").digest]
    assert busy.tick(2_999_999).records == ()
    assert [record.digest for record in busy.tick_to_deadline().records] == [program().digest]
    assert busy.core.next_deadline() is None


def test_a_tenant_s_programs_have_a_limit():
    bench = Bench(CoreConfig(program_bytes_per_tenant=10))
    bench.agent(credit=0)
    bench.user("ana")
    put = PutPrograms(origin=bench.origin("ana"), programs=(program("12345"), program("67890")))
    bench.do(put)
    bench.do(put)
    more = PutPrograms(origin=bench.origin("ana"), programs=(program("x"),))
    assert refused(bench.do(more)).code == "limit.size"
    assert refused(bench.do(bench.submission("ana", text="y"))).code == "limit.size"
    only(bench.do(bench.submission("ana", text="12345")), Accepted)
    bench.user("bea")
    only(bench.do(bench.submission("bea", text="y")), Accepted)


def test_retention_by_age_and_by_number():
    bench = Bench(CoreConfig(retention_s=100.0, retained_tasks=3))
    bench.user("ana")
    bench.agent()
    ended = []
    for _ in range(5):
        ended.append(bench.submit("ana"))
        bench.finish(bench.ref(ended[-1]))
        bench.tick(10_000)
    assert list(bench.core.state.ended) == ended[2:]
    bench.restart()
    assert list(bench.core.state.ended) == ended[2:]
    step = bench.tick(70_000)
    assert every(step, Refused) == []
    assert [record.task_id for record in step.records if isinstance(record, TaskForgotten)] == ended[2:3]
    bench.tick(100_000)
    assert not bench.core.state.ended
    assert not bench.ledger.tables.tasks


def test_predictions_rule_what_is_too_long(bench: Bench):
    bench.user("ana")
    bench.agent(cost=CostModel(t0_s=0.0, per_shot_s=1e300))
    assert refused(bench.do(bench.submission("ana"))).code == "limit.duration"


def test_a_session_limited_to_devices_sees_no_others(bench: Bench):
    from qmio_jupyter.core.inputs import CreateGrant

    bench.agent()
    bench.agent("agent2", device="dev2")
    bench.do(
        CreateGrant(
            origin=bench.origin("hub"), grant_id="g", uid=1, tenant="physics/ana", ttl_s=60, devices=("dev2",)
        )
    )
    bench.do(
        OpenSession(
            origin=bench.origin("ana"),
            session_id="s",
            uid=1,
            tenant="physics/ana",
            lease_s=60,
            job_id="7",
            grant_id="g",
        )
    )
    assert [view.description.name for view in bench.core.devices("physics/ana")] == ["dev2"]
    assert [view.description.name for view in bench.core.devices(None)] == ["dev", "dev2"]
    assert bench.core.devices("chemistry/bea") == ()
    assert refused(bench.do(bench.submission("ana"))).code == "device.unknown"
    only(bench.do(bench.submission("ana", device="dev2")), Accepted)
