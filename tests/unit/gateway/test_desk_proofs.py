"""Sessions by proof at the desk: nonces, keys, connections, jobs that end; and every way of getting in without."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from qmio_jupyter.auth.keys import new_keys
from qmio_jupyter.core.allocation import check_bearer, resolve
from qmio_jupyter.errors import AuthError, QmioError
from qmio_jupyter.gateway.desk import Desk
from qmio_jupyter.gateway.links import FORGIVE_MS, PROVE_MS, STRANGER_BURST
from qmio_jupyter.gateway.proofs import MOST_OF_KEY, MOST_PROOFS_OF_KEY, NONCE_MS, Proof
from qmio_jupyter.gateway.verifying import Admitted, Verifying
from qmio_jupyter.model.access import Role
from qmio_jupyter.model.allocation import AllocationFacts, Bearer, JobRun
from qmio_jupyter.model.ids import digest
from qmio_jupyter.ports import Peer
from qmio_jupyter.wire import messages as m
from qmio_jupyter.wire.codec import attach

KEY, OTHER = digest(b"node"), digest(b"thief")
HERE, ELSEWHERE = "10.0.0.1", "10.0.0.9"
UID = 990
FACTS = AllocationFacts(
    cluster="c", job_id="7", uid=1001, tenant="physics/ana", state="RUNNING", running=True, nodes=("n1", "n2"),
    addresses=(HERE, "10.0.0.2"), submit_ms=5,
)  # fmt: skip
OPEN = m.SessionOpen(cluster="c", job_id="7", credential=b"MUNGE:x:")


class Prover:
    """A counter whose desk takes proofs, and MUNGE and Slurm as the test has them."""

    def __init__(self, counter) -> None:
        self.counter = counter
        self.nonces = 0
        identity = replace(
            counter.identity, server_key=new_keys().public, uid=UID, session_lease_s=600.0, owner_uid=None
        )
        counter.identity = identity
        counter.desk = Desk(
            counter.core(counter.store.load_live()), identity=identity, ids=counter.mint, nonces=self.nonce
        )
        counter.run(counter.desk.start())
        self.found = [FACTS]
        self.address = HERE
        self.uid = 1001
        #: Digests that credentials carry: made with the key and nonce of whoever asked.
        self.serial = 1000

    def nonce(self, count: int) -> bytes:
        self.nonces += 1
        return self.nonces.to_bytes(count, "big")

    def send(self, body, key=KEY, address=HERE, connection=1):
        self.serial += 1
        turn = self.counter.desk.receive(
            connection, Peer(key=key, address=address), attach(body, id=self.serial), self.counter.now_ms
        )
        sent = self.counter.run(turn)
        return [p.envelope.body for c, p in sent if c == connection and p.envelope.re == self.serial]

    def ask(self, body, key=KEY, address=HERE, connection=1):
        (answer,) = self.send(body, key, address, connection)
        return answer

    def code(self, *arguments, **more):
        answer = self.ask(*arguments, **more)
        assert isinstance(answer, m.Failure), answer
        return answer.error.code

    def settle(self, outcome=None, facts=FACTS) -> list[m.Message]:
        """Look into every proof there is; return what its askers were told."""
        told = []
        for proof in self.counter.desk.proofs.take():
            found = outcome or Admitted(facts, ())
            sent = self.counter.run(self.counter.desk.proved(proof.number, found, self.counter.now_ms))
            told += [p.envelope.body for _, p in sent if p.envelope.re == proof.request]
        return told

    def open(self, key=KEY, body=OPEN, connection=1, facts=FACTS):
        assert isinstance(self.ask(m.SessionChallenge(), key, connection=connection), m.SessionNonce)
        assert self.send(body, key, connection=connection) == []
        (answer,) = self.settle(facts=facts)
        return answer

    def enter(self, key=KEY, connection=1):
        """Open a session and greet."""
        answer = self.open(key, connection=connection)
        assert isinstance(answer, m.SessionState), answer
        welcome = self.ask(m.Hello(), key, connection=connection)
        assert welcome.role is Role.USER
        return answer.session


@pytest.fixture
def prover(counter) -> Prover:
    return Prover(counter)


def test_a_proof_opens_a_session_for_the_jobs_user(prover):
    assert prover.ask(m.Hello()).role is Role.NONE
    session = prover.enter()
    assert (session.uid, session.tenant, session.job_id, session.submit_ms) == (1001, "physics/ana", "7", 5)
    assert session.addresses == FACTS.addresses
    assert session.expires_ms == prover.counter.now_ms + 600_000
    assert isinstance(prover.ask(m.TaskList()), m.TaskPage)
    assert prover.counter.desk.is_known(KEY)
    assert prover.counter.desk.limits_of(Peer(key=KEY, address=HERE)) == prover.counter.identity.limits


def test_the_question_names_the_gateway_and_who_may_read_the_answer(prover):
    first = prover.ask(m.SessionChallenge())
    assert (len(first.nonce), first.server_key, first.uid) == (32, prover.counter.identity.server_key, UID)
    assert prover.ask(m.SessionChallenge()).nonce != first.nonce


def test_a_greeting_is_wanted_again_after_the_proof(prover):
    prover.open()
    assert prover.code(m.TaskList()) == "auth.session"


def test_a_nonce_is_used_once(prover):
    prover.ask(m.SessionChallenge())
    assert prover.send(OPEN) == []
    assert prover.code(OPEN) == "auth.credential"
    assert len(prover.counter.desk.proofs.take()) == 1


def test_a_proof_without_a_question_or_after_half_a_minute_is_not_looked_into(prover):
    assert prover.code(OPEN) == "auth.credential"
    prover.ask(m.SessionChallenge())
    prover.counter.now_ms += NONCE_MS
    prover.counter.desk._links.forget_stranger(KEY)
    assert prover.code(OPEN) == "auth.credential"
    assert prover.counter.desk.proofs.take() == []


def test_a_nonce_is_the_keys_that_asked_for_it(prover):
    """A thief who read both, question and credential, has no use for them under another key."""
    prover.ask(m.SessionChallenge())
    assert prover.code(OPEN, OTHER, connection=2) == "auth.credential"
    prover.send(OPEN)
    (proof,) = prover.counter.desk.proofs.take()
    prover.ask(m.SessionChallenge(), OTHER, connection=2)
    prover.send(OPEN, OTHER, connection=2)
    (stolen,) = prover.counter.desk.proofs.take()
    bearer = Bearer(uid=1001, address=HERE, age_s=0, only_for=UID, payload=proof.digests[0])
    check_bearer(bearer, digests=proof.digests, gateway_uid=UID)
    with pytest.raises(AuthError):
        check_bearer(bearer, digests=stolen.digests, gateway_uid=UID)


def test_few_nonces_of_a_key_are_kept_and_any_of_them_is_good(prover):
    for _ in range(MOST_OF_KEY + 3):
        prover.ask(m.SessionChallenge())
    prover.send(OPEN)
    (proof,) = prover.counter.desk.proofs.take()
    assert len(set(proof.digests)) == MOST_OF_KEY


def test_a_repeated_message_is_looked_into_once_and_answered_once(prover):
    prover.ask(m.SessionChallenge())
    for _ in range(3):
        prover.serial = 5000
        assert prover.send(OPEN) == []
    assert len(prover.settle()) == 1


def test_few_proofs_of_a_key_are_looked_into_at_once(prover):
    for _ in range(MOST_PROOFS_OF_KEY):
        prover.ask(m.SessionChallenge())
        assert prover.send(OPEN) == []
    prover.ask(m.SessionChallenge())
    assert prover.code(OPEN) == "limit.rate"


def test_a_refused_proof_opens_nothing(prover):
    prover.ask(m.SessionChallenge())
    prover.send(OPEN)
    (answer,) = prover.settle(AuthError("no", code="auth.credential"))
    assert answer.error.code == "auth.credential"
    assert prover.ask(m.Hello()).role is Role.NONE
    assert prover.code(m.TaskList()) == "auth.role"
    assert not prover.counter.desk.is_known(KEY)


def test_a_stranger_has_five_seconds_unless_slurm_was_slow(prover):
    prover.ask(m.SessionChallenge())
    prover.send(OPEN)
    prover.counter.now_ms += PROVE_MS + 1
    assert prover.send(m.Ping()) == []
    (answer,) = prover.settle(QmioError("down", code="slurm.unreachable", retryable=True))
    assert answer.error.retryable
    assert isinstance(prover.ask(m.SessionChallenge()), m.SessionNonce)


def test_a_stranger_may_say_little(prover):
    said = [prover.send(m.Ping(), OTHER) for _ in range(STRANGER_BURST + 5)]
    assert sum(map(bool, said)) == STRANGER_BURST
    prover.counter.now_ms += FORGIVE_MS + 1
    assert prover.send(m.Ping(), OTHER)
    large = m.SessionOpen(cluster="c", job_id="7", credential=b"x" * 5000)
    assert prover.counter.desk.limits_of(Peer(key=OTHER, address="")).message_bytes == 4096
    assert prover.code(large, OTHER) == "auth.credential"


@pytest.mark.parametrize(
    "body",
    [
        m.TaskList(),
        m.SessionShow(),
        m.GrantCreate(grant_id="g", uid=1, tenant="a/b", ttl_s=1),
        m.GatewayStop(),
    ],
)
def test_without_a_session_nothing_is_open(prover, body):
    assert prover.code(body, OTHER) == "auth.role"


def test_a_copied_key_is_refused_off_the_jobs_nodes_and_good_on_all_of_them(prover):
    prover.enter()
    assert isinstance(prover.ask(m.Hello(), address="10.0.0.2", connection=2), m.Welcome)
    assert isinstance(prover.ask(m.TaskList(), address="::ffff:10.0.0.2", connection=2), m.TaskPage)
    stolen = prover.ask(m.Hello(), address=ELSEWHERE, connection=3)
    assert (stolen.role, stolen.session) == (Role.NONE, None)
    assert prover.code(m.TaskList(), address=ELSEWHERE, connection=3) == "auth.session"
    # Nor does the connection of before carry it.
    assert prover.code(m.TaskList(), address=ELSEWHERE, connection=1) == "auth.session"
    assert isinstance(prover.ask(m.Hello(), connection=1), m.Welcome)


def test_a_session_id_is_no_secret_and_opens_nothing(prover):
    session = prover.enter()
    for body in (
        m.SessionOpen(cluster="c", job_id=session.session_id),
        m.SessionOpen(cluster="c", job_id="7", credential=session.session_id.encode()),
    ):
        assert prover.code(body, OTHER, connection=2) == "auth.credential"


def test_a_session_ends_with_its_job_and_its_key_is_a_strangers(prover):
    prover.enter()
    assert prover.counter.desk.core.job_runs() == (JobRun("c", "7", 5, 0),)
    prover.counter.run(
        prover.counter.desk.ended((JobRun("c", "7", 5, 1), JobRun("c", "7", 4, 0)), prover.counter.now_ms)
    )
    assert isinstance(prover.ask(m.TaskList()), m.TaskPage), "another run of that id has ended"
    prover.counter.run(prover.counter.desk.ended((JobRun("c", "7", 5, 0),), prover.counter.now_ms))
    assert prover.code(m.TaskList()) == "auth.role"
    assert not prover.counter.desk.is_known(KEY)
    assert prover.counter.desk.core.job_runs() == ()


def test_a_requeued_job_needs_a_new_key_and_gets_a_new_session(prover):
    prover.enter()
    again = replace(FACTS, submit_ms=9, restarts=1)
    refused = prover.open(facts=again, connection=2)
    assert refused.error.code == "auth.credential"
    opened = prover.open(OTHER, connection=3, facts=again)
    assert (opened.session.submit_ms, opened.session.restarts) == (9, 1)
    prover.counter.run(prover.counter.desk.ended((JobRun("c", "7", 5, 0),), prover.counter.now_ms))
    assert isinstance(prover.ask(m.Hello(), OTHER, connection=3), m.Welcome)
    assert isinstance(prover.ask(m.TaskList(), OTHER, connection=3), m.TaskPage)


def test_a_restart_forgets_no_session_and_no_place(prover):
    prover.enter()
    counter = prover.counter
    counter.run(counter.desk.adopt(counter.core(counter.store.load_live())))
    assert prover.code(m.TaskList()) == "auth.session", "hello comes first"
    prover.ask(m.Hello())
    assert isinstance(prover.ask(m.TaskList()), m.TaskPage)
    assert prover.code(m.TaskList(), address=ELSEWHERE) == "auth.session"
    assert counter.desk.core.job_runs() == (JobRun("c", "7", 5, 0),)


def test_a_session_is_renewed_by_what_its_programs_say_and_lapses_without(prover):
    prover.enter()
    for _ in range(4):
        prover.counter.now_ms += 400_000
        assert isinstance(prover.ask(m.Ping()), m.Pong)
    prover.counter.tick(601_000)
    assert prover.code(m.TaskList()) == "auth.role"


def issue(prover, counter, keys, **more):
    body = m.GrantCreate(**({"grant_id": "g", "uid": 1001, "tenant": "hub/ana", "ttl_s": 60.0} | more))
    assert isinstance(prover.ask(body, keys.issuer, connection=7), m.GrantState)


WITH_GRANT = m.SessionOpen(cluster="c", job_id="7", credential=b"MUNGE:x:", grant_id="g")


def test_a_grant_is_bound_to_its_job_and_narrows_its_devices(prover, counter, keys):
    issue(prover, counter, keys, devices=("echo",))
    opened = prover.open(body=WITH_GRANT)
    assert (opened.session.grant_id, opened.session.devices) == ("g", ("echo",))
    assert opened.session.tenant == "physics/ana", "whom to charge is Slurm's to say"
    stolen = prover.open(OTHER, WITH_GRANT, connection=2, facts=replace(FACTS, job_id="8"))
    assert stolen.error.code == "grant"


@pytest.mark.parametrize(
    ("facts", "more"),
    [
        (replace(FACTS, uid=1002, tenant="physics/eve"), {}),
        (replace(FACTS, tenant="physics/eve"), {}),
        (FACTS, {"grant_id": "other"}),
    ],
)
def test_a_stolen_grant_id_is_of_no_use(prover, counter, keys, facts, more):
    issue(prover, counter, keys, **more)
    assert prover.open(OTHER, WITH_GRANT, facts=facts).error.code == "grant"
    assert prover.ask(m.Hello(), OTHER).role is Role.NONE


def test_an_expired_or_revoked_grant_opens_nothing_and_closes_what_it_opened(prover, counter, keys):
    issue(prover, counter, keys, ttl_s=1.0)
    counter.now_ms += 2_000
    assert prover.open(body=WITH_GRANT).error.code == "grant"
    issue(prover, counter, keys, grant_id="g2")
    opened = prover.open(body=replace(WITH_GRANT, grant_id="g2"), connection=2)
    assert isinstance(opened, m.SessionState)
    prover.ask(m.GrantRevoke(grant_id="g2"), keys.issuer, connection=7)
    assert prover.code(m.TaskList(), connection=2) == "auth.role"


def test_licences_and_grants_that_share_no_device_open_nothing(prover, counter, keys):
    issue(prover, counter, keys, devices=("echo",))
    prover.ask(m.SessionChallenge())
    prover.send(WITH_GRANT)
    (answer,) = prover.settle(Admitted(FACTS, ("fake-qmio",)))
    assert answer.error.code == "grant"
    grants = prover.counter.desk.core.state.grants
    assert grants["g"].job_id == "", "a refusal binds nothing"


@pytest.mark.parametrize("role", ["issuer", "agent", "operator", "monitor", "node"])
def test_no_other_roles_key_opens_a_session_or_does_a_users_work(prover, keys, role):
    """The hub's own key, stolen: it promises, and that is all."""
    key = getattr(keys, role)
    for body in (
        m.SessionChallenge(),
        OPEN,
        m.TaskList() if role in ("issuer", "agent", "node") else m.ProgramPut(),
    ):
        assert prover.code(body, key, connection=8) == "auth.role"


def test_a_proof_that_is_settled_while_the_ledger_is_down_opens_nothing(prover):
    prover.ask(m.SessionChallenge())
    prover.send(OPEN)
    prover.counter.desk.suspend()
    (answer,) = prover.settle()
    assert (answer.error.code, answer.error.retryable) == ("store", True)


def test_a_proof_is_settled_once(prover):
    prover.ask(m.SessionChallenge())
    prover.send(OPEN)
    (proof,) = prover.counter.desk.proofs.take()
    desk = prover.counter.desk
    assert desk.proved(proof.number, Admitted(FACTS, ()), prover.counter.now_ms).records
    assert desk.proved(proof.number, Admitted(FACTS, ()), prover.counter.now_ms).records == ()


def test_no_credential_is_shown_in_a_representation(prover):
    prover.ask(m.SessionChallenge())
    prover.send(replace(OPEN, credential=b"MUNGE:secret:"))
    (proof,) = prover.counter.desk.proofs.take()
    assert "secret" not in repr(proof)


class FakeVerifier:
    """Slurm's word, set by the test."""

    def __init__(self, found):
        self.found = found

    def facts(self, cluster, job_id, *, restarts=0):
        return self.found

    def ended(self, runs):
        return ()

    def has_ended(self, cluster, job_id):
        raise AssertionError("no epilog ran")


def test_looking_into_a_proof_asks_munge_then_slurm():
    proof = Proof(
        number=1, connection=1, request=1, key=KEY, cluster="c", job_id="7", grant_id=None, credential=b"x",
        digests=(b"d",),
    )  # fmt: skip
    bearer = Bearer(uid=1001, address=HERE, age_s=0, only_for=UID, payload=b"d")
    verifying = Verifying(lambda _: bearer, FakeVerifier((FACTS,)), gateway_uid=UID)
    try:
        assert verifying.look_into(proof).result(20) == Admitted(resolve(bearer, "7", (FACTS,)), ())
        with pytest.raises(AuthError):
            verifying.look_into(replace(proof, digests=(b"e",))).result(20)
        assert verifying.ended(()).result(20) == ()
    finally:
        verifying.close()
    strict = Verifying(lambda _: bearer, FakeVerifier((FACTS,)), gateway_uid=UID, licence_required=True)
    try:
        with pytest.raises(AuthError, match="licence"):
            strict.examine(proof)
    finally:
        strict.close()
