"""Sessions of jobs without MUNGE, and epilogs, at the desk: what a node may say, and who gets in by it."""

import pytest
from msgspec.structs import replace

from qmio_jupyter.auth.job_secrets import check_of, prove
from qmio_jupyter.auth.transcript import digest as transcript
from qmio_jupyter.core.allocation import check_origin
from qmio_jupyter.errors import AuthError
from qmio_jupyter.gateway.desk import Desk
from qmio_jupyter.gateway.verifying import Verifying
from qmio_jupyter.model.access import Role
from qmio_jupyter.model.ids import digest
from qmio_jupyter.wire import messages as m
from tests.unit.gateway.test_desk_proofs import ELSEWHERE, FACTS, HERE, KEY, OTHER, UID, FakeVerifier, Prover

CONTROLLER = "10.0.0.250"
SECRET = b"s" * 32
ADMIT = m.AllocationAdmit(cluster="c", job_id="7", node="n1", uid=1001, check=check_of(SECRET))
END = m.AllocationEnd(cluster="c", job_id="7", node="n1")


class World(Prover):
    """A desk that takes both kinds of proof, and a Slurm that knows one job."""

    def __init__(self, counter, *, kinds=("munge", "secret")):
        super().__init__(counter)
        counter.identity = replace(counter.identity, proofs=kinds, controllers=(CONTROLLER,))
        counter.desk = Desk(
            counter.core(counter.store.load_live()),
            identity=counter.identity,
            ids=counter.mint,
            nonces=self.nonce,
        )
        counter.run(counter.desk.start())
        self.verifier = FakeVerifier((FACTS,))

    def tell(self, body, key, address=HERE, connection=9):
        return self.ask(body, key, address, connection)

    def proof(self, key=KEY, connection=1, *, secret=SECRET, node="n1", address=HERE, **changes):
        """Ask for a nonce; return a proof that answers it, its transcript changed as asked."""
        question = self.ask(m.SessionChallenge(), key, address, connection)
        assert isinstance(question, m.SessionNonce), question
        parts = {
            "server_key": question.server_key, "client_key": bytes.fromhex(key), "nonce": question.nonce,
            "cluster": "c", "job_id": "7", "grant_id": None,
        }  # fmt: skip
        credential = prove(secret, transcript(**(parts | changes)))
        return m.SessionOpen(cluster="c", job_id="7", node=node, credential=credential)

    def offer(self, body, key=KEY, connection=1, address=HERE):
        """Send a proof and look into it for real; return what its key is told."""
        told = self.send(body, key, address, connection)
        verifying = Verifying(munge_is_not_asked, self.verifier, gateway_uid=UID)
        try:
            for proof in self.counter.desk.proofs.take():
                try:
                    outcome = verifying.examine(proof)
                except AuthError as error:
                    outcome = error
                sent = self.counter.run(self.counter.desk.proved(proof.number, outcome, self.counter.now_ms))
                told += [p.envelope.body for _, p in sent if p.envelope.re == proof.request]
        finally:
            verifying.close()
        (answer,) = told
        return answer

    def refused(self, body, key=KEY, connection=1, address=HERE):
        answer = self.offer(body, key, connection, address)
        assert isinstance(answer, m.Failure), answer
        assert answer.error.code == "auth.credential"
        return answer.error.message


def munge_is_not_asked(_):
    raise AssertionError("MUNGE was asked")


@pytest.fixture
def world(counter):
    return World(counter)


@pytest.fixture
def admitted(world, keys):
    assert isinstance(world.tell(ADMIT, keys.node), m.Done)
    return world


def test_a_job_proves_itself_with_the_secret_it_was_handed(admitted):
    answer = admitted.offer(admitted.proof())
    assert isinstance(answer, m.SessionState), answer
    assert (answer.session.uid, answer.session.tenant, answer.session.job_id) == (1001, "physics/ana", "7")
    assert answer.session.addresses == FACTS.addresses
    assert admitted.ask(m.Hello()).role is Role.USER
    assert isinstance(admitted.ask(m.TaskList()), m.TaskPage)


def test_the_question_says_what_is_taken(world, make_counter):
    assert world.ask(m.SessionChallenge()).proofs == ("munge", "secret")
    for kind, body in (("munge", m.SessionOpen(node="n1")), ("secret", m.SessionOpen())):
        strict = World(make_counter(), kinds=(kind,))
        assert strict.ask(m.SessionChallenge()).proofs == (kind,)
        answer = strict.ask(body)
        assert (answer.error.code, kind in answer.error.message) == ("auth.credential", True)


@pytest.mark.parametrize(
    "change",
    [
        {"server_key": "x" * 40},
        {"client_key": b"x" * 32},
        {"nonce": b"n" * 32},
        {"cluster": "d"},
        {"job_id": "8"},
        {"grant_id": "g"},
        {"secret": b"t" * 32},
    ],
)
def test_a_proof_for_another_gateway_key_question_job_grant_or_secret_opens_nothing(admitted, change):
    assert "not made with the secret" in admitted.refused(admitted.proof(**change))
    assert admitted.ask(m.Hello()).role is Role.NONE


def test_a_stolen_ledger_proves_nothing(admitted):
    """Whoever has all that the gateway has on disk makes no proof of it."""
    (known,) = admitted.counter.store.load_live().job_secrets
    assert SECRET not in known.check
    assert "not made with the secret" in admitted.refused(admitted.proof(secret=known.check))
    question = admitted.ask(m.SessionChallenge(), OTHER, connection=2)
    forged = m.SessionOpen(cluster="c", job_id="7", node="n1", credential=known.check)
    assert question.nonce
    assert "not made with the secret" in admitted.refused(forged, OTHER, 2)


def test_a_proof_is_good_once_and_for_its_key(admitted):
    proof = admitted.proof()
    admitted.ask(m.SessionChallenge(), OTHER, connection=2)
    assert "not made with the secret" in admitted.refused(proof, OTHER, 2), "relayed"
    assert isinstance(admitted.offer(proof), m.SessionState)
    admitted.ask(m.SessionChallenge(), connection=3)
    assert "not made with the secret" in admitted.refused(proof, connection=3), "replayed"


def test_without_a_prolog_there_is_no_way_in(world):
    assert "not made with the secret" in world.refused(world.proof())
    for node in ("n2", "n9"):
        assert "not made with the secret" in world.refused(world.proof(OTHER, 2, node=node), OTHER, 2)


def test_the_next_secret_of_the_job_on_the_node_is_the_only_one(admitted, keys):
    """A job that was put back into the queue is handed another one: the copy of the first opens nothing."""
    admitted.tell(replace(ADMIT, check=check_of(b"t" * 32)), keys.node)
    assert "not made with the secret" in admitted.refused(admitted.proof())
    assert isinstance(admitted.offer(admitted.proof(OTHER, 2, secret=b"t" * 32), OTHER, 2), m.SessionState)


def test_slurm_is_asked_as_with_munge(admitted):
    for facts, says in (
        (replace(FACTS, uid=1002), "no job"),
        (replace(FACTS, running=False, state="COMPLETING"), "does not run (COMPLETING)"),
        (replace(FACTS, running=False, state="PENDING", addresses=()), "does not run (PENDING)"),
        (replace(FACTS, addresses=("10.0.0.2",)), "no node of job 7"),
    ):
        admitted.verifier.found = (facts,)
        assert says in admitted.refused(admitted.proof())
        admitted.counter.desk._links.forget_stranger(KEY)
    admitted.verifier.found = ()
    assert "no job" in admitted.refused(admitted.proof())


def test_a_secret_copied_off_the_jobs_nodes_opens_nothing(admitted):
    proof = admitted.proof(address=ELSEWHERE)
    assert "was made on 10.0.0.9" in admitted.refused(proof, address=ELSEWHERE)
    assert isinstance(
        admitted.offer(admitted.proof(OTHER, 2, address="10.0.0.2"), OTHER, 2, "10.0.0.2"), m.SessionState
    )


def test_a_nodes_stolen_key_lets_nobody_into_a_job_on_other_nodes(world, keys):
    """Root of a node may hand out what it likes: of no use but for the jobs that it runs."""
    world.tell(ADMIT, keys.node, address=ELSEWHERE)
    assert "handed out on 10.0.0.9" in world.refused(world.proof())
    with pytest.raises(AuthError, match="no node of job 7"):
        check_origin(world.counter.desk.core.job_secret("c", "7", "n1"), FACTS)


def test_the_epilog_ends_the_session_at_once_and_the_secret_with_it(admitted, keys):
    admitted.offer(admitted.proof())
    assert admitted.ask(m.Hello()).role is Role.USER
    assert isinstance(admitted.tell(END, keys.node), m.Done)
    assert admitted.code(m.TaskList()) == "auth.role"
    assert not admitted.counter.desk.is_known(KEY)
    assert "not made with the secret" in admitted.refused(admitted.proof())
    assert isinstance(admitted.tell(END, keys.node), m.Done), "said twice"
    assert [(one.cluster, one.job_id) for one in admitted.counter.desk.take_ended()] == [("c", "7")] * 2
    assert admitted.counter.desk.take_ended() == []


def test_an_epilog_elsewhere_ends_nothing_and_the_controllers_ends_all(admitted, keys):
    admitted.offer(admitted.proof())
    admitted.tell(END, keys.node, address=ELSEWHERE)
    assert admitted.ask(m.Hello()).role is Role.USER
    assert admitted.counter.desk.core.job_secret("c", "7", "n1")
    admitted.tell(replace(END, node=""), keys.node, address=f"::ffff:{CONTROLLER}")
    assert admitted.code(m.TaskList()) == "auth.role"
    assert admitted.counter.desk.core.job_secret("c", "7", "n1") is None


@pytest.mark.parametrize("body", [ADMIT, END])
def test_a_gateway_without_proofs_hears_of_no_jobs(counter, keys, body):
    assert counter.code(1, keys.node, body) == "auth.credential"
    assert counter.desk.take_ended() == []


def test_what_is_said_in_other_roles_is_not_taken(world, keys):
    stranger = digest(b"nobody")
    for key in (keys.issuer, keys.agent, keys.operator, keys.monitor, stranger):
        for body in (ADMIT, END):
            assert world.code(body, key, connection=5) == "auth.role"
    assert world.counter.store.load_live().job_secrets == ()
    assert world.counter.desk.take_ended() == []


def test_a_restart_forgets_no_secret(admitted):
    counter = admitted.counter
    counter.run(counter.desk.adopt(counter.core(counter.store.load_live())))
    assert isinstance(admitted.offer(admitted.proof()), m.SessionState)


def test_no_secret_is_shown_in_a_representation(admitted):
    admitted.send(admitted.proof())
    (proof,) = admitted.counter.desk.proofs.take()
    assert repr(proof) == f"Proof(number=1, key={KEY[:12]!r}, job_id='7')"
