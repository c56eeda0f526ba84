"""The life of a task: the edge table, and the only two functions that make a changed task.

All edges are in the table; `move` refuses any other, so nothing can happen to a task that the table does not show.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from qmio_jupyter.core.records import TaskUpdated
from qmio_jupyter.model.task import Stamp, Task, TaskState

_Q, _C, _R, _X = TaskState.QUEUED, TaskState.CLAIMED, TaskState.RUNNING, TaskState.CANCELLING
_DONE, _FAILED, _CANCELLED = TaskState.COMPLETED, TaskState.FAILED, TaskState.CANCELLED

#: Every move a task can make, and what makes it.
EDGE_CAUSES: dict[tuple[TaskState, TaskState], str] = {
    (_Q, _C): "dispatched to an agent",
    (_Q, _CANCELLED): "cancelled while it waited",
    (_Q, _DONE): "late result of a lapsed claim that nobody had claimed again",
    (_Q, _FAILED): "late failure of a lapsed claim, or the snapshot asked for is gone",
    (_C, _R): "the agent started it",
    (_C, _Q): "the claim lapsed or was given back",
    (_C, _X): "the user cancelled it",
    (_C, _DONE): "result recorded (the word that it started was lost)",
    (_C, _FAILED): "failure recorded, or the claim lapsed and no attempt is left",
    (_R, _Q): "the claim lapsed or was given back",
    (_R, _X): "the user cancelled it",
    (_R, _DONE): "result recorded",
    (_R, _FAILED): "failure recorded, or the claim lapsed and no attempt is left",
    (_X, _CANCELLED): "the agent stopped it, or the claim lapsed",
    (_X, _DONE): "the result came first",
    (_X, _FAILED): "the failure came first",
}

#: The edge table: (from, to).
EDGES: frozenset[tuple[TaskState, TaskState]] = frozenset(EDGE_CAUSES)


#: Entries of a timeline that are kept: the first two and the last.
LONGEST_TIMELINE = 64


class IllegalMoveError(AssertionError):
    """A defect: something tried to move a task along an edge that is not in the table."""


def amend(task: Task, now_ms: int, *, cause: str = "", **changes: Any) -> tuple[Task, TaskUpdated]:
    """Return the task with `changes` and the next revision, and the record that says so."""
    new = replace(task, revision=task.revision + 1, updated_ms=max(now_ms, task.updated_ms), **changes)
    return new, TaskUpdated(
        task=new,
        expect_state=task.state,
        expect_revision=task.revision,
        expect_epoch=task.epoch,
        expect_attempt=task.attempt,
        cause=cause,
    )


def _trimmed(timeline: tuple[Stamp, ...]) -> tuple[Stamp, ...]:
    """Return a timeline without its middle if it has grown too long (a claim given back again and again)."""
    if len(timeline) <= LONGEST_TIMELINE:
        return timeline
    return (*timeline[:2], *timeline[2 - LONGEST_TIMELINE :])


def move(
    task: Task,
    to: TaskState,
    now_ms: int,
    *,
    cause: str = "",
    stamps: tuple[Stamp, ...] = (),
    **changes: Any,
) -> tuple[Task, TaskUpdated]:
    """Return the task in state `to`, and the record that says so; `stamps` are added to its timeline.

    Raises
    ------
    IllegalMoveError
        If the edge is not in the table.
    """
    if (task.state, to) not in EDGES:
        raise IllegalMoveError(f"task {task.task_id}: no edge {task.state} -> {to}")
    if stamps:
        changes["timeline"] = _trimmed((*task.timeline, *stamps))
    return amend(task, now_ms, cause=cause, state=to, **changes)
