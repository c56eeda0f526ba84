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
        address = f"inproc://monitor-{id(self)}"
        watched.monitor(address, events)
        self.socket: zmq.Socket[bytes] = watched.context.socket(zmq.PAIR)
        self.socket.setsockopt(zmq.LINGER, 0)
        # A full queue would stop ZeroMQ's I/O thread, and every connection with it.
        self.socket.setsockopt(zmq.RCVHWM, 0)
        self.socket.connect(address)
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
