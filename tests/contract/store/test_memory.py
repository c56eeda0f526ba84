"""The memory store keeps the contract of `ports.TaskStore`."""

from __future__ import annotations

import pytest

from qmio_jupyter.store.memory import MemoryStore, Tables
from qmio_jupyter.testing.stores import Opened, StoreConformance


class TestMemoryStore(StoreConformance):
    @pytest.fixture
    def opened(self) -> Opened:
        tables = Tables()
        return lambda: MemoryStore(tables)
