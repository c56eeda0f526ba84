"""Noise at a live router: nothing raises out of `receive`, nothing stops it, and a good peer is served all along."""

from __future__ import annotations

import random
import socket

import msgspec
import pytest

from qmio_jupyter.transport.zeromq_router import Malformed, Received
from qmio_jupyter.wire.codec import attach, encode
from qmio_jupyter.wire.messages import Hello, Ping


def mutated(rng: random.Random, frames: list[bytes]) -> list[bytes]:
    """Frames with some bytes flipped, cut, doubled, or frames lost, swapped, invented."""
    frames = list(frames)
    for _ in range(rng.randint(1, 4)):
        kind = rng.randrange(6)
        index = rng.randrange(len(frames))
        data = bytearray(frames[index])
        if kind == 0 and data:
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        elif kind == 1:
            data = data[: rng.randrange(len(data) + 1)]
        elif kind == 2:
            data *= 2
        elif kind == 3:
            data = bytearray(rng.randbytes(rng.randrange(200)))
        elif kind == 4:
            frames.insert(index, rng.randbytes(rng.randrange(50)))
            continue
        elif len(frames) > 1:
            del frames[index]
            continue
        frames[index] = bytes(data)
    return frames


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_noise_in_messages(net, seed):
    rng = random.Random(seed)
    router = net.router()
    good, raw = net.dealer(router), net.raw(router)
    samples = [
        encode(attach(Hello(software="fuzz"), id=1)),
        encode(attach(Ping(), [("application/octet-stream", bytes(300))], id=2)),
        [b"QMIO\x01", msgspec.msgpack.encode({"body": {"type": "task.submit", "spec": []}, "id": 3})],
        [b"QMIO\x01", b"\x91" * 5_000],
    ]
    count = 1_000
    for number in range(count):
        raw.send_multipart(mutated(rng, rng.choice(samples)))
        if number % 250 == 0:
            heard = []
            assert good.send(attach(Ping(), id=9))
            key = None
            while key is None:
                router.poll(30)
                heard = router.receive()
                key = next(
                    (m.peer.key for m in heard if isinstance(m, Received) and m.packet.envelope.id == 9), None
                )
    # Everything that was sent came through `receive`, as a message or as an error with a code.
    while router.figures.received < count + 4:
        assert router.poll(30)
        for message in router.receive():
            assert isinstance(message, Received | Malformed)
            if isinstance(message, Malformed):
                assert message.error.code.split(".")[0] in ("wire", "limit")
                assert message.request >= 0
    assert router.figures.malformed > count // 2
    net.echo(router, good)


def test_noise_below_the_messages(net, quick):
    rng = random.Random(7)
    router = net.router(tuning=quick)
    good = net.dealer(router, tuning=quick)
    host, port = router.endpoint.removeprefix("tcp://").split(":")
    greeting = b"\xff" + bytes(8) + b"\x7f" + b"\x03\x01" + b"CURVE".ljust(20, b"\0") + b"\0" + bytes(31)
    for number in range(200):
        with socket.create_connection((host, int(port))) as stream:
            noise = rng.randbytes(rng.randrange(1, 400))
            stream.sendall(noise if number % 2 else greeting + noise)
        if number % 20 == 0:
            net.echo(router, good)
    net.wait(
        lambda: [router.departed(), router.poll(0.05)] and router.figures.closed_connections >= 200,
        "all to leave",
    )
    net.echo(router, good)
    assert router.connections == 1
    assert router.figures.malformed == 0
