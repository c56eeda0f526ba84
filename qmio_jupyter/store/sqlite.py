"""The embedded ledger: one SQLite file in WAL mode, one writer, on local disk.

Every commit is on disk before its future ends (``synchronous=FULL``). The one read-write connection belongs
to the writer thread, which alone checkpoints; reads go through a read-only connection that any thread may
use. A lock file beside the database keeps a second process out for as long as this one lives.

A commit whose fsync fails may, if the machine then dies before the next commit, turn out to have been written
after all: its task was refused to the user, who may repeat the submit, and ids make that harmless.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from qmio_jupyter.core.records import LiveState, Record, UsageRow
from qmio_jupyter.errors import ConfigError, StoreError
from qmio_jupyter.model.device import Snapshot
from qmio_jupyter.model.filesystems import REMOTE, mounted_type
from qmio_jupyter.model.ids import Digest, TaskId, Tenant, minted_ms
from qmio_jupyter.model.program import Program
from qmio_jupyter.model.result import TaskResult
from qmio_jupyter.model.task import Task, TaskState
from qmio_jupyter.ports import TaskQuery
from qmio_jupyter.store import rows
from qmio_jupyter.store.migrate import migrate
from qmio_jupyter.store.writer import GroupWriter

Value = TypeVar("Value")

#: How long a statement waits for a foreign process that reads or inspects the file.
_BUSY_S = 5.0
#: A WAL that one large burst made longer is cut back to this at the next checkpoint.
_WAL_BYTES = 64 * 2**20
_PAGE_BYTES = 4096


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
            _check_place(self._path, mountinfo)
            self._lock_file = _lock(self._path)
        except OSError as error:
            raise _store_error("cannot open", self._path, error) from error
        try:
            self._backend = _Backend(self._path, max_bytes)
            try:
                self._reader = _Reader(self._path)
                self._writer = GroupWriter(self._backend, name="qmio-ledger-writer")
            except BaseException:
                self._backend.close()
                raise
        except (sqlite3.Error, OSError) as error:
            os.close(self._lock_file)
            raise _store_error("cannot open", self._path, error) from error
        except BaseException:
            os.close(self._lock_file)
            raise
        self._closed = False

    def commit(self, batch: Sequence[Record]) -> Future[None]:
        """Write `batch` in one durable transaction; see `ports.TaskStore`."""
        return self._writer.commit(batch)

    def resume(self) -> None:
        """Accept commits again after a failure."""
        self._writer.resume()

    def load_live(self) -> LiveState:
        """Return what a core is built from, as of one instant; everything in order of insertion."""
        return self._reader.read(_load_live)

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
        return self._reader.read(lambda connection: _page(connection, query))

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


class _Backend:
    """The read-write connection. Made by the opening thread, used by the writer thread alone from then on."""

    def __init__(self, path: Path, max_bytes: int | None) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._connection: sqlite3.Connection | None = None
        self._suspect = False
        self._cursor = self._open()

    def _open(self) -> sqlite3.Cursor:
        # SQLite gives -wal and -shm the database's mode, whatever the umask.
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
        self._path.chmod(0o600)
        connection = sqlite3.connect(
            self._path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False, cached_statements=256
        )
        try:
            _switch_to_wal(connection, self._path)
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute(f"PRAGMA journal_size_limit = {_WAL_BYTES}")
            migrate(connection, str(self._path))
            if self._max_bytes is not None:
                connection.execute(f"PRAGMA max_page_count = {max(1, self._max_bytes // _PAGE_BYTES)}")
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        return connection.cursor()

    def begin(self) -> None:
        if self._suspect:
            # After the disk has said no, start from a fresh connection rather than trust the old one's state.
            self._disconnect()
            try:
                self._cursor = self._open()
            except (sqlite3.Error, OSError) as error:
                raise _store_error("cannot reopen", self._path, error) from error
            self._suspect = False
        self._execute("BEGIN IMMEDIATE")

    def apply(self, batch: Sequence[Record]) -> None:
        try:
            rows.apply(self._cursor, batch)
        except sqlite3.Error as error:
            self._suspect = not isinstance(error, sqlite3.IntegrityError)
            raise _store_error("cannot write", self._path, error) from error

    def commit(self) -> None:
        self._execute("COMMIT")

    def _execute(self, statement: str) -> None:
        try:
            self._cursor.execute(statement)
        except sqlite3.Error as error:
            self._suspect = True
            raise _store_error("cannot write", self._path, error) from error

    def rollback(self) -> None:
        try:
            if self._connection is not None and self._connection.in_transaction:
                self._connection.rollback()
        except sqlite3.Error:
            self._suspect = True

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.close()
            except sqlite3.Error:
                # Its file handles are gone all the same; the ledger is whole without the last checkpoint.
                return

    def close(self) -> None:
        self._disconnect()


def _switch_to_wal(connection: sqlite3.Connection, path: Path) -> None:
    mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    if mode != "wal":
        raise StoreError(f"the ledger {path} cannot use WAL (its journal mode stays {mode})")


class _Reader:
    """The read-only connection; a lock lets any thread use it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(
            f"{path.as_uri()}?mode=ro",
            uri=True,
            timeout=_BUSY_S,
            isolation_level=None,
            check_same_thread=False,
        )
        self._connection.execute("PRAGMA query_only = ON")

    def read(self, query: Callable[[sqlite3.Connection], Value]) -> Value:
        """Run `query` in one read transaction: all it reads is of one instant."""
        with self._lock:
            try:
                self._connection.execute("BEGIN")
                try:
                    return query(self._connection)
                finally:
                    self._connection.execute("COMMIT")
            except (sqlite3.Error, msgspec.DecodeError) as error:
                raise _store_error("cannot read", self._path, error) from error

    def all(self, statement: str, values: tuple[Any, ...]) -> list[Any]:
        """Return all rows."""
        with self._lock:
            try:
                return self._connection.execute(statement, values).fetchall()
            except sqlite3.Error as error:
                raise _store_error("cannot read", self._path, error) from error

    def one(self, statement: str, values: tuple[Any, ...]) -> Any:
        """Return the one row there is, or None."""
        found = self.all(statement, values)
        return found[0] if found else None

    def decoded(self, decode: Callable[..., Value], *blobs: bytes) -> Value:
        """Return what `blobs` hold; rows that cannot be read are a `StoreError`."""
        try:
            return decode(*blobs)
        except msgspec.DecodeError as error:
            raise _store_error("cannot read", self._path, error) from error

    def close(self) -> None:
        with self._lock:
            self._connection.close()


def _load_live(connection: sqlite3.Connection) -> LiveState:
    def values(statement: str, decode: Callable[[bytes], Value]) -> tuple[Value, ...]:
        return tuple(decode(blob) for (blob,) in connection.execute(statement))

    return LiveState(
        epoch=int(connection.execute("SELECT epoch FROM meta").fetchone()[0]),
        tasks=tuple(rows.decode_task(*row) for row in connection.execute(rows.SELECT_LIVE)),
        ended=tuple(map(rows.decode_ended, connection.execute(rows.SELECT_ENDED))),
        programs=tuple(map(rows.decode_known, connection.execute(rows.SELECT_KNOWN))),
        sessions=values("SELECT session FROM sessions WHERE open = 1 ORDER BY rowid", rows.decode_session),
        grants=values("SELECT data FROM grants ORDER BY rowid", rows.decode_grant),
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


def _page(connection: sqlite3.Connection, query: TaskQuery) -> list[Task]:
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


def _check_place(path: Path, mountinfo: str | None) -> None:
    """Refuse a directory where a ledger is not safe; make it if it is missing."""
    directory = path.parent
    if not directory.exists():
        directory.parent.mkdir(parents=True, exist_ok=True)
        directory.mkdir(mode=0o700, exist_ok=True)
        _sync_directory(directory.parent)
    table = Path("/proc/self/mountinfo").read_text(encoding="utf-8") if mountinfo is None else mountinfo
    kind = mounted_type(table, str(directory.resolve()))
    if kind in REMOTE:
        raise ConfigError(
            f"{directory} is on a network file system ({kind}), where the ledger is not safe",
            hint="Set QMIO_HOME to a directory on a local disk.",
        )
    status = directory.stat()
    if status.st_uid != os.geteuid():
        raise ConfigError(
            f"{directory} belongs to another user (uid {status.st_uid})",
            hint="Use a directory of your own.",
            code="config.permissions",
        )
    if status.st_mode & 0o077:
        raise ConfigError(
            f"{directory} is open to other users (mode {status.st_mode & 0o777:04o})",
            hint=f"chmod 700 {directory}",
            code="config.permissions",
        )


def _sync_directory(directory: Path) -> None:
    """Put a directory's new entries on disk; SQLite does so for the files inside its own."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _lock(path: Path) -> int:
    """Return the descriptor that keeps every other process from opening the ledger; the kernel frees it.

    A file of its own: SQLite's POSIX locks on the database would be lost with any descriptor of it we close.
    """
    lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise StoreError(
            f"{path} is in use by another gateway", hint="Stop that one first: jupyter qmio down."
        ) from error
    return lock


def _store_error(what: str, path: Path, error: Exception) -> StoreError:
    """Return the one line for `error`, with SQLite's own name of it as detail."""
    name = getattr(error, "sqlite_errorname", type(error).__name__)
    full = name == "SQLITE_FULL" or getattr(error, "errno", None) == 28
    return StoreError(
        f"{what} the ledger {path}: {error}",
        hint="Free some space on its disk, then retry." if full else "Check its disk, then retry.",
        detail=str(name),
        retryable=not isinstance(error, msgspec.DecodeError),
    )
