"""Traps about coming and going: reconnects, last words, forks, links ZeroMQ gives up."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys

import pytest

from qmio_jupyter.auth.keys import new_keys
from qmio_jupyter.errors import GatewayError
from qmio_jupyter.transport.sockets import Tuning
from qmio_jupyter.transport.zeromq_dealer import Dealer, LinkState
from qmio_jupyter.wire.codec import attach, encode
from qmio_jupyter.wire.messages import Done, Ping, Pong


def test_a_restarted_server_is_found_again_under_a_new_routing_id(net, quick):
    first = net.router()
    keys = new_keys()
    dealer = net.dealer(first, keys, tuning=quick)
    other = net.dealer(first, tuning=quick)
    assert net.echo(first, other) == 1
    assert net.echo(first, dealer) == 2
    first.close()
    assert net.link(dealer, LinkState.DOWN)
    assert not dealer.is_up
    # Nothing queues behind a dead link, to arrive before the hello.
    assert dealer.send(attach(Ping(), id=2)) is False

    second = net.router(first.endpoint)
    net.up(dealer)
    assert not second.ready()
    assert second.connections == 0
    connection = net.echo(second, dealer, number=3)
    assert second.peer(connection).key == net.key_id(keys)


def test_the_client_sees_a_server_that_dies_without_a_word_by_its_silence(net):
    """SIGSTOP: the TCP connection lives, nobody answers; the heartbeat finds out."""
    code = (
        "import sys; from qmio_jupyter.model.keys import KeyPair;"
        "from qmio_jupyter.transport.zeromq_router import Router;"
        "public, secret = sys.stdin.readline().split();"
        "router = Router(KeyPair(public, secret)); print(router.endpoint, flush=True); sys.stdin.read(); router.close()"
    )
    keys = net.server_keys
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as server:
        server.stdin.write(f"{keys.public} {keys.secret}\n".encode())
        server.stdin.flush()
        endpoint = server.stdout.readline().decode().strip()
        dealer = Dealer(
            endpoint, keys.public, new_keys(), tuning=Tuning(heartbeat_ms=100, heartbeat_timeout_ms=500)
        )
        try:
            net.up(dealer)
            server.send_signal(signal.SIGSTOP)
            net.link(dealer, LinkState.DOWN)
        finally:
            server.send_signal(signal.SIGCONT)
            dealer.close()
            server.stdin.close()
            assert server.wait(30) == 0


def test_a_link_that_zeromq_gave_up_after_a_refusal_is_connected_anew(net, quick):
    refusing = net.router(domain="elsewhere")
    dealer = Dealer(refusing.endpoint, refusing.server_key, new_keys(), tuning=quick)
    try:
        net.link(dealer, LinkState.REFUSED)
        refusing.close()
        right = net.router(refusing.endpoint)
        net.up(dealer)
        net.echo(right, dealer)
    finally:
        dealer.close()


def test_a_link_that_zeromq_gave_up_over_an_oversized_message_is_connected_anew(net):
    router = net.router()
    dealer = net.dealer(router, tuning=Tuning(message_bytes=10_000, reconnect_max_ms=100))
    connection = net.echo(router, dealer)
    assert router.send(connection, attach(Pong(epoch=1), [("application/octet-stream", bytes(50_000))]))
    net.link(dealer, LinkState.DOWN)
    net.up(dealer)
    assert net.echo(router, dealer) != connection


@pytest.mark.parametrize("size", [10, 5_000_000])
def test_the_clients_last_message_before_close_arrives(net, size):
    router = net.router()
    dealer = net.dealer(router)
    for number in range(1, 21):
        assert dealer.send(attach(Ping(), [("application/octet-stream", bytes(size // number))], id=number))
    dealer.close()
    messages = net.hear(router, 20)
    assert [message.packet.envelope.id for message in messages] == list(range(1, 21))
    # Heard under one number, and only then reported as gone.
    assert {message.connection for message in messages} == {1}
    assert net.gone(router) == [1]


def test_the_clients_last_message_before_the_end_of_its_process_arrives(net):
    router = net.router()
    code = (
        "import sys; from qmio_jupyter.auth.keys import new_keys; from qmio_jupyter.wire.codec import attach;"
        "from qmio_jupyter.wire.messages import Ping; from qmio_jupyter.transport.zeromq_dealer import Dealer;"
        "dealer = Dealer(sys.argv[1], sys.argv[2], new_keys());\n"
        "while not dealer.is_up: dealer.poll(1); dealer.link_events()\n"
        "assert dealer.send(attach(Ping(), [('application/octet-stream', bytes(3_000_000))], id=77)); dealer.close()"
    )
    client = subprocess.Popen([sys.executable, "-c", code, router.endpoint, router.server_key])
    (message,) = net.hear(router)
    assert message.packet.envelope.id == 77
    assert client.wait(30) == 0


@pytest.mark.parametrize("size", [10, 100_000])
def test_the_servers_last_message_before_close_arrives(net, size):
    router = net.router()
    dealer = net.dealer(router)
    connection = net.echo(router, dealer)
    for number in range(1, 21):
        assert router.send(connection, attach(Done(), [("application/octet-stream", bytes(size))], re=number))
    router.close()
    # What has arrived is still there after the end of the link is known.
    assert select.select([dealer.monitor_fd], [], [], 30)[0]
    assert [net.answer(dealer).envelope.re for _ in range(20)] == list(range(1, 21))


def test_close_takes_no_longer_than_its_linger_when_nobody_reads(net):
    router = net.router(tuning=Tuning(receive_queue=5))
    dealer = net.dealer(router, tuning=Tuning(linger_ms=50, send_queue=5))
    blob = [("application/octet-stream", bytes(1_000_000))]
    while dealer.send(attach(Ping(), blob)):
        pass
    dealer.close()
    dealer.close()
    router.close()
    router.close()


def test_a_forked_child_keeps_its_hands_off(net):
    router = net.router()
    dealer = net.dealer(router)
    net.echo(router, dealer)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(20)  # A child that hangs in ZeroMQ must not hang the suite.
        told = []
        for use in (
            dealer.receive,
            dealer.link_events,
            dealer.ready,
            router.receive,
            router.departed,
            router.ready,
        ):
            try:
                use()
            except GatewayError as error:
                told.append(error.code)
        for use in (lambda: dealer.send(attach(Ping())), lambda: dealer.poll(0), lambda: router.poll(0)):
            try:
                use()
            except GatewayError as error:
                told.append(error.code)
        dealer.close()
        router.close()
        os.write(writing, str(told.count("gateway")).encode())
        os._exit(0)
    os.close(writing)
    assert select.select([reading], [], [], 30)[0]
    assert os.read(reading, 10) == b"9"
    os.close(reading)
    assert os.waitpid(child, 0)[1] == 0
    # The parent's link is as it was.
    net.echo(router, dealer)


def test_messages_over_a_unix_socket(net, tmp_path):
    tmp_path.chmod(0o700)
    path = tmp_path / "gateway.sock"
    router = net.router(f"ipc://{path}")
    assert path.stat().st_mode & 0o777 == 0o600
    dealer = net.dealer(router)
    connection = net.echo(router, dealer)
    dealer.close()
    assert net.gone(router) == [connection]
    router.close()
    assert not path.exists()


def test_the_descriptor_wakes_a_loop_that_follows_the_rule(net):
    """200 bursts through select() on the bare descriptors, both ends: no edge is lost."""
    router = net.router()
    dealer = net.dealer(router)
    net.echo(router, dealer)
    heard = answered = sent = 0
    while answered < 2_000:
        if sent < 2_000 and sent - answered < 100:
            for _ in range(10):
                sent += dealer.send(attach(Ping(), id=sent + 1))
        # The rule: after every send, and after every wake-up, look again before sleeping.
        if not (router.ready() or dealer.ready()):
            assert select.select([router.fd, *dealer.fds], [], [], 30)[0], "an edge was lost"
        while router.ready():
            for message in router.receive(at_most=3):
                heard += 1
                assert router.send(message.connection, attach(Pong(epoch=1), re=message.packet.envelope.id))
        while dealer.ready():
            answered += len(dealer.receive(at_most=2))
            dealer.link_events()
    assert heard == answered == sent == 2_000


def test_a_bounded_drain_says_that_there_is_more(net):
    router = net.router()
    raw = net.raw(router)
    for number in range(1, 11):
        raw.send_multipart(encode(attach(Ping(), id=number)))
    net.wait(lambda: router.poll(0.05), "a message")
    seen = []
    turns = 0
    while len(seen) < 10:
        batch = router.receive(at_most=4)
        assert len(batch) <= 4
        seen += [message.packet.envelope.id for message in batch]
        turns += router.needs_another_turn
        router.poll(0.05)
    assert seen == list(range(1, 11))
    assert not router.needs_another_turn
    assert turns >= 1


def test_nothing_is_sent_between_a_reconnect_and_its_being_told(net, quick):
    """A request must not overtake the hello: until the shell has read both events, send takes nothing."""
    first = net.router()
    dealer = net.dealer(first, tuning=quick)
    net.echo(first, dealer)
    first.close()
    second = net.router(first.endpoint)

    def back() -> bool:
        second.poll(0.02)
        second.departed()
        return second.figures.accepted_connections > 0 and second.figures.closed_connections == 0

    net.wait(back, "the reconnect")
    assert select.select([dealer.monitor_fd], [], [], 30)[0], "the descriptor of link events woke nobody"
    assert dealer.send(attach(Ping(), id=2)) is False
    told = []

    def up() -> bool:
        dealer.poll(0.05)
        told.extend(event.state for event in dealer.link_events())
        return LinkState.UP in told

    net.wait(up, "both events")
    assert told == [LinkState.DOWN, LinkState.UP]
    net.echo(second, dealer, number=3)
    assert second.figures.received == 1


def test_what_a_gateway_says_that_is_no_message_is_an_error_not_an_exception(net):
    router = net.router()
    dealer = net.dealer(router)
    connection = net.echo(router, dealer)
    assert router.send_encoded(connection, [b"HTTP/1.1 200 OK"])
    assert router.send_encoded(connection, [b"QMIO\x63", b"from the future"])
    assert [net.answer(dealer).code for _ in range(2)] == ["wire", "wire.version"]
    net.echo(router, dealer, number=2)
