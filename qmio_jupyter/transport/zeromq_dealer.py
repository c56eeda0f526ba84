"""The client's and the agent's end: one DEALER with CURVE and the server's key pinned.

Messages are taken only while the link is up (``ZMQ_IMMEDIATE``): nothing is queued behind a dead connection
to arrive, late and before the hello, at the next gateway. Repeating what was not answered is the protocol
object's work.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

import msgspec
import zmq

from qmio_jupyter.errors import LimitError, QmioError
from qmio_jupyter.model.keys import KeyPair
from qmio_jupyter.transport.monitor import Monitor
from qmio_jupyter.transport.sockets import Owner, Tuning, harden, readable, send_frames
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
    int(zmq.EVENT_HANDSHAKE_FAILED_AUTH): "it refused our key",
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
        self, endpoint: str, server_key: str, keys: KeyPair, *, tuning: Tuning | None = None
    ) -> None:
        tuning = tuning or Tuning()
        self.endpoint = endpoint
        self.limits = Limits()
        self.needs_another_turn = False
        self.is_up = False
        self._owner = Owner()
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket: zmq.Socket[bytes] = self._context.socket(zmq.DEALER)
        self._monitor: Monitor | None = None
        try:
            harden(self._socket, tuning)
            self._socket.setsockopt(zmq.IMMEDIATE, 1)
            self._socket.setsockopt(zmq.RECONNECT_IVL, tuning.reconnect_ms)
            self._socket.setsockopt(zmq.RECONNECT_IVL_MAX, tuning.reconnect_max_ms)
            self._socket.setsockopt_string(zmq.CURVE_SERVERKEY, server_key)
            self._socket.setsockopt_string(zmq.CURVE_PUBLICKEY, keys.public)
            self._socket.setsockopt_string(zmq.CURVE_SECRETKEY, keys.secret)
            self._monitor = Monitor(
                self._socket, zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED | sum(_FAILED)
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
        return readable(self._socket) or (self._monitor is not None and readable(self._monitor.socket))

    def poll(self, timeout_s: float, also: Sequence[int] = ()) -> bool:
        """Wait until `ready`, or one of the descriptors `also` is readable, at most `timeout_s`.

        Returns
        -------
        bool
            Whether anything of this came true.
        """
        self._owner.check("link")
        poller = zmq.Poller()
        poller.register(self._socket, zmq.POLLIN)
        if self._monitor is not None:
            poller.register(self._monitor.socket, zmq.POLLIN)
        for descriptor in also:
            poller.register(descriptor, zmq.POLLIN)
        return bool(poller.poll(max(0, int(timeout_s * 1000))))

    def link_events(self) -> list[LinkEvent]:
        """Return how the link changed since the last call, oldest first. Read messages first, then these."""
        self._owner.check("link")
        events: list[LinkEvent] = []
        if self._monitor is None:
            return events
        for event in self._monitor.take():
            if event.event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
                self.is_up = True
                events.append(LinkEvent(LinkState.UP))
            elif event.event == zmq.EVENT_DISCONNECTED:
                if self.is_up:
                    events.append(LinkEvent(LinkState.DOWN, "the connection was closed"))
                self.is_up = False
            else:
                events.append(LinkEvent(LinkState.REFUSED, _FAILED[event.event]))
        return events

    def receive(self, at_most: int = DRAIN) -> list[Packet | QmioError]:
        """Return the messages that wait, at most `at_most`, without waiting; an error for what is no message.

        Sets `needs_another_turn` if it stopped at the bound.
        """
        self._owner.check("link")
        packets: list[Packet | QmioError] = []
        while len(packets) < at_most:
            try:
                frames = self._socket.recv_multipart(zmq.DONTWAIT)
            except zmq.Again:
                break
            try:
                packets.append(decode(frames, self.limits))
            except QmioError as error:
                packets.append(error)
        self.needs_another_turn = readable(self._socket)
        return packets

    def send(self, packet: Packet) -> bool:
        """Send `packet`; False while the link is down or its queue full. Never waits.

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
        for is_last_try in (False, True):
            try:
                send_frames(self._socket, frames)
            except zmq.Again:
                # Just after the link came up its pipe may not be attached yet; asking for EVENTS attaches it.
                if is_last_try or not int(self._socket.getsockopt(zmq.EVENTS)) & zmq.POLLOUT:
                    return False
            else:
                return True
        return False

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
