"""A hub with a cluster and a gateway, as in the integration suite; its devices include the emulator."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from qmio_jupyter.testing.centre import ECHO, Centre
from qmio_jupyter.testing.hub import Hub
from qmio_jupyter.testing.slurm import MiniSlurm
from tests.integration.hub.conftest import cluster, python, site, users

__all__ = ["cluster", "python", "site", "users"]

#: The emulated Qmio, as a site would offer it.
EMULATOR = """
[[gateway.agents]]
device = "fake-qmio"
driver = "emulator"
options = { calibration = "qmio" }
"""
PROFILES = [
    {
        "name": "class",
        "title": "Quantum class",
        "note": "One core and the emulated Qmio for an hour",
        "options": {"device": "fake-qmio", "cores": 1, "memory_mib": 1000, "walltime_min": 60},
    }
]


@pytest.fixture(scope="session")
def centre(site: Path, cluster: MiniSlurm) -> Iterator[Centre]:
    """The gateway."""
    (site / "centre").mkdir()
    made = Centre(site / "centre", agents=EMULATOR + ECHO, more=Centre.verifier(cluster))
    yield made.start()
    made.stop()


@pytest.fixture(scope="session")
def hub(
    site: Path, cluster: MiniSlurm, centre: Centre, python: str, users: dict[str, str] | None
) -> Iterator[Hub]:
    """The hub."""
    (site / "hub").mkdir()
    settings = {"profiles": PROFILES, "poll_interval": 1}
    made = Hub(site / "hub", cluster, centre, python=python, users=users, settings=settings)
    yield made.start()
    made.stop()
    cluster.cancel_all()
