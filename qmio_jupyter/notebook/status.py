"""The line that says how a task is while a cell waits for it. Pure but for the clock it is given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

#: A task that ends sooner shows no line at all.
PATIENCE_S = 0.15
#: Least time between two versions of the line.
INTERVAL_S = 0.2


#: What to show, by media type; ``text/plain`` is always there.
Bundle = dict[str, Any]


class Screen(Protocol):
    """Where a cell's output goes."""

    def line(self, text: str) -> None:
        """Show `text`, in place of what was last shown if the front end can."""
        ...

    def final(self, bundle: Bundle) -> None:
        """Show a bundle, which has ``text/plain``, for good, in place of the line."""
        ...


class StatusLine:
    """Shows a task's changes on a screen: nothing at first, then at most every `INTERVAL_S`, the last always.

    Parameters
    ----------
    screen : Screen
        Where to.
    clock : callable
        Monotonic seconds.
    """

    def __init__(self, screen: Screen, clock: Callable[[], float]) -> None:
        self._screen = screen
        self._clock = clock
        self._begun = clock()
        self._shown_at: float | None = None
        self._shown = ""

    def next_s(self) -> float:
        """Return the seconds after which `update` should be called again."""
        now = self._clock()
        due = self._begun + PATIENCE_S if self._shown_at is None else self._shown_at + INTERVAL_S
        return max(due - now, 0.01)

    def update(self, text: str) -> None:
        """Show `text` if it is new and its time has come."""
        now = self._clock()
        if text == self._shown or now < self._begun + PATIENCE_S:
            return
        if self._shown_at is not None and now < self._shown_at + INTERVAL_S:
            return
        self._shown, self._shown_at = text, now
        self._screen.line(text)

    def end(self, bundle: Bundle) -> None:
        """Show a bundle for good, whatever was shown before."""
        self._screen.final(bundle)
