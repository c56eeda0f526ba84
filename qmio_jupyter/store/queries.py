"""What is read of a SQLite ledger in more than one row: the live state, and pages of tasks."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any, TypeVar

from qmio_jupyter.core.records import ForgottenId, LiveState, UsageRow
from qmio_jupyter.model.ids import minted_ms
from qmio_jupyter.model.task import Task
from qmio_jupyter.ports import TaskQuery
from qmio_jupyter.store import rows

Value = TypeVar("Value")


def load_live(connection: sqlite3.Connection) -> LiveState:
    """Return what a core is built from; everything in order of insertion."""

    def values(statement: str, decode: Callable[[bytes], Value]) -> tuple[Value, ...]:
        return tuple(decode(blob) for (blob,) in connection.execute(statement))

    return LiveState(
        epoch=int(connection.execute("SELECT epoch FROM meta").fetchone()[0]),
        tasks=tuple(rows.decode_task(*row) for row in connection.execute(rows.SELECT_LIVE)),
        ended=tuple(map(rows.decode_ended, connection.execute(rows.SELECT_ENDED))),
        forgotten=tuple(
            ForgottenId(task_id=task_id, forgotten_ms=forgotten_ms)
            for task_id, forgotten_ms in connection.execute(rows.SELECT_FORGOTTEN)
        ),
        programs=tuple(map(rows.decode_known, connection.execute(rows.SELECT_KNOWN))),
        sessions=values("SELECT session FROM sessions WHERE open = 1 ORDER BY rowid", rows.decode_session),
        grants=values("SELECT data FROM grants ORDER BY rowid", rows.decode_grant),
        job_secrets=values("SELECT data FROM job_secrets ORDER BY rowid", rows.decode_job_secret),
        bookings=values("SELECT data FROM bookings ORDER BY rowid", rows.decode_booking),
        enrolments=values("SELECT data FROM enrolments ORDER BY rowid", rows.decode_enrolment),
        devices=values("SELECT data FROM devices ORDER BY rowid", rows.decode_device),
        usage=tuple(
            UsageRow(device=device, node=node, seconds=seconds, as_of_ms=as_of_ms)
            for device, node, seconds, as_of_ms in connection.execute(
                "SELECT device, node, seconds, as_of_ms FROM usage ORDER BY rowid"
            )
        ),
    )


def page_statement(query: TaskQuery) -> str:
    """Return the statement of one page; the values are named as in :func:`page_values`."""
    wheres = []
    if query.tenant is not None:
        wheres.append("tenant = :tenant")
    if query.before is not None:
        wheres.append("(submitted_ms, tasks.task_id) < (:before_ms, :before)")
    if query.states:
        wheres.append(f"state IN ({', '.join(f':state{i}' for i in range(len(query.states)))})")
    if query.device is not None:
        wheres.append("device = :device")
    if query.label:
        wheres.append("instr(label, :label) > 0")
    where = f" WHERE {' AND '.join(wheres)}" if wheres else ""
    # Only our own words and numbered names are put together here; every value is bound.
    return (
        f"SELECT task, spec FROM tasks CROSS JOIN specs USING (task_id){where}"  # noqa: S608
        " ORDER BY submitted_ms DESC, tasks.task_id DESC LIMIT :limit"
    )


def page_values(query: TaskQuery, before_ms: int) -> dict[str, Any]:
    """Return the values of one page's statement; `before_ms` is when task `query.before` was submitted."""
    return {
        "tenant": query.tenant,
        "before": query.before,
        "before_ms": before_ms,
        "device": query.device,
        "label": query.label,
        "limit": query.limit,
        **{f"state{i}": state.value for i, state in enumerate(query.states)},
    }


def page(connection: sqlite3.Connection, query: TaskQuery) -> list[Task]:
    """Return a page of tasks, newest first."""
    before_ms = 0
    if query.before is not None:
        row = connection.execute(
            "SELECT submitted_ms FROM tasks WHERE task_id = ?1 AND (?2 IS NULL OR tenant = ?2)",
            (query.before, query.tenant),
        ).fetchone()
        # A forgotten task (or another tenant's, which looks the same) still says when by its id.
        before_ms = int(row[0]) if row is not None else minted_ms(query.before)
    found = connection.execute(page_statement(query), page_values(query, before_ms))
    return [rows.decode_task(task, spec) for task, spec in found]
