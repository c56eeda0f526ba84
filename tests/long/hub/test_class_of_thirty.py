"""A class of thirty that starts at once, on a cluster with room for them."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from qmio_jupyter.testing.centre import Centre
from qmio_jupyter.testing.slurm import MiniSlurm, NodeSpec
from tests.integration.hub.classes import start_class


@pytest.mark.timeout(900)
def test_thirty_students(
    site: Path, here: Path, tmp_path: Path, python: str, users: dict[str, str] | None
) -> None:
    directory = Path(tempfile.mkdtemp(dir=site)) / "slurm"
    directory.parent.chmod(0o755)
    directory.mkdir()
    nodes = tuple(NodeSpec(f"n{number}", cpus=16) for number in range(3))
    cluster = MiniSlurm(directory, nodes=nodes, licences={"qpu_echo": 40})
    try:
        cluster.start()
        (tmp_path / "centre").mkdir()
        centre = Centre(tmp_path / "centre", more=Centre.verifier(cluster)).start()
        try:
            start_class(30, site, here, cluster, centre, python, None if users is None else users["bob"])
        finally:
            centre.stop()
    finally:
        cluster.stop()
