"""Dry runs through a real gateway: an honest echo agent, and one played by the test that is slow, gone or hostile."""

import threading
import time

import msgspec
import pytest

from qmio_jupyter.auth.keys import read_keys
from qmio_jupyter.client.spec import build_spec
from qmio_jupyter.config import connection
from qmio_jupyter.errors import AgentError, DeadlineError, LimitError, ProgramError, QmioError
from qmio_jupyter.model.device import DeviceDescription, DeviceState
from qmio_jupyter.model.dry_run import DryRun, DryRunItem
from qmio_jupyter.model.keys import KeyPair
from qmio_jupyter.model.program import MEDIA_TYPES
from qmio_jupyter.model.task import ErrorInfo, TaskState
from qmio_jupyter.testing import runs
from qmio_jupyter.testing.messages import sample
from qmio_jupyter.wire import messages as m
from qmio_jupyter.wire.frames import PREAMBLE

SOON_S = 30
SLOW = '[[gateway.agents]]\ndevice = "slow"\ndriver = "echo"\nstart = false\n'
ITEM = DryRunItem(n_qubits=1, n_bits=1, shots=100)
FOUND = DryRun(device="slow", items=(ITEM,))


@pytest.fixture
def home(make_home):
    found = make_home()
    found.config.write_text(found.config.read_text() + SLOW)
    return found.start()


class PlayedAgent:
    """The agent of `slow`: says nothing by itself."""

    def __init__(self, home):
        self.link = home.dealer(read_keys(home.places.keys / "agent-slow.key"))
        self.inbox = []
        assert self.link.ask(m.Hello()).role == "agent"
        about = DeviceDescription(
            name="slow",
            title="Slow",
            n_qubits=None,
            driver="played",
            media_types=MEDIA_TYPES,
            checked_above=5,
        )
        announce = m.AgentAnnounce(
            agent="slow.here",
            incarnation=time.time_ns() // 10**6,
            sequence=1,
            description=about,
            state=DeviceState.IDLE,
            credit=16,
        )
        assert isinstance(self.link.ask(announce), m.AgentWelcome)

    def next(self, kind=m.EstimateAsk, meanwhile=lambda: None):
        """Return the next packet of a kind, dropping what is older; `meanwhile` is called again and again."""
        deadline = time.monotonic() + SOON_S
        while time.monotonic() < deadline:
            meanwhile()
            while self.inbox:
                packet = self.inbox.pop(0)
                if isinstance(packet.envelope.body, kind):
                    return packet
            self.link.dealer.poll(0.05)
            self.inbox += self.link.dealer.receive()
        return pytest.fail(f"no {kind.__name__} came")

    def question(self):
        """Return the number of the next question."""
        return self.next().envelope.body.number

    def answer(self, number, **what):
        self.link.send(m.EstimateAnswer(number=number, **what))

    def say(self, body):
        """Send a body as it is."""
        frames = [PREAMBLE, msgspec.msgpack.encode({"body": body})]
        self.link.dealer._socket.send_multipart(frames)

    def leave(self):
        self.link.dealer.close()


class Asking(threading.Thread):
    """A client's dry run, in a thread of its own."""

    def __init__(self, home, client, within_s=SOON_S):
        super().__init__()
        self.client, self.within_s, self.outcome = client, within_s, None
        self.spec = msgspec.structs.replace(home.task(), device="slow")
        self.programs = [home.program]
        self.start()

    def run(self):
        try:
            self.outcome = self.client.estimate(self.spec, self.programs, within_s=self.within_s)
        except QmioError as error:
            self.outcome = error

    def end(self):
        self.join(SOON_S + 10)
        assert not self.is_alive()
        return self.outcome


def test_an_honest_agent(home):
    client = home.ready()
    found = client.estimate(home.task(shots=1000, seconds=2), [home.program])
    assert (found.device, found.device_s, found.items[0].shots) == ("echo", 2.0, 1000)
    assert found.cost_s > 0
    assert client.tasks() == ()
    with pytest.raises(QmioError) as refused:
        client.estimate(home.task(shots=1000, bits=9999), [home.program])
    assert refused.value.code == "device.option"


def test_nobody_waits_for_a_dry_run_but_its_asker(home):
    client = home.ready()
    agent = PlayedAgent(home)
    asking = Asking(home, client)
    packet = agent.next()
    assert packet.attachments == (home.program.data,)
    began = time.monotonic()
    handles = [home.submit(client, f"n{n}") for n in range(20)]
    assert {handle.wait(SOON_S).state for handle in handles} == {TaskState.COMPLETED}
    assert time.monotonic() - began < SOON_S
    assert asking.is_alive()
    agent.answer(packet.envelope.body.number, dry_run=FOUND)
    assert asking.end().items == FOUND.items


def test_an_agent_that_says_nothing(home):
    client = home.ready()
    agent = PlayedAgent(home)
    asking = Asking(home, client, within_s=0.5)
    number = agent.question()
    assert isinstance(asking.end(), DeadlineError)
    assert agent.next(m.EstimateDrop).envelope.body.number == number
    agent.answer(number, dry_run=FOUND)
    assert home.submit(client).wait(SOON_S).state is TaskState.COMPLETED


def test_an_agent_that_disappears(home):
    client = home.ready()
    agent = PlayedAgent(home)
    asking = Asking(home, client)
    agent.next()
    agent.leave()
    error = asking.end()
    assert isinstance(error, AgentError)
    assert error.retryable
    assert isinstance(Asking(home, client).end(), QmioError)  # offline now, and told at once


def test_a_gateway_that_is_killed_meanwhile(home):
    client = home.ready()
    agent = PlayedAgent(home)
    asking = Asking(home, client)
    before = agent.question()
    home.kill()
    agent.leave()
    home.start()
    second = PlayedAgent(home)

    def ask_again():
        # The question comes again by itself; if it comes before its device is back, it is refused for the moment.
        nonlocal asking
        if isinstance(asking.outcome, QmioError) and asking.outcome.retryable:
            asking = Asking(home, client)

    packet = second.next(meanwhile=ask_again)
    assert packet.envelope.body.number > before + 2**20
    second.answer(before, dry_run=msgspec.structs.replace(FOUND, predicted_s=9.0))
    second.answer(packet.envelope.body.number, dry_run=FOUND)
    assert asking.end().predicted_s == 0.0


def claimed(**item):
    """Return a dry run that no honest encoder makes."""
    plain = {"n_qubits": 1, "n_bits": 1, "shots": 1}
    return {"dry_run": {"device": "slow", "items": [plain | item]}}


HOSTILE = {
    "unknown fields": claimed(expected=2),
    "no map": {"dry_run": 7},
    "not a number": claimed(predicted_s=float("nan")),
    "fidelity 2": claimed(expected_fidelity=2.0),
    "minus one": claimed(n_qubits=-1),
    "for ever": claimed(device_s=1e300),
    "a long circuit": claimed(circuit="x" * 10**6),
    "another number of items": {"dry_run": {"device": "slow", "items": []}},
    "another device's": {"dry_run": claimed()["dry_run"] | {"device": "echo"}},
    "nothing": {},
    "both": claimed() | {"error": {"code": "program", "message": "x"}},
    "come again": {"error": {"code": "gateway.restarted", "message": "x", "retryable": True}},
}


def test_a_hostile_agent_hurts_nobody(home):
    client = home.ready()
    agent = PlayedAgent(home)
    outcomes = {}
    for some in [names[:4] for names in [list(HOSTILE)[start:] for start in range(0, len(HOSTILE), 4)]]:
        asking = {}
        for what in some:
            asking[what] = Asking(home, client, within_s=0.5)
            agent.say({"type": "estimate.answer", "number": agent.question(), **HOSTILE[what]})
        outcomes |= {what: one.end() for what, one in asking.items()}
    # Unknown fields are skipped; what breaks the protocol is no answer at all, and the deadline ends it.
    assert isinstance(outcomes.pop("unknown fields"), DryRun)
    assert {what for what, outcome in outcomes.items() if isinstance(outcome, AgentError)} == {
        "another device's", "nothing", "both", "come again", "another number of items",
    }  # fmt: skip
    rest = [outcome for outcome in outcomes.values() if not isinstance(outcome, AgentError)]
    assert all(isinstance(outcome, DeadlineError) for outcome in rest), outcomes
    assert home.submit(client).wait(SOON_S).state is TaskState.COMPLETED
    assert home.process.poll() is None


def test_a_user_asks_for_no_more_than_her_share(home):
    client = home.ready()
    agent = PlayedAgent(home)
    asking = [Asking(home, client) for _ in range(4)]
    packets = [agent.next() for _ in asking]
    error = Asking(home, client).end()
    assert isinstance(error, LimitError)
    assert error.retryable
    for packet in packets:
        agent.answer(packet.envelope.body.number, dry_run=FOUND)
    assert [one.end().items for one in asking] == [FOUND.items] * 4


def test_a_wide_task_that_cannot_run_is_refused_before_it_queues(home):
    client = home.ready()
    agent = PlayedAgent(home)
    spec = msgspec.structs.replace(home.task(), device="slow")
    refusal = ErrorInfo(code="program.too_costly", message="it would take 3 h", hint="Use fewer qubits.")

    class Submitting(Asking):
        def run(self):
            try:
                self.outcome = self.client.submit(self.spec, self.programs)
            except QmioError as error:
                self.outcome = error

    submitting = Submitting(home, client)
    packet = agent.next()
    assert packet.envelope.body.spec == spec
    agent.answer(packet.envelope.body.number, error=refusal)
    error = submitting.end()
    assert isinstance(error, ProgramError)
    assert error.one_line() == "[program.too_costly] it would take 3 h. Use fewer qubits."
    assert client.tasks() == ()
    accepted = Submitting(home, client)
    agent.answer(agent.question(), dry_run=FOUND)
    assert not accepted.end().state.is_final
    home.wait_until(lambda: "task.submit" in tags(home), "the log tells of the submission")
    assert tags(home).count("program.put") == 1
    client.cancel(client.tasks()[0].task_id)


def test_a_program_travels_once_to_the_gateway_and_once_to_the_agent(home, monkeypatch):
    """Whatever it is bound to, and however often it is run."""
    client = home.ready()
    agent = PlayedAgent(home)
    sent = []
    ask = client._conversation.request

    def counted(body, blobs, **times):
        sent.extend(data for _, data in blobs)
        return ask(body, blobs, **times)

    monkeypatch.setattr(client._conversation, "request", counted)
    program = runs.qasm3("input float x; qubit q; rx(x) q;")
    arrived = []
    for task in range(10):
        rows = [[task + row / 100] for row in range(50)]
        spec = build_spec([program], device="slow", shots=10, parameters=runs.matrix(["x"], rows))
        client.submit(spec, [program])
        packet = agent.next(m.ClaimDispatch)
        assert packet.envelope.body.spec == spec
        arrived += packet.attachments
    assert sent == [program.data]
    assert arrived == [program.data]


def tags(home):
    return [line["tag"] for line in home.log() if line["event"] == "request"]


def test_roles(home):
    home.ready()
    written = connection.read(home.places.connection_file)
    user = home.dealer(KeyPair(public=written.public_key, secret=written.secret_key))
    user.ask(m.Hello())
    agent = PlayedAgent(home)
    assert agent.link.ask(sample(m.TaskEstimate)).error.code == "auth.role"
    assert user.ask(m.EstimateAnswer(number=1)).error.code == "auth.role"
    assert user.ask(sample(m.EstimateAsk)).error.code == "wire.unsupported"
