"""User stories, with the real thing from the notebook down to the simulator."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from qmio_jupyter.client.sync import Client, connect
from qmio_jupyter.testing.homes import Home

#: Devices of a site that emulates a Qmio; nothing may take longer than a test's patience.
EMULATED = """
[[gateway.agents]]
device = "fake-qmio"
driver = "emulator"
[gateway.agents.options]
compile_s = "20"
wall_s = "20"
[[gateway.agents]]
device = "ideal"
driver = "ideal"
[gateway.agents.options]
compile_s = "20"
wall_s = "20"
[[gateway.agents]]
device = "echo"
driver = "echo"
credit = 16
workers = 0
[client]
default_device = "fake-qmio"
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A home whose gateway is stopped at the end, with nothing left behind."""
    found = Home(tmp_path_factory.mktemp("home") / "qmio")
    yield found
    assert found.stop() == []


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of a user whose gateway has an emulated Qmio, ``ideal`` and ``echo``."""
    path = tmp_path_factory.mktemp("site")
    (path / "config.toml").write_text(EMULATED)
    found = Home(path / "qmio")
    yield found.environ(QMIO_CONFIG=str(path / "config.toml"))
    assert found.stop() == []


@pytest.fixture(scope="module")
def client(site: dict[str, str]) -> Iterator[Client]:
    """A client of that gateway."""
    made = connect(environ=site, start=True, timeout_s=60)
    yield made
    made.close()
