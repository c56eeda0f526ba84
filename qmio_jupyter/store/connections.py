"""SQLite's two connections: the read-write one of the writer thread, and the read-only one of everybody else."""

from __future__ import annotations

import errno
import os
import sqlite3
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from qmio_jupyter.core.records import Record
from qmio_jupyter.errors import StoreError
from qmio_jupyter.store import rows
from qmio_jupyter.store.migrate import migrate

Value = TypeVar("Value")

#: How long a statement waits for a foreign process that reads or inspects the file.
_BUSY_S = 5.0
#: A WAL that one large burst made longer is cut back to this at the next checkpoint.
_WAL_BYTES = 64 * 2**20
_PAGE_BYTES = 4096


class WriteConnection:
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
        """Open a transaction; after a failure of the disk, on a fresh connection."""
        if self._suspect:
            # After the disk has said no, start from a fresh connection rather than trust the old one's state.
            self._disconnect()
            try:
                self._cursor = self._open()
            except (sqlite3.Error, OSError) as error:
                raise store_error("cannot reopen", self._path, error) from error
            self._suspect = False
        self._execute("BEGIN IMMEDIATE")

    def apply(self, batch: Sequence[Record]) -> None:
        """Write `batch` in the open transaction."""
        try:
            rows.apply(self._cursor, batch)
        except sqlite3.Error as error:
            self._suspect = not isinstance(error, sqlite3.IntegrityError)
            raise store_error("cannot write", self._path, error) from error

    def commit(self) -> None:
        """Make the transaction durable."""
        self._execute("COMMIT")

    def _execute(self, statement: str) -> None:
        try:
            self._cursor.execute(statement)
        except sqlite3.Error as error:
            self._suspect = True
            raise store_error("cannot write", self._path, error) from error

    def rollback(self) -> None:
        """Undo the open transaction, if there is one."""
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
        """Let go of the file."""
        self._disconnect()


def _switch_to_wal(connection: sqlite3.Connection, path: Path) -> None:
    mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    if mode != "wal":
        raise StoreError(f"the ledger {path} cannot use WAL (its journal mode stays {mode})")


class ReadConnection:
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
                raise store_error("cannot read", self._path, error) from error

    def all(self, statement: str, values: tuple[Any, ...]) -> list[Any]:
        """Return all rows."""
        with self._lock:
            try:
                return self._connection.execute(statement, values).fetchall()
            except sqlite3.Error as error:
                raise store_error("cannot read", self._path, error) from error

    def one(self, statement: str, values: tuple[Any, ...]) -> Any:
        """Return the one row there is, or None."""
        found = self.all(statement, values)
        return found[0] if found else None

    def decoded(self, decode: Callable[..., Value], *blobs: bytes) -> Value:
        """Return what `blobs` hold; rows that cannot be read are a `StoreError`."""
        try:
            return decode(*blobs)
        except msgspec.DecodeError as error:
            raise store_error("cannot read", self._path, error) from error

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._connection.close()


def store_error(what: str, path: Path, error: Exception) -> StoreError:
    """Return the one line for `error`, with SQLite's own name of it as detail."""
    name = getattr(error, "sqlite_errorname", type(error).__name__)
    full = name == "SQLITE_FULL" or getattr(error, "errno", None) == errno.ENOSPC
    return StoreError(
        f"{what} the ledger {path}: {error}",
        hint="Free some space on its disk, then retry." if full else "Check its disk, then retry.",
        detail=str(name),
        retryable=not isinstance(error, msgspec.DecodeError),
    )
