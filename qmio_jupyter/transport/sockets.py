"""What both ends of a ZeroMQ link share: tuning, sending, and that a forked child keeps its hands off."""

from __future__ import annotations

import contextlib
import os
import resource
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec
import zmq

from qmio_jupyter.errors import GatewayError
from qmio_jupyter.wire.messages import Limits

#: The ZAP domain of every server socket. The handler refuses any other aloud: a mismatch must not hang.
ZAP_DOMAIN = "qmio"
#: A frame may be this much longer than the longest message: CURVE's nonce, authenticator and flags.
_FRAME_OVERHEAD = 1024
#: Frames above this many bytes are handed to ZeroMQ without a copy; below, copying is cheaper than tracking.
_COPY_BELOW = 128 * 1024
#: A send looks at the monitor unless that was done this recently: less than a new connection takes to come about.
WATCH_S = 0.0005
#: Descriptors kept for everything but connections: the ledger, logs, agents' pipes.
RESERVE = 128

# Plain integers: the operators of ZeroMQ's enumerations cost more than the calls they are for.
_EVENTS: Final = int(zmq.EVENTS)
_POLLIN: Final = int(zmq.POLLIN)
_LAST: Final = int(zmq.DONTWAIT)
_MORE: Final = int(zmq.DONTWAIT | zmq.SNDMORE)


class Tuning(msgspec.Struct, frozen=True, kw_only=True):
    """The knobs of a link; the defaults suit a node as well as a service."""

    #: Longest frame accepted, in bytes; a longer one ends its connection, without a word to its sender.
    message_bytes: int = Limits().message_bytes
    #: Messages waiting to be sent to one peer before sends to it are refused.
    send_queue: int = 1_000
    #: Messages of one peer waiting to be read before ZeroMQ stops reading from it (TCP then slows it down).
    receive_queue: int = 100
    #: A peer that answers nothing for `heartbeat_timeout_ms` is gone.
    heartbeat_ms: int = 2_000
    heartbeat_timeout_ms: int = 8_000
    #: A connection that has not finished CURVE by then is closed: strangers hold no descriptors.
    handshake_ms: int = 5_000
    #: Connections the kernel keeps waiting to be accepted.
    backlog: int = 1_024
    #: Connections of keys that nobody knows, at once; above it only known keys are let in.
    strangers: int = 1_024
    #: How long closing waits for what is still to be sent.
    linger_ms: int = 1_000
    #: First and longest pause between two attempts to connect.
    reconnect_ms: int = 50
    reconnect_max_ms: int = 2_000


def harden(socket: zmq.Socket[bytes], tuning: Tuning) -> None:
    """Set the options both ends share: bounded queues and frames, heartbeats, a short handshake."""
    socket.setsockopt(zmq.LINGER, tuning.linger_ms)
    socket.setsockopt(zmq.SNDHWM, tuning.send_queue)
    socket.setsockopt(zmq.RCVHWM, tuning.receive_queue)
    socket.setsockopt(zmq.MAXMSGSIZE, tuning.message_bytes + _FRAME_OVERHEAD)
    socket.setsockopt(zmq.HEARTBEAT_IVL, tuning.heartbeat_ms)
    socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, tuning.heartbeat_timeout_ms)
    socket.setsockopt(zmq.HEARTBEAT_TTL, tuning.heartbeat_timeout_ms)
    socket.setsockopt(zmq.HANDSHAKE_IVL, tuning.handshake_ms)
    socket.setsockopt(zmq.TCP_KEEPALIVE, 1)


def send_frames(socket: zmq.Socket[bytes], frames: list[bytes]) -> Sequence[tuple[zmq.MessageTracker, int]]:
    """Send `frames` as one message, never waiting; ``zmq.Again`` or another ``zmq.ZMQError`` if it cannot.

    Returns
    -------
    sequence of (MessageTracker, int)
        Of each frame that ZeroMQ shares with us: what tells when it was let go, and its bytes.
    """
    last = len(frames) - 1
    shared: list[tuple[zmq.MessageTracker, int]] | None = None
    for index, frame in enumerate(frames):
        flags = _LAST if index == last else _MORE
        if len(frame) < _COPY_BELOW:
            socket.send(frame, flags)
        else:
            tracker = socket.send(frame, flags, copy=False, track=True)
            shared = shared or []
            shared.append((tracker, len(frame)))
    return shared or ()


def readable(socket: zmq.Socket[bytes]) -> bool:
    """Return whether a message waits. Asking also makes the descriptor's next edge count."""
    return bool(int(socket.getsockopt(_EVENTS)) & _POLLIN)


def raise_nofile(wanted: int = 65_536, reserve: int = RESERVE) -> int:
    """Raise the soft limit on open files as far as useful, less a reserve that connections cannot use up.

    Parameters
    ----------
    wanted : int
        No use for more than this.
    reserve : int
        Descriptors below the hard limit that only :func:`spare_descriptors` opens up.

    Returns
    -------
    int
        The soft limit now in force.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    soft = most - reserve if most > 2 * reserve else most
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return soft


@contextlib.contextmanager
def spare_descriptors(reserve: int = RESERVE) -> Iterator[None]:
    """Open up the reserve for a moment: to start an agent or open the ledger while connections hold all else.

    ZeroMQ's accepting thread may take some of it meanwhile, so keep it short.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lifted = soft + reserve if hard == resource.RLIM_INFINITY else min(soft + reserve, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, lifted), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class Owner:
    """Remembers which process made a socket.

    A forked child shares its parent's descriptors but none of ZeroMQ's threads: whatever it did would hang,
    or steal the parent's wake-ups.
    """

    def __init__(self) -> None:
        self._pid = os.getpid()

    @property
    def is_here(self) -> bool:
        """True in the process that made it."""
        return os.getpid() == self._pid

    def check(self, what: str) -> None:
        """Raise unless this is the process that made it.

        Raises
        ------
        GatewayError
            In a forked child.
        """
        if not self.is_here:
            raise GatewayError(
                f"This {what} belongs to process {self._pid}; this is its forked child {os.getpid()}",
                hint="Connect again in the new process.",
                retryable=False,
            )
