"""What another unix user of the node can try. Started as root with one JSON argument; becomes that user at once.

Prints what it got: paths it could read or write, answers to its messages, whether it could signal the gateway.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
from pathlib import Path

import zmq

from qmio_jupyter.auth.keys import new_keys
from qmio_jupyter.testing.messages import samples
from qmio_jupyter.transport.zeromq_dealer import Dealer
from qmio_jupyter.wire.codec import attach, encode
from qmio_jupyter.wire.messages import Failure, Hello, Ping, SessionOpen

DEADLINE_S = 30.0


def tried(action) -> bool:
    """Whether `action` succeeded; any other refusal than for want of permission is an error of the test."""
    try:
        action()
    except PermissionError:
        return False
    return True


def batched(items, size):
    """Return `items` in lists of at most `size`."""
    items = list(items)
    return [items[start : start + size] for start in range(0, len(items), size)]


class Visitor:
    """A link under a fresh key of the visitor's own."""

    def __init__(self, endpoint: str, server_key: str) -> None:
        self.dealer = Dealer(endpoint, server_key, new_keys())
        end = time.monotonic() + DEADLINE_S
        while not self.dealer.is_up:
            assert time.monotonic() < end, "the link does not come up"
            self.dealer.poll(0.1)
            self.dealer.link_events()

    def ask(self, packet) -> object:
        assert self.dealer.send(packet)
        end = time.monotonic() + DEADLINE_S
        while time.monotonic() < end:
            self.dealer.poll(0.1)
            for answer in self.dealer.receive():
                if answer.envelope.re == packet.envelope.id:
                    return answer.envelope.body
            self.dealer.link_events()
        return None


def say_everything(endpoint: str, server_key: str) -> dict[str, str]:
    """Send a full sample of every message; return the code each was refused with, or what came instead."""
    told = {}
    # Strangers have a small allowance, so every few messages a new one goes on.
    for chunk in batched(samples().items(), 10):
        visitor = Visitor(endpoint, server_key)
        for tag, packet in chunk:
            answer = visitor.ask(packet)
            told[tag] = answer.error.code if isinstance(answer, Failure) else type(answer).__name__
        visitor.dealer.close()
    return told


def without_curve(endpoint: str, mechanism: str) -> bool:
    """Whether a NULL or PLAIN client gets as much as an answer within a second."""
    context = zmq.Context()
    socket = context.socket(zmq.DEALER)
    socket.linger = 0
    if mechanism == "plain":
        socket.plain_username, socket.plain_password = b"root", b"root"
    socket.connect(endpoint)
    socket.send_multipart(encode(attach(Hello(), id=1)))
    heard = bool(socket.poll(1_000))
    socket.close()
    context.term()
    return heard


def main(facts: dict) -> dict:
    os.setgroups([])
    os.setresgid(facts["uid"], facts["uid"], facts["uid"])
    os.setresuid(facts["uid"], facts["uid"], facts["uid"])
    endpoint, server_key = facts["endpoint"], facts["server_key"]
    told: dict = {"uid": os.getuid(), "canary": Path(facts["canary"]).read_text()}
    told["listed"] = [
        path for path in facts["directories"] if tried(lambda path=path: list(Path(path).iterdir()))
    ]
    told["read"] = [path for path in facts["files"] if tried(lambda path=path: Path(path).read_bytes())]
    told["written"] = [
        path for path in facts["files"] if tried(lambda path=path: Path(path).open("ab").close())
    ]
    told["planted"] = [
        path for path in facts["directories"] if tried(lambda path=path: Path(path, "x").touch())
    ]
    told["signalled"] = [pid for pid in facts["pids"] if tried(lambda pid=pid: os.kill(pid, signal.SIGTERM))]
    told["environ"] = [
        pid for pid in facts["pids"] if tried(lambda pid=pid: Path(f"/proc/{pid}/environ").read_bytes())
    ]
    told["cmdlines"] = []
    for pid in facts["pids"]:
        with contextlib.suppress(PermissionError):
            told["cmdlines"].append(Path(f"/proc/{pid}/cmdline").read_bytes().decode())
    visitor = Visitor(endpoint, server_key)
    told["role"] = visitor.ask(attach(Hello(), id=1)).role
    large = visitor.ask(attach(SessionOpen(credential=bytes(5_000)), id=2))
    told["large"] = large.error.code if isinstance(large, Failure) else "taken"
    told["pong"] = type(visitor.ask(attach(Ping(), id=3))).__name__
    visitor.dealer.close()
    told["answers"] = say_everything(endpoint, server_key)
    told["heard"] = [name for name in ("null", "plain") if without_curve(endpoint, name)]
    return told


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]))))
