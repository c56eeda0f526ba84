"""The floor of a dependent loop: the same processes, hops and fsyncs, and nothing that decides anything.

client -CURVE-> hub -CURVE-> forwarder -socket pair-> worker, and back; the hub makes 4 kB durable on each way, and
answers the client before the work begins, as a gateway does. The worker runs the fastest loop Aer allows.
"""

from __future__ import annotations

import multiprocessing
import os
import socket as sockets
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import zmq

_BYTES = 4096
_DEADLINE_MS = 60_000
_HELLO, _STOP, _TASK, _TAKEN, _END = b"hello", b"stop", b"task", b"taken", b"end"


def _dial(context: zmq.Context[zmq.Socket[bytes]], port: int, server: bytes) -> zmq.Socket[bytes]:
    dealer = context.socket(zmq.DEALER)
    dealer.curve_serverkey = server
    dealer.curve_publickey, dealer.curve_secretkey = zmq.curve_keypair()
    dealer.connect(f"tcp://127.0.0.1:{port}")
    return dealer


def _hub(pipe: Connection, keys: tuple[bytes, bytes], directory: Path) -> None:
    """Pass tasks on to the forwarder and ends back to the client, each once it is durable."""
    with (
        zmq.Context() as context,
        context.socket(zmq.ROUTER) as router,
        tempfile.TemporaryFile(dir=directory) as file,
    ):
        router.curve_server = 1
        router.curve_publickey, router.curve_secretkey = keys
        pipe.send(router.bind_to_random_port("tcp://127.0.0.1"))
        forwarder = client = b""
        while router.poll(_DEADLINE_MS):
            sender, kind, data = router.recv_multipart()
            if kind == _HELLO:
                forwarder = sender
                pipe.send("up")
                continue
            if kind == _STOP:
                router.send_multipart([forwarder, _STOP, b""])
                return
            os.pwrite(file.fileno(), bytes(_BYTES), 0)
            os.fdatasync(file.fileno())
            if sender == forwarder:
                router.send_multipart([client, _END, data])
            else:
                client = sender
                router.send_multipart([forwarder, _TASK, data])
                router.send_multipart([client, _TAKEN, b""])


def _forward(port: int, server: bytes) -> None:
    near, far = sockets.socketpair()
    worker = multiprocessing.get_context("fork").Process(target=_work, args=(far,), daemon=True)
    worker.start()
    with zmq.Context() as context, _dial(context, port, server) as dealer:
        dealer.send_multipart([_HELLO, b""])
        while dealer.poll(_DEADLINE_MS):
            kind, data = dealer.recv_multipart()
            near.send(data)
            if kind == _STOP:
                break
            dealer.send_multipart([_END, near.recv(_BYTES)])
    near.close()
    worker.join(10)


def _work(channel: sockets.socket) -> None:
    from loops import ansatz, tuned_aer

    run = tuned_aer(ansatz())
    while data := channel.recv(_BYTES):
        channel.send(str(run(np.frombuffer(data))).encode())


@contextmanager
def bare_chain(directory: Path) -> Iterator[Callable[[np.ndarray], int]]:
    """Yield an iteration of the loop through the bare chain: values in, how often all bits were 0."""
    spawn = multiprocessing.get_context("spawn")
    keys = zmq.curve_keypair()
    near, far = spawn.Pipe()
    hub = spawn.Process(target=_hub, args=(far, keys, directory), daemon=True)
    hub.start()
    port = near.recv()
    forwarder = spawn.Process(target=_forward, args=(port, keys[0]))
    forwarder.start()
    near.recv()
    with zmq.Context() as context, _dial(context, port, keys[0]) as dealer:

        def run(values: np.ndarray) -> int:
            dealer.send_multipart([_TASK, values.tobytes()])
            for expected in (_TAKEN, _END):
                if not dealer.poll(_DEADLINE_MS):
                    raise TimeoutError("the bare chain did not answer")
                kind, data = dealer.recv_multipart()
                assert kind == expected
            return int(data)

        yield run
        dealer.send_multipart([_STOP, b""])
        hub.join(10)
        near.close()
        forwarder.join(10)
