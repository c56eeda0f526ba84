"""Numbered SQL migrations: each applied once, whole, in order, in a transaction of its own.

The number of the last one applied is SQLite's ``user_version``; ``application_id`` marks the file as a ledger
of ours, so that another program's database is refused rather than filled with our tables. ``schema.sql`` is
what all migrations together lead to; a test keeps the two equal.
"""

from __future__ import annotations

import re
import sqlite3
from importlib.resources import files

import msgspec

from qmio_jupyter.errors import ConfigError, StoreError

#: ``QMIO`` as a big-endian number, in the database's header.
APPLICATION_ID = 0x514D494F

_FILE_NAME = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")


class Migration(msgspec.Struct, frozen=True):
    """One numbered file of ``migrations/``."""

    number: int
    name: str
    sql: str


def migrations() -> tuple[Migration, ...]:
    """Return all migrations in order.

    Raises
    ------
    StoreError
        If a file is misnamed, or the numbers are not 1, 2, 3, ...: a defect of the installation.
    """
    found = []
    for entry in files("qmio_jupyter.store").joinpath("migrations").iterdir():
        if not entry.name.endswith(".sql"):
            continue
        match = _FILE_NAME.fullmatch(entry.name)
        if match is None:
            raise StoreError(f"migration {entry.name!r} is misnamed", retryable=False)
        found.append(Migration(int(match[1]), entry.name, entry.read_text(encoding="utf-8")))
    found.sort(key=lambda migration: migration.number)
    if [migration.number for migration in found] != list(range(1, len(found) + 1)):
        raise StoreError("the migrations are not numbered 1, 2, 3, ...", retryable=False)
    return tuple(found)


def migrate(connection: sqlite3.Connection, where: str) -> int:
    """Bring a ledger to the newest schema and return its number; a new file is made a ledger.

    Parameters
    ----------
    connection : sqlite3.Connection
        Read-write, in autocommit mode (``isolation_level=None``).
    where : str
        What to call the file in an error.

    Raises
    ------
    ConfigError
        If the file is another program's database, or was written by a newer version of ours.
    sqlite3.Error
        If the disk says no; the migration that failed has changed nothing.
    """
    all_migrations = migrations()
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    owner = int(connection.execute("PRAGMA application_id").fetchone()[0])
    tables = int(connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0])
    if owner != APPLICATION_ID and (owner or version or tables):
        raise ConfigError(
            f"{where} is a database of another program", hint="Name another file for the ledger."
        )
    if version > len(all_migrations):
        raise ConfigError(
            f"{where} was written by a newer version (schema {version}; known here: {len(all_migrations)})",
            hint="Update qmio_jupyter.",
        )
    for migration in all_migrations[version:]:
        # The pragmas are part of the transaction: number and tables change together or not at all.
        try:
            connection.executescript(
                f"BEGIN IMMEDIATE;\n{migration.sql}\n"
                f"PRAGMA application_id = {APPLICATION_ID};\n"
                f"PRAGMA user_version = {migration.number};\nCOMMIT;"
            )
        except sqlite3.Error:
            if connection.in_transaction:
                connection.rollback()
            raise
    return len(all_migrations)


def schema(connection: sqlite3.Connection) -> str:
    """Return the statements that make `connection`'s tables, indexes and triggers, tables first."""
    rows = connection.execute(
        "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY type = 'trigger', type DESC, name"
    )
    return "".join(f"{sql};\n\n" for (sql,) in rows)
