"""Real sockets over loopback: a router, our dealers, and raw ZeroMQ sockets that play the villains."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
import zmq

from qmio_jupyter.auth.keys import key_id, new_keys
from qmio_jupyter.model.keys import KeyPair
from qmio_jupyter.transport.sockets import Tuning, raise_nofile
from qmio_jupyter.transport.zeromq_dealer import Dealer, LinkState
from qmio_jupyter.transport.zeromq_router import Malformed, Received, Router
from qmio_jupyter.wire.codec import attach
from qmio_jupyter.wire.messages import Ping, Pong

#: Nothing here should take a second; this much means that it hangs.
DEADLINE_S = 30.0


def until(condition: Callable[[], object], what: str, deadline_s: float = DEADLINE_S) -> object:
    """Return the first true value of `condition`, which must do its own short waiting; fail at the deadline."""
    end = time.monotonic() + deadline_s
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
    pytest.fail(f"waited {deadline_s:.0f} s in vain for {what}")


class Net:
    """Makes sockets that are all closed at the end, and waits for what they bring."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self.server_keys = new_keys()
        self.context: zmq.Context = zmq.Context()
        stack.callback(self.context.term)

    def router(self, endpoint: str = "tcp://127.0.0.1:*", **options) -> Router:
        router = Router(self.server_keys, endpoint, **options)
        self._stack.callback(router.close)
        return router

    def dealer(self, router: Router, keys: KeyPair | None = None, **options) -> Dealer:
        """A dealer whose link is up."""
        dealer = Dealer(router.endpoint, router.server_key, keys or new_keys(), **options)
        self._stack.callback(dealer.close)
        self.up(dealer)
        return dealer

    def closing(self, link: Dealer | Router) -> None:
        """Close it at the end."""
        self._stack.callback(link.close)

    def bare(self):
        """A DEALER with nothing set."""
        socket = self.context.socket(zmq.DEALER)
        self._stack.callback(socket.close, linger=0)
        return socket

    def raw(self, router: Router, *, routing_id: bytes | None = None, keys: KeyPair | None = None, **options):
        """A bare DEALER with CURVE: no codec, no rules."""
        socket = self.bare()
        keys = keys or new_keys()
        socket.curve_publickey, socket.curve_secretkey = keys.public.encode(), keys.secret.encode()
        socket.curve_serverkey = router.server_key.encode()
        if routing_id is not None:
            socket.routing_id = routing_id
        for name, value in options.items():
            setattr(socket, name, value)
        socket.connect(router.endpoint)
        return socket

    wait = staticmethod(until)

    @staticmethod
    def key_id(keys: KeyPair) -> str:
        return key_id(keys.public)

    def up(self, dealer: Dealer) -> None:
        self.link(dealer, LinkState.UP)

    def link(self, dealer: Dealer, state: LinkState) -> str:
        """Wait for a change of the link; return its detail."""

        def seen() -> list[str]:
            dealer.poll(0.1)
            return [event.detail or "-" for event in dealer.link_events() if event.state is state]

        return until(seen, f"link {state}")[0]

    def hear(self, router: Router, count: int = 1) -> list[Received | Malformed]:
        """Wait for `count` messages at the router."""
        messages: list[Received | Malformed] = []

        def enough() -> bool:
            router.poll(0.1)
            messages.extend(router.receive())
            return len(messages) >= count

        until(enough, f"{count} messages")
        assert len(messages) == count
        return messages

    def gone(self, router: Router, count: int = 1) -> list[int]:
        """Wait until `count` connections departed."""
        departed: list[int] = []

        def enough() -> bool:
            router.poll(0.02)
            router.receive()
            departed.extend(router.departed())
            return len(departed) >= count

        until(enough, f"{count} departures")
        return departed

    def answer(self, dealer: Dealer) -> object:
        """Wait for one message at a dealer; return the packet or error."""

        def arrived() -> list:
            dealer.poll(0.1)
            return dealer.receive(1)

        return until(arrived, "an answer")[0]

    def echo(self, router: Router, dealer: Dealer, number: int = 1) -> int:
        """One ping there and pong back; return the connection's number."""
        assert dealer.send(attach(Ping(), id=number))
        (message,) = self.hear(router)
        assert isinstance(message, Received)
        assert message.packet.envelope == attach(Ping(), id=number).envelope
        assert router.send(message.connection, attach(Pong(epoch=1), re=number))
        assert self.answer(dealer).envelope.re == number
        return message.connection


@pytest.fixture
def net() -> Iterator[Net]:
    with ExitStack() as stack:
        yield Net(stack)


@pytest.fixture
def many_files() -> Iterator[None]:
    """Room for a thousand connections, both ends in this process."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    raise_nofile()
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.fixture
def quick() -> Tuning:
    """Short times, for tests that wait for them to pass."""
    return Tuning(handshake_ms=500, reconnect_ms=20, reconnect_max_ms=100)
