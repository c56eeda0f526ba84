"""A task as its user holds it: what is known of it, kept fresh by events. Shared by both shells' handles."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from qmio_jupyter.client.events import ClientEvent, PartialArrived, TaskChanged, TaskLost
from qmio_jupyter.client.snapshots_seen import SnapshotsSeen
from qmio_jupyter.display.about import NOTHING, About
from qmio_jupyter.display.status import status_text
from qmio_jupyter.errors import QmioError, TaskCancelledError, TaskError, TaskFailedError
from qmio_jupyter.model.ids import TaskId
from qmio_jupyter.model.parity import Parity
from qmio_jupyter.model.result import TaskResult
from qmio_jupyter.model.task import Estimate, Stamp, TaskState, TaskView

#: Called with the task's newest view and its newest partial counts, if any.
OnChange = Callable[[TaskView, TaskResult | None], None]


class TaskRecord:
    """The newest view and counts of one task. Changed only by its client; `version` counts the changes."""

    __slots__ = (
        "__weakref__",
        "about",
        "error",
        "listeners",
        "partial",
        "result",
        "seen_s",
        "task_id",
        "version",
        "view",
    )

    def __init__(self, task_id: TaskId) -> None:
        self.task_id = task_id
        self.view: TaskView | None = None
        #: When `view` came, by the monotonic clock: its estimates count from then.
        self.seen_s = 0.0
        self.partial: TaskResult | None = None
        self.result: TaskResult | None = None
        #: What is known of it beside: its parameters, by whoever submitted it.
        self.about: About = NOTHING
        #: Why nothing more will be heard of it (forgotten, or another session's).
        self.error: QmioError | None = None
        self.version = 0
        #: Called after every change, by whoever runs the client's I/O.
        self.listeners: list[Callable[[], None]] = []

    def see(self, view: TaskView, result: TaskResult | None = None) -> None:
        """Take in a view, unless a newer one is known, and the final result if it came with it."""
        if self.view is None or view.revision >= self.view.revision:
            self.view = view
            self.seen_s = time.monotonic()
            self.result = result or self.result
            self._changed()

    def see_partial(self, result: TaskResult) -> None:
        """Take in cumulative counts."""
        self.partial = result
        self._changed()

    def lose(self, error: QmioError) -> None:
        """Take in that the task is gone."""
        self.error = error
        self._changed()

    def _changed(self) -> None:
        self.version += 1
        for listener in list(self.listeners):
            listener()


def tell(records: Mapping[TaskId, TaskRecord], event: ClientEvent) -> bool:
    """Have the record that `event` is about take it in; return whether there is one.

    Looked up once: `records` holds them weakly, and the last handle may let go of one at any time.
    """
    record: TaskRecord | None = None
    match event:
        case TaskChanged(view=view, result=result):
            if (record := records.get(view.task_id)) is not None:
                record.see(view, result)
        case PartialArrived(result=result):
            if (record := records.get(result.task_id)) is not None:
                record.see_partial(result)
        case TaskLost(task_id=task_id, error=error):
            if (record := records.get(task_id)) is not None:
                record.lose(error)
        case _:
            pass
    return record is not None


class BaseHandle:
    """What can be known of a task without asking: all of it is as fresh as the last event."""

    def __init__(self, record: TaskRecord, snapshots: SnapshotsSeen) -> None:
        self._record = record
        self._snapshots = snapshots

    @property
    def task_id(self) -> TaskId:
        """The task's id."""
        return self._record.task_id

    @property
    def view(self) -> TaskView:
        """The newest view."""
        assert self._record.view is not None  # A handle is made once the task has been seen.
        return self._record.view

    @property
    def state(self) -> TaskState:
        """Where the task is in its life."""
        return self.view.state

    @property
    def status(self) -> str:
        """State, position and estimate in one line, for people; `state` is for programs."""
        return status_text(self.view)

    @property
    def position(self) -> int | None:
        """Tasks that would be dispatched earlier if nothing else arrived (0 = next); None unless queued."""
        return self.view.position

    @property
    def start(self) -> Estimate | None:
        """When it starts, estimated; None unless queued."""
        return self.view.start

    @property
    def end(self) -> Estimate | None:
        """When it ends, estimated."""
        return self.view.end

    @property
    def timeline(self) -> tuple[Stamp, ...]:
        """When it entered which stage."""
        return self.view.timeline

    @property
    def partial(self) -> TaskResult | None:
        """The newest counts: partial ones while it runs, None before the first."""
        return self._record.result or self._record.partial

    @property
    def seen_s_ago(self) -> float:
        """Seconds since `view` came: its estimates were made then."""
        return time.monotonic() - self._record.seen_s

    @property
    def about(self) -> About:
        """What is known of it beside: parameters, names of circuits, the age of its snapshot's calibration."""
        snapshot_id = self.view.snapshot_id or self._snapshots.current(self.view.device)
        taken_ms = None if snapshot_id is None else self._snapshots.taken_ms(snapshot_id)
        return msgspec.structs.replace(self._record.about, snapshot_id=snapshot_id, snapshot_ms=taken_ms)

    def describe(self, *, names: Sequence[str] = (), expect: Sequence[Parity] = ()) -> None:
        """Say what the task's circuits are called, and which expectation values its pages are to show."""
        self._record.about = msgspec.structs.replace(
            self._record.about, names=tuple(names) or self._record.about.names, expect=tuple(expect)
        )

    def done(self) -> bool:
        """Return whether the task has ended."""
        return self.view.state.is_final

    def listen(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Have `listener` called after every change, by the client's I/O; return what ends that.

        It must be quick, must not raise, and must not wait for this client.
        """
        self._record.listeners.append(listener)
        return lambda: self._record.listeners.remove(listener)

    def raise_for_state(self) -> None:
        """Raise what the task's end calls for; nothing for a completed one.

        Raises
        ------
        TaskFailedError
            With the cause's own code.
        TaskCancelledError
            It was cancelled.
        TaskError
            ``task.not_finished``.
        """
        view = self.view
        if view.state is TaskState.COMPLETED:
            return
        if view.state is TaskState.FAILED:
            if view.error is None:
                raise TaskFailedError(f"task {view.task_id} failed", hint="Its cause was not recorded.")
            raise TaskFailedError(
                f"task {view.task_id} failed: {view.error.message}",
                hint=view.error.hint,
                code=view.error.code,
                retryable=view.error.retryable,
            )
        if view.state is TaskState.CANCELLED:
            raise TaskCancelledError(f"task {view.task_id} was cancelled", hint=view.cause)
        raise TaskError(
            f"task {view.task_id} is {view.state}",
            hint="Wait for it.",
            code="task.not_finished",
            retryable=True,
        )

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:  # noqa: ARG002
        """IPython's hook: the page of the task as it is now, the same as a cell shows, never live."""
        from qmio_jupyter.display.result_page import moment_bundle

        return moment_bundle(
            self.view,
            self.partial,
            self.about,
            now_ms=time.time_ns() // 1_000_000,
            seen_s_ago=self.seen_s_ago,
        )

    def __repr__(self) -> str:
        """Say which task, where it is, and how far."""
        view = self._record.view
        if view is None:
            return f"<task {self.task_id}>"
        return f"<task {view.task_id} on {view.device}: {view.state}, {view.shots_done}/{view.shots} shots>"
