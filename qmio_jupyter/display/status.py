"""State, position and ETA of a task in one line. Pure."""

from __future__ import annotations

from typing import TypeGuard

from qmio_jupyter.display.place import place_words
from qmio_jupyter.display.text import duration, plain
from qmio_jupyter.model.task import Estimate, TaskState, TaskView

#: Shorter estimates are over before they are read.
WORTH_SAYING_S = 0.3
#: A range is told if it is no wider than this: "12 s, 9 times in 10 within an hour" helps nobody.
WIDEST_RANGE = 10


def status_text(view: TaskView, *, connected: bool = True) -> str:
    """Return state, position and ETA of a task in one line.

    Examples
    --------
    ``t-01... on ideal: queued, 3 ahead (yours), starts in about 12 s (9 times in 10 within 20 s)``
    """
    said = [str(view.state)]
    if view.state is TaskState.QUEUED:
        if place := place_words(view):
            said.append(place)
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
