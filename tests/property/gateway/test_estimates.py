"""Any order of questions, answers, departures and time: each asker hears once, in time, and only her own answer."""

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule

from qmio_jupyter.core.requests import Quote
from qmio_jupyter.gateway import estimates as module
from qmio_jupyter.gateway.caller import Caller
from qmio_jupyter.gateway.estimates import Estimates
from qmio_jupyter.gateway.turn import Relay, Send
from qmio_jupyter.model.access import Role, Session
from qmio_jupyter.model.dry_run import DryRun, DryRunItem
from qmio_jupyter.model.ids import digest
from qmio_jupyter.model.task import Item, TaskSpec
from qmio_jupyter.wire import messages as m
from qmio_jupyter.wire.codec import attach

SPEC = TaskSpec(device="dev", items=(Item(program=digest(b"x"), shots=1),))
KEYS = [digest(name) for name in (b"ana", b"ben", b"eve")]
MOST_AT_AGENT = 5


def session(key):
    return Session(
        session_id=f"s-{key[:4]}", key=key, uid=1, tenant=f"t/{key[:4]}", opened_ms=1, expires_ms=None
    )


class Asked:
    """A question as the test remembers it."""

    def __init__(self, connection, request, key, relay):
        self.connection, self.request, self.key = connection, request, key
        self.number, self.agent = relay.message.number, relay.agent
        self.within_s = relay.message.within_s
        self.replies = []
        self.is_there = True


class Machine(RuleBasedStateMachine):
    users = Bundle("users")
    questions = Bundle("questions")

    @initialize()
    def begin(self):
        self.estimates = Estimates()
        self.now = 1_000_000
        self.serial = 0
        self.epoch = 1
        self.agents = [100, 101]
        self.all = []

    def fresh(self):
        self.serial += 1
        return self.serial

    def heard(self, outputs):
        """Hand out what was sent; nobody may be told what she did not ask, or after she went."""
        for output in outputs:
            assert isinstance(output, Send)
            body = output.packet.envelope.body
            if isinstance(body, m.EstimateDrop):
                assert any(one.number == body.number and one.agent == output.connection for one in self.all)
                continue
            (asker,) = [
                one
                for one in self.all
                if (one.connection, one.request) == (output.connection, output.packet.envelope.re)
            ]
            assert asker.is_there, "told although she went"
            asker.replies.append(body)
            if isinstance(body, m.TaskEstimated):
                assert body.dry_run.predicted_s == asker.number % 10**6, "somebody else's answer"
                assert body.dry_run.cost_s == 7.0

    @rule(target=users, key=st.sampled_from(KEYS))
    def connect(self, key):
        return self.fresh(), key

    def ask_as(self, user, request, within_s):
        connection, key = user
        caller = Caller(connection, request, key, Role.USER, None, session(key))

        def quote(*_):
            return Quote(cost_s=7.0, program_bytes=10, agents=tuple(self.agents))

        return self.estimates.ask(
            caller,
            attach(m.TaskEstimate(spec=SPEC, within_s=within_s), id=request),
            quote,
            epoch=self.epoch,
            limits=m.Limits(),
            now_ms=self.now,
        )

    @rule(target=questions, user=users, within_s=st.sampled_from([0.05, 1.0, 3600.0]))
    def ask(self, user, within_s):
        request = self.fresh()
        of_key = sum(one.key == user[1] and not one.replies and one.is_there for one in self.all)
        output = self.ask_as(user, request, within_s)
        if isinstance(output, Relay):
            assert of_key < module.MOST_OF_KEY
            assert output.agent in self.agents
            found = Asked(*[user[0], request, user[1]], output)
            assert found.number not in {one.number for one in self.all}
            self.all.append(found)
            return found
        assert output.packet.envelope.body.error.code in ("limit.rate", "device.offline")
        return multiple()

    @rule(question=questions)
    def ask_again(self, question):
        """A client that waits sends its question again: nothing comes of it."""
        if not question.replies and question.is_there:
            assert self.ask_as((question.connection, question.key), question.request, 1.0) is None

    @rule(
        question=questions, who=st.sampled_from(["asked", "another", "asked elsewhere"]), good=st.booleans()
    )
    def answer(self, question, who, good):
        others = [agent for agent in self.agents if agent != question.agent]
        connection = {
            "asked": question.agent,
            "another": others[0] if others else 7,
            "asked elsewhere": 9999,
        }[who]
        caller = Caller(connection, 0, digest(b"agent"), Role.AGENT)
        item = DryRunItem(n_qubits=1, n_bits=1, shots=1)
        run = DryRun(device="dev", items=(item,), predicted_s=question.number % 10**6, cost_s=1e6)
        body = m.EstimateAnswer(number=question.number, dry_run=run if good else None)
        is_open = not question.replies and question.is_there and question.agent in self.agents
        output = self.estimates.answer(caller, body)
        assert (output is not None) == (is_open and who == "asked")
        self.heard([] if output is None else [output])

    @rule(question=consumes(questions))
    def asker_leaves(self, question):
        for one in self.all:
            if one.connection == question.connection:
                one.is_there = False
        self.estimates.disconnected(question.connection)

    @rule(index=st.integers(0, 1))
    def agent_leaves(self, index):
        if len(self.agents) > index:
            gone = self.agents.pop(index)
            self.estimates.disconnected(gone)
            self.heard(self.estimates.due(self.now))
            assert all(one.replies or not one.is_there for one in self.all if one.agent == gone)

    @rule()
    def agent_comes(self):
        if len(self.agents) < 2:
            self.agents.append(1_000_000 + self.fresh())

    @rule()
    def new_life(self):
        self.epoch += 1

    @rule(ms=st.sampled_from([0, 100, 2_100, 130_000]))
    def time_passes(self, ms):
        self.now += ms
        self.heard(self.estimates.due(self.now))
        due = self.estimates.next_deadline()
        assert due is None or due > self.now

    @invariant()
    def nobody_hears_twice(self):
        assert all(len(one.replies) <= 1 for one in getattr(self, "all", ()))

    @invariant()
    def agents_have_no_more_than_their_share(self):
        if hasattr(self, "all"):
            for agent in self.agents:
                waiting = [o for o in self.all if o.agent == agent and not o.replies and o.is_there]
                assert len(waiting) <= MOST_AT_AGENT

    def teardown(self):
        """In the end everybody who stayed has heard, and nothing is kept."""
        if not hasattr(self, "all"):
            return
        self.now += round((module.LONGEST_S + module.GRACE_S) * 1000)
        self.heard(self.estimates.due(self.now))
        assert all(len(one.replies) == 1 for one in self.all if one.is_there)
        assert len(self.estimates) == 0
        assert self.estimates.next_deadline() is None


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(module, "MOST_AT_AGENT", MOST_AT_AGENT)


TestEstimates = Machine.TestCase
