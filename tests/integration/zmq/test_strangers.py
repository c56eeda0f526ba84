"""Traps about crowds: strangers, floods, oversized frames, slow readers. A good peer works on, whatever they do."""

from __future__ import annotations

import resource
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import zmq

from qmio_jupyter.auth.keys import key_id, new_keys
from qmio_jupyter.errors import LimitError
from qmio_jupyter.ports import Peer
from qmio_jupyter.transport.sockets import Tuning, raise_nofile, spare_descriptors
from qmio_jupyter.transport.zeromq_dealer import Dealer, LinkState
from qmio_jupyter.transport.zeromq_router import Malformed
from qmio_jupyter.wire.codec import attach, encode
from qmio_jupyter.wire.frames import MAX_ATTACHMENTS
from qmio_jupyter.wire.limits import UNKNOWN_PEER
from qmio_jupyter.wire.messages import Limits, Ping, Pong

BLOB = "application/octet-stream"


def tcp_address(router) -> tuple[str, int]:
    host, port = router.endpoint.removeprefix("tcp://").split(":")
    return host, int(port)


@pytest.mark.slow
def test_six_hundred_connections_that_prove_nothing_do_not_disturb_a_good_one(net, quick, many_files):
    router = net.router(tuning=quick)
    good = net.dealer(router, tuning=quick)
    net.echo(router, good)
    idlers = [socket.create_connection(tcp_address(router)) for _ in range(300)]
    liars = []
    for number in range(300):
        liar = net.bare()
        liar.reconnect_ivl = 60_000
        if number % 3 == 0:
            liar.plain_username, liar.plain_password = b"root", b"root"
        elif number % 3 == 1:
            keys = new_keys()
            liar.curve_publickey, liar.curve_secretkey = keys.public.encode(), keys.secret.encode()
            liar.curve_serverkey = new_keys().public.encode()
        liar.connect(router.endpoint)
        liar.send_multipart(encode(attach(Ping(), id=1)))
        liars.append(liar)
        if number % 20 == 0:
            net.echo(router, good)
    # Newcomers get in while they are all there, and the old link goes on.
    late = net.dealer(router, tuning=quick)
    net.echo(router, late)
    net.echo(router, good)

    def all_thrown_out() -> bool:
        router.poll(0.05)
        assert router.receive() == []
        router.departed()
        return router.figures.closed_connections >= 600

    net.wait(all_thrown_out, "strangers to be disconnected")
    for idler in idlers:
        idler.close()
    assert router.connections == 2
    net.echo(router, good)


def test_above_the_room_for_strangers_only_known_keys_get_in(net):
    owner = new_keys()
    tuning = Tuning(strangers=5, reconnect_ms=20, reconnect_max_ms=200)
    router = net.router(tuning=tuning, is_known=lambda key: key == key_id(owner.public))
    strangers = [net.dealer(router, tuning=tuning) for _ in range(5)]
    for stranger in strangers:
        net.echo(router, stranger)
    turned_away = Dealer(router.endpoint, router.server_key, new_keys(), tuning=tuning)
    try:
        assert "strangers" in net.link(turned_away, LinkState.REFUSED)
        owners = [net.dealer(router, owner, tuning=tuning) for _ in range(8)]
        for dealer in owners:
            net.echo(router, dealer)
        strangers.pop().close()
        net.gone(router)
        # Room again: it gets in by itself.
        net.up(turned_away)
        net.echo(router, turned_away)
    finally:
        turned_away.close()


def test_a_stranger_that_proved_itself_makes_room_for_the_next(net):
    proved: set[str] = set()
    tuning = Tuning(strangers=2, reconnect_ms=20, reconnect_max_ms=100)
    router = net.router(tuning=tuning, is_known=proved.__contains__)
    keys = [new_keys() for _ in range(4)]
    for pair in keys:
        dealer = Dealer(router.endpoint, router.server_key, pair, tuning=tuning)
        net.closing(dealer)
        if len(proved) >= 2:
            router.departed()
        net.up(dealer)
        net.echo(router, dealer)
        proved.add(key_id(pair.public))
    assert router.connections == 4


@pytest.mark.slow
def test_when_connections_used_up_all_descriptors_old_links_work_and_new_ones_follow(tmp_path):
    """In a process of its own, with few descriptors: flood, check, end of the flood, check."""
    code = """
import resource, socket, sys, threading
sys.path.insert(0, sys.argv[1])
from contextlib import ExitStack
from conftest import Net
from qmio_jupyter.transport.sockets import Tuning, raise_nofile, spare_descriptors
resource.setrlimit(resource.RLIMIT_NOFILE, (100, 300))
assert raise_nofile(reserve=64) == 236
with ExitStack() as stack:
    net = Net(stack)
    tuning = Tuning(handshake_ms=300)
    router = net.router(tuning=tuning)
    good = net.dealer(router, tuning=tuning)
    net.echo(router, good)
    crowd = []
    host, port = router.endpoint.removeprefix("tcp://").split(":")
    try:
        while True:
            crowd.append(socket.create_connection((host, int(port))))
    except OSError as problem:
        assert problem.errno == 24, problem
    for number in range(2, 30):
        net.echo(router, good, number)
    with spare_descriptors(reserve=64):
        open("/dev/null").close()
    for stranger in crowd:
        stranger.close()
    late = net.dealer(router)
    net.echo(router, late)
print("fine", len(crowd))
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, str(Path(__file__).parent)],
        check=False,
        capture_output=True,
        text=True,
        timeout=90,
    )
    assert done.returncode == 0, done.stderr
    word, count = done.stdout.split()
    assert word == "fine"
    assert int(count) > 80


def test_the_reserve_is_out_of_reach_but_for_a_moment(many_files):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 65_536 + 128:
        assert soft < hard
    with spare_descriptors():
        lifted = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        assert lifted == min(soft + 128, hard)
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == soft
    assert raise_nofile() == soft


def test_the_client_refuses_to_send_what_the_gateway_would_drop(net):
    router = net.router()
    dealer = net.dealer(router)
    dealer.limits = Limits(message_bytes=10_000)
    with pytest.raises(LimitError) as told:
        dealer.send(attach(Ping(), [(BLOB, bytes(10_000))]))
    assert told.value.code == "limit.size"
    assert "10000" in told.value.message
    net.echo(router, dealer)
    assert router.figures.received == 1


def test_an_oversized_raw_frame_costs_its_sender_the_connection_and_nobody_else(net):
    tuning = Tuning(message_bytes=100_000)
    router = net.router(tuning=tuning)
    good, raw = net.dealer(router), net.raw(router)
    connection = net.echo(router, good)
    raw.send_multipart(encode(attach(Ping(), id=1)))
    (message,) = net.hear(router)
    raw.send_multipart([*encode(attach(Ping(), id=2)), bytes(200_000)])
    assert net.gone(router) == [message.connection]
    assert net.echo(router, good) == connection
    assert router.figures.malformed == 0


@pytest.mark.parametrize(
    ("message_bytes", "kept"), [(Limits().message_bytes, 4 + MAX_ATTACHMENTS), (50_000, 3 + 25)]
)
def test_of_frames_without_end_only_a_few_are_kept(net, message_bytes, kept):
    """ZeroMQ's limit is one of each frame: their number, and their sum, are bounded while they are read."""
    router = net.router(limits_of=lambda _peer: Limits(message_bytes=message_bytes))
    good, raw = net.dealer(router), net.raw(router)
    counts = []
    read = router._read

    def counted(frames, now):
        counts.append(len(frames))
        return read(frames, now)

    router._read = counted
    raw.send_multipart([*encode(attach(Ping(), id=7)), *[bytes(2_000)] * 20_000], copy=False)
    (message,) = net.hear(router)
    assert isinstance(message, Malformed)
    assert (message.error.code, message.request) == ("limit.size", 7)
    assert max(counts) <= kept
    # What was not kept was read all the same: the next message begins where it begins.
    raw.send_multipart(encode(attach(Ping(), id=8)))
    (message,) = net.hear(router)
    assert message.packet.envelope.id == 8
    net.echo(router, good)


def test_many_frames_over_the_limit_together_are_told(net):
    router = net.router(limits_of=lambda _peer: Limits(message_bytes=50_000))
    raw = net.raw(router)
    raw.send_multipart([*encode(attach(Ping(), id=3)), *[bytes(20_000)] * 3])
    (message,) = net.hear(router)
    assert isinstance(message, Malformed)
    assert (message.error.code, message.request) == ("limit.size", 3)


def test_a_stranger_may_send_four_kilobytes_where_a_known_key_may_send_more(net):
    owner = new_keys()

    def limits_of(peer: Peer) -> Limits:
        return Limits() if peer.key == key_id(owner.public) else UNKNOWN_PEER

    router = net.router(limits_of=limits_of)
    known, stranger = net.dealer(router, owner), net.dealer(router)
    large = attach(Ping(), [(BLOB, bytes(5_000))], id=4)
    assert known.send(large)
    (message,) = net.hear(router)
    assert message.packet == large
    assert stranger.send(large)
    (message,) = net.hear(router)
    assert isinstance(message, Malformed)
    assert (message.error.code, message.request) == ("limit.size", 4)
    net.echo(router, stranger)


def test_a_reader_that_does_not_read_fills_its_own_queue_and_blocks_nobody(net):
    router = net.router(tuning=Tuning(send_queue=20))
    good = net.dealer(router)
    slow = net.raw(router, rcvhwm=1)
    slow.send_multipart(encode(attach(Ping(), id=1)))
    (message,) = net.hear(router)
    event = attach(Pong(epoch=1), [(BLOB, bytes(200_000))])
    sent = 0
    # The good one is served at once, however full the other's queue is.
    for number in range(5, 15):
        while router.send(message.connection, event):
            sent += 1
            assert sent < 2_000, "nothing stops a full queue"
        net.echo(router, good, number)
    assert router.figures.undeliverable == 10
    # It is still connected: when it reads again it gets what was queued, and more.
    for _ in range(sent):
        assert slow.poll(30_000)
        slow.recv_multipart()
    net.wait(lambda: router.send(message.connection, event), "room in the queue")
    assert router.departed() == []


def test_a_dropped_connection_is_neither_heard_nor_told_anything(net):
    router = net.router()
    nuisance, good = net.dealer(router), net.dealer(router)
    connection = net.echo(router, nuisance)
    router.drop(connection)
    assert nuisance.send(attach(Ping(), id=2))
    net.echo(router, good)
    net.wait(lambda: router.poll(0.01) or router.figures.received == 3, "the nuisance's message")
    assert router.receive() == []
    assert router.send(connection, attach(Pong(epoch=1))) is False
    nuisance.close()
    net.wait(lambda: [router.receive(), router.departed()] and router.connections == 1, "its end")
    assert router.departed() == []


def test_a_connection_that_falls_silent_is_given_up(net):
    now = [100.0]
    router = net.router(clock=lambda: now[0])
    silent, talker = net.dealer(router), net.dealer(router)
    first, second = net.echo(router, silent), net.echo(router, talker)
    now[0] += 40
    assert net.echo(router, talker) == second
    now[0] += 40
    assert router.departed() == [first]
    assert router.send(first, attach(Pong(epoch=1))) is False
    # If it was only slow, it is a new connection, and has to say hello.
    assert net.echo(router, silent) not in (first, second)


@pytest.mark.parametrize("where", ["tcp://0.0.0.0:*", "tcp://*:*"])
def test_other_hosts_are_served_only_when_that_was_said(net, where):
    router = net.router(where, allow_remote=True)
    port = router.endpoint.rpartition(":")[2]
    client = net.bare()
    keys = new_keys()
    client.curve_publickey, client.curve_secretkey = keys.public.encode(), keys.secret.encode()
    client.curve_serverkey = router.server_key.encode()
    client.connect(f"tcp://127.0.0.1:{port}")
    client.send_multipart(encode(attach(Ping(), id=1)), flags=zmq.DONTWAIT)
    assert net.hear(router)[0].peer.key == key_id(keys.public)


def test_what_zeromq_keeps_for_who_does_not_read_is_known(net):
    clock = [0.0]
    router = net.router(clock=lambda: clock[0])
    raw = net.raw(router, rcvhwm=1, rcvbuf=65_536)
    raw.send_multipart(encode(attach(Ping(), id=1)))
    (message,) = net.hear(router)
    size, count = 2**20, 64
    answer = encode(attach(Pong(epoch=1), [(BLOB, bytes(size))], re=1))
    for _ in range(count):
        assert router.send_encoded(message.connection, answer)
    # Some may be on their way in the kernel; most of it cannot.
    clock[0] += 1
    assert router.unsent_bytes(message.connection) > count * size // 4
    assert router.unsent_bytes() == router.unsent_bytes(message.connection)
    assert router.stalled(30) == []
    arrived = []

    def all_read() -> bool:
        if raw.poll(100):
            arrived.append(len(raw.recv_multipart()))
        return len(arrived) == count

    net.wait(all_read, "everything to be read")
    net.wait(lambda: not router.unsent_bytes(message.connection), "ZeroMQ to let go")
    clock[0] += 60
    assert router.unsent_bytes() == 0
    assert router.stalled(30) == []
