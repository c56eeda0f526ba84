"""The line that says how a task is while a cell waits for it. Pure but for the clock it is given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeGuard

from qmio_jupyter.model.task import Estimate, TaskState, TaskView

#: A task that ends sooner shows no line at all.
PATIENCE_S = 0.15
#: Least time between two versions of the line.
INTERVAL_S = 0.2
#: Shorter estimates are over before they are read.
WORTH_SAYING_S = 0.3
#: A range is told if it is no wider than this: "12 s, 9 times in 10 within an hour" helps nobody.
WIDEST_RANGE = 10


class Screen(Protocol):
    """Where a cell's output goes."""

    def line(self, text: str) -> None:
        """Show `text`, in place of what was last shown if the front end can."""
        ...

    def final(self, text: str) -> None:
        """Show `text` for good, in place of the line."""
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

    def end(self, text: str) -> None:
        """Show `text` for good, whatever was shown before."""
        self._screen.final(text)


def status_text(view: TaskView, *, connected: bool = True) -> str:
    """Return state, position and ETA of a task in one line.

    Examples
    --------
    ``t-01... on ideal: queued, 3 before it, starts in about 12 s (9 times in 10 within 20 s)``
    """
    said = [str(view.state)]
    if view.state is TaskState.QUEUED:
        if view.position is not None:
            said.append("next" if view.position == 0 else f"{view.position} before it")
        if _is_told(view.start):
            said.append(f"starts in {_about(view.start)}")
    elif not view.state.is_final:
        if view.shots_done:
            said.append(f"{view.shots_done} of {view.shots} shots ({100 * view.shots_done // view.shots} %)")
        elif view.stage and view.stage != view.state:
            # A stage travels with the next renewal: next to shots done it would be one that is over.
            said.append(view.stage)
        elif view.state is TaskState.CLAIMED:
            said.append("next on the device")
            if _is_told(view.start):
                said.append(f"starts in {_about(view.start)}")
        if _is_told(view.end):
            said.append(f"ends in {_about(view.end)}")
    if view.cause:
        said.append(view.cause)
    if not connected:
        said.append("the gateway does not answer, trying again; the task is safe in its ledger")
    return plain(f"{view.task_id} on {view.device}: {', '.join(said)}")


def _is_told(estimate: Estimate | None) -> TypeGuard[Estimate]:
    """Return whether an estimate says anything: none, or "any moment now", does not."""
    return estimate is not None and estimate.p90_s >= WORTH_SAYING_S


def _about(estimate: Estimate) -> str:
    text = f"about {duration(estimate.p50_s)}"
    if 1.5 * estimate.p50_s < estimate.p90_s <= WIDEST_RANGE * estimate.p50_s and estimate.p90_s >= 1:
        text += f" (9 times in 10 within {duration(estimate.p90_s)})"
    return text


def duration(seconds: float) -> str:
    """Return a duration as a person says it: ``0.3 s``, ``12 s``, ``3 min 20 s``, ``2 h 5 min``."""
    if seconds < 0.95:
        return f"{max(seconds, 0) * 1000:.0f} ms" if seconds < 0.0995 else f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 100:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 100:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"


def plain(text: str) -> str:
    """Return `text` without control characters: a label may not move the cursor."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
