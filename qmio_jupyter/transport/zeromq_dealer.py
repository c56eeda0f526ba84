"""The client's and the agent's end: one DEALER with CURVE and the server's key pinned.

Messages are taken only while the link is up and its shell knows it: nothing is sent between a reconnect and the
hello that follows it. (``ZMQ_IMMEDIATE`` is not the way to that: it throws away what had arrived unread when the
connection closed.) What was queued when a link broke goes out on the next one, before the hello; the gateway refuses
it or has it twice, and both protocols are made for that.

ZeroMQ connects again by itself after most failures, but gives up for good when it was refused with an error, and
when the other end sent what it takes for nonsense. The monitor then falls silent; the link is connected anew.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from enum import StrEnum

import msgspec
import zmq

from qmio_jupyter.errors import LimitError, QmioError
from qmio_jupyter.model.keys import KeyPair
from qmio_jupyter.transport.monitor import Monitor
from qmio_jupyter.transport.sockets import WATCH_S, Owner, Tuning, harden, readable, send_frames
from qmio_jupyter.wire.codec import decode, encode
from qmio_jupyter.wire.frames import size_of
from qmio_jupyter.wire.messages import Limits, Packet

#: Messages read in one call of `Dealer.receive`.
DRAIN = 64


class LinkState(StrEnum):
    """What became of a link."""

    #: Connected, and the other end proved to hold the pinned server key: say hello.
    UP = "up"
    #: It was up, and is gone; ZeroMQ connects again by itself.
    DOWN = "down"
    #: Something is there, but the handshake failed: not our gateway, or another key. Tried again by itself.
    REFUSED = "refused"


class LinkEvent(msgspec.Struct, frozen=True):
    """A change of the link, with a word on why."""

    state: LinkState
    detail: str = ""


_FAILED = {
    int(zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL): "the handshake broke off",
    int(zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL): "it does not speak CURVE, or holds another key",
    int(zmq.EVENT_HANDSHAKE_FAILED_AUTH): "it refused our key, or takes no more strangers",
}


class Dealer:
    """A connected DEALER socket with its own context.

    Parameters
    ----------
    endpoint : str
        Where the gateway listens.
    server_key : str
        Its public key in Z85; nobody without the secret half can pose as it.
    keys : KeyPair
        Ours.

    Attributes
    ----------
    fd, monitor_fd : int
        Edge-triggered descriptors of messages and of link events; see :mod:`qmio_jupyter.transport`.
    limits : Limits
        What the gateway takes; set it from ``Welcome.limits``.
    needs_another_turn : bool
        True after a `receive` that stopped at its bound with more to read.
    """

    def __init__(
        self,
        endpoint: str,
        server_key: str,
        keys: KeyPair,
        *,
        tuning: Tuning | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        tuning = tuning or Tuning()
        self.endpoint = endpoint
        self.limits = Limits()
        self.needs_another_turn = False
        #: Whether the link is up, as far as `link_events` has told.
        self.is_up = False
        self._events: list[LinkEvent] = []
        self._clock = clock
        self._patience_s = tuning.reconnect_max_ms / 1000
        #: Since when nothing was seen of ZeroMQ trying again.
        self._idle_since: float | None = None
        self._has_shaken_hands = False
        self._watched_at = -1.0
        self._owner = Owner()
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket: zmq.Socket[bytes] = self._context.socket(zmq.DEALER)
        self._monitor: Monitor | None = None
        self._poller: zmq.Poller | None = None
        self._polled: tuple[int, ...] = ()
        try:
            harden(self._socket, tuning)
            self._socket.setsockopt(zmq.RECONNECT_IVL, tuning.reconnect_ms)
            self._socket.setsockopt(zmq.RECONNECT_IVL_MAX, tuning.reconnect_max_ms)
            self._socket.setsockopt_string(zmq.CURVE_SERVERKEY, server_key)
            self._socket.setsockopt_string(zmq.CURVE_PUBLICKEY, keys.public)
            self._socket.setsockopt_string(zmq.CURVE_SECRETKEY, keys.secret)
            self._monitor = Monitor(
                self._socket,
                zmq.EVENT_CONNECTED
                | zmq.EVENT_CONNECT_RETRIED
                | zmq.EVENT_HANDSHAKE_SUCCEEDED
                | zmq.EVENT_DISCONNECTED
                | sum(_FAILED),
            )
            self._socket.connect(endpoint)
        except BaseException:
            self.close()
            raise
        self.fd = int(self._socket.getsockopt(zmq.FD))
        self.monitor_fd = self._monitor.fd

    @property
    def fds(self) -> tuple[int, int]:
        """Both descriptors a loop has to watch."""
        return self.fd, self.monitor_fd

    def ready(self) -> bool:
        """Return whether `receive` or `link_events` would return something. Ask after wake-ups and sends."""
        self._owner.check("link")
        if self._events or readable(self._socket):
            return True
        return self._monitor is not None and readable(self._monitor.socket)

    def poll(self, timeout_s: float, also: Sequence[int] = ()) -> set[int]:
        """Wait until `ready`, or one of the descriptors `also` is readable, at most `timeout_s`.

        Returns
        -------
        set of int
            Those of `also` that are readable, and `fd` if this link is `ready`; empty if nothing came true.
        """
        self._owner.check("link")
        if self._events:
            return {self.fd}
        if self._idle_since is not None:
            timeout_s = min(timeout_s, self._patience_s)
        found = self._poller_of(tuple(also)).poll(max(0, int(timeout_s * 1000)))
        return {what if isinstance(what, int) else self.fd for what, _ in found}

    def _poller_of(self, also: tuple[int, ...]) -> zmq.Poller:
        """Return a poller of the link and `also`, the last one if it is that: loops ask for the same again."""
        if self._poller is None or self._polled != also:
            self._poller, self._polled = zmq.Poller(), also
            self._poller.register(self._socket, zmq.POLLIN)
            if self._monitor is not None:
                self._poller.register(self._monitor.socket, zmq.POLLIN)
            for descriptor in also:
                self._poller.register(descriptor, zmq.POLLIN)
        return self._poller

    def link_events(self) -> list[LinkEvent]:
        """Return how the link changed since the last call, oldest first. Read messages first, then these.

        Call it every few seconds even where no descriptor says so: it connects anew what ZeroMQ gave up.
        """
        self._owner.check("link")
        self._watch()
        events, self._events = self._events, []
        for event in events:
            if event.state is not LinkState.REFUSED:
                self.is_up = event.state is LinkState.UP
        if self._idle_since is not None and self._clock() - self._idle_since >= self._patience_s:
            self._connect_anew()
        return events

    def _watch(self) -> None:
        """Learn from the monitor what became of the link."""
        self._watched_at = self._clock()
        if self._monitor is None:
            return
        for event in self._monitor.take():
            self._idle_since = None
            if event.event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
                self._has_shaken_hands = True
                self._events.append(LinkEvent(LinkState.UP))
            elif event.event == zmq.EVENT_DISCONNECTED:
                if self._has_shaken_hands:
                    self._events.append(LinkEvent(LinkState.DOWN, "the connection was closed"))
                self._has_shaken_hands = False
                self._idle_since = self._clock()
            elif event.event in _FAILED:
                self._events.append(LinkEvent(LinkState.REFUSED, _FAILED[event.event]))

    def _connect_anew(self) -> None:
        with contextlib.suppress(zmq.ZMQError):
            self._socket.disconnect(self.endpoint)
        self._socket.connect(self.endpoint)
        self._idle_since = None

    def receive(self, at_most: int = DRAIN) -> list[Packet | QmioError]:
        """Return the messages that wait, at most `at_most`, without waiting; an error for what is no message.

        Sets `needs_another_turn` if it stopped at the bound.
        """
        self._owner.check("link")
        packets: list[Packet | QmioError] = []
        self.needs_another_turn = False
        for count in range(1, at_most + 1):
            try:
                frames = self._socket.recv_multipart(zmq.DONTWAIT)
            except zmq.Again:
                break
            try:
                packets.append(decode(frames, self.limits))
            except QmioError as error:
                packets.append(error)
            # One message alone is the common case, and asking is cheaper than an attempt in vain.
            if count in (1, at_most) and not readable(self._socket):
                break
        else:
            self.needs_another_turn = True
        return packets

    def send(self, packet: Packet) -> bool:
        """Send `packet`; False while the link is down, has changed untold, or its queue is full. Never waits.

        Raises
        ------
        LimitError
            ``limit.size`` if the gateway would drop it for its size, without a word.
        """
        self._owner.check("link")
        frames = encode(packet)
        size = size_of(frames)
        if size > self.limits.message_bytes:
            raise LimitError(
                f"The message has {size} bytes, the gateway takes {self.limits.message_bytes}",
                code="limit.size",
                hint="Split the program or the parameter matrix.",
            )
        if self._clock() - self._watched_at > WATCH_S:
            self._watch()
        if not self.is_up or self._events:
            return False
        try:
            send_frames(self._socket, frames)
        except zmq.Again:
            return False
        return True

    def close(self) -> None:
        """Send what is still queued, for at most the linger time, then release everything. Idempotent."""
        if not self._owner.is_here or self._context.closed:
            return
        if self._monitor is not None:
            self._monitor.close()
            self._monitor = None
        self.is_up = False
        self._socket.close()
        # Without term the process could end before the last messages are on their way.
        self._context.term()
