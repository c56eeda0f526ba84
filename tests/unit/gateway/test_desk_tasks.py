"""A task's way over the desk: submission, events, results, and who is shown what."""

import msgspec
import pytest

from qmio_jupyter.model.access import Role
from qmio_jupyter.model.program import OCTETS
from qmio_jupyter.model.task import TaskState
from qmio_jupyter.wire import messages as m


@pytest.fixture
def ana(counter, keys):
    counter.hello(1, keys.ana)
    return counter


def test_submit_run_and_fetch(ana, keys):
    ana.announce()
    task_id = ana.submit()
    (dispatch,) = ana.bodies(9, m.ClaimDispatch)
    assert dispatch.ref.task_id == task_id
    assert isinstance(ana.finish(dispatch.ref), m.ClaimRecorded)
    states = [event.view.state for event in ana.bodies(1, m.TaskEvent)]
    assert states[-1] is TaskState.COMPLETED
    revisions = [event.view.revision for event in ana.bodies(1, m.TaskEvent)]
    assert revisions == sorted(revisions)
    shown = ana.ask(1, keys.ana, m.TaskShow(task_id=task_id))
    assert shown.view.state is TaskState.COMPLETED
    data = ana.ask(1, keys.ana, m.TaskResultGet(task_id=task_id))
    assert data.result.shots_done == 10


def test_a_small_result_is_delivered_with_the_end_to_the_owner_who_asked(ana, keys):
    ana.announce()
    ana.hello(2, keys.ana)
    ana.hello(3, keys.operator)
    body = msgspec.structs.replace(ana.submission(), deliver=True)
    ana.submit(body=body)
    ana.ask(2, keys.ana, m.TaskWatch(task_id=body.task_id))
    ana.ask(3, keys.operator, m.TaskWatch(task_id=body.task_id, deliver=True))
    ana.finish(ana.bodies(9, m.ClaimDispatch)[0].ref)
    last = {connection: ana.bodies(connection, m.TaskEvent)[-1] for connection in (1, 2, 3)}
    assert {event.view.state for event in last.values()} == {TaskState.COMPLETED}
    assert last[1].result == ana.ask(1, keys.ana, m.TaskResultGet(task_id=body.task_id)).result
    # One did not ask for it, the other looks on: counts are their owner's alone.
    assert last[2].result is None
    assert last[3].result is None
    assert len([e for e in ana.bodies(1, m.TaskEvent) if e.view.state is TaskState.COMPLETED]) == 1


def test_who_waits_is_served_first(ana, keys):
    ana.announce(credit=1)
    ana.sent.clear()
    first = ana.submit()
    kinds = [type(p.envelope.body) for c, p in ana.sent]
    assert kinds.index(m.ClaimDispatch) < kinds.index(m.TaskAccepted)
    ana.submit()
    ref = ana.bodies(9, m.ClaimDispatch)[0].ref
    assert ref.task_id == first
    ana.sent.clear()
    ana.finish(ref)
    kinds = [(c, type(p.envelope.body)) for c, p in ana.sent]
    # The user's event, before the agent's own; and what the agent hears is in the order of its decisions.
    assert (
        kinds.index((1, m.TaskEvent)) < kinds.index((9, m.ClaimRecorded)) < kinds.index((9, m.ClaimDispatch))
    )


def test_a_large_result_is_left_to_be_asked_for(ana, keys, monkeypatch):
    monkeypatch.setattr("qmio_jupyter.gateway.outgoing.DELIVER_BYTES", -1)
    ana.announce()
    body = msgspec.structs.replace(ana.submission(), deliver=True)
    ana.submit(body=body)
    ana.finish(ana.bodies(9, m.ClaimDispatch)[0].ref)
    assert ana.bodies(1, m.TaskEvent)[-1].result is None


def test_a_repeated_submission_of_an_ended_task_is_shown_whole(ana, keys):
    ana.announce()
    body = ana.submission(label="again")
    task_id = ana.submit(body=body)
    ana.finish(ana.bodies(9, m.ClaimDispatch)[0].ref)
    again = ana.ask(1, keys.ana, body)
    assert isinstance(again, m.TaskAccepted)
    assert (again.view.task_id, again.view.label, again.view.state) == (task_id, "again", TaskState.COMPLETED)
    assert again.view.submitted_ms > 0
    cancelled = ana.ask(1, keys.ana, m.TaskCancel(task_id=task_id))
    assert (cancelled.view.state, cancelled.view.label) == (TaskState.COMPLETED, "again")


def test_the_same_id_with_other_content_is_a_conflict(ana, keys):
    body = ana.submission()
    ana.announce()
    ana.submit(body=body)
    other = m.TaskSubmit(task_id=body.task_id, spec=msgspec.structs.replace(body.spec, label="other"))
    assert ana.code(1, keys.ana, other) == "task.conflict"


def test_another_tenants_task_is_as_an_absent_one(ana, keys):
    ana.announce()
    task_id = ana.submit()
    ana.hello(2, keys.ben)
    absent = ana.mint("t")
    for request in (m.TaskShow, m.TaskWatch, m.TaskCancel, m.TaskForget, m.TaskResultGet):
        mine, none = (ana.ask(2, keys.ben, request(task_id=i)) for i in (task_id, absent))
        assert isinstance(mine, m.Failure)
        assert mine.error.code == none.error.code == "task.unknown"
        assert mine.error.message.replace(task_id, "") == none.error.message.replace(absent, "")
    assert ana.ask(2, keys.ben, m.TaskList()).views == ()
    # Also once it has ended and only the store knows it.
    ana.finish(ana.bodies(9, m.ClaimDispatch)[0].ref)
    for request in (m.TaskShow, m.TaskWatch, m.TaskCancel, m.TaskForget, m.TaskResultGet):
        assert ana.code(2, keys.ben, request(task_id=task_id)) == "task.unknown"
    assert ana.ask(2, keys.ben, m.TaskList()).views == ()
    assert not ana.bodies(2, m.TaskEvent)


def test_the_same_user_on_another_connection_may_watch(ana, keys):
    ana.announce(credit=1)
    task_id = ana.submit()
    ana.hello(3, keys.ana)
    assert ana.ask(3, keys.ana, m.TaskWatch(task_id=task_id)).view.task_id == task_id
    ana.finish(ana.bodies(9, m.ClaimDispatch)[0].ref)
    assert ana.bodies(3, m.TaskEvent)[-1].view.state is TaskState.COMPLETED
    assert ana.bodies(1, m.TaskEvent)[-1].view.state is TaskState.COMPLETED


def test_showing_does_not_subscribe(ana, keys):
    ana.announce()
    task_id = ana.submit()
    ana.hello(3, keys.ana)
    ana.ask(3, keys.ana, m.TaskShow(task_id=task_id))
    ana.finish(ana.bodies(9, m.ClaimDispatch)[0].ref)
    assert not ana.bodies(3, m.TaskEvent)


def test_no_watch_is_left_behind(ana, keys):
    ana.announce()
    first = ana.submit()
    ana.finish(ana.bodies(9, m.ClaimDispatch)[0].ref)
    assert len(ana.desk._watchers) == 0
    second = ana.submit()
    assert ana.desk._watchers.of(second) == (1,)
    ana.run(ana.desk.disconnected(1, ana.now_ms))
    assert len(ana.desk._watchers) == 0
    assert first != second


def test_a_monitor_sees_all_tasks_but_no_results(ana, keys):
    ana.announce()
    task_id = ana.submit()
    assert [view.task_id for view in ana.ask(5, keys.monitor, m.TaskList()).views] == [task_id]
    assert ana.ask(5, keys.monitor, m.TaskShow(task_id=task_id)).view.task_id == task_id
    assert ana.code(5, keys.monitor, m.TaskResultGet(task_id=task_id)) == "auth.role"


def test_partial_counts_go_to_the_owner_alone(ana, keys):
    """Operators and monitors may watch a task; what it counted is its tenant's."""
    ana.announce()
    task_id = ana.submit()
    ana.hello(3, keys.ana)
    ana.ask(3, keys.ana, m.TaskWatch(task_id=task_id))
    ana.ask(5, keys.monitor, m.TaskWatch(task_id=task_id))
    ana.ask(6, keys.operator, m.TaskWatch(task_id=task_id))
    (dispatch,) = ana.bodies(9, m.ClaimDispatch)
    ana.progress(dispatch.ref)
    counts = {number: len(ana.bodies(number, m.TaskPartial)) for number in (1, 3, 5, 6)}
    assert counts == {1: 1, 3: 1, 5: 0, 6: 0}
    assert ana.bodies(5, m.TaskEvent), "a monitor is still told that it changed"
    assert ana.bodies(6, m.TaskEvent)


@pytest.mark.parametrize(
    "change", [{"tenant": "physics/eve"}, {"uid": 7}, {"role": Role.MONITOR, "uid": None, "tenant": None}]
)
def test_watches_and_session_end_with_a_change_of_who_the_key_is(ana, keys, change):
    ana.announce()
    task_id = ana.submit()
    enrolment = {"key": keys.ana, "role": Role.USER, "uid": 1001, "tenant": "physics/ana"} | change
    assert isinstance(ana.ask(6, keys.operator, m.KeyEnrol(**enrolment)), m.Done)
    assert ana.desk._watchers.of(task_id) == ()
    (dispatch,) = ana.bodies(9, m.ClaimDispatch)
    ana.progress(dispatch.ref)
    assert not ana.bodies(1, m.TaskPartial)
    if enrolment["role"] is Role.USER:
        assert ana.code(1, keys.ana, m.TaskShow(task_id=task_id)) == "auth.session"
        session = ana.hello(1, keys.ana).session
        assert (session.tenant, session.uid) == (enrolment["tenant"], enrolment["uid"])


def test_a_new_note_ends_nothing(ana, keys):
    ana.announce()
    task_id = ana.submit()
    request = m.KeyEnrol(key=keys.ana, role=Role.USER, uid=1001, tenant="physics/ana", note="laptop")
    assert isinstance(ana.ask(6, keys.operator, request), m.Done)
    assert ana.desk._watchers.of(task_id) == (1,)
    assert isinstance(ana.ask(1, keys.ana, m.TaskShow(task_id=task_id)), m.TaskShown)


def test_a_live_tasks_result_is_not_finished(ana, keys):
    ana.announce()
    task_id = ana.submit()
    assert ana.code(1, keys.ana, m.TaskResultGet(task_id=task_id)) == "task.not_finished"
    assert ana.code(1, keys.ana, m.TaskResultGet(task_id=task_id, partial=True)) == "task.not_finished"


def test_a_cancelled_tasks_result_says_so(ana, keys):
    ana.announce(credit=0)
    task_id = ana.submit()
    ana.ask(1, keys.ana, m.TaskCancel(task_id=task_id))
    assert ana.code(1, keys.ana, m.TaskResultGet(task_id=task_id)) == "task.cancelled"


def test_lists_hold_live_and_ended_tasks(ana, keys):
    ana.announce(credit=1)
    done = ana.submit()
    ana.finish(ana.bodies(9, m.ClaimDispatch)[0].ref)
    running, queued = ana.submit(), ana.submit()
    page = ana.ask(1, keys.ana, m.TaskList())
    assert {view.task_id for view in page.views} == {done, running, queued}
    shown = {view.task_id: view for view in page.views}
    assert shown[done].state is TaskState.COMPLETED
    assert (shown[queued].state, shown[queued].position) == (TaskState.QUEUED, 0)


def test_programs_are_attached_once_per_connection(ana):
    ana.announce()
    for _ in range(2):
        ana.submit()
    first, second = ana.packets(9, m.ClaimDispatch)
    assert [bytes(a) for a in first.attachments] == [b"OPENQASM 3.0;"]
    assert second.attachments == ()


def test_the_same_bytes_as_another_kind_of_program_are_attached_again(ana, keys):
    ana.announce()
    ana.submit()
    ana.hello(2, keys.ben)
    body = ana.submission()
    ana.ask(2, keys.ben, body, [(OCTETS, b"OPENQASM 3.0;")])
    _, second = ana.packets(9, m.ClaimDispatch)
    assert [info.media_type for info in second.envelope.attachments] == [OCTETS]


def test_an_agent_gets_only_programs_of_a_claim_it_holds(ana, keys):
    ana.announce(credit=1)
    ana.submit()
    (dispatch,) = ana.bodies(9, m.ClaimDispatch)
    digests = dispatch.contract.programs
    number = 5000
    sent = ana.run(ana.turn(9, keys.agent, m.ProgramGet(ref=dispatch.ref, digests=digests), number=number))
    ((_, packet),) = sent
    assert (packet.envelope.re, packet.attachments) == (number, (b"OPENQASM 3.0;",))
    other = msgspec.structs.replace(dispatch.ref, attempt=7)
    assert ana.code(9, keys.agent, m.ProgramGet(ref=other, digests=digests)) == "task.stale_claim"
    foreign = m.ProgramGet(ref=dispatch.ref, digests=("0" * 64,))
    assert ana.code(9, keys.agent, foreign) == "program.missing"
    # And no longer, once it has ended.
    ana.finish(dispatch.ref)
    assert ana.code(9, keys.agent, m.ProgramGet(ref=dispatch.ref, digests=digests)) == "task.stale_claim"


def test_another_agent_does_not_get_them(ana, keys):
    from qmio_jupyter.model.access import Enrolment, Role
    from qmio_jupyter.model.ids import digest

    ana.announce()
    ana.submit()
    (dispatch,) = ana.bodies(9, m.ClaimDispatch)
    spy = digest(b"spy")
    ana.run(ana.desk.enrol([Enrolment(key=spy, role=Role.AGENT, device="other")], ana.now_ms))
    ana.announce(8, spy, device="other")
    request = m.ProgramGet(ref=dispatch.ref, digests=dispatch.contract.programs)
    assert ana.code(8, spy, request) == "task.stale_claim"


def test_an_unknown_kind_of_program_is_refused(ana, keys):
    body = ana.submission()
    assert ana.code(1, keys.ana, body, [("application/x-pickle", b"OPENQASM 3.0;")]) == "program.format"
