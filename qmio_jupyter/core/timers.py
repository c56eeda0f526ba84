"""Deadlines: one heap of (instant, kind, name), at most one live entry per (kind, name).

A deadline that moves later is not searched for: the old entry comes due, its handler looks at the truth and
sets a new one. One that moves earlier supersedes the old entry.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Literal

Kind = Literal[
    "lease",
    "redispatch",
    "session",
    "grant",
    "secrets",
    "booking",
    "device",
    "publish",
    "programs",
    "retention",
]


class Timers:
    """A heap of deadlines."""

    __slots__ = ("_at", "_heap")

    def __init__(self) -> None:
        self._heap: list[tuple[int, Kind, str]] = []
        self._at: dict[tuple[Kind, str], int] = {}

    def set(self, at_ms: int, kind: Kind, name: str) -> None:
        """Come due for `name` at `at_ms`, or earlier if it is set earlier already."""
        known = self._at.get((kind, name))
        if known is None or at_ms < known:
            self._at[kind, name] = at_ms
            heappush(self._heap, (at_ms, kind, name))

    def next(self, is_alive: Callable[[Kind, str], bool]) -> int | None:
        """Return the next instant; entries whose subject is gone (`is_alive` False) are dropped first."""
        heap = self._heap
        while heap:
            at_ms, kind, name = heap[0]
            if self._at.get((kind, name)) == at_ms:
                if is_alive(kind, name):
                    return at_ms
                del self._at[kind, name]
            heappop(heap)
        return None

    def due(self, now_ms: int) -> list[tuple[Kind, str]]:
        """Take and return what is due at `now_ms`, in order."""
        found: list[tuple[Kind, str]] = []
        while self._heap and self._heap[0][0] <= now_ms:
            at_ms, kind, name = heappop(self._heap)
            if self._at.get((kind, name)) == at_ms:
                del self._at[kind, name]
                found.append((kind, name))
        return found
