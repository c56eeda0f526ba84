"""Requests answered from the store, once everything decided before them is on disk."""

from __future__ import annotations

from collections.abc import Callable

from qmio_jupyter.core.view import of as view_of
from qmio_jupyter.errors import QmioError
from qmio_jupyter.gateway.refusals import as_failure, failure, unknown_task
from qmio_jupyter.gateway.translate import no_result
from qmio_jupyter.gateway.turn import Read
from qmio_jupyter.model.task import Task, TaskView
from qmio_jupyter.ports import TaskQuery, TaskStore
from qmio_jupyter.wire import messages as m

#: The view the core has of a live task, None if it is not live.
_LiveView = Callable[[Task], TaskView | None]


def answer(read: Read, store: TaskStore, live_view: _LiveView) -> m.Message:
    """Return the reply to `read`; an error of the store becomes a refusal that may be retried."""
    try:
        return _answer(read, store, live_view)
    except QmioError as error:
        return as_failure(error)


def _answer(read: Read, store: TaskStore, live_view: _LiveView) -> m.Message:
    body = read.body
    if isinstance(body, m.TaskList):
        return _page(read, body, store, live_view)
    if isinstance(body, m.SnapshotGet):
        return _snapshot(read, body, store)
    task = store.task(body.task_id, read.tenant)
    if task is None:
        return unknown_task(body.task_id)
    if isinstance(body, m.TaskResultGet):
        return _result(body, task, store)
    view = live_view(task) or view_of(task)
    return m.TaskAccepted(view=view) if read.as_accepted else m.TaskShown(view=view)


def _result(body: m.TaskResultGet, task: Task, store: TaskStore) -> m.Message:
    result = store.result(task.task_id, partial=body.partial)
    if result is None:
        return m.Failure(error=no_result(task))
    return m.TaskResultData(result=result)


def _page(read: Read, body: m.TaskList, store: TaskStore, live_view: _LiveView) -> m.Message:
    tasks = store.tasks(
        TaskQuery(
            tenant=read.tenant,
            limit=body.limit,
            before=body.before,
            states=body.states,
            device=body.device,
            label=body.label,
        )
    )
    return m.TaskPage(views=tuple(live_view(task) or view_of(task) for task in tasks))


def _snapshot(read: Read, body: m.SnapshotGet, store: TaskStore) -> m.Message:
    snapshot = None if body.snapshot_id is None else store.snapshot(body.snapshot_id)
    if snapshot is None or (read.devices is not None and snapshot.device not in read.devices):
        return failure("device", "No such snapshot", "See %qpu device NAME.")
    return m.SnapshotData(snapshot=snapshot)
