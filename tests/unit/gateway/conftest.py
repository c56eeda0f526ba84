"""A desk on a real core and a memory store, driven as the service drives it."""

import itertools

import msgspec
import pytest

from qmio_jupyter.core.config import CoreConfig
from qmio_jupyter.core.core import Core
from qmio_jupyter.core.records import LiveState
from qmio_jupyter.gateway.caller import Identity
from qmio_jupyter.gateway.desk import Desk
from qmio_jupyter.gateway.release import Releases
from qmio_jupyter.model.access import Enrolment, Role
from qmio_jupyter.model.device import DeviceDescription, DeviceState
from qmio_jupyter.model.ids import digest, mint
from qmio_jupyter.model.program import MEDIA_TYPES, QASM3, Program
from qmio_jupyter.model.result import Outcome, TaskResult
from qmio_jupyter.model.task import Item, TaskSpec, TaskState
from qmio_jupyter.ports import Peer
from qmio_jupyter.store.memory import MemoryStore
from qmio_jupyter.wire import messages as m
from qmio_jupyter.wire.codec import attach

T0 = 1_700_000_000_000
SERVER = digest(b"server")
ANA, BEN, AGENT, OPERATOR, MONITOR, ISSUER, NODE, STRANGER = (
    digest(name)
    for name in (b"ana", b"ben", b"agent", b"operator", b"monitor", b"issuer", b"root of a node", b"stranger")
)
ENROLLED = (
    Enrolment(key=ANA, role=Role.USER, uid=1001, tenant="physics/ana"),
    Enrolment(key=BEN, role=Role.USER, uid=1002, tenant="physics/ben"),
    Enrolment(key=AGENT, role=Role.AGENT, device="echo"),
    Enrolment(key=OPERATOR, role=Role.OPERATOR),
    Enrolment(key=MONITOR, role=Role.MONITOR),
    Enrolment(key=ISSUER, role=Role.ISSUER),
    Enrolment(key=NODE, role=Role.NODE),
)
PROGRAM = Program(digest=digest(b"OPENQASM 3.0;"), media_type=QASM3, data=b"OPENQASM 3.0;")


class Counter:
    """A parallel world: desk, store and releases, with what each connection was sent."""

    def __init__(self, *, lease_s=None, owner_uid=1001, limits=None):
        self.now_ms = T0
        self.store = MemoryStore()
        self.identity = Identity(
            gateway="test",
            software="qmio_jupyter/0",
            started_ms=T0,
            key=SERVER,
            owner_uid=owner_uid,
            session_lease_s=lease_s,
            limits=limits or m.Limits(),
        )
        self.config = CoreConfig()
        self.serial = itertools.count(1)
        self.ids = itertools.count(1)
        self.desk = Desk(self.core(self.store.load_live()), identity=self.identity, ids=self.mint)
        self.releases = Releases()
        self.sent = []
        self.run(self.desk.start())
        self.run(self.desk.enrol(ENROLLED, self.now_ms))

    def core(self, live: LiveState) -> Core:
        return Core(self.config, live, live.epoch + 1, self.now_ms)

    def mint(self, prefix):
        return mint(prefix, self.now_ms, next(self.ids).to_bytes(10, "big"))

    def run(self, turn):
        """Commit and release a turn; return what it sent."""
        ticket = self.releases.hold(turn)
        if turn.records:
            self.store.commit(turn.records).result(0)
            self.releases.committed(ticket)
        sent = [pair for output in self.releases.take() for pair in self.desk.release(output, self.store)]
        self.sent += sent
        return sent

    def turn(self, connection, key, body, blobs=(), number=None):
        number = next(self.serial) if number is None else number
        packet = attach(body, blobs, id=number)
        return self.desk.receive(connection, Peer(key=key, address="test"), packet, self.now_ms)

    def ask(self, connection, key, body, blobs=()):
        """Send a request; return its one reply."""
        number = next(self.serial)
        sent = self.run(self.turn(connection, key, body, blobs, number))
        (reply,) = [p for c, p in sent if c == connection and p.envelope.re == number]
        return reply.envelope.body

    def code(self, connection, key, body, blobs=()):
        """Send a request that is refused; return the error's code."""
        reply = self.ask(connection, key, body, blobs)
        assert isinstance(reply, m.Failure), reply
        return reply.error.code

    def tell(self, connection, key, body):
        """Send a message that has no reply; return what it led to."""
        return self.run(self.turn(connection, key, body))

    def tick(self, ms=0):
        self.now_ms += ms
        return self.run(self.desk.tick(self.now_ms))

    def hello(self, connection, key):
        return self.ask(connection, key, m.Hello())

    def announce(self, connection=9, key=AGENT, **changes):
        return self.ask(connection, key, self.announcement(**changes))

    def announcement(self, credit=4, sequence=1, incarnation=1, device="echo", **more):
        return m.AgentAnnounce(
            agent=f"{device}.here",
            incarnation=incarnation,
            sequence=sequence,
            description=DeviceDescription(
                name=device, title="Echo", n_qubits=None, driver="echo", media_types=MEDIA_TYPES
            ),
            state=DeviceState.IDLE,
            credit=credit,
            **more,
        )

    def submission(self, label="", shots=10, device="echo"):
        spec = TaskSpec(device=device, items=(Item(program=PROGRAM.digest, shots=shots),), label=label)
        return m.TaskSubmit(task_id=self.mint("t"), spec=spec)

    def submit(self, connection=1, key=ANA, body=None):
        body = body or self.submission()
        reply = self.ask(connection, key, body, [(PROGRAM.media_type, PROGRAM.data)])
        assert isinstance(reply, m.TaskAccepted), reply
        return body.task_id

    def bodies(self, connection, kind):
        return [
            p.envelope.body for c, p in self.sent if c == connection and isinstance(p.envelope.body, kind)
        ]

    def packets(self, connection, kind):
        return [p for c, p in self.sent if c == connection and isinstance(p.envelope.body, kind)]

    def progress(self, ref, connection=9, key=AGENT):
        """Send partial counts of a claim."""
        result = TaskResult(
            task_id=ref.task_id,
            device="echo",
            items=(),
            shots=10,
            shots_done=5,
            revision=1,
            is_final=False,
            seed=0,
        )
        return self.tell(connection, key, m.ClaimProgress(ref=ref, result=result))

    def finish(self, ref, connection=9, key=AGENT):
        result = TaskResult(
            task_id=ref.task_id,
            device="echo",
            items=(),
            shots=10,
            shots_done=10,
            revision=1,
            is_final=True,
            seed=0,
        )
        self.tell(connection, key, m.ClaimHeld(ref=ref))
        self.tell(connection, key, m.ClaimStarted(ref=ref))
        outcome = Outcome(state=TaskState.COMPLETED, result=result)
        return self.ask(connection, key, m.ClaimFinish(ref=ref, outcome=outcome))


@pytest.fixture
def counter():
    return Counter()


@pytest.fixture
def make_counter():
    return Counter


@pytest.fixture
def keys():
    class Keys(msgspec.Struct, frozen=True):
        ana: str = ANA
        ben: str = BEN
        agent: str = AGENT
        operator: str = OPERATOR
        monitor: str = MONITOR
        issuer: str = ISSUER
        node: str = NODE
        stranger: str = STRANGER

    return Keys()
