"""The server's end: one ROUTER with CURVE, every message authorised by the key it came under.

What is done against the traps of ZeroMQ: peers are known by (routing id, key), never by routing id alone;
fixed routing ids are refused; nothing here ever waits for a peer (a send that cannot go is False); strangers
and slow readers cost a bounded queue each; departures are noticed from the socket monitor, from a send that
bounces, and from silence, whichever comes first.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import zmq

from qmio_jupyter.errors import GatewayError, ProtocolError, QmioError
from qmio_jupyter.model.ids import KeyId
from qmio_jupyter.model.keys import KeyPair
from qmio_jupyter.model.task import ErrorInfo
from qmio_jupyter.ports import Peer
from qmio_jupyter.transport.connections import UNKNOWN, Connection, Connections, Descriptors
from qmio_jupyter.transport.endpoints import check_endpoint
from qmio_jupyter.transport.monitor import Monitor
from qmio_jupyter.transport.sockets import WATCH_S, ZAP_DOMAIN, Owner, Tuning, harden, readable, send_frames
from qmio_jupyter.transport.unsent import Unsent
from qmio_jupyter.transport.zap import Admission
from qmio_jupyter.wire.codec import attach, decode, encode, request_id
from qmio_jupyter.wire.frames import MAX_ATTACHMENTS
from qmio_jupyter.wire.limits import UNKNOWN_PEER
from qmio_jupyter.wire.messages import Failure, Limits, Packet

#: Messages read in one call of `Router.receive`.
DRAIN = 64
#: Clients ping every 2 s: one that says nothing for this long is taken for gone.
SILENCE_S = 60.0
#: Under load without a pause, how long after a socket closed its last messages are still waited for.
_LAST_WORDS_S = 1.0
#: ZeroMQ's own routing ids: a zero byte and a 32-bit counter. Any other was chosen by the peer.
_OWN_ID_BYTES = 5
#: Frames below this many bytes are faster copied than viewed.
_SMALL = 4096
_LOOPBACK = "tcp://127.0.0.1:*"


class Received(msgspec.Struct, frozen=True):
    """A message, from whom, and over which connection."""

    connection: int
    peer: Peer
    packet: Packet


class Malformed(msgspec.Struct, frozen=True):
    """Something that is no message. Answer `error` to `request`, unless that is 0 (it could not be read)."""

    connection: int
    peer: Peer
    error: QmioError
    request: int


class RouterFigures(msgspec.Struct):
    """What a router counted since it was opened."""

    received: int = 0
    sent: int = 0
    #: Sends that could not go: the peer had departed, or its queue was full.
    undeliverable: int = 0
    malformed: int = 0
    #: Messages without a key, or under a routing id their sender chose.
    refused: int = 0
    accepted_connections: int = 0
    closed_connections: int = 0
    failed_handshakes: int = 0


class Router:
    """A bound ROUTER socket with its own context and ZAP thread.

    Parameters
    ----------
    keys : KeyPair
        The server's; clients pin the public half.
    endpoint : str
        ``tcp://ADDRESS:PORT`` (``*`` for any free port), or ``ipc://PATH`` in a directory of mode 0700.
    allow_remote : bool
        Must be True to listen on anything but loopback.
    limits_of : callable, optional
        What a peer may send; asked for each message before it is decoded. Default: the protocol's limits.
    is_known : callable, optional
        Whether a key belongs to somebody; called from ZeroMQ's ZAP thread as well. Only keys it knows are let in
        while ``tuning.strangers`` others are connected. Default: nobody is known.

    Raises
    ------
    ConfigError
        If the endpoint is not acceptable.
    GatewayError
        ``gateway.start`` if it cannot be bound.
    """

    def __init__(
        self,
        keys: KeyPair,
        endpoint: str = _LOOPBACK,
        *,
        allow_remote: bool = False,
        limits_of: Callable[[Peer], Limits] | None = None,
        is_known: Callable[[KeyId], bool] = lambda _key: False,
        tuning: Tuning | None = None,
        domain: str = ZAP_DOMAIN,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        check_endpoint(endpoint, allow_remote=allow_remote)
        self.figures = RouterFigures()
        self.server_key = keys.public
        #: True after a `receive` that stopped at its bound with more to read.
        self.needs_another_turn = False
        self._limits = Limits()
        self._limits_of = limits_of
        self._clock = clock
        self._is_known = is_known
        self._strangers = (tuning or Tuning()).strangers
        self._admitted = 0
        self._connections = Connections()
        self._unsent = Unsent(clock)
        self._descriptors = Descriptors()
        #: Generations of sockets found closed; what came over them is read before they count as departed.
        self._closed: set[int] = set()
        self._closed_since = 0.0
        self._watched_at = -1.0
        self._short_lived: list[Connection] = []
        self._owner = Owner()
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._admission = Admission(self._context, self._admits)
        self._admission.start()
        self._socket: zmq.Socket[bytes] = self._context.socket(zmq.ROUTER)
        self._monitor: Monitor | None = None
        self._socket_path: Path | None = None
        try:
            self._open(keys, endpoint, tuning or Tuning(), domain)
        except BaseException:
            self.close()
            raise
        self.endpoint = self._socket.getsockopt_string(zmq.LAST_ENDPOINT)
        self.fd = int(self._socket.getsockopt(zmq.FD))

    def _open(self, keys: KeyPair, endpoint: str, tuning: Tuning, domain: str) -> None:
        socket = self._socket
        harden(socket, tuning)
        socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
        socket.setsockopt(zmq.ROUTER_HANDOVER, 0)
        socket.setsockopt(zmq.BACKLOG, tuning.backlog)
        socket.setsockopt(zmq.CURVE_SERVER, 1)
        socket.setsockopt_string(zmq.CURVE_PUBLICKEY, keys.public)
        socket.setsockopt_string(zmq.CURVE_SECRETKEY, keys.secret)
        socket.setsockopt_string(zmq.ZAP_DOMAIN, domain)
        # Without a handler nobody gets in (in place of everybody, unnamed).
        socket.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)
        self._monitor = Monitor(
            socket,
            zmq.EVENT_ACCEPTED
            | zmq.EVENT_DISCONNECTED
            | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
            | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
            | zmq.EVENT_HANDSHAKE_FAILED_AUTH,
        )
        try:
            socket.bind(endpoint)
        except zmq.ZMQError as problem:
            raise GatewayError(
                f"Cannot listen on {endpoint}: {problem.strerror}",
                code="gateway.start",
                hint="Is another gateway running there? `jupyter qmio status` tells.",
            ) from None
        if endpoint.startswith("ipc://"):
            self._socket_path = Path(endpoint.removeprefix("ipc://"))
            self._socket_path.chmod(0o600)

    # ------------------------------------------------------------ receiving

    def ready(self) -> bool:
        """Return whether `receive` would return something now. Ask after every wake-up and every send."""
        self._owner.check("router")
        return readable(self._socket)

    def poll(self, timeout_s: float) -> bool:
        """Wait until `ready`, at most `timeout_s`; return whether it is."""
        self._owner.check("router")
        return bool(self._socket.poll(int(timeout_s * 1000), zmq.POLLIN))

    def receive(self, at_most: int = DRAIN) -> list[Received | Malformed]:
        """Return the messages that wait, at most `at_most` of them, without waiting for any.

        Never raises for what a peer sent. Sets `needs_another_turn` if it stopped at the bound.
        """
        self._owner.check("router")
        now = self._clock()
        messages: list[Received | Malformed] = []
        self.needs_another_turn = False
        for count in range(1, at_most + 1):
            frames = self._take()
            if frames is None:
                break
            message = self._read(frames, now)
            if message is not None:
                messages.append(message)
            # One message alone is the common case, and asking is cheaper than an attempt in vain.
            if count in (1, at_most) and not readable(self._socket):
                break
        else:
            self.needs_another_turn = True
        return messages

    def _take(self) -> list[zmq.Frame] | None:
        socket = self._socket
        try:
            frame = socket.recv(zmq.DONTWAIT, copy=False)
        except zmq.Again:
            return None
        frames = [frame]
        size, limit, is_over = 0, -1, False
        while frame.more:
            frame = socket.recv(copy=False)
            # ZeroMQ bounds each frame, not their sum: of what is over, enough is kept to be refused by `decode`.
            if is_over:
                continue
            frames.append(frame)
            size += len(frame)
            if size > _SMALL and limit < 0:
                limit = self._limits_for(frames[0]).message_bytes
            is_over = size > max(limit, _SMALL) or len(frames) > 3 + MAX_ATTACHMENTS
        return frames

    def _limits_for(self, routing_frame: zmq.Frame) -> Limits:
        """Return what the sender of a frame may send."""
        key = sender(routing_frame)
        if not key:
            return UNKNOWN_PEER
        return self._limits if self._limits_of is None else self._limits_of(Peer(key=key, address=""))

    def _read(self, frames: list[zmq.Frame], now: float) -> Received | Malformed | None:
        self.figures.received += 1
        routing_id = frames[0].bytes
        key = sender(frames[0])
        if not key:
            self.figures.refused += 1
            return None
        if len(routing_id) != _OWN_ID_BYTES or routing_id[0] != 0:
            self.figures.refused += 1
            self._refuse_fixed_id(frames)
            return None
        connection = self._connections.find(routing_id, key) or self._meet(routing_id, key, frames[0])
        connection.heard = now
        if connection.is_dropped:
            return None
        peer = connection.peer
        limits = self._limits if self._limits_of is None else self._limits_of(peer)
        try:
            # Views: sizes are checked before anything large is copied.
            body = [frame.bytes if len(frame) < _SMALL else frame.buffer for frame in frames[1:]]
            packet = decode(body, limits)
        except QmioError as error:
            self.figures.malformed += 1
            return Malformed(connection.number, peer, error, error.request_id)
        return Received(connection.number, peer, packet)

    def _refuse_fixed_id(self, frames: list[zmq.Frame]) -> None:
        """Tell a peer that chose its own routing id to let the server choose."""
        request = request_id(frames[2].buffer) if len(frames) > 2 else 0
        error = ProtocolError("This gateway takes no fixed routing ids", hint="Leave ZMQ_ROUTING_ID unset.")
        answer = attach(
            Failure(
                error=ErrorInfo(
                    code=error.code, message=error.message, hint=error.hint, retryable=error.retryable
                )
            ),
            re=request,
        )
        with contextlib.suppress(zmq.ZMQError):
            send_frames(self._socket, [frames[0].bytes, *encode(answer)])

    # ------------------------------------------------------------ sending

    def send(self, connection: int, packet: Packet) -> bool:
        """Send `packet`; False if its connection departed or takes no more now. Never waits."""
        return self.send_encoded(connection, encode(packet))

    def send_encoded(self, connection: int, frames: Sequence[bytes]) -> bool:
        """Send frames made by ``wire.codec.encode``: one encoding for many watchers."""
        self._owner.check("router")
        if self._clock() - self._watched_at > WATCH_S:
            self._watch()
        found = self._connections.get(connection)
        # A closed socket's routing id may already be somebody else's.
        if found is None or found.generation in self._closed:
            self.figures.undeliverable += 1
            return False
        try:
            shared = send_frames(self._socket, [found.routing_id, *frames])
        except zmq.Again:
            self.figures.undeliverable += 1
            return False
        except zmq.ZMQError as problem:
            if problem.errno != zmq.EHOSTUNREACH:
                raise
            self.figures.undeliverable += 1
            self._connections.remove(found)
            return False
        for tracker, size in shared:
            self._unsent.add(connection, tracker, size)
        self.figures.sent += 1
        return True

    def unsent_bytes(self, connection: int | None = None) -> int:
        """Return the bytes of large frames taken and not yet passed on: to one connection, or in all."""
        return self._unsent.total() if connection is None else self._unsent.bytes_of(connection)

    def stalled(self, seconds: float) -> list[int]:
        """Return the connections that have taken nothing for so long, though there is something for them."""
        return self._unsent.stalled(seconds)

    # ------------------------------------------------------------ connections

    @property
    def connections(self) -> int:
        """How many peers are known to live."""
        return len(self._connections)

    def peer(self, connection: int) -> Peer | None:
        """Return who is at the other end, None if it departed."""
        found = self._connections.get(connection)
        return None if found is None else found.peer

    def drop(self, connection: int) -> None:
        """Hear and tell this connection nothing more; it is not reported as departed."""
        found = self._connections.get(connection)
        if found is not None:
            found.is_dropped = True
        # ZeroMQ cannot close one peer of a ROUTER: what it holds for this one stays until the peer goes.
        self._unsent.forget(connection)

    def departed(self, silence_s: float = SILENCE_S) -> list[int]:
        """Return the connections found gone since the last call; ask once a second or so, after `receive`."""
        self._owner.check("router")
        self._watch()
        now = self._clock()
        if not readable(self._socket) or now - self._closed_since > _LAST_WORDS_S:
            # Not before: what they said before they left may still wait to be read.
            self._bury()
        self._connections.forget_silent(now - silence_s)
        self._connections.recount(self._is_known)
        return self._connections.take_departed()

    def _meet(self, routing_id: bytes, key: KeyId, frame: zmq.Frame) -> Connection:
        """Return a new connection; 0 is the generation of one whose socket is closed already."""
        address, descriptor = where_from(frame)
        self._watch()
        generation = self._descriptors.generation(descriptor) if descriptor >= 0 else UNKNOWN
        connection = self._connections.add(
            routing_id, Peer(key=key, address=address), generation, is_known=self._is_known(key)
        )
        if not generation:
            self._short_lived.append(connection)
        return connection

    def _watch(self) -> None:
        """Learn from the monitor which sockets were opened and closed."""
        self._watched_at = self._clock()
        if self._monitor is None:
            return
        for event in self._monitor.take():
            if event.event == zmq.EVENT_ACCEPTED:
                self.figures.accepted_connections += 1
                self._descriptors.accepted(event.value)
            elif event.event == zmq.EVENT_DISCONNECTED:
                self.figures.closed_connections += 1
                if not self._closed:
                    self._closed_since = self._clock()
                self._closed.add(self._descriptors.closed(event.value))
                self._closed.discard(0)
            else:
                self.figures.failed_handshakes += 1
        self._admitted = 0

    def _bury(self) -> None:
        """Report the connections over closed sockets as departed."""
        for generation in self._closed:
            connection = self._connections.over(generation)
            if connection is not None:
                self._connections.remove(connection)
        self._closed.clear()
        for connection in self._short_lived:
            self._connections.remove(connection)
        self._short_lived.clear()

    def _admits(self, key: KeyId) -> bool:
        """Say whether a key may connect now. Runs in the ZAP thread: reads a few numbers, changes one."""
        if self._is_known(key):
            return True
        strangers = len(self._descriptors) - self._connections.known + self._admitted
        if strangers >= self._strangers:
            return False
        self._admitted += 1
        return True

    def close(self) -> None:
        """Send what is still queued, for at most the linger time, then release everything. Idempotent."""
        if not self._owner.is_here or self._context.closed:
            return
        if self._monitor is not None:
            self._monitor.close()
            self._monitor = None
        self._socket.close()
        self._admission.stop()
        if self._socket_path is not None:
            self._socket_path.unlink(missing_ok=True)
        # Without term the process could end before the last messages are on their way.
        self._context.term()


def sender(frame: zmq.Frame) -> KeyId:
    """Return the key a frame came under, as ZeroMQ authenticated it; empty if it did not."""
    try:
        return str(frame.get("User-Id"))
    except zmq.ZMQError:
        return ""


def where_from(frame: zmq.Frame) -> tuple[str, int]:
    """Return the sender's address and this end's descriptor of the connection; -1 if that is not known."""
    try:
        return str(frame.get("Peer-Address")), int(frame.get(zmq.SRCFD))
    except zmq.ZMQError:
        return "", -1
