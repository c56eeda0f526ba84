"""Five students at once; thirty are in the long suites."""

from __future__ import annotations

from pathlib import Path

import pytest

from qmio_jupyter.testing.centre import Centre
from qmio_jupyter.testing.slurm import MiniSlurm
from tests.integration.hub.classes import start_class


@pytest.mark.timeout(300)
def test_five_students(
    site: Path, here: Path, cluster: MiniSlurm, centre: Centre, python: str, users: dict[str, str] | None
) -> None:
    start_class(5, site, here, cluster, centre, python, None if users is None else users["bob"])
