"""A stream socket that carries length-prefixed msgpack messages."""

from __future__ import annotations

import socket
import struct
import time
from typing import Final

import msgspec

from qmio_jupyter.drivers.sizes import RESULT_BYTES

_LENGTH: Final = struct.Struct("!I")
#: Largest job: its programs may have come in several messages of the wire.
JOB_BYTES: Final = 2**31
#: Largest message from a worker: a result, and what is said around it.
ANSWER_BYTES: Final = RESULT_BYTES + 2**16
_CHUNK: Final = 1 << 20
#: A message so small goes out in one piece, and fits into the socket's buffer while the other end is idle.
SMALL_BYTES: Final = 1 << 16


class ChannelClosedError(Exception):
    """The other end is gone."""


class ChannelTimeoutError(Exception):
    """Nothing complete came in time."""


class MessageTooLargeError(Exception):
    """More than the other end takes (then nothing was sent), or than this end takes (then close it)."""

    def __init__(self, size: int, most: int) -> None:
        super().__init__(f"{size} bytes, {most} are taken")
        self.size = size


class Channel:
    """One end of a socket pair; one thread at a time.

    Parameters
    ----------
    sock : socket.socket
        A connected stream.
    send_bytes, receive_bytes : int
        Largest message either way.
    """

    def __init__(self, sock: socket.socket, *, send_bytes: int, receive_bytes: int) -> None:
        self._socket = sock
        self._send_bytes = send_bytes
        self._receive_bytes = receive_bytes
        self._buffer = bytearray()
        self._encoder = msgspec.msgpack.Encoder()

    def send(self, message: msgspec.Struct) -> None:
        """Send a message, waiting as long as the other end takes to read it.

        Raises
        ------
        ChannelClosedError
            If the other end is gone.
        MessageTooLargeError
            If the other end would not take it; nothing was sent.
        """
        data = self._encoder.encode(message)
        if len(data) > self._send_bytes:
            raise MessageTooLargeError(len(data), self._send_bytes)
        try:
            self._socket.settimeout(None)
            if len(data) <= SMALL_BYTES:
                self._socket.sendall(_LENGTH.pack(len(data)) + data)
            else:
                self._socket.sendall(_LENGTH.pack(len(data)))
                self._socket.sendall(data)
        except OSError as problem:
            raise ChannelClosedError from problem

    def send_at_once(self, message: msgspec.Struct) -> bool:
        """Send a small message to an end that is idle, without waiting; False: not sent, `send` it."""
        data = self._encoder.encode(message)
        if len(data) > min(SMALL_BYTES, self._send_bytes):
            return False
        whole = _LENGTH.pack(len(data)) + data
        try:
            self._socket.settimeout(None)
            sent = self._socket.send(whole, socket.MSG_DONTWAIT)
            if sent < len(whole):  # its buffer is smaller than all others
                self._socket.sendall(whole[sent:])
        except OSError:
            return False
        return True

    def receive(self, timeout_s: float | None) -> bytes:
        """Return the next message's bytes; a `timeout_s` of None waits for ever.

        Raises
        ------
        ChannelClosedError
            If the other end is gone.
        ChannelTimeoutError
            If no whole message came in time; what came of it is kept.
        MessageTooLargeError
            If the message is larger than agreed; none of it was read.
        """
        until = None if timeout_s is None else time.monotonic() + timeout_s
        self._fill(_LENGTH.size, until)
        (length,) = _LENGTH.unpack_from(self._buffer)
        if length > self._receive_bytes:
            raise MessageTooLargeError(length, self._receive_bytes)
        self._fill(_LENGTH.size + length, until)
        data = bytes(memoryview(self._buffer)[_LENGTH.size : _LENGTH.size + length])
        del self._buffer[: _LENGTH.size + length]
        return data

    @classmethod
    def of_agent(cls, sock: socket.socket) -> Channel:
        """Return the agent's end: jobs out, answers in."""
        return cls(sock, send_bytes=JOB_BYTES, receive_bytes=ANSWER_BYTES)

    @classmethod
    def of_worker(cls, sock: socket.socket) -> Channel:
        """Return the worker's end: jobs in, answers out."""
        return cls(sock, send_bytes=ANSWER_BYTES, receive_bytes=JOB_BYTES)

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
