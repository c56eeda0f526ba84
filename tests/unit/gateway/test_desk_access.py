"""Who may what: roles by the frame's key, sessions, greetings, limits."""

import msgspec
import pytest

from qmio_jupyter.core.inputs import OpenSession, Origin
from qmio_jupyter.core.records import SnapshotSaved
from qmio_jupyter.errors import ProtocolError
from qmio_jupyter.gateway.links import PROVE_MS, STRANGER_BURST
from qmio_jupyter.gateway.roles import ALLOWED, SESSIONLESS, UNANSWERED
from qmio_jupyter.model.access import Booking, BookingKind, Enrolment, Role
from qmio_jupyter.model.device import Snapshot
from qmio_jupyter.model.ids import digest
from qmio_jupyter.model.program import QASM3
from qmio_jupyter.model.task import ParameterMatrix
from qmio_jupyter.ports import Peer
from qmio_jupyter.testing.messages import sample
from qmio_jupyter.wire import messages as m
from qmio_jupyter.wire.codec import MESSAGES

KEY_OF = {
    Role.NONE: "stranger",
    Role.USER: "ana",
    Role.ISSUER: "issuer",
    Role.AGENT: "agent",
    Role.OPERATOR: "operator",
    Role.MONITOR: "monitor",
    Role.NODE: "node",
}


def asked(counter, key, tag):
    """Send a sample of `tag`; return the bodies of what answers it."""
    number = next(counter.serial) + 1_000
    sent = counter.run(counter.turn(1, key, sample(MESSAGES[tag]), number=number))
    return [p.envelope.body for c, p in sent if c == 1 and p.envelope.re == number]


@pytest.mark.parametrize("role", list(Role))
def test_every_row_refuses_through_the_desk(make_counter, keys, role):
    """What is no request, or not this role's, is refused as that and as nothing else."""
    counter, key = make_counter(), getattr(keys, KEY_OF[role])
    for tag in MESSAGES:
        if role not in ALLOWED.get(tag, ()):
            counter.desk._links.forget_stranger(key)
            (reply,) = asked(counter, key, tag)
            assert reply.error.code == ("auth.role" if tag in ALLOWED else "wire.unsupported"), tag


@pytest.mark.parametrize(
    ("role", "tag"), [(role, tag) for tag, roles in sorted(ALLOWED.items()) for role in sorted(roles)]
)
def test_every_row_admits_through_the_desk(counter, keys, role, tag):
    """What the role may send is answered exactly once, and not refused for its role."""
    key = getattr(keys, KEY_OF[role])
    if role is Role.USER:
        counter.hello(1, key)
    if role is Role.AGENT:
        counter.announce(1)
    replies = asked(counter, key, tag)
    codes = [reply.error.code for reply in replies if isinstance(reply, m.Failure)]
    assert len(replies) == (0 if tag in UNANSWERED else 1)
    assert "wire.unsupported" not in codes
    # The sample announces a device that is not this agent's: refused by role as well, rightly.
    assert "auth.role" not in codes or tag == "agent.announce"


def test_hello_opens_a_session(counter, keys):
    welcome = counter.hello(1, keys.ana)
    assert (welcome.role, welcome.major, welcome.epoch) == (Role.USER, m.MAJOR, counter.desk.core.epoch)
    assert (welcome.session.tenant, welcome.session.uid, welcome.session.key) == (
        "physics/ana",
        1001,
        keys.ana,
    )
    again = counter.hello(2, keys.ana)
    assert again.session.session_id == welcome.session.session_id
    assert counter.ask(1, keys.ana, m.SessionShow()).session == again.session


def test_hello_of_the_others_opens_none(counter, keys):
    for name in ("agent", "operator", "monitor", "issuer", "node", "stranger"):
        assert counter.hello(1, getattr(keys, name)).session is None
    assert counter.hello(1, keys.stranger).role is Role.NONE


@pytest.mark.parametrize(("oldest", "newest"), [(m.MAJOR + 1, m.MAJOR + 3), (-2, m.OLDEST_MAJOR - 1)])
def test_no_common_major(counter, keys, oldest, newest):
    assert counter.code(1, keys.ana, m.Hello(oldest=oldest, newest=newest)) == "wire.version"


def test_a_newer_client_falls_back(counter, keys):
    assert counter.ask(1, keys.ana, m.Hello(oldest=m.MAJOR, newest=m.MAJOR + 5)).major == m.MAJOR


def test_a_user_greets_first_on_every_connection(counter, keys):
    counter.hello(1, keys.ana)
    assert counter.code(2, keys.ana, m.TaskList()) == "auth.session"
    counter.hello(2, keys.ana)
    assert isinstance(counter.ask(2, keys.ana, m.TaskList()), m.TaskPage)


def test_without_a_session_only_those_that_need_none(counter, keys):
    counter.hello(1, keys.ana)
    assert isinstance(counter.ask(1, keys.ana, m.SessionClose()), m.Done)
    for tag, roles in ALLOWED.items():
        if Role.USER in roles:
            code = "auth.session" if tag not in SESSIONLESS else None
            reply = counter.ask(1, keys.ana, sample(MESSAGES[tag]) if tag != "hello" else m.Ping())
            assert (reply.error.code if isinstance(reply, m.Failure) else None) in (code, "auth.credential")
    reopened = counter.hello(1, keys.ana)
    assert reopened.session.is_open
    assert isinstance(counter.ask(1, keys.ana, m.TaskList()), m.TaskPage)


def test_a_copied_session_or_connection_is_of_no_use_under_another_key(counter, keys):
    """Whoever speaks over a connection is its frame's key; nothing of the key before is left."""
    counter.announce()
    counter.hello(1, keys.ana)
    task_id = counter.submit()
    assert counter.code(1, keys.stranger, m.TaskShow(task_id=task_id)) == "auth.role"
    assert counter.desk._watchers.of(task_id) == (), "the stranger must not be sent ana's events"
    counter.hello(1, keys.ben)
    assert counter.code(1, keys.ben, m.TaskShow(task_id=task_id)) == "task.unknown"


def test_sessions_with_a_lease_live_by_activity(make_counter, keys):
    counter = make_counter(lease_s=30)
    first = counter.hello(1, keys.ana).session
    assert first.expires_ms == counter.now_ms + 30_000
    for _ in range(4):
        counter.tick(20_000)
        assert isinstance(counter.ask(1, keys.ana, m.DeviceList()), m.DevicePage)
    counter.tick(31_000)
    assert counter.code(1, keys.ana, m.DeviceList()) == "auth.session"


def test_renewing_a_lease_answers_nobody_and_is_not_done_for_every_message(make_counter, keys):
    counter = make_counter(lease_s=30)
    counter.hello(1, keys.ana)
    assert counter.turn(1, keys.ana, m.DeviceList()).records == ()
    counter.now_ms += 11_000
    turn = counter.turn(1, keys.ana, m.DeviceList())
    assert len(turn.records) == 1
    assert len(turn.outputs) == 1
    counter.run(turn)


def test_closing_is_not_undone_by_the_renewal(make_counter, keys):
    counter = make_counter(lease_s=30)
    counter.hello(1, keys.ana)
    counter.now_ms += 20_000
    counter.ask(1, keys.ana, m.SessionClose())
    assert counter.code(1, keys.ana, m.DeviceList()) == "auth.session"


def test_a_stranger_is_answered_a_little_and_then_no_more(counter, keys):
    answered = sum(len(counter.tell(1, keys.stranger, m.Ping())) for _ in range(5 * STRANGER_BURST))
    assert answered == STRANGER_BURST
    counter.now_ms += PROVE_MS + 1
    assert counter.tell(1, keys.stranger, m.Ping()) == []
    assert counter.desk.connections == 0
    assert isinstance(counter.ask(2, keys.ana, m.Ping()), m.Pong)


def test_limits_by_key(counter, keys):
    assert counter.desk.limits_of(Peer(key=keys.stranger, address="")).message_bytes == 4096
    assert counter.desk.limits_of(Peer(key=keys.ana, address="")) == counter.identity.limits


def test_limits_are_checked_here_as_well(make_counter, keys):
    counter = make_counter(limits=m.Limits(program_bytes=5, shots=9))
    counter.hello(1, keys.ana)
    assert counter.code(1, keys.ana, counter.submission(), [(QASM3, b"OPENQASM 3.0;")]) == "limit.size"
    assert counter.code(1, keys.ana, counter.submission(shots=10)) == "limit.shots"


def test_parameters_that_would_not_fit_a_dispatch_are_refused(make_counter, keys):
    counter = make_counter(limits=m.Limits(message_bytes=1000))
    counter.hello(1, keys.ana)
    body = counter.submission()
    matrix = ParameterMatrix(names=("x",), bindings=100, data=bytes(800))
    item = msgspec.structs.replace(body.spec.items[0], parameters=matrix)
    spec = msgspec.structs.replace(body.spec, items=(item,))
    assert counter.code(1, keys.ana, m.TaskSubmit(task_id=body.task_id, spec=spec)) == "limit.size"


def test_an_agent_announces_only_its_device(counter):
    reply = counter.announce(device="ideal")
    assert reply.error.code == "auth.role"
    assert isinstance(counter.announce(), m.AgentWelcome)


def test_malformed_messages_are_answered_when_they_have_a_number(counter, keys):
    error = ProtocolError("no such message", code="wire.unsupported")
    peer = Peer(key=keys.ana, address="")
    ((connection, packet),) = counter.run(counter.desk.malformed(4, peer, error, 12, counter.now_ms))
    assert (connection, packet.envelope.re, packet.envelope.body.error.code) == (4, 12, "wire.unsupported")
    assert counter.run(counter.desk.malformed(4, peer, error, 0, counter.now_ms)) == []


def test_a_gateway_that_is_tied_to_no_cluster_takes_no_proofs(counter, keys):
    counter.hello(1, keys.ana)
    assert counter.code(1, keys.ana, m.SessionChallenge()) == "auth.credential"
    assert counter.code(2, keys.stranger, m.SessionOpen(credential=b"MUNGE:...")) == "auth.credential"


def test_stopping_is_for_operators_and_the_owner(make_counter, keys):
    for owner, name, may in ((1001, "ana", True), (1001, "ben", False), (None, "ana", False)):
        counter = make_counter(owner_uid=owner)
        counter.hello(1, getattr(keys, name))
        reply = counter.ask(1, getattr(keys, name), m.GatewayStop())
        assert isinstance(reply, m.Done) is may
        assert counter.desk.is_stopping is may
    counter = make_counter(owner_uid=None)
    assert isinstance(counter.ask(1, keys.operator, m.GatewayStop()), m.Done)


def test_while_stopping_nothing_new_is_taken_but_claims_end(counter, keys):
    counter.hello(1, keys.ana)
    counter.announce()
    counter.submit()
    (dispatch,) = counter.bodies(9, m.ClaimDispatch)
    counter.ask(1, keys.ana, m.GatewayStop())
    reply = counter.ask(1, keys.ana, counter.submission(), [(QASM3, b"OPENQASM 3.0;")])
    assert (reply.error.code, reply.error.retryable) == ("gateway.stopping", True)
    assert isinstance(counter.finish(dispatch.ref), m.ClaimRecorded)


def test_operators_enrol_and_revoke(counter, keys):
    request = m.KeyEnrol(key=keys.stranger, role=Role.USER, uid=5, tenant="physics/eve")
    assert isinstance(counter.ask(1, keys.operator, request), m.Done)
    assert counter.hello(2, keys.stranger).session.tenant == "physics/eve"
    assert isinstance(counter.ask(1, keys.operator, m.KeyRevoke(key=keys.stranger)), m.Done)
    assert counter.code(2, keys.stranger, m.DeviceList()) == "auth.role"


def test_a_revoked_key_is_sent_no_more_events(counter, keys):
    counter.hello(1, keys.ana)
    counter.announce()
    task_id = counter.submit()
    counter.ask(2, keys.operator, m.KeyRevoke(key=keys.ana))
    assert counter.desk._watchers.of(task_id) == ()


def test_gateway_show(counter, keys):
    counter.hello(1, keys.ana)
    counter.announce(credit=1)
    counter.submit()
    state = counter.ask(1, keys.ana, m.GatewayShow())
    assert (state.agents, state.tasks_live, state.connections, state.store_ok) == (1, 1, 2, True)
    figures = dict(state.figures)
    assert (figures["accepted"], figures["dispatched"]) == (1, 1)


def test_an_expected_device_is_not_an_announced_one(counter):
    assert not counter.desk.has_announced("echo")
    counter.announce()
    assert counter.desk.has_announced("echo")


def test_devices(counter, keys):
    counter.hello(1, keys.ana)
    counter.announce()
    (view,) = counter.ask(1, keys.ana, m.DeviceList()).devices
    assert (view.description.name, view.agents) == ("echo", 1)
    assert counter.ask(1, keys.ana, m.DeviceShow(device="echo")).devices == (view,)
    assert counter.code(1, keys.ana, m.DeviceShow(device="nought")) == "device.unknown"
    assert counter.code(1, keys.ana, m.SnapshotGet(device="echo")) == "device"


def test_the_hub_promises_binds_and_revokes(counter, keys):
    grant_id = counter.mint("g")
    create = m.GrantCreate(grant_id=grant_id, uid=7, tenant="physics/eve", ttl_s=60)
    created = counter.ask(1, keys.issuer, create)
    assert (created.grant.grant_id, created.grant.issuer) == (grant_id, keys.issuer)
    assert counter.ask(1, keys.issuer, create) == created, "repeating it is harmless"
    bound = counter.ask(1, keys.issuer, m.GrantBind(grant_id=grant_id, cluster="c", job_id="12"))
    assert (bound.grant.cluster, bound.grant.job_id) == ("c", "12")
    assert isinstance(counter.ask(1, keys.issuer, m.GrantRevoke(grant_id=grant_id)), m.Done)


def test_operators_book_and_everybody_sees_it(counter, keys):
    counter.hello(1, keys.ana)
    counter.announce()
    booking = Booking(
        booking_id=counter.mint("b"),
        device="echo",
        kind=BookingKind.MAINTENANCE,
        holder=None,
        from_ms=counter.now_ms + 60_000,
        until_ms=counter.now_ms + 120_000,
    )
    assert counter.ask(2, keys.operator, m.BookingCreate(booking=booking)).bookings == (booking,)
    assert counter.ask(1, keys.ana, m.BookingShow()).bookings == (booking,)
    assert counter.ask(1, keys.ana, m.BookingShow(device="other")).bookings == ()
    assert isinstance(counter.ask(2, keys.operator, m.BookingCancel(booking_id=booking.booking_id)), m.Done)
    assert counter.ask(1, keys.ana, m.BookingShow()).bookings == ()


def test_who_a_device_is_booked_for_is_for_those_and_operators(counter, keys):
    counter.announce()
    counter.hello(1, keys.ana)
    counter.hello(2, keys.ben)
    bookings = {
        holder: Booking(
            booking_id=counter.mint("b"),
            device="echo",
            kind=BookingKind.EXCLUSIVE,
            holder=holder,
            from_ms=counter.now_ms + 60_000 * hour,
            until_ms=counter.now_ms + 60_000 * (hour + 1),
            note=f"for {holder}",
        )
        for hour, holder in enumerate(("physics/ana", "physics", "chemistry"), 1)
    }
    for booking in bookings.values():
        counter.ask(6, keys.operator, m.BookingCreate(booking=booking))
    mine, ours, theirs = bookings.values()

    def hidden(booking):
        return msgspec.structs.replace(booking, holder=None, note="")

    assert counter.ask(1, keys.ana, m.BookingShow()).bookings == (mine, ours, hidden(theirs))
    assert counter.ask(2, keys.ben, m.BookingShow()).bookings == (hidden(mine), ours, hidden(theirs))
    for name in ("operator", "monitor"):
        assert counter.ask(5, getattr(keys, name), m.BookingShow()).bookings == (mine, ours, theirs)


def test_a_session_of_some_devices_is_shown_nothing_of_the_others(counter, keys):
    other = digest(b"other agent")
    counter.run(counter.desk.enrol([Enrolment(key=other, role=Role.AGENT, device="other")], counter.now_ms))
    shots = {
        name: Snapshot(snapshot_id=digest(data), device=name, taken_ms=counter.now_ms, data=data)
        for name, data in (("echo", b'{"a":1}'), ("other", b'{"a":2}'))
    }
    counter.announce(snapshot=shots["echo"])
    counter.announce(8, other, device="other", snapshot=shots["other"])
    for name in shots:
        booking = Booking(
            booking_id=counter.mint("b"),
            device=name,
            kind=BookingKind.MAINTENANCE,
            holder=None,
            from_ms=counter.now_ms + 60_000,
            until_ms=counter.now_ms + 120_000,
        )
        counter.ask(6, keys.operator, m.BookingCreate(booking=booking))
    grant = m.GrantCreate(
        grant_id=counter.mint("g"), uid=1001, tenant="physics/ana", ttl_s=60, devices=("echo",)
    )
    counter.ask(5, keys.issuer, grant)
    opening = OpenSession(
        origin=Origin(1, 1, keys.ana),
        session_id=counter.mint("s"),
        uid=1001,
        tenant="physics/ana",
        lease_s=None,
        cluster="c",
        job_id="12",
        grant_id=grant.grant_id,
    )
    step = counter.desk.core.handle(opening, counter.now_ms)
    counter.store.commit(step.records).result(0)
    (shown,) = step.effects
    assert shown.session.devices == ("echo",)
    counter.desk._links.add(1, keys.ana, counter.now_ms)
    counter.desk._links.greet(1)
    ids = {name: shot.snapshot_id for name, shot in shots.items()}
    assert [d.description.name for d in counter.ask(1, keys.ana, m.DeviceList()).devices] == ["echo"]
    assert [b.device for b in counter.ask(1, keys.ana, m.BookingShow()).bookings] == ["echo"]
    assert counter.ask(1, keys.ana, m.BookingShow(device="other")).bookings == ()
    assert counter.ask(1, keys.ana, m.SnapshotGet(device="echo")).snapshot == shots["echo"]
    assert counter.ask(1, keys.ana, m.SnapshotGet(snapshot_id=ids["echo"])).snapshot == shots["echo"]
    assert counter.code(1, keys.ana, m.SnapshotGet(device="other")) == "device"
    assert counter.code(1, keys.ana, m.SnapshotGet(snapshot_id=ids["other"])) == "device"


def test_an_agent_is_shown_snapshots_of_its_own_device_alone(counter, keys):
    other = counter.mint("t")[2:].encode()
    mine, theirs = (
        Snapshot(snapshot_id=digest(data), device=device, taken_ms=counter.now_ms, data=data)
        for device, data in (("echo", b'{"a":1}'), ("other", other))
    )
    counter.announce(snapshot=mine)
    counter.store.commit([SnapshotSaved(snapshot=theirs)]).result(0)
    assert counter.ask(9, keys.agent, m.SnapshotGet(snapshot_id=mine.snapshot_id)).snapshot == mine
    assert counter.code(9, keys.agent, m.SnapshotGet(snapshot_id=theirs.snapshot_id)) == "device"
    counter.hello(1, keys.ana)
    assert counter.ask(1, keys.ana, m.SnapshotGet(device="echo")).snapshot == mine
    assert counter.ask(1, keys.ana, m.SnapshotGet(snapshot_id=theirs.snapshot_id)).snapshot == theirs


def test_the_bound_snapshot_goes_with_the_first_dispatch_of_a_connection(counter, keys):
    counter.hello(1, keys.ana)
    data = b'{"a":1}'
    snapshot = Snapshot(snapshot_id=digest(data), device="echo", taken_ms=counter.now_ms, data=data)
    counter.announce(snapshot=snapshot)
    counter.submit()
    counter.submit()
    first, second = counter.bodies(9, m.ClaimDispatch)
    assert first.contract.snapshot_id == second.contract.snapshot_id == snapshot.snapshot_id
    assert (first.snapshot, second.snapshot) == (snapshot, None)
