"""Who is connected: descriptors as the socket monitor tells of them, and peers as their messages show them.

Pure bookkeeping; the router feeds it. A connection number is never used twice. The same routing id under another
key, or over another socket, is another connection: nothing meant for the old peer can reach the new one.
"""

from __future__ import annotations

from collections.abc import Callable

from qmio_jupyter.model.ids import KeyId
from qmio_jupyter.ports import Peer

#: Generation of a socket whose descriptor ZeroMQ did not tell: never found closed.
UNKNOWN = -1


class Descriptors:
    """The server's open sockets. A descriptor is used again at once, so each use has its own generation."""

    def __init__(self) -> None:
        self._open: dict[int, int] = {}
        self._generation = 0

    def __len__(self) -> int:
        return len(self._open)

    def accepted(self, descriptor: int) -> None:
        """Note a new socket."""
        self._generation += 1
        self._open[descriptor] = self._generation

    def closed(self, descriptor: int) -> int:
        """Note a closed socket; return its generation, 0 if it was not known."""
        return self._open.pop(descriptor, 0)

    def generation(self, descriptor: int) -> int:
        """Return the generation of an open socket, 0 if it is closed."""
        return self._open.get(descriptor, 0)


class Connection:
    """One living peer, as the router knows it."""

    __slots__ = ("generation", "heard", "is_dropped", "is_known", "number", "peer", "routing_id")

    def __init__(
        self, number: int, routing_id: bytes, peer: Peer, generation: int, *, is_known: bool
    ) -> None:
        self.number = number
        self.routing_id = routing_id
        self.peer = peer
        #: Of its socket; see `Descriptors`.
        self.generation = generation
        #: Whether its key was known when that was last asked.
        self.is_known = is_known
        #: When it last said anything, by the router's clock.
        self.heard = 0.0
        #: True: whatever it says is thrown away unread.
        self.is_dropped = False


class Connections:
    """The table of living peers."""

    def __init__(self) -> None:
        self._next = 1
        self._by_number: dict[int, Connection] = {}
        self._by_routing_id: dict[bytes, Connection] = {}
        self._by_generation: dict[int, Connection] = {}
        self._departed: list[int] = []
        #: How many of the living had a known key.
        self.known = 0

    def __len__(self) -> int:
        return len(self._by_number)

    def find(self, routing_id: bytes, key: str) -> Connection | None:
        """Return the living connection with this routing id and key, dropped ones included."""
        found = self._by_routing_id.get(routing_id)
        return found if found is not None and found.peer.key == key else None

    def add(self, routing_id: bytes, peer: Peer, generation: int, *, is_known: bool) -> Connection:
        """Return a new connection; whoever had this routing id before has departed."""
        before = self._by_routing_id.get(routing_id)
        if before is not None:
            self.remove(before)
        connection = Connection(self._next, routing_id, peer, generation, is_known=is_known)
        self._next += 1
        self._by_number[connection.number] = connection
        self._by_routing_id[routing_id] = connection
        if generation > 0:
            self._by_generation[generation] = connection
        self.known += is_known
        return connection

    def get(self, number: int) -> Connection | None:
        """Return the living connection of this number, None if it departed or was dropped."""
        found = self._by_number.get(number)
        return None if found is None or found.is_dropped else found

    def over(self, generation: int) -> Connection | None:
        """Return the living connection over the socket of this generation."""
        return self._by_generation.get(generation)

    def remove(self, connection: Connection) -> None:
        """Forget a connection and report it as departed, once; a dropped one was the caller's own doing."""
        if self._by_number.pop(connection.number, None) is None:
            return
        if self._by_routing_id.get(connection.routing_id) is connection:
            del self._by_routing_id[connection.routing_id]
        self._by_generation.pop(connection.generation, None)
        self.known -= connection.is_known
        if not connection.is_dropped:
            self._departed.append(connection.number)

    def recount(self, is_known: Callable[[KeyId], bool]) -> None:
        """Ask anew whose keys are known: strangers prove themselves, and users leave."""
        for connection in self._by_number.values():
            connection.is_known = is_known(connection.peer.key)
        self.known = sum(connection.is_known for connection in self._by_number.values())

    def forget_silent(self, since: float) -> None:
        """Forget everybody who said nothing after `since`."""
        for connection in [c for c in self._by_number.values() if c.heard < since]:
            self.remove(connection)

    def take_departed(self) -> list[int]:
        """Return the numbers that departed since the last call, in the order they were noticed."""
        departed, self._departed = self._departed, []
        return departed
