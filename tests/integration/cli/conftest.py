"""Homes with a real gateway, shared where a test changes nothing for others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from qmio_jupyter.testing.home import Home


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """A home without a gateway yet; whatever runs in it at the end is killed."""
    found = Home(tmp_path)
    yield found
    found.sweep()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A home whose gateway runs, for all tests of a file that only use it."""
    found = Home(tmp_path_factory.mktemp("home"))
    started = found.cli("up", "--timeout", "50")
    assert started.returncode == 0, started.stderr.decode()
    yield found
    stopped = found.cli("down")
    assert stopped.returncode == 0, stopped.stderr.decode()
    assert found.sweep() == []
