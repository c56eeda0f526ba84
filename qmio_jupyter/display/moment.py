"""What a front end shows of a task at one moment: words and numbers, ready to be put in their places. Pure.

The live view in a notebook, the picture of a handle that is still under way, and whatever shows tasks later all show
these words; none of them thinks of its own.
"""

from __future__ import annotations

import msgspec

from qmio_jupyter.display.about import NOTHING, About
from qmio_jupyter.display.eta import eta_hint, eta_words
from qmio_jupyter.display.place import place_words
from qmio_jupyter.display.result_text import SHORT
from qmio_jupyter.display.text import age, grouped, plain
from qmio_jupyter.model.result import TaskResult
from qmio_jupyter.model.task import Estimate, TaskState, TaskView

#: A sign for each state, beside its word.
MARKS = {
    TaskState.QUEUED: "○",
    TaskState.CLAIMED: "◐",
    TaskState.RUNNING: "●",
    TaskState.CANCELLING: "■",
    TaskState.COMPLETED: "✓",
    TaskState.FAILED: "✕",
    TaskState.CANCELLED: "■",
}
_LONGEST_NOTE = 160


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """The state of the live view; its fields are what ``static/live.js`` is given."""

    task_id: str
    label: str
    device: str
    #: The state's own name, its sign, and its word as it is shown.
    state: str
    mark: str
    word: str
    #: ``next``, ``3 ahead (1 yours, 2 others')``; empty unless queued.
    place: str
    #: When it starts, or ends; and what the numbers mean.
    eta: str
    eta_hint: str
    #: Short id of the snapshot; ``current`` while none is bound; and how old its calibration is.
    snapshot: str
    calibrated: str
    done: int
    asked: int
    #: ``400 of 1000 shots``; and the same as a whole percentage, rounded down.
    progress: str
    percent: int
    #: Why things are as they are, where that needs a word.
    note: str
    can_cancel: bool
    is_final: bool


def moment(
    view: TaskView,
    partial: TaskResult | None = None,
    about: About = NOTHING,
    *,
    now_ms: int,
    seen_s_ago: float = 0.0,
    connected: bool = True,
) -> Moment:
    """Return what to show of a task now.

    Parameters
    ----------
    partial : TaskResult, optional
        Its newest counts.
    now_ms : int
        The time, for the age of the calibration.
    seen_s_ago : float
        Seconds since `view` came: its estimates were made then.
    connected : bool
        Whether the gateway answers.
    """
    done = max(view.shots_done, 0 if partial is None else partial.shots_done)
    what, estimate = estimated(view)
    snapshot_id = view.snapshot_id or about.snapshot_id
    taken_ms = about.taken_ms(snapshot_id)
    return Moment(
        task_id=view.task_id,
        label=plain(view.label),
        device=plain(view.device),
        state=view.state.value,
        mark=MARKS[view.state],
        word=_word(view, done),
        place=place_words(view),
        eta=eta_words(what, estimate, seen_s_ago) if what else "",
        eta_hint=eta_hint(estimate) if what else "",
        snapshot=_snapshot(snapshot_id, is_bound=view.snapshot_id is not None or view.state.is_final),
        calibrated="" if taken_ms is None else f"calibrated {age((now_ms - taken_ms) / 1000)} ago",
        done=done,
        asked=view.shots,
        progress=f"{grouped(done)} of {grouped(view.shots)} shots",
        percent=100 * done // view.shots if view.shots else 0,
        note=_note(view, connected=connected),
        can_cancel=not view.state.is_final and view.state is not TaskState.CANCELLING,
        is_final=view.state.is_final,
    )


def _word(view: TaskView, done: int) -> str:
    # A stage travels with the next renewal: next to shots done it would be one that is over.
    if view.state in (TaskState.CLAIMED, TaskState.RUNNING) and view.stage and not done:
        return plain(view.stage)
    return "next on the device" if view.state is TaskState.CLAIMED else view.state.value


def estimated(view: TaskView) -> tuple[str, Estimate | None]:
    """Return what is awaited next, ``starts`` or ``ends``, and when; empty for what has ended."""
    if view.state is TaskState.QUEUED or (view.state is TaskState.CLAIMED and view.start is not None):
        return "starts", view.start
    if view.state in (TaskState.CLAIMED, TaskState.RUNNING):
        return "ends", view.end
    return "", None


def _snapshot(snapshot_id: str | None, *, is_bound: bool) -> str:
    if snapshot_id is None:
        return ""
    return f"snapshot {snapshot_id[:SHORT]}" if is_bound else f"current snapshot {snapshot_id[:SHORT]}"


def _note(view: TaskView, *, connected: bool) -> str:
    if not connected:
        return "The gateway does not answer, trying again; the task is safe in its ledger."
    text = plain(view.cause)
    return text if len(text) <= _LONGEST_NOTE else f"{text[:_LONGEST_NOTE]}..."
