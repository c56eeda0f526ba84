"""The ledger in memory: the reference that the other stores are compared with, and the simulator's disk.

A batch is applied at once, in the caller's thread, all of it or nothing; the future that `commit` returns
has ended. What "disk" means is the :class:`Tables` object: a new store over the same tables is a restarted
gateway.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

from qmio_jupyter.core.records import (
    BookingSaved,
    DeviceRow,
    DeviceSaved,
    EndedTask,
    EnrolmentDropped,
    EnrolmentSaved,
    EpochSaved,
    ForgottenId,
    ForgottenIdDropped,
    ForgottenIdSaved,
    GrantSaved,
    JobSecretDropped,
    JobSecretSaved,
    KnownProgram,
    LiveState,
    ProgramDropped,
    ProgramStored,
    Record,
    ResultStored,
    SessionSaved,
    SnapshotSaved,
    TaskForgotten,
    TaskInserted,
    TaskUpdated,
    UsageRow,
    UsageSaved,
)
from qmio_jupyter.errors import StoreError
from qmio_jupyter.model.access import Booking, Enrolment, Grant, Session
from qmio_jupyter.model.allocation import JobSecret
from qmio_jupyter.model.device import Snapshot
from qmio_jupyter.model.ids import (
    BookingId,
    DeviceName,
    Digest,
    GrantId,
    KeyId,
    SessionId,
    TaskId,
    Tenant,
    minted_ms,
)
from qmio_jupyter.model.program import Program
from qmio_jupyter.model.result import TaskResult
from qmio_jupyter.model.task import Task, TaskState
from qmio_jupyter.ports import TaskQuery
from qmio_jupyter.store import guards

#: (revision, from, to, at_ms, cause).
Transition = tuple[int, TaskState, TaskState, int, str]


class Tables:
    """What a ledger holds, as dictionaries in order of insertion."""

    def __init__(self) -> None:
        self.meta: dict[str, int] = {"epoch": 0}
        self.tasks: dict[TaskId, Task] = {}
        self.forgotten: dict[TaskId, ForgottenId] = {}
        #: Keyed like a row, so that a torn batch is undone row by row.
        self.transitions: dict[TaskId, tuple[Transition, ...]] = {}
        self.results: dict[TaskId, TaskResult] = {}
        self.partials: dict[TaskId, TaskResult] = {}
        self.programs: dict[tuple[Tenant, Digest], Program] = {}
        self.sessions: dict[SessionId, Session] = {}
        self.grants: dict[GrantId, Grant] = {}
        self.job_secrets: dict[tuple[str, str, str], JobSecret] = {}
        self.bookings: dict[BookingId, Booking] = {}
        self.enrolments: dict[KeyId, Enrolment] = {}
        self.snapshots: dict[Digest, Snapshot] = {}
        self.devices: dict[DeviceName, DeviceRow] = {}
        self.usage: dict[tuple[DeviceName, str], UsageRow] = {}


_ABSENT: Any = object()


class _Transaction:
    """Writes to tables that can be undone."""

    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        self._undo: list[Callable[[], None]] = []

    def put(self, table: dict[Any, Any], key: Any, value: Any) -> None:
        before = table.get(key, _ABSENT)
        if before is _ABSENT:
            self._undo.append(lambda: table.pop(key))
        else:
            self._undo.append(lambda: table.__setitem__(key, before))
        table[key] = value

    def drop(self, table: dict[Any, Any], key: Any) -> None:
        if key not in table:
            return
        before = dict(table)

        def restore() -> None:
            table.clear()
            table.update(before)

        self._undo.append(restore)
        del table[key]

    def rollback(self) -> None:
        while self._undo:
            self._undo.pop()()


class MemoryStore:
    """`ports.TaskStore` in memory.

    Parameters
    ----------
    tables : Tables, optional
        The "disk" to open; a new one when omitted.
    """

    def __init__(self, tables: Tables | None = None) -> None:
        self.tables = Tables() if tables is None else tables
        self._lock = threading.Lock()
        self._failure: StoreError | None = None
        self._closed = False

    def commit(self, batch: Sequence[Record], *, at_once: bool = False) -> Future[None]:  # noqa: ARG002
        """Write `batch`, all of it or nothing; the future has ended. See `ports.TaskStore`."""
        future: Future[None] = Future()
        with self._lock:
            error = self._commit(batch)
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)
        return future

    def _commit(self, batch: Sequence[Record]) -> StoreError | None:
        if self._closed:
            return guards.closed()
        if self._failure is not None:
            return guards.not_resumed(self._failure)
        transaction = _Transaction(self.tables)
        try:
            for record in batch:
                _APPLY[type(record)](transaction, record)
        except BaseException as error:
            transaction.rollback()
            if not isinstance(error, StoreError):
                raise
            self._failure = error
            return error
        return None

    def resume(self) -> None:
        """Accept commits again after a failure."""
        with self._lock:
            self._failure = None

    def load_live(self) -> LiveState:
        """Return what a core is built from; everything in order of insertion."""
        with self._lock:
            tables = self.tables
            return LiveState(
                epoch=tables.meta["epoch"],
                tasks=tuple(task for task in tables.tasks.values() if not task.state.is_final),
                ended=tuple(_ended(task) for task in tables.tasks.values() if task.state.is_final),
                forgotten=tuple(tables.forgotten.values()),
                programs=tuple(
                    KnownProgram(
                        tenant=tenant,
                        digest=digest,
                        media_type=program.media_type,
                        size=len(program.data),
                    )
                    for (tenant, digest), program in tables.programs.items()
                ),
                sessions=tuple(session for session in tables.sessions.values() if session.is_open),
                grants=tuple(tables.grants.values()),
                job_secrets=tuple(tables.job_secrets.values()),
                bookings=tuple(tables.bookings.values()),
                enrolments=tuple(tables.enrolments.values()),
                devices=tuple(tables.devices.values()),
                usage=tuple(tables.usage.values()),
            )

    def task(self, task_id: TaskId, tenant: Tenant | None) -> Task | None:
        """Return one task; None if absent or of another tenant."""
        with self._lock:
            return self._task(task_id, tenant)

    def _task(self, task_id: TaskId, tenant: Tenant | None) -> Task | None:
        task = self.tables.tasks.get(task_id)
        return task if task is not None and tenant in (None, task.owner.tenant) else None

    def tasks(self, query: TaskQuery) -> list[Task]:
        """Return a page of tasks, newest first (by submission, then id)."""
        with self._lock:
            cursor = None
            if query.before is not None:
                last = self._task(query.before, query.tenant)
                cursor = (minted_ms(query.before) if last is None else last.submitted_ms, query.before)
            found = [
                task
                for task in self.tables.tasks.values()
                if query.tenant in (None, task.owner.tenant)
                and query.device in (None, task.spec.device)
                and (not query.states or task.state in query.states)
                and query.label in task.spec.label
                and (cursor is None or (task.submitted_ms, task.task_id) < cursor)
            ]
        found.sort(key=lambda task: (task.submitted_ms, task.task_id), reverse=True)
        return found[: query.limit]

    def result(self, task_id: TaskId, *, partial: bool) -> TaskResult | None:
        """Return the final result, or (with `partial`) the newest there is."""
        with self._lock:
            final = self.tables.results.get(task_id)
            return self.tables.partials.get(task_id) if final is None and partial else final

    def program(self, tenant: Tenant, digest: Digest) -> Program | None:
        """Return a stored program."""
        with self._lock:
            return self.tables.programs.get((tenant, digest))

    def snapshot(self, snapshot_id: Digest) -> Snapshot | None:
        """Return a stored snapshot."""
        with self._lock:
            return self.tables.snapshots.get(snapshot_id)

    def transitions(self, task_id: TaskId) -> list[Transition]:
        """Return the task's log: (revision, from, to, at_ms, cause), oldest first."""
        with self._lock:
            return list(self.tables.transitions.get(task_id, ()))

    def close(self) -> None:
        """Accept nothing more. The tables stay."""
        with self._lock:
            self._closed = True


def _ended(task: Task) -> EndedTask:
    return EndedTask(
        task_id=task.task_id,
        tenant=task.owner.tenant,
        spec_digest=task.spec_digest,
        state=task.state,
        revision=task.revision,
        epoch=task.epoch,
        attempt=task.attempt,
        updated_ms=task.updated_ms,
        programs=tuple(dict.fromkeys(item.program for item in task.spec.items)),
    )


def _epoch(transaction: _Transaction, record: EpochSaved) -> None:
    meta = transaction.tables.meta
    if record.epoch <= meta["epoch"]:
        raise guards.epoch_not_newer(record)
    transaction.put(meta, "epoch", record.epoch)


def _insert(transaction: _Transaction, record: TaskInserted) -> None:
    if record.task.task_id in transaction.tables.tasks:
        raise guards.task_exists(record)
    transaction.put(transaction.tables.tasks, record.task.task_id, record.task)


def _update(transaction: _Transaction, record: TaskUpdated) -> None:
    tables, task = transaction.tables, record.task
    old = tables.tasks.get(task.task_id)
    expected = (record.expect_state, record.expect_revision, record.expect_epoch, record.expect_attempt)
    if old is None or (old.state, old.revision, old.epoch, old.attempt) != expected:
        raise guards.task_changed(record)
    transaction.put(tables.tasks, task.task_id, task)
    if task.state is not record.expect_state:
        log = tables.transitions.get(task.task_id, ())
        if any(entry[0] == task.revision for entry in log):
            raise StoreError(f"revision {task.revision} of task {task.task_id} is in the log already")
        entry = (task.revision, record.expect_state, task.state, task.updated_ms, record.cause)
        transaction.put(tables.transitions, task.task_id, tuple(sorted((*log, entry))))


def _forget(transaction: _Transaction, record: TaskForgotten) -> None:
    tables = transaction.tables
    task = tables.tasks.get(record.task_id)
    if task is None or not task.state.is_final:
        raise guards.task_not_final(record)
    for table in (tables.tasks, tables.transitions, tables.results, tables.partials):
        transaction.drop(table, record.task_id)


def _save_forgotten(transaction: _Transaction, record: ForgottenIdSaved) -> None:
    transaction.put(transaction.tables.forgotten, record.forgotten.task_id, record.forgotten)


def _drop_forgotten(transaction: _Transaction, record: ForgottenIdDropped) -> None:
    transaction.drop(transaction.tables.forgotten, record.task_id)


def _put_program(transaction: _Transaction, record: ProgramStored) -> None:
    key = (record.tenant, record.program.digest)
    if key not in transaction.tables.programs:
        transaction.put(transaction.tables.programs, key, record.program)


def _drop_program(transaction: _Transaction, record: ProgramDropped) -> None:
    transaction.drop(transaction.tables.programs, (record.tenant, record.digest))


def _store_result(transaction: _Transaction, record: ResultStored) -> None:
    tables = transaction.tables
    task = tables.tasks.get(record.task_id)
    current = task is not None and (task.epoch, task.attempt) == (record.epoch, record.attempt)
    if not current or record.task_id in tables.results:
        raise guards.result_refused(record)
    if record.result.is_final:
        transaction.put(tables.results, record.task_id, record.result)
        transaction.drop(tables.partials, record.task_id)
    else:
        transaction.put(tables.partials, record.task_id, record.result)


def _save_session(transaction: _Transaction, record: SessionSaved) -> None:
    transaction.put(transaction.tables.sessions, record.session.session_id, record.session)


def _save_grant(transaction: _Transaction, record: GrantSaved) -> None:
    transaction.put(transaction.tables.grants, record.grant.grant_id, record.grant)


def _save_job_secret(transaction: _Transaction, record: JobSecretSaved) -> None:
    transaction.put(transaction.tables.job_secrets, record.secret.name, record.secret)


def _drop_job_secret(transaction: _Transaction, record: JobSecretDropped) -> None:
    transaction.drop(transaction.tables.job_secrets, (record.cluster, record.job_id, record.node))


def _save_booking(transaction: _Transaction, record: BookingSaved) -> None:
    transaction.put(transaction.tables.bookings, record.booking.booking_id, record.booking)


def _save_enrolment(transaction: _Transaction, record: EnrolmentSaved) -> None:
    transaction.put(transaction.tables.enrolments, record.enrolment.key, record.enrolment)


def _drop_enrolment(transaction: _Transaction, record: EnrolmentDropped) -> None:
    transaction.drop(transaction.tables.enrolments, record.key)


def _save_snapshot(transaction: _Transaction, record: SnapshotSaved) -> None:
    if record.snapshot.snapshot_id not in transaction.tables.snapshots:
        transaction.put(transaction.tables.snapshots, record.snapshot.snapshot_id, record.snapshot)


def _save_device(transaction: _Transaction, record: DeviceSaved) -> None:
    transaction.put(transaction.tables.devices, record.device.description.name, record.device)


def _save_usage(transaction: _Transaction, record: UsageSaved) -> None:
    for row in record.rows:
        transaction.put(transaction.tables.usage, (row.device, row.node), row)


_APPLY: dict[type[Record], Callable[[_Transaction, Any], None]] = {
    EpochSaved: _epoch,
    TaskInserted: _insert,
    TaskUpdated: _update,
    TaskForgotten: _forget,
    ForgottenIdSaved: _save_forgotten,
    ForgottenIdDropped: _drop_forgotten,
    ProgramStored: _put_program,
    ProgramDropped: _drop_program,
    ResultStored: _store_result,
    SessionSaved: _save_session,
    GrantSaved: _save_grant,
    JobSecretSaved: _save_job_secret,
    JobSecretDropped: _drop_job_secret,
    BookingSaved: _save_booking,
    EnrolmentSaved: _save_enrolment,
    EnrolmentDropped: _drop_enrolment,
    SnapshotSaved: _save_snapshot,
    DeviceSaved: _save_device,
    UsageSaved: _save_usage,
}
