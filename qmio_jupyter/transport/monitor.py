"""ZeroMQ's socket monitor, read without ever waiting."""

from __future__ import annotations

import struct

import msgspec
import zmq

from qmio_jupyter.transport.sockets import readable

_HEAD = struct.Struct("=HI")


class MonitorEvent(msgspec.Struct, frozen=True):
    """One event: a ``zmq.Event`` number, its value (often a descriptor or a status), and its endpoint."""

    event: int
    value: int
    endpoint: str


class Monitor:
    """The monitor of one socket. Close it before the socket."""

    def __init__(self, watched: zmq.Socket[bytes], events: int) -> None:
        self._watched = watched
        self.socket: zmq.Socket[bytes] = watched.get_monitor_socket(events)
        self.socket.setsockopt(zmq.LINGER, 0)
        #: Edge-triggered, as every ZeroMQ descriptor.
        self.fd = int(self.socket.getsockopt(zmq.FD))

    def take(self) -> list[MonitorEvent]:
        """Return what happened since the last call."""
        events: list[MonitorEvent] = []
        while readable(self.socket):
            try:
                head, endpoint = self.socket.recv_multipart(zmq.DONTWAIT)
            except zmq.Again:
                break
            event, value = _HEAD.unpack(head)
            events.append(MonitorEvent(event, value, endpoint.decode("utf-8", "replace")))
        return events

    def close(self) -> None:
        """Stop watching."""
        self._watched.disable_monitor()
        self.socket.close()
