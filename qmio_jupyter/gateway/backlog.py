"""Outputs that must be fetched from the store wait here while their connection has enough to read already.

What waits is small (a request, not its answer), so whoever asks for more than she reads costs no memory.
Each connection's order is kept: behind an output that waits, everything for the same connection waits.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator

from qmio_jupyter.gateway.turn import Output, Send

#: Outputs that may wait for one connection; it is given up beyond.
MAX_WAITING = 20_000


class Backlog:
    """Outputs that are on disk and may not be fetched yet.

    Parameters
    ----------
    has_room : callable
        Whether something large may be queued for a connection now.
    """

    def __init__(self, has_room: Callable[[int], bool]) -> None:
        self._has_room = has_room
        self._waiting: dict[int, deque[Output]] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def ready(self, outputs: Iterable[Output]) -> Iterator[Output]:
        """Yield what may leave now of what waits and of `outputs`; keep the rest.

        Queue what is yielded before asking for the next: that decides whether there is room for it.
        """
        for connection in list(self._waiting):
            queue = self._waiting[connection]
            while queue and self._may_leave(queue[0]):
                yield queue.popleft()
            if not queue:
                del self._waiting[connection]
        for output in outputs:
            if output.connection not in self._waiting:
                if self._may_leave(output):
                    yield output
                    continue
                self._waiting[output.connection] = deque()
            self._waiting[output.connection].append(output)

    def overfull(self) -> list[int]:
        """Return the connections for which too much waits."""
        return [number for number, queue in self._waiting.items() if len(queue) > MAX_WAITING]

    def drop(self, connection: int) -> None:
        """Forget what waits for a connection that is gone."""
        self._waiting.pop(connection, None)

    def _may_leave(self, output: Output) -> bool:
        return isinstance(output, Send) or self._has_room(output.connection)
