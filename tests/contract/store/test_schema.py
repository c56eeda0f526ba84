"""Migrations, schema and query plans of the SQLite ledger."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from qmio_jupyter.errors import ConfigError
from qmio_jupyter.model.task import TaskState
from qmio_jupyter.ports import TaskQuery
from qmio_jupyter.store import migrate as room
from qmio_jupyter.store import rows
from qmio_jupyter.store.migrate import Migration, migrate, migrations, schema
from qmio_jupyter.store.queries import page_statement, page_values

SCHEMA = Path(room.__file__).with_name("schema.sql")


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    yield connection
    connection.close()


def test_migrations_are_equal_to_the_schema(connection: sqlite3.Connection) -> None:
    assert migrate(connection, "x") == len(migrations())
    fresh = sqlite3.connect(":memory:")
    fresh.executescript(SCHEMA.read_text())
    assert schema(fresh) == schema(connection)
    fresh.close()
    # And the file is what the function prints, so that a diff of it shows the change.
    assert SCHEMA.read_text().partition("\n\n")[2] == schema(connection).rstrip("\n") + "\n"


def test_a_second_run_changes_nothing(connection: sqlite3.Connection) -> None:
    migrate(connection, "x")
    changes = connection.total_changes
    version = connection.execute("PRAGMA schema_version").fetchone()
    migrate(connection, "x")
    assert connection.execute("PRAGMA schema_version").fetchone() == version
    assert connection.total_changes == changes


def test_a_migration_that_fails_leaves_the_one_before(
    connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, *_ = migrations()
    second = Migration(2, "0002_bad.sql", "CREATE TABLE extra (x);\nINSERT INTO nowhere VALUES (1);\n")
    monkeypatch.setattr(room, "migrations", lambda: (first, second))
    with pytest.raises(sqlite3.OperationalError, match="nowhere"):
        migrate(connection, "x")
    assert not connection.in_transaction
    assert connection.execute("PRAGMA user_version").fetchone() == (1,)
    assert connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'extra'").fetchone() == (0,)
    good = Migration(2, "0002_good.sql", "CREATE TABLE extra (x);")
    monkeypatch.setattr(room, "migrations", lambda: (first, good))
    assert migrate(connection, "x") == 2
    assert connection.execute("PRAGMA user_version").fetchone() == (2,)


def test_numbers_without_gap() -> None:
    assert [migration.number for migration in migrations()] == list(range(1, len(migrations()) + 1))


def test_a_file_marked_by_another_program_is_refused(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA application_id = 77")
    with pytest.raises(ConfigError, match="another program"):
        migrate(connection, "x")


def test_the_log_is_append_only(connection: sqlite3.Connection) -> None:
    migrate(connection, "x")
    connection.execute("PRAGMA foreign_keys = OFF")
    connection.execute("INSERT INTO transitions VALUES ('t', 2, 'queued', 'claimed', 1, '')")
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        connection.execute("UPDATE transitions SET to_state = 'failed'")


def plan(
    connection: sqlite3.Connection, statement: str, values: dict[str, object] | None = None
) -> list[str]:
    """Return the steps SQLite means to take."""
    return [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", values or {})]


@pytest.mark.parametrize(
    ("tenant", "before", "states", "device", "label"),
    list(
        itertools.product(
            [None, "physics/ana"], [None, "t-x"], [(), (TaskState.QUEUED,)], [None, "echo"], ["", "bell"]
        )
    ),
)
def test_listing_walks_an_index_in_order(
    connection: sqlite3.Connection,
    tenant: str | None,
    before: str | None,
    states: tuple[TaskState, ...],
    device: str | None,
    label: str,
) -> None:
    migrate(connection, "x")
    query = TaskQuery(tenant=tenant, before=before, states=states, device=device, label=label)
    steps = plan(connection, page_statement(query), page_values(query, 5))
    index = "tasks_by_age" if tenant is None else "tasks_by_tenant"
    assert index in steps[0]
    if tenant is not None or before is not None:
        assert steps[0].startswith("SEARCH tasks")
    assert steps[1].startswith("SEARCH specs USING PRIMARY KEY")
    # No sorting, no table read from end to end.
    assert len(steps) == 2


@pytest.mark.parametrize(
    ("statement", "step"),
    [
        (rows.SELECT_LIVE, "SEARCH tasks USING INDEX tasks_live"),
        (
            "SELECT session FROM sessions WHERE open = 1 ORDER BY rowid",
            "SEARCH sessions USING INDEX sessions_open",
        ),
        ("SELECT result FROM results WHERE task_id = ''", "SEARCH results USING INDEX"),
        ("SELECT result FROM partials WHERE task_id = ''", "SEARCH partials USING INDEX"),
        ("SELECT data FROM programs WHERE tenant = '' AND digest = ''", "SEARCH programs USING INDEX"),
        (
            "SELECT * FROM transitions WHERE task_id = '' ORDER BY revision",
            "SEARCH transitions USING PRIMARY KEY",
        ),
        (
            "UPDATE tasks SET state = '' WHERE task_id = '' AND state = '' AND revision = 0",
            "SEARCH tasks USING INDEX sqlite_autoindex_tasks_1",
        ),
        (
            "DELETE FROM tasks WHERE task_id = '' AND live = 0",
            "SEARCH tasks USING INDEX sqlite_autoindex_tasks_1",
        ),
    ],
)
def test_hot_statements_use_an_index(connection: sqlite3.Connection, statement: str, step: str) -> None:
    migrate(connection, "x")
    steps = plan(connection, statement)
    assert step in steps[0]
    assert not [step for step in steps if step.startswith(("SCAN", "USE TEMP"))]
