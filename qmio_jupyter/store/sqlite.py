"""The embedded ledger: one SQLite file in WAL mode, one writer, on local disk.

Every commit is on disk before its future ends (``synchronous=FULL``). The one read-write connection belongs
to the writer, which alone checkpoints; reads go through a read-only connection that any thread may
use. A lock file beside the database keeps a second process out for as long as this one lives.

A commit whose fsync fails may, if the machine then dies before the next commit, turn out to have been written
after all: its task was refused to the user, who may repeat the submit, and ids make that harmless.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path

from qmio_jupyter.core.records import LiveState, Record
from qmio_jupyter.model.device import Snapshot
from qmio_jupyter.model.ids import Digest, TaskId, Tenant
from qmio_jupyter.model.program import Program
from qmio_jupyter.model.result import TaskResult
from qmio_jupyter.model.task import Task, TaskState
from qmio_jupyter.ports import TaskQuery
from qmio_jupyter.store import queries, rows
from qmio_jupyter.store.connections import ReadConnection, WriteConnection, store_error
from qmio_jupyter.store.place import check_place, take_lock
from qmio_jupyter.store.writer import GroupWriter


class SqliteStore:
    """`ports.TaskStore` on one SQLite file.

    Parameters
    ----------
    path : Path
        The database. Its directory is made with mode 0700 if it is missing; the files have mode 0600.
    max_bytes : int, optional
        Largest size of the database file; at the limit commits fail as on a full disk. No limit when omitted.
    mountinfo : str, optional
        Contents of ``/proc/self/mountinfo``, read there when omitted.

    Raises
    ------
    ConfigError
        If the directory is on a network file system, belongs to somebody else or is open to others, or if the
        file is no ledger of ours or of a newer version.
    StoreError
        If another process has the ledger, or the disk says no.
    """

    def __init__(self, path: Path, *, max_bytes: int | None = None, mountinfo: str | None = None) -> None:
        self._path = path.absolute()
        try:
            check_place(self._path, mountinfo)
            self._lock_file = take_lock(self._path)
        except OSError as error:
            raise store_error("cannot open", self._path, error) from error
        try:
            self._backend = WriteConnection(self._path, max_bytes)
            try:
                self._reader = ReadConnection(self._path)
                self._writer = GroupWriter(self._backend, name="qmio-ledger-writer")
            except BaseException:
                self._backend.close()
                raise
        except (sqlite3.Error, OSError) as error:
            os.close(self._lock_file)
            raise store_error("cannot open", self._path, error) from error
        except BaseException:
            os.close(self._lock_file)
            raise
        self._closed = False

    def commit(self, batch: Sequence[Record], *, at_once: bool = False) -> Future[None]:
        """Write `batch` in one durable transaction; see `ports.TaskStore`."""
        return self._writer.commit(batch, at_once=at_once)

    def resume(self) -> None:
        """Accept commits again after a failure."""
        self._writer.resume()

    def load_live(self) -> LiveState:
        """Return what a core is built from, as of one instant; everything in order of insertion."""
        return self._reader.read(queries.load_live)

    def task(self, task_id: TaskId, tenant: Tenant | None) -> Task | None:
        """Return one task; None if absent or of another tenant."""
        row = self._reader.one(
            "SELECT task, spec FROM tasks JOIN specs USING (task_id)"
            " WHERE task_id = ?1 AND (?2 IS NULL OR tenant = ?2)",
            (task_id, tenant),
        )
        return None if row is None else self._reader.decoded(rows.decode_task, *row)

    def tasks(self, query: TaskQuery) -> list[Task]:
        """Return a page of tasks, newest first (by submission, then id)."""
        return self._reader.read(lambda connection: queries.page(connection, query))

    def result(self, task_id: TaskId, *, partial: bool) -> TaskResult | None:
        """Return the final result, or (with `partial`) the newest there is."""
        row = self._reader.one("SELECT result FROM results WHERE task_id = ?", (task_id,))
        if row is None and partial:
            row = self._reader.one("SELECT result FROM partials WHERE task_id = ?", (task_id,))
            # The final result may have replaced the partial one between the two reads.
            row = row or self._reader.one("SELECT result FROM results WHERE task_id = ?", (task_id,))
        return None if row is None else self._reader.decoded(rows.decode_result, row[0])

    def program(self, tenant: Tenant, digest: Digest) -> Program | None:
        """Return a stored program."""
        row = self._reader.one(
            "SELECT media_type, data FROM programs WHERE tenant = ? AND digest = ?", (tenant, digest)
        )
        return None if row is None else Program(digest=digest, media_type=row[0], data=row[1])

    def snapshot(self, snapshot_id: Digest) -> Snapshot | None:
        """Return a stored snapshot."""
        row = self._reader.one(
            "SELECT device, taken_ms, data FROM snapshots WHERE snapshot_id = ?", (snapshot_id,)
        )
        if row is None:
            return None
        return Snapshot(snapshot_id=snapshot_id, device=row[0], taken_ms=row[1], data=row[2])

    def transitions(self, task_id: TaskId) -> list[tuple[int, TaskState, TaskState, int, str]]:
        """Return the task's log: (revision, from, to, at_ms, cause), oldest first."""
        found = self._reader.all(
            "SELECT revision, from_state, to_state, at_ms, cause FROM transitions WHERE task_id = ?"
            " ORDER BY revision",
            (task_id,),
        )
        return [
            (revision, TaskState(before), TaskState(after), at_ms, cause)
            for revision, before, after, at_ms, cause in found
        ]

    def close(self) -> None:
        """Finish queued commits and release everything. Idempotent."""
        if self._closed:
            return
        self._closed = True
        # The reader first: the last connection to go folds the WAL into the database and removes it.
        self._reader.close()
        self._writer.close()
        os.close(self._lock_file)
