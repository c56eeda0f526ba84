"""Which connection number stands for which routing id and key. Pure bookkeeping; the router feeds it.

A number is never used twice. The same routing id under another key is another connection, and the number of
the one before is reported as departed, so nothing that was meant for the old peer can reach the new one.
"""

from __future__ import annotations

from qmio_jupyter.ports import Peer


class Connection:
    """One living peer, as the router knows it."""

    __slots__ = ("descriptor", "heard", "is_dropped", "number", "peer", "routing_id")

    def __init__(self, number: int, routing_id: bytes, peer: Peer, descriptor: int) -> None:
        self.number = number
        self.routing_id = routing_id
        self.peer = peer
        #: The server's descriptor of its socket; -1 if unknown.
        self.descriptor = descriptor
        #: When it last said anything, by the caller's clock.
        self.heard = 0.0
        #: True: whatever it says is thrown away unread.
        self.is_dropped = False


class Connections:
    """The table of living peers."""

    def __init__(self) -> None:
        self._next = 1
        self._by_number: dict[int, Connection] = {}
        self._by_routing_id: dict[bytes, Connection] = {}
        self._departed: list[int] = []

    def __len__(self) -> int:
        return len(self._by_number)

    def heard(self, routing_id: bytes, key: str, address: str, descriptor: int, now: float) -> Connection:
        """Return the connection a frame came from, a new one if this (routing id, key) was not known."""
        known = self._by_routing_id.get(routing_id)
        if known is None or known.peer.key != key or known.descriptor != descriptor:
            if known is not None:
                self.remove(known)
            known = Connection(self._next, routing_id, Peer(key=key, address=address), descriptor)
            self._next += 1
            self._by_number[known.number] = known
            self._by_routing_id[routing_id] = known
        known.heard = now
        return known

    def get(self, number: int) -> Connection | None:
        """Return the living connection of this number, None if it departed or was dropped."""
        found = self._by_number.get(number)
        return None if found is None or found.is_dropped else found

    def remove(self, connection: Connection) -> None:
        """Forget a connection and report it as departed (once; a dropped one was the caller's own doing)."""
        if self._by_number.pop(connection.number, None) is None:
            return
        if self._by_routing_id.get(connection.routing_id) is connection:
            del self._by_routing_id[connection.routing_id]
        if not connection.is_dropped:
            self._departed.append(connection.number)

    def closed(self, descriptors: set[int], before: int) -> None:
        """Forget the connections over these descriptors, of those numbered below `before`."""
        for connection in [c for c in self._by_number.values() if c.descriptor in descriptors]:
            if connection.number < before:
                self.remove(connection)

    def forget_silent(self, since: float) -> None:
        """Forget everybody who said nothing after `since`."""
        for connection in [c for c in self._by_number.values() if c.heard < since]:
            self.remove(connection)

    @property
    def next_number(self) -> int:
        """The number the next new connection will get."""
        return self._next

    def take_departed(self) -> list[int]:
        """Return the numbers that departed since the last call."""
        departed, self._departed = self._departed, []
        return departed
