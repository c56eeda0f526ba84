"""The SQLite store keeps the contract of `ports.TaskStore`."""

from __future__ import annotations

from pathlib import Path

import pytest

from qmio_jupyter.store.sqlite import SqliteStore
from qmio_jupyter.testing.stores import Opened, StoreConformance


class TestSqliteStore(StoreConformance):
    @pytest.fixture
    def opened(self, tmp_path: Path) -> Opened:
        return lambda: SqliteStore(tmp_path / "ledger" / "ledger.sqlite")
