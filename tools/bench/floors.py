"""The floors that the product is measured against: bare ZeroMQ, a bare fsync, Aer in process."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

import zmq


def _echo(pipe: Connection, server: tuple[bytes, bytes] | None) -> None:
    """Serve a ROUTER that echoes, until told to end."""
    with zmq.Context() as context, context.socket(zmq.ROUTER) as socket:
        if server:
            socket.curve_server = 1
            socket.curve_publickey, socket.curve_secretkey = server
        pipe.send(socket.bind_to_random_port("tcp://127.0.0.1"))
        while not pipe.poll(0):
            if socket.poll(100):
                while True:
                    try:
                        socket.send_multipart(socket.recv_multipart(zmq.NOBLOCK))
                    except zmq.Again:
                        break


@contextmanager
def echo(*, curve: bool) -> Iterator[Callable[[bytes], bytes]]:
    """Yield a function that makes one round trip over a bare DEALER/ROUTER in another process."""
    keys = zmq.curve_keypair() if curve else None
    near, far = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_echo, args=(far, keys), daemon=True)
    process.start()
    port = near.recv()
    with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
        if keys:
            socket.curve_serverkey = keys[0]
            socket.curve_publickey, socket.curve_secretkey = zmq.curve_keypair()
        socket.connect(f"tcp://127.0.0.1:{port}")

        def round_trip(data: bytes) -> bytes:
            socket.send(data)
            if not socket.poll(10_000):
                raise TimeoutError("the bare echo did not answer")
            return bytes(socket.recv())

        round_trip(b"warm")
        yield round_trip
    near.send("end")
    process.join(10)


@contextmanager
def durable_append(directory: Path) -> Iterator[Callable[[bytes], None]]:
    """Yield a function that appends to a file and makes it durable (write + fsync)."""
    with tempfile.NamedTemporaryFile(dir=directory) as file:

        def append(data: bytes) -> None:
            os.write(file.fileno(), data)
            os.fsync(file.fileno())

        yield append


def seconds(work: Callable[[], object], times: int) -> float:
    """Return the median seconds of one call, over `times` calls."""
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return sorted(taken)[times // 2]
