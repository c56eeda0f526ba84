"""What ZeroMQ has taken and not yet let go: its queues are bounded in messages, not in bytes.

Only large frames are followed (small ones are copied, and their number is bounded): ZeroMQ shares their memory
with us and says when it needs it no more.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import zmq

#: Seconds between looks at all connections.
_LOOK_S = 0.01


class _Pending:
    """Large frames of one connection, oldest first, with their sizes."""

    __slots__ = ("frames", "moved", "size")

    def __init__(self, now: float) -> None:
        self.frames: deque[tuple[zmq.MessageTracker, int]] = deque()
        self.size = 0
        #: When ZeroMQ last let go of one, or took the first.
        self.moved = now

    def settle(self, now: float) -> int:
        """Count out what was let go; return its bytes."""
        freed = 0
        while self.frames and self.frames[0][0].done:
            freed += self.frames.popleft()[1]
            self.moved = now
        self.size -= freed
        return freed


class Unsent:
    """Bytes of large frames on their way, by connection.

    Parameters
    ----------
    clock : callable
        Seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._pending: dict[int, _Pending] = {}
        self._total = 0
        self._looked_at = -1.0

    def add(self, connection: int, tracker: zmq.MessageTracker, size: int) -> None:
        """Follow a frame that ZeroMQ has just taken."""
        pending = self._pending.setdefault(connection, _Pending(self._clock()))
        pending.frames.append((tracker, size))
        pending.size += size
        self._total += size

    def bytes_of(self, connection: int) -> int:
        """Return what is on its way to a connection."""
        self._settle(connection)
        pending = self._pending.get(connection)
        return 0 if pending is None else pending.size

    def total(self) -> int:
        """Return what is on its way in all."""
        now = self._clock()
        if self._total and now - self._looked_at > _LOOK_S:
            self._looked_at = now
            for connection in list(self._pending):
                self._settle(connection)
        return self._total

    def stalled(self, seconds: float) -> list[int]:
        """Return the connections that have taken nothing for so long, though there is something for them."""
        self._looked_at = -1.0
        self.total()
        before = self._clock() - seconds
        return [number for number, pending in self._pending.items() if pending.moved < before]

    def forget(self, connection: int) -> None:
        """Count a connection no more."""
        pending = self._pending.pop(connection, None)
        if pending is not None:
            self._total -= pending.size

    def _settle(self, connection: int) -> None:
        pending = self._pending.get(connection)
        if pending is not None:
            self._total -= pending.settle(self._clock())
            if not pending.frames:
                del self._pending[connection]
