"""Traps about who is who: every message is authorised by the key it came under, never by a routing id."""

from __future__ import annotations

import msgspec
import pytest

from qmio_jupyter.auth.keys import key_id, new_keys
from qmio_jupyter.transport.zap import Admission
from qmio_jupyter.transport.zeromq_dealer import Dealer, LinkState
from qmio_jupyter.wire.codec import attach, decode, encode
from qmio_jupyter.wire.messages import Failure, Limits, Ping, Pong


def routing_id_of(router, connection: int) -> bytes:
    """What no peer is ever told: the automatic routing id of a connection."""
    return router._connections.get(connection).routing_id


def test_each_message_carries_its_senders_key(net):
    router = net.router()
    ana, bo = new_keys(), new_keys()
    links = {key_id(ana.public): net.dealer(router, ana), key_id(bo.public): net.dealer(router, bo)}
    for number, dealer in enumerate(links.values(), 1):
        assert dealer.send(attach(Ping(), id=number))
    messages = net.hear(router, 2)
    assert {message.peer.key: message.packet.envelope.id for message in messages} == dict(
        zip(links, (1, 2), strict=True)
    )
    assert {message.peer.address for message in messages} == {"127.0.0.1"}
    assert len({message.connection for message in messages}) == 2


def test_two_links_of_one_key_are_two_connections(net):
    router = net.router()
    keys = new_keys()
    first, second = net.dealer(router, keys), net.dealer(router, keys)
    assert net.echo(router, first) != net.echo(router, second)


def test_a_stranger_on_a_departed_routing_id_gets_nothing_of_the_old_peers(net):
    router = net.router()
    victim = net.dealer(router)
    old = net.echo(router, victim)
    routing_id = routing_id_of(router, old)
    victim.close()

    thief_keys = new_keys()
    thief = net.raw(router, routing_id=routing_id, keys=thief_keys)
    # The router has not heard of the departure, nor of the thief; only ZeroMQ knows both by now.
    thief.send_multipart(encode(attach(Ping(), id=7)))
    assert router.poll(30)
    assert router.send(old, attach(Pong(epoch=1), re=99)) is False

    (message,) = net.hear(router)
    assert message.connection != old
    assert message.peer.key == key_id(thief_keys.public)
    assert net.gone(router) == [old]
    assert router.send(old, attach(Pong(epoch=1), re=99)) is False
    assert router.peer(old) is None
    # The thief gets his own answer, and that alone.
    assert router.send(message.connection, attach(Pong(epoch=1), re=7))
    assert decode(thief.recv_multipart(), Limits()).envelope.re == 7
    assert not thief.poll(100)


def test_a_duplicate_of_a_living_routing_id_changes_nothing_for_its_owner(net):
    router = net.router()
    owner = net.dealer(router)
    connection = net.echo(router, owner)
    double = net.raw(router, routing_id=routing_id_of(router, connection))
    double.send_multipart(encode(attach(Ping(), id=66)))
    # The owner's messages go on in both directions; the double's are never read.
    for number in range(2, 12):
        assert net.echo(router, owner, number) == connection
    assert not double.poll(100)
    assert router.connections == 1


def test_a_routing_id_chosen_by_the_peer_is_refused_aloud(net):
    router = net.router()
    raw = net.raw(router, routing_id=b"gateway-admin")
    raw.send_multipart(encode(attach(Ping(), id=5)))
    assert router.poll(30)
    assert router.receive() == []
    envelope = decode(raw.recv_multipart(), Limits()).envelope
    assert envelope.re == 5
    assert isinstance(envelope.body, Failure)
    assert envelope.body.error.code == "wire"
    assert "routing id" in envelope.body.error.message
    assert router.figures.refused == 1
    assert router.connections == 0


def test_a_message_without_a_user_id_is_refused(net, monkeypatch):
    monkeypatch.setattr(Admission, "curve_user_id", lambda _self, _key: "")
    router = net.router()
    dealer = net.dealer(router)
    assert dealer.send(attach(Ping(), id=1))
    assert router.poll(30)
    assert router.receive() == []
    assert router.figures.refused == 1
    assert router.connections == 0


def test_another_zap_domain_is_refused_and_does_not_hang(net, quick):
    router = net.router(domain="elsewhere")
    dealer = Dealer(router.endpoint, router.server_key, new_keys(), tuning=quick)
    try:
        assert "key" in net.link(dealer, LinkState.REFUSED)
        assert not dealer.is_up
        assert dealer.send(attach(Ping(), id=1)) is False
    finally:
        dealer.close()


def test_without_a_zap_handler_nobody_gets_in(net, quick, monkeypatch):
    monkeypatch.setattr(Admission, "start", lambda _self: None)
    router = net.router()
    dealer = Dealer(router.endpoint, router.server_key, new_keys(), tuning=quick)
    try:
        net.link(dealer, LinkState.REFUSED)
        assert not dealer.is_up
    finally:
        dealer.close()


def test_a_defect_in_the_zap_handler_is_not_the_end_of_all_handshakes(net, quick, monkeypatch):
    broken = [True]
    digest = Admission.curve_user_id

    def sometimes(self, key):
        if broken and broken.pop():
            raise RuntimeError("planted")
        return digest(self, key)

    monkeypatch.setattr(Admission, "curve_user_id", sometimes)
    router = net.router()
    dealer = Dealer(router.endpoint, router.server_key, new_keys(), tuning=quick)
    try:
        net.up(dealer)
        net.echo(router, dealer)
    finally:
        dealer.close()
    assert not broken


@pytest.mark.parametrize("mechanism", ["null", "plain", "other server key"])
def test_nothing_but_curve_with_the_right_server_key_gets_in(net, quick, mechanism):
    router = net.router(tuning=quick)
    socket = net.bare()
    if mechanism == "plain":
        socket.plain_username, socket.plain_password = b"root", b"root"
    if mechanism == "other server key":
        keys = new_keys()
        socket.curve_publickey, socket.curve_secretkey = keys.public.encode(), keys.secret.encode()
        socket.curve_serverkey = new_keys().public.encode()
    socket.connect(router.endpoint)
    socket.send_multipart(encode(attach(Ping(), id=1)))

    def refused() -> bool:
        router.poll(0.05)
        assert router.receive() == []
        router.departed()
        return router.figures.failed_handshakes >= 1

    net.wait(refused, "a failed handshake")
    net.echo(router, net.dealer(router))
    assert router.connections == 1
    assert not socket.poll(50)


def test_an_unreadable_message_is_told_with_its_request_number(net):
    router = net.router()
    raw = net.raw(router)
    unknown = msgspec.msgpack.encode({"body": {"type": "from.the.future"}, "id": 12})
    raw.send_multipart([encode(attach(Ping()))[0], unknown])
    raw.send_multipart([b"GET / HTTP/1.1"])
    raw.send(b"")
    told = [(message.error.code, message.request) for message in net.hear(router, 3)]
    assert told == [("wire.unsupported", 12), ("wire", 0), ("wire", 0)]
    assert router.figures.malformed == 3
