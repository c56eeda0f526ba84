"""A commit that failed: nothing of it was said, everybody is told to come again, nothing accepted is lost."""

import pytest

from qmio_jupyter.model.program import QASM3
from qmio_jupyter.model.task import TaskState
from qmio_jupyter.wire import messages as m

BLOB = [(QASM3, b"OPENQASM 3.0;")]


@pytest.fixture
def ana(counter, keys):
    counter.hello(1, keys.ana)
    counter.announce()
    return counter


def fail(counter):
    """Let the commit of what is held fail, as the service does."""
    lost = counter.releases.drop()
    counter.desk.suspend()
    return counter.desk.refuse_lost(lost)


def reload(counter):
    core = counter.core(counter.store.load_live())
    counter.store.commit(core.start_records()).result(0)
    return counter.run(counter.desk.adopt(core))


def test_requests_of_a_failed_turn_get_a_retryable_error_and_nothing_else_leaves(ana, keys):
    body = ana.submission()
    ana.releases.hold(ana.turn(1, keys.ana, body, BLOB, number=40))
    ana.releases.hold(ana.turn(1, keys.ana, m.TaskShow(task_id=body.task_id), number=41))
    ana.releases.hold(ana.turn(1, keys.ana, m.TaskList(), number=42))
    refused = fail(ana)
    assert [(c, p.envelope.re) for c, p in refused] == [(1, 40), (1, 41), (1, 42)]
    for _, packet in refused:
        assert packet.envelope.body.error.code == "store"
        assert packet.envelope.body.error.retryable
    assert not ana.bodies(9, m.ClaimDispatch)


def test_while_the_ledger_is_down_everything_is_refused_retryably(ana, keys):
    fail(ana)
    for body in (m.Hello(), m.TaskList(), m.DeviceList(), ana.submission()):
        assert ana.code(1, keys.ana, body) == "store"
    assert isinstance(ana.ask(1, keys.ana, m.Ping()), m.Pong)
    assert ana.ask(1, keys.ana, m.GatewayShow()).store_ok is False
    assert ana.tick(60_000) == []
    assert ana.desk.next_deadline() is None


def test_a_suspended_desk_asks_nothing_of_the_discarded_core(make_counter, keys):
    counter = make_counter(lease_s=30)
    counter.hello(1, keys.ana)
    counter.now_ms += 20_000
    fail(counter)
    for body in (m.Ping(), m.GatewayShow(), m.TaskList(), m.Hello()):
        assert counter.turn(1, keys.ana, body).records == ()


def test_after_reloading_everybody_is_told_and_the_repeated_request_is_taken(ana, keys):
    before = ana.desk.core.epoch
    body = ana.submission()
    ana.releases.hold(ana.turn(1, keys.ana, body, BLOB, number=40))
    fail(ana)
    told = reload(ana)
    assert {c for c, _ in told} == {1, 9}
    assert all(p.envelope.body == m.Restarted(epoch=before + 1) for _, p in told)
    assert ana.code(1, keys.ana, m.TaskList()) == "auth.session"
    assert ana.hello(1, keys.ana).epoch == before + 1
    ana.announce(sequence=2)
    assert ana.submit(body=body) == body.task_id
    assert ana.bodies(9, m.ClaimDispatch)[-1].ref.epoch == before + 1


def test_accepted_tasks_survive(ana, keys):
    task_id = ana.submit()
    (dispatch,) = ana.bodies(9, m.ClaimDispatch)
    fail(ana)
    reload(ana)
    ana.hello(1, keys.ana)
    ana.announce(sequence=2, holding=(dispatch.ref,))
    shown = ana.ask(1, keys.ana, m.TaskWatch(task_id=task_id))
    assert not shown.view.state.is_final
    assert isinstance(ana.finish(dispatch.ref), m.ClaimRecorded)
    assert ana.ask(1, keys.ana, m.TaskShow(task_id=task_id)).view.state is TaskState.COMPLETED


def test_programs_of_a_failed_turn_are_not_believed_to_be_stored(ana, keys):
    body = ana.submission()
    ana.releases.hold(ana.turn(1, keys.ana, body, BLOB, number=40))
    fail(ana)
    reload(ana)
    ana.hello(1, keys.ana)
    ana.announce(sequence=2)
    missing = ana.ask(1, keys.ana, m.ProgramQuery(digests=(body.spec.items[0].program,)))
    assert missing.digests == (body.spec.items[0].program,)


def test_a_store_that_cannot_be_read_is_a_retryable_refusal(ana, keys, monkeypatch):
    from qmio_jupyter.errors import StoreError

    ana.submit()

    def broken(*_):
        raise StoreError("the disk does not answer")

    monkeypatch.setattr(ana.store, "tasks", broken)
    reply = ana.ask(1, keys.ana, m.TaskList())
    assert (reply.error.code, reply.error.retryable) == ("store", True)


def test_a_dispatch_whose_programs_cannot_be_read_is_left_to_the_next(ana, keys, monkeypatch):
    from qmio_jupyter.errors import StoreError

    ana.desk._shipping._cache._kept_bytes = 0

    def broken(*_):
        raise StoreError("the disk does not answer")

    with monkeypatch.context() as patch:
        patch.setattr(ana.store, "program", broken)
        ana.submit()
        assert ana.bodies(9, m.ClaimDispatch) == []
    ana.tick(1_500)
    assert len(ana.bodies(9, m.ClaimDispatch)) == 1
