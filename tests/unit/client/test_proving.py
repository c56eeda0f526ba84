"""A client that has to prove who it is: the question, the proof, and everything that can come between."""

from __future__ import annotations

import pytest

from qmio_jupyter.client.events import GatewayChanged, ProofWanted, Refused
from qmio_jupyter.client.protocol import PROOF_S, RESEND_S, ClientProtocol
from qmio_jupyter.errors import AuthError, SlurmError
from qmio_jupyter.model.access import Role, Session
from qmio_jupyter.model.task import ErrorInfo
from qmio_jupyter.wire.codec import attach
from qmio_jupyter.wire.messages import (
    DeviceList,
    DevicePage,
    Failure,
    Hello,
    Limits,
    Message,
    Packet,
    SessionChallenge,
    SessionNonce,
    SessionOpen,
    SessionState,
    Welcome,
)

SESSION = Session(session_id="s", key="k" * 64, uid=1, tenant="a/b", opened_ms=0, expires_ms=None)
PROOF = SessionOpen(cluster="c", job_id="7", credential=b"MUNGE:x:")


def welcome(**more: object) -> Welcome:
    fields: dict[str, object] = {
        "major": 1, "gateway": "g", "epoch": 1, "role": Role.NONE, "limits": Limits(), "now_ms": 0, "software": "x",
    }  # fmt: skip
    return Welcome(**(fields | more))


def failure(code: str, *, retryable: bool = False) -> Failure:
    return Failure(error=ErrorInfo(code=code, message="no", hint="do", retryable=retryable))


class Wire:
    """The protocol under test and the gateway's end of the link."""

    def __init__(self, *, proves: bool = True) -> None:
        self.now = 100.0
        self.protocol = ClientProtocol()
        self.protocol.proves = proves
        self.events: list[object] = []
        self.protocol.link_up(self.now)
        self.answer(self.only(Hello), welcome())

    def sent(self) -> list[Packet]:
        self.events += self.protocol.tick(self.now)
        return self.protocol.outgoing()

    def only(self, kind: type[Message]) -> Packet:
        (packet,) = self.sent()
        assert isinstance(packet.envelope.body, kind)  # type: ignore[arg-type]
        return packet

    def answer(self, packet: Packet, body: Message) -> None:
        self.events += self.protocol.receive(attach(body, re=packet.envelope.id), self.now)

    def take(self) -> list[object]:
        events, self.events = self.events, []
        return events

    def asked(self) -> ProofWanted:
        """Get as far as the gateway's question."""
        self.answer(self.only(SessionChallenge), SessionNonce(nonce=b"n" * 32, server_key="s" * 40, uid=5))
        (wanted,) = self.take()
        assert isinstance(wanted, ProofWanted)
        return wanted

    def prove(self, proof: SessionOpen | AuthError = PROOF) -> None:
        self.events += self.protocol.prove(proof, self.now)


def test_a_proof_is_given_and_the_gateway_is_greeted_again() -> None:
    wire = Wire()
    wire.protocol.request(DeviceList(), deadline_s=100, now_s=wire.now)
    assert wire.asked().nonce.nonce == b"n" * 32
    assert wire.sent() == []
    wire.prove()
    assert not wire.protocol.ready
    opened = wire.only(SessionOpen)
    assert opened.envelope.body == PROOF
    wire.answer(opened, SessionState(session=SESSION))
    wire.answer(wire.only(Hello), welcome(role=Role.USER, session=SESSION))
    assert wire.protocol.ready
    (event,) = wire.take()
    assert isinstance(event, GatewayChanged)
    wire.answer(wire.only(DeviceList), DevicePage(devices=()))


def test_who_has_a_role_or_nothing_to_prove_with_is_not_asked() -> None:
    assert Wire(proves=False).sent() == []
    wire = Wire()
    wire.protocol.link_up(wire.now)
    wire.sent()
    wire = Wire.__new__(Wire)
    wire.now, wire.events, wire.protocol = 0.0, [], ClientProtocol()
    wire.protocol.proves = True
    wire.protocol.link_up(0.0)
    wire.answer(wire.only(Hello), welcome(role=Role.USER, session=SESSION))
    assert wire.protocol.ready


def test_a_refused_proof_refuses_what_is_asked_and_asking_again_proves_again() -> None:
    wire = Wire()
    wire.protocol.request(DeviceList(), deadline_s=100, now_s=wire.now)
    wire.asked()
    wire.prove()
    wire.answer(wire.only(SessionOpen), failure("auth.credential"))
    (event,) = wire.take()
    assert isinstance(event, Refused)
    assert event.error.code == "auth.credential"
    wire.protocol.request(DeviceList(), deadline_s=100, now_s=wire.now)
    wire.answer(wire.only(Hello), welcome())
    wire.asked()


def test_where_slurm_cannot_be_asked_it_is_tried_again_and_that_is_what_a_missed_deadline_tells() -> None:
    wire = Wire()
    wire.protocol.request(DeviceList(), deadline_s=3.0, now_s=wire.now)
    wire.asked()
    wire.prove()
    wire.answer(wire.only(SessionOpen), failure("slurm.unreachable", retryable=True))
    assert wire.take() == []
    wire.now += RESEND_S
    wire.answer(wire.only(Hello), welcome())
    wire.asked()
    wire.now += 1.5
    wire.sent()
    (event,) = wire.take()
    assert isinstance(event, Refused)
    assert isinstance(event.error, SlurmError)


def test_a_node_without_munge_says_so() -> None:
    wire = Wire()
    wire.protocol.request(DeviceList(), deadline_s=100, now_s=wire.now)
    wire.asked()
    wire.prove(AuthError("no library", code="config"))
    (event,) = wire.take()
    assert isinstance(event, Refused)
    assert event.error.message == "no library"


@pytest.mark.parametrize("lost", ["challenge", "open"])
def test_what_is_lost_on_the_way_is_begun_anew_never_sent_twice(lost: str) -> None:
    wire = Wire()
    if lost == "open":
        wire.asked()
        wire.prove()
    assert len(wire.sent()) == 1
    wire.now += PROOF_S - 1
    assert wire.sent() == []
    wire.now += 1
    wire.answer(wire.only(Hello), welcome())
    wire.asked()


def test_an_answer_to_an_earlier_proof_is_not_taken() -> None:
    wire = Wire()
    challenge = wire.only(SessionChallenge)
    wire.protocol.link_down(wire.now)
    wire.protocol.link_up(wire.now)
    hello = wire.only(Hello)
    wire.answer(challenge, SessionNonce(nonce=b"n" * 32, server_key="s" * 40, uid=5))
    assert wire.take() == []
    wire.prove()
    assert wire.sent() == []
    wire.answer(hello, welcome())
    wire.asked()


@pytest.mark.parametrize("code", ["auth.session", "auth.role"])
def test_a_session_that_has_ended_is_proved_anew(code: str) -> None:
    wire = Wire()
    wire.asked()
    wire.prove()
    wire.answer(wire.only(SessionOpen), SessionState(session=SESSION))
    wire.answer(wire.only(Hello), welcome(role=Role.USER, session=SESSION))
    wire.take()
    wire.protocol.request(DeviceList(), deadline_s=100, now_s=wire.now)
    wire.answer(wire.only(DeviceList), failure(code))
    assert wire.take() == []
    wire.answer(wire.only(Hello), welcome())
    wire.asked()
