"""Dry runs over the desk: to an agent and back, bounded, checked, and never to anybody else."""

import msgspec
import pytest

from qmio_jupyter.errors import CODES
from qmio_jupyter.gateway import estimates
from qmio_jupyter.model.access import Enrolment, Role
from qmio_jupyter.model.dry_run import DryRun, DryRunItem
from qmio_jupyter.model.ids import digest
from qmio_jupyter.model.program import QASM3
from qmio_jupyter.model.task import ErrorInfo, Item, TaskSpec
from qmio_jupyter.wire import messages as m

DATA = b"OPENQASM 3.0; qubit q;"
BLOB = [(QASM3, DATA)]
AGENT_2 = digest(b"second agent")


def question(data=DATA, device="echo", items=1, within_s=30.0, shots=10, **options):
    spec = TaskSpec(device=device, items=(Item(program=digest(data), shots=shots),) * items, **options)
    return m.TaskEstimate(spec=spec, within_s=within_s)


def dry_run(device="echo", items=1, **changes):
    item = DryRunItem(n_qubits=1, n_bits=1, shots=10, predicted_s=0.5)
    return DryRun(device=device, items=(item,) * items, predicted_s=0.5, **changes)


@pytest.fixture
def ana(counter, keys):
    counter.hello(1, keys.ana)
    counter.announce()
    return counter


def asked(counter, connection=9):
    """Return the questions an agent was sent, oldest first."""
    return counter.packets(connection, m.EstimateAsk)


def ask(counter, keys, body=None, blobs=BLOB, number=70, connection=1, key=None):
    """Ask without waiting for the answer; return the question as the agent got it."""
    counter.run(counter.turn(connection, key or keys.ana, body or question(), blobs, number))
    return asked(counter)[-1]


def replies(counter, connection=1, number=70):
    return [p.envelope.body for c, p in counter.sent if c == connection and p.envelope.re == number]


def answer(counter, keys, number, connection=9, key=None, **what):
    return counter.tell(connection, key or keys.agent, m.EstimateAnswer(number=number, **what))


def refused(counter, number=70):
    (body,) = replies(counter, number=number)
    assert isinstance(body, m.Failure), body
    return body.error


def test_there_and_back(ana, keys):
    before = ana.store.load_live()
    packet = ask(ana, keys)
    body = packet.envelope.body
    assert body.spec == question().spec
    assert body.within_s == 30.0
    assert packet.envelope.re == packet.envelope.id == 0
    assert packet.attachments == (DATA,)
    assert replies(ana) == []
    answer(ana, keys, body.number, dry_run=dry_run(cost_s=999.0))
    (told,) = replies(ana)
    assert told.dry_run.items == dry_run().items
    assert told.dry_run.cost_s == ana.config.least_s  # the queue's word, not the agent's
    assert ana.store.load_live() == before  # nothing of it is kept
    assert ana.ask(1, keys.ana, m.ProgramQuery(digests=(digest(DATA),))).digests == (digest(DATA),)
    assert ana.desk.next_deadline() is None or ana.desk.next_deadline() > ana.now_ms


def test_it_costs_no_credit_and_makes_no_claim(counter, keys):
    counter.hello(1, keys.ana)
    counter.announce(credit=1)
    counter.submit()
    ask(counter, keys)
    assert len(counter.bodies(9, m.ClaimDispatch)) == 1
    assert counter.desk.core.live_tasks == 1


def test_stored_programs_need_not_travel_again(ana, keys):
    ana.ask(1, keys.ana, m.ProgramPut(), BLOB)
    packet = ask(ana, keys, blobs=())
    assert packet.attachments == (DATA,)
    ana.desk._shipping.reset()  # and not only from memory
    assert ask(ana, keys, blobs=(), number=71).attachments == (DATA,)


def test_another_tenants_program_is_as_absent_as_any(ana, keys):
    ana.hello(2, keys.ben)
    ana.ask(2, keys.ben, m.ProgramPut(), BLOB)
    seen = ana.ask(1, keys.ana, question())
    never = ana.ask(1, keys.ana, question(b"never seen"))
    assert seen.error.code == never.error.code == "program.missing"
    assert seen.error.message.replace(digest(DATA)[:12], "") == never.error.message.replace(
        digest(b"never seen")[:12], ""
    )
    assert asked(ana) == []


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (question(device="nowhere"), "device.unknown"),
        (question(shots=10_000_001), "limit.shots"),
        (question(items=1001), "limit.size"),
    ],
)
def test_what_a_submission_is_refused_for(ana, keys, body, code):
    assert ana.code(1, keys.ana, body, BLOB) == code
    task = m.TaskSubmit(task_id=ana.mint("t"), spec=body.spec)
    assert ana.code(1, keys.ana, task, BLOB) == code
    assert asked(ana) == []


def test_formats_are_checked(ana, keys):
    assert ana.code(1, keys.ana, question(), [("text/plain", DATA)]) == "program.format"


def test_only_users_with_a_session_may_ask(ana, keys):
    for key in (keys.agent, keys.operator, keys.monitor, keys.issuer, keys.stranger):
        assert ana.code(30, key, question(), BLOB) == "auth.role"
    assert ana.code(31, keys.ben, question(), BLOB) == "auth.session"
    assert ana.code(1, keys.ana, m.EstimateAnswer(number=1)) == "auth.role"


def test_without_an_agent_nobody_waits(counter, keys):
    counter.hello(1, keys.ana)
    assert counter.code(1, keys.ana, question(), BLOB) == "device.offline"


def test_a_question_sent_again_is_asked_once(ana, keys):
    for _ in range(3):
        ask(ana, keys)
    assert len(asked(ana)) == 1
    answer(ana, keys, asked(ana)[0].envelope.body.number, dry_run=dry_run())
    assert len(replies(ana)) == 1


def test_two_lives_of_the_gateway_share_no_number(ana, keys):
    first = ask(ana, keys).envelope.body.number
    ana.desk.suspend()
    core = ana.core(ana.store.load_live())
    ana.store.commit(core.start_records()).result(0)
    ana.run(ana.desk.adopt(core))
    ana.hello(1, keys.ana)
    ana.announce(sequence=2)
    second = ask(ana, keys, number=71).envelope.body.number
    assert second - first >= 2**24 - 1
    answer(ana, keys, first, dry_run=dry_run())  # what was asked before the failed commit still counts
    assert isinstance(replies(ana)[0], m.TaskEstimated)


# ---------------------------------------------------------------- bounds


def test_a_keys_questions_are_bounded(ana, keys):
    for number in range(estimates.MOST_OF_KEY):
        ask(ana, keys, number=100 + number)
    assert ana.ask(1, keys.ana, question(), BLOB).error == ErrorInfo(
        code="limit.rate",
        message=f"{estimates.MOST_OF_KEY} dry runs of yours are under way",
        hint="Ask again when one has ended.",
        retryable=True,
    )
    ana.hello(2, keys.ben)
    ask(ana, keys, connection=2, key=keys.ben, number=200)
    answer(ana, keys, asked(ana)[0].envelope.body.number, dry_run=dry_run())
    ask(ana, keys, number=300)
    assert len(asked(ana)) == estimates.MOST_OF_KEY + 2


def test_an_agents_questions_are_bounded_and_shared_out(ana, keys, monkeypatch):
    monkeypatch.setattr(estimates, "MOST_OF_KEY", 1000)
    monkeypatch.setattr(estimates, "MOST_AT_AGENT", 3)
    ana.run(ana.desk.enrol([Enrolment(key=AGENT_2, role=Role.AGENT, device="echo")], ana.now_ms))
    body = msgspec.structs.replace(ana.announcement(), agent="second.there")
    ana.ask(10, AGENT_2, body)
    for number in range(6):
        ana.run(ana.turn(1, keys.ana, question(), BLOB, 100 + number))
    assert len(asked(ana, 9)) == len(asked(ana, 10)) == 3
    assert ana.code(1, keys.ana, question(), BLOB) == "limit.rate"


def test_bytes_under_way_are_bounded(ana, keys, monkeypatch):
    monkeypatch.setattr(estimates, "MOST_BYTES", 2 * len(DATA))
    ask(ana, keys, number=100)
    ask(ana, keys, number=101)
    assert ana.code(1, keys.ana, question(), BLOB) == "limit.rate"


def test_what_fits_in_no_message_is_refused(make_counter, keys):
    counter = make_counter(limits=m.Limits(message_bytes=4000))
    counter.hello(1, keys.ana)
    counter.announce()
    data = b"x" * 3500
    assert counter.code(1, keys.ana, question(data), [(QASM3, data)]) == "limit.size"
    assert asked(counter) == []


# ---------------------------------------------------------------- ends without an answer


def test_the_deadline(ana, keys):
    number = ask(ana, keys, question(within_s=5.0)).envelope.body.number
    due = ana.desk.next_deadline()
    assert due == ana.now_ms + 5000 + 1000 * estimates.GRACE_S
    assert replies(ana) == []
    ana.tick(due - ana.now_ms)
    assert refused(ana).code == "deadline"
    assert refused(ana).retryable
    assert ana.bodies(9, m.EstimateDrop) == [m.EstimateDrop(number=number)]
    answer(ana, keys, number, dry_run=dry_run())
    assert len(replies(ana)) == 1


def test_nobody_gets_more_time_than_there_is(ana, keys):
    assert ask(ana, keys, question(within_s=3600.0)).envelope.body.within_s == estimates.LONGEST_S


def test_an_agent_that_disappears(ana, keys):
    number = ask(ana, keys).envelope.body.number
    ana.run(ana.desk.disconnected(9, ana.now_ms))
    assert ana.desk.next_deadline() <= ana.now_ms
    ana.tick()
    error = refused(ana)
    assert (error.code, error.retryable) == ("agent", True)
    ana.announce(connection=11, sequence=2)
    answer(ana, keys, number, connection=11, dry_run=dry_run())
    assert len(replies(ana)) == 1


def test_an_asker_that_disappears(ana, keys):
    number = ask(ana, keys).envelope.body.number
    ana.run(ana.desk.disconnected(1, ana.now_ms))
    ana.tick()
    assert ana.bodies(9, m.EstimateDrop) == [m.EstimateDrop(number=number)]
    ana.hello(1, keys.ben)  # the routing id is somebody else's now
    answer(ana, keys, number, dry_run=dry_run())
    assert replies(ana) == []


def test_a_failed_commit_forgets_what_was_never_asked(ana, keys):
    ana.releases.hold(ana.turn(1, keys.ana, ana.submission(), [(QASM3, b"OPENQASM 3.0;")], 60))
    ana.releases.hold(ana.turn(1, keys.ana, question(), BLOB, 70))
    lost = ana.releases.drop()
    ana.desk.suspend()
    refusals = {p.envelope.re: p.envelope.body.error.code for _, p in ana.desk.refuse_lost(lost)}
    assert refusals == {60: "store", 70: "store"}
    assert ana.desk.next_deadline() is None


def test_while_the_ledger_is_down_answers_still_come_through(ana, keys):
    first, late = (ask(ana, keys, number=number).envelope.body.number for number in (70, 71))
    ana.desk.suspend()
    assert ana.code(1, keys.ana, question(), BLOB) == "store"
    answer(ana, keys, first, dry_run=dry_run())
    assert isinstance(replies(ana)[0], m.TaskEstimated)
    ana.tick(ana.desk.next_deadline() - ana.now_ms)
    assert refused(ana, number=71).code == "deadline"
    assert late != first


def test_a_stopping_gateway_takes_answers_and_no_questions(ana, keys):
    number = ask(ana, keys).envelope.body.number
    ana.desk.is_stopping = True
    assert ana.code(1, keys.ana, question(), BLOB) == "gateway.stopping"
    answer(ana, keys, number, dry_run=dry_run())
    assert isinstance(replies(ana)[0], m.TaskEstimated)


# ---------------------------------------------------------------- hostile agents


def test_only_the_agent_that_was_asked_may_answer(ana, keys):
    other = digest(b"other device's agent")
    ana.run(ana.desk.enrol([Enrolment(key=other, role=Role.AGENT, device="other")], ana.now_ms))
    number = ask(ana, keys).envelope.body.number
    ana.announce(connection=20, key=other, device="other")
    answer(ana, keys, number, connection=20, key=other, dry_run=dry_run())
    answer(ana, keys, number, connection=21, dry_run=dry_run())  # the right key from elsewhere
    answer(ana, keys, number + 1, dry_run=dry_run())
    assert replies(ana) == []
    answer(ana, keys, number, dry_run=dry_run())
    answer(ana, keys, number, dry_run=dry_run())
    assert len(replies(ana)) == 1


@pytest.mark.parametrize(
    "what",
    [
        {},
        {"dry_run": dry_run(), "error": ErrorInfo(code="program", message="x")},
        {"dry_run": dry_run(device="other")},
        {"dry_run": dry_run(items=2)},
        {"dry_run": dry_run(items=0)},
        {"dry_run": dry_run(snapshot_id="no digest")},
        {"dry_run": dry_run(snapshot_id="A" * 10_000_000)},
    ],
    ids=["nothing", "both", "another device", "too many", "none", "a snapshot's name", "ten megabytes"],
)
def test_what_is_no_answer_is_the_agents_failure(ana, keys, what):
    answer(ana, keys, ask(ana, keys).envelope.body.number, **what)
    assert refused(ana).code == "agent"


def test_an_answer_has_a_size(ana, keys):
    item = msgspec.structs.replace(dry_run().items[0], notes=(("k", "v" * 2000),) * 1000)
    large = msgspec.structs.replace(dry_run(), items=(item,) * 4)
    answer(ana, keys, ask(ana, keys, question(items=4)).envelope.body.number, dry_run=large)
    assert refused(ana).code == "agent"


@pytest.mark.parametrize("code", ["program.too_costly", "limit.size", "device.option", "deadline"])
def test_an_agents_errors_are_passed_on(ana, keys, code):
    error = ErrorInfo(code=code, message="what and where", hint="Do this.", retryable=False)
    answer(ana, keys, ask(ana, keys).envelope.body.number, error=error)
    assert refused(ana) == error


@pytest.mark.parametrize(
    "code", ["gateway.restarted", "auth.session", "task.cancelled", "wire", "", "x" * 10_000]
)
def test_but_not_every_word_of_them(ana, keys, code):
    """A client that is told "gateway.restarted" would ask again, for ever."""
    error = ErrorInfo(code=code, message="a\nb\x1b" + "c" * 10_000, hint="\n", retryable=True)
    answer(ana, keys, ask(ana, keys).envelope.body.number, error=error)
    told = refused(ana)
    assert (told.code, told.retryable, told.hint) == ("agent", False, "")
    assert "\n" not in told.message
    assert len(told.message) <= 1000
    assert told.code in CODES
