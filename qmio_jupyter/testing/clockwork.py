"""Virtual time: one heap of what happens when. Nothing here waits."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Any


class Appointment:
    """Something due at a time; may be called off."""

    __slots__ = ("action", "args", "due_ms")

    def __init__(self, due_ms: int, action: Callable[..., None] | None, args: tuple[Any, ...]) -> None:
        self.due_ms = due_ms
        self.action = action
        self.args = args

    def call_off(self) -> None:
        """Do nothing when the time comes."""
        self.action = None
        self.args = ()


class Clockwork:
    """The world's time in whole milliseconds, and all that is due. Ties go to what was asked for first."""

    def __init__(self, start_ms: int = 0) -> None:
        self.now_ms = start_ms
        self._heap: list[tuple[int, int, Appointment]] = []
        self._count = 0

    def move(
        self, planned: Appointment | None, due_s: float | None, action: Callable[..., None]
    ) -> Appointment | None:
        """Return the timer for `due_s` (at least 1 ms from now; None: no timer) in place of the one planned."""
        delay_ms = None if due_s is None else max(1, round(due_s * 1000) - self.now_ms)
        if planned is not None:
            if (
                delay_ms is not None
                and planned.action is not None
                and planned.due_ms == self.now_ms + delay_ms
            ):
                return planned
            planned.call_off()
        return None if delay_ms is None else self.after(delay_ms, action)

    @property
    def now_s(self) -> float:
        """The world's time in seconds."""
        return self.now_ms / 1000

    def after(self, delay_ms: int, action: Callable[..., None], *args: Any) -> Appointment:
        """Call `action` with `args` in `delay_ms` from now."""
        self._count += 1
        appointment = Appointment(self.now_ms + max(0, delay_ms), action, args)
        heapq.heappush(self._heap, (appointment.due_ms, self._count, appointment))
        return appointment

    def step(self) -> bool:
        """Do the next thing; False if nothing is left to do."""
        while self._heap:
            due_ms, _, appointment = heapq.heappop(self._heap)
            if appointment.action is None:
                continue
            self.now_ms = due_ms
            action, appointment.action = appointment.action, None
            action(*appointment.args)
            return True
        return False
