"""User stories, with the real thing from the notebook down to the simulator."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from qmio_jupyter.testing.homes import Home


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A home whose gateway is stopped at the end, with nothing left behind."""
    found = Home(tmp_path_factory.mktemp("home") / "qmio")
    yield found
    assert found.stop() == []
