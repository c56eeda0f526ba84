"""Row codecs: how each record is written, and how rows become values again. SQLite's dialect, no decisions.

Values are stored as msgpack of the frozen Structs: fields added later decode from old rows through their
defaults. A guard that does not hold raises `StoreError`, and the caller rolls the transaction back.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import msgspec

from qmio_jupyter.core.records import (
    BookingSaved,
    DeviceRow,
    DeviceSaved,
    EndedTask,
    EnrolmentDropped,
    EnrolmentSaved,
    EpochSaved,
    ForgottenIdDropped,
    ForgottenIdSaved,
    GrantSaved,
    JobSecretDropped,
    JobSecretSaved,
    KnownProgram,
    ProgramDropped,
    ProgramStored,
    Record,
    ResultStored,
    SessionSaved,
    SnapshotSaved,
    TaskForgotten,
    TaskInserted,
    TaskUpdated,
    UsageSaved,
)
from qmio_jupyter.model.access import Booking, Enrolment, Grant, Session
from qmio_jupyter.model.allocation import JobSecret
from qmio_jupyter.model.result import TaskResult
from qmio_jupyter.model.task import Item, Task, TaskSpec, TaskState
from qmio_jupyter.store import guards

Value = TypeVar("Value")

_encode = msgspec.msgpack.Encoder().encode
#: Stands in the task's blob where the spec was taken out.
_SPEC_ELSEWHERE = TaskSpec(device="-", items=(Item(program="", shots=1),))

_task = msgspec.msgpack.Decoder(Task)
_spec = msgspec.msgpack.Decoder(TaskSpec)
_result = msgspec.msgpack.Decoder(TaskResult)
decode_session = msgspec.msgpack.Decoder(Session).decode
decode_grant = msgspec.msgpack.Decoder(Grant).decode
decode_job_secret = msgspec.msgpack.Decoder(JobSecret).decode
decode_booking = msgspec.msgpack.Decoder(Booking).decode
decode_enrolment = msgspec.msgpack.Decoder(Enrolment).decode
decode_device = msgspec.msgpack.Decoder(DeviceRow).decode
decode_result = _result.decode


def decode_task(task: bytes, spec: bytes) -> Task:
    """Return the task of one row of ``tasks`` and its row of ``specs``."""
    return msgspec.structs.replace(_task.decode(task), spec=_spec.decode(spec))


def decode_ended(row: Sequence[Any]) -> EndedTask:
    """Return the compact form of a final task from the columns of :data:`SELECT_ENDED`; no blob is read."""
    task_id, tenant, spec_digest, state, revision, epoch, attempt, updated_ms, programs = row
    return EndedTask(
        task_id=task_id,
        tenant=tenant,
        spec_digest=spec_digest,
        state=TaskState(state),
        revision=revision,
        epoch=epoch,
        attempt=attempt,
        updated_ms=updated_ms,
        programs=tuple(programs.split(" ")) if programs else (),
    )


def decode_known(row: Sequence[Any]) -> KnownProgram:
    """Return a program without its bytes from the columns of :data:`SELECT_KNOWN`."""
    tenant, digest, media_type, size = row
    return KnownProgram(tenant=tenant, digest=digest, media_type=media_type, size=size)


SELECT_LIVE = "SELECT task, spec FROM tasks JOIN specs USING (task_id) WHERE live = 1 ORDER BY tasks.rowid"
SELECT_ENDED = (
    "SELECT task_id, tenant, spec_digest, state, revision, epoch, attempt, updated_ms, programs"
    " FROM tasks WHERE live = 0 ORDER BY rowid"
)
SELECT_FORGOTTEN = "SELECT task_id, forgotten_ms FROM forgotten_ids ORDER BY rowid"
SELECT_KNOWN = "SELECT tenant, digest, media_type, size FROM programs ORDER BY rowid"


def _epoch(cursor: sqlite3.Cursor, record: EpochSaved) -> None:
    cursor.execute("UPDATE meta SET epoch = ?1 WHERE epoch < ?1", (record.epoch,))
    if cursor.rowcount != 1:
        raise guards.epoch_not_newer(record)


def _insert(cursor: sqlite3.Cursor, record: TaskInserted) -> None:
    task = record.task
    spec = task.spec
    cursor.execute(
        "INSERT INTO tasks (task_id, tenant, device, label, state, live, revision, epoch, attempt,"
        " submitted_ms, updated_ms, spec_digest, programs, task)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (task_id) DO NOTHING",
        (
            task.task_id,
            task.owner.tenant,
            spec.device,
            spec.label,
            task.state.value,
            not task.state.is_final,
            task.revision,
            task.epoch,
            task.attempt,
            task.submitted_ms,
            task.updated_ms,
            task.spec_digest,
            " ".join(dict.fromkeys(item.program for item in spec.items)),
            _encode(msgspec.structs.replace(task, spec=_SPEC_ELSEWHERE)),
        ),
    )
    if cursor.rowcount != 1:
        raise guards.task_exists(record)
    cursor.execute("INSERT INTO specs (task_id, spec) VALUES (?, ?)", (task.task_id, _encode(spec)))


def _update(cursor: sqlite3.Cursor, record: TaskUpdated) -> None:
    task = record.task
    cursor.execute(
        "UPDATE tasks SET state = ?, live = ?, revision = ?, epoch = ?, attempt = ?, updated_ms = ?, task = ?"
        " WHERE task_id = ? AND state = ? AND revision = ? AND epoch = ? AND attempt = ?",
        (
            task.state.value,
            not task.state.is_final,
            task.revision,
            task.epoch,
            task.attempt,
            task.updated_ms,
            _encode(msgspec.structs.replace(task, spec=_SPEC_ELSEWHERE)),
            task.task_id,
            record.expect_state.value,
            record.expect_revision,
            record.expect_epoch,
            record.expect_attempt,
        ),
    )
    if cursor.rowcount != 1:
        raise guards.task_changed(record)
    if task.state is not record.expect_state:
        cursor.execute(
            "INSERT INTO transitions (task_id, revision, from_state, to_state, at_ms, cause)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (
                task.task_id,
                task.revision,
                record.expect_state.value,
                task.state.value,
                task.updated_ms,
                record.cause,
            ),
        )


def _forget(cursor: sqlite3.Cursor, record: TaskForgotten) -> None:
    cursor.execute("DELETE FROM tasks WHERE task_id = ? AND live = 0", (record.task_id,))
    if cursor.rowcount != 1:
        raise guards.task_not_final(record)


def _save_forgotten(cursor: sqlite3.Cursor, record: ForgottenIdSaved) -> None:
    cursor.execute(
        "INSERT INTO forgotten_ids (task_id, forgotten_ms) VALUES (?, ?)"
        " ON CONFLICT (task_id) DO UPDATE SET forgotten_ms = excluded.forgotten_ms",
        (record.forgotten.task_id, record.forgotten.forgotten_ms),
    )


def _drop_forgotten(cursor: sqlite3.Cursor, record: ForgottenIdDropped) -> None:
    cursor.execute("DELETE FROM forgotten_ids WHERE task_id = ?", (record.task_id,))


def _put_program(cursor: sqlite3.Cursor, record: ProgramStored) -> None:
    program = record.program
    cursor.execute(
        "INSERT INTO programs (tenant, digest, media_type, size, stored_ms, data) VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (tenant, digest) DO NOTHING",
        (
            record.tenant,
            program.digest,
            program.media_type,
            len(program.data),
            record.stored_ms,
            program.data,
        ),
    )


def _drop_program(cursor: sqlite3.Cursor, record: ProgramDropped) -> None:
    cursor.execute("DELETE FROM programs WHERE tenant = ? AND digest = ?", (record.tenant, record.digest))


def _store_result(cursor: sqlite3.Cursor, record: ResultStored) -> None:
    """Write a result of the task's current claim; one of any other claim is a failed commit."""
    key = (record.task_id, record.epoch, record.attempt)
    values = (*key, _encode(record.result), *key)
    claim = "FROM tasks WHERE task_id = ? AND epoch = ? AND attempt = ?"
    if record.result.is_final:
        cursor.execute(
            f"INSERT INTO results (task_id, epoch, attempt, result) SELECT ?, ?, ?, ? {claim}"
            " ON CONFLICT (task_id) DO NOTHING",
            values,
        )
        if cursor.rowcount != 1:
            raise guards.result_refused(record)
        cursor.execute("DELETE FROM partials WHERE task_id = ?", (record.task_id,))
        return
    cursor.execute(
        f"INSERT INTO partials (task_id, epoch, attempt, result) SELECT ?, ?, ?, ? {claim}"  # noqa: S608
        " AND NOT EXISTS (SELECT 1 FROM results WHERE results.task_id = tasks.task_id)"
        " ON CONFLICT (task_id) DO UPDATE"
        " SET epoch = excluded.epoch, attempt = excluded.attempt, result = excluded.result",
        values,
    )
    if cursor.rowcount != 1:
        raise guards.result_refused(record)


def _save_session(cursor: sqlite3.Cursor, record: SessionSaved) -> None:
    session = record.session
    cursor.execute(
        "INSERT INTO sessions (session_id, open, session) VALUES (?, ?, ?)"
        " ON CONFLICT (session_id) DO UPDATE SET open = excluded.open, session = excluded.session",
        (session.session_id, session.is_open, _encode(session)),
    )


def _save_grant(cursor: sqlite3.Cursor, record: GrantSaved) -> None:
    cursor.execute(
        "INSERT INTO grants (grant_id, data) VALUES (?, ?)"
        " ON CONFLICT (grant_id) DO UPDATE SET data = excluded.data",
        (record.grant.grant_id, _encode(record.grant)),
    )


def _save_job_secret(cursor: sqlite3.Cursor, record: JobSecretSaved) -> None:
    cursor.execute(
        "INSERT INTO job_secrets (cluster, job_id, node, data) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (cluster, job_id, node) DO UPDATE SET data = excluded.data",
        (*record.secret.name, _encode(record.secret)),
    )


def _drop_job_secret(cursor: sqlite3.Cursor, record: JobSecretDropped) -> None:
    cursor.execute(
        "DELETE FROM job_secrets WHERE cluster = ? AND job_id = ? AND node = ?",
        (record.cluster, record.job_id, record.node),
    )


def _save_booking(cursor: sqlite3.Cursor, record: BookingSaved) -> None:
    cursor.execute(
        "INSERT INTO bookings (booking_id, data) VALUES (?, ?)"
        " ON CONFLICT (booking_id) DO UPDATE SET data = excluded.data",
        (record.booking.booking_id, _encode(record.booking)),
    )


def _save_enrolment(cursor: sqlite3.Cursor, record: EnrolmentSaved) -> None:
    cursor.execute(
        "INSERT INTO enrolments (key, data) VALUES (?, ?)"
        " ON CONFLICT (key) DO UPDATE SET data = excluded.data",
        (record.enrolment.key, _encode(record.enrolment)),
    )


def _drop_enrolment(cursor: sqlite3.Cursor, record: EnrolmentDropped) -> None:
    cursor.execute("DELETE FROM enrolments WHERE key = ?", (record.key,))


def _save_snapshot(cursor: sqlite3.Cursor, record: SnapshotSaved) -> None:
    snapshot = record.snapshot
    cursor.execute(
        "INSERT INTO snapshots (snapshot_id, device, taken_ms, data) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (snapshot_id) DO NOTHING",
        (snapshot.snapshot_id, snapshot.device, snapshot.taken_ms, snapshot.data),
    )


def _save_device(cursor: sqlite3.Cursor, record: DeviceSaved) -> None:
    cursor.execute(
        "INSERT INTO devices (name, data) VALUES (?, ?)"
        " ON CONFLICT (name) DO UPDATE SET data = excluded.data",
        (record.device.description.name, _encode(record.device)),
    )


def _save_usage(cursor: sqlite3.Cursor, record: UsageSaved) -> None:
    cursor.executemany(
        "INSERT INTO usage (device, node, seconds, as_of_ms) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (device, node) DO UPDATE SET seconds = excluded.seconds, as_of_ms = excluded.as_of_ms",
        [(row.device, row.node, row.seconds, row.as_of_ms) for row in record.rows],
    )


#: How each kind of record is written.
_APPLY: dict[type[Record], Callable[[sqlite3.Cursor, Any], None]] = {
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


def apply(cursor: sqlite3.Cursor, batch: Sequence[Record]) -> None:
    """Write `batch` in the open transaction.

    Raises
    ------
    StoreError
        If a guard does not hold: zero rows changed.
    sqlite3.Error
        If the disk says no.
    """
    for record in batch:
        _APPLY[type(record)](cursor, record)
