"""A stream socket that carries length-prefixed msgpack messages."""

from __future__ import annotations

import socket
import struct
import time
from typing import Final

import msgspec

_LENGTH: Final = struct.Struct("!I")
#: Largest message; more is a defect, not a result.
MAX_BYTES: Final = 2**31
_CHUNK: Final = 1 << 20


class ChannelClosedError(Exception):
    """The other end is gone."""


class ChannelTimeoutError(Exception):
    """Nothing complete came in time."""


class Channel:
    """One end of a socket pair; one thread at a time."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._buffer = bytearray()
        self._encoder = msgspec.msgpack.Encoder()

    def send(self, message: msgspec.Struct) -> None:
        """Send a message, waiting as long as the other end takes to read it.

        Raises
        ------
        ChannelClosedError
            If the other end is gone.
        """
        data = self._encoder.encode(message)
        try:
            self._socket.settimeout(None)
            self._socket.sendall(_LENGTH.pack(len(data)))
            self._socket.sendall(data)
        except OSError as problem:
            raise ChannelClosedError from problem

    def receive(self, timeout_s: float | None) -> bytes:
        """Return the next message's bytes; a `timeout_s` of None waits for ever.

        Raises
        ------
        ChannelClosedError
            If the other end is gone, or sent more than `MAX_BYTES`.
        ChannelTimeoutError
            If no whole message came in time; what came of it is kept.
        """
        until = None if timeout_s is None else time.monotonic() + timeout_s
        self._fill(_LENGTH.size, until)
        (length,) = _LENGTH.unpack_from(self._buffer)
        if length > MAX_BYTES:
            raise ChannelClosedError
        self._fill(_LENGTH.size + length, until)
        data = bytes(memoryview(self._buffer)[_LENGTH.size : _LENGTH.size + length])
        del self._buffer[: _LENGTH.size + length]
        return data

    def close(self) -> None:
        """Close this end."""
        self._socket.close()

    def _fill(self, size: int, until: float | None) -> None:
        while len(self._buffer) < size:
            left = None if until is None else until - time.monotonic()
            if left is not None and left <= 0:
                raise ChannelTimeoutError
            self._socket.settimeout(left)
            try:
                data = self._socket.recv(min(_CHUNK, max(size - len(self._buffer), 4096)))
            except TimeoutError:
                raise ChannelTimeoutError from None
            except OSError as problem:
                raise ChannelClosedError from problem
            if not data:
                raise ChannelClosedError
            self._buffer += data
