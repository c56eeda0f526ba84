"""Users are greeted when the devices are there, or after a bounded wait; nobody else waits."""

from qmio_jupyter.errors import ProtocolError
from qmio_jupyter.gateway.opening import OPENING_MS, Opening
from qmio_jupyter.ports import Peer
from qmio_jupyter.transport.zeromq_router import Malformed, Received
from qmio_jupyter.wire import messages as m
from qmio_jupyter.wire.codec import attach

USER, AGENT = Peer(key="user", address=""), Peer(key="agent", address="")


def received(peer, body):
    return Received(1, peer, attach(body, id=1))


def make(known):
    return Opening(["echo", "ideal"], known.__contains__, lambda key: key == "user", 1_000)


def test_only_users_greetings_are_kept():
    opening = make(set())
    greeting = received(USER, m.Hello())
    others = [
        received(AGENT, m.Hello()),
        received(USER, m.Ping()),
        Malformed(1, USER, ProtocolError("what?"), 0),
    ]
    assert opening.sift([greeting, *others]) == others
    assert opening.take() == [greeting]
    assert opening.take() == []


def test_it_is_over_when_every_device_is_there():
    known = {"echo"}
    opening = make(known)
    assert not opening.is_over(1_000)
    known.add("ideal")
    assert opening.is_over(1_000)


def test_it_is_over_after_a_while_in_any_case():
    opening = make(set())
    assert not opening.is_over(1_000 + OPENING_MS - 1)
    assert opening.is_over(1_000 + OPENING_MS)


def test_a_device_whose_agent_cannot_be_started_is_not_waited_for():
    opening = make({"echo"})
    opening.give_up("ideal")
    opening.give_up("ideal")
    assert opening.is_over(1_000)
