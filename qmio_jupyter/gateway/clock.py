"""The gateway's clock: the one place of this room that reads time."""

from __future__ import annotations

import time


class GatewayClock:
    """Wall time at the start, carried on by the monotonic clock: its steps do not reach the core."""

    def __init__(self) -> None:
        self._base_ms = time.time_ns() // 1_000_000
        self._started_ns = time.monotonic_ns()

    def now_ms(self) -> int:
        """Return milliseconds since the Unix epoch; never goes back while the process lives."""
        return self._base_ms + (time.monotonic_ns() - self._started_ns) // 1_000_000
