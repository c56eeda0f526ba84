"""A mini Slurm cluster, a centre's gateway and, per test, a JupyterHub whose users are unix users (as root)."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from secrets import token_hex
from typing import Any

import pytest

from qmio_jupyter.testing import hub as hubs
from qmio_jupyter.testing import slurm
from qmio_jupyter.testing.centre import Centre
from qmio_jupyter.testing.hub import Hub
from qmio_jupyter.testing.slurm import MiniSlurm

#: Hub names; the first would break out of a page, a script or an argument that let it.
NAMES = ("ana <'\"&> garcía", "bob")


@pytest.fixture(scope="session")
def site() -> Iterator[Path]:
    """A directory that every user may enter: pytest's own are their owner's alone."""
    from tests.conftest import missing

    lacking = slurm.missing() or hubs.missing()
    if lacking:
        missing(lacking)
    with tempfile.TemporaryDirectory(prefix="qmio-hub-", ignore_cleanup_errors=True) as name:
        root = Path(name)
        root.chmod(0o755)
        for part in ("slurm", "homes"):
            (root / part).mkdir()
        yield root


@pytest.fixture
def here(site: Path) -> Path:
    """A directory of the test's own that every user may write to."""
    made = Path(tempfile.mkdtemp(dir=site))
    made.chmod(0o777)
    return made


@pytest.fixture(scope="session")
def cluster(site: Path) -> Iterator[MiniSlurm]:
    """The cluster."""
    made = MiniSlurm(site / "slurm")
    try:
        made.start()
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="session")
def python(site: Path) -> str:
    """A Python that every user may run."""
    return hubs.twin_python(site / "twin")


@pytest.fixture(scope="session")
def users(site: Path) -> Iterator[dict[str, str] | None]:
    """Hub names to unix names; None where there is one uid for all."""
    if os.geteuid() != 0:
        yield None
        return
    # Other tests of the same machine have users of their own.
    names = {name: f"qmio-{token_hex(3)}" for name in NAMES}
    with hubs.unix_users(list(names.values()), site / "homes"):
        yield names


@pytest.fixture
def centre(tmp_path: Path, cluster: MiniSlurm, request: pytest.FixtureRequest) -> Iterator[Centre]:
    """A gateway at which the cluster's jobs prove themselves; none do where a test is marked ``deaf``."""
    is_deaf = request.node.get_closest_marker("deaf") is not None
    (tmp_path / "centre").mkdir()
    made = Centre(tmp_path / "centre", more="" if is_deaf else Centre.verifier(cluster))
    yield made.start()
    made.resume()
    made.stop()


HubMaker = Callable[..., Hub]


@pytest.fixture
def make_hub(
    tmp_path: Path, cluster: MiniSlurm, centre: Centre, python: str, users: dict[str, str] | None
) -> Iterator[HubMaker]:
    """Makes and starts a hub, with other traits than usual."""
    made: list[Hub] = []

    def make(*, tls: bool = False, **settings: Any) -> Hub:
        (tmp_path / "hub").mkdir()
        one = Hub(tmp_path / "hub", cluster, centre, python=python, users=users, settings=settings, tls=tls)
        made.append(one)
        return one.start()

    yield make
    centre.resume()
    for one in made:
        one.stop()
    cluster.cancel_all()


@pytest.fixture(scope="module")
def shared_hub(
    site: Path,
    cluster: MiniSlurm,
    python: str,
    users: dict[str, str] | None,
) -> Iterator[Hub]:
    """A hub for tests that start nothing."""
    for name in ("shared-centre", "shared-hub"):
        (site / name).mkdir()
    own = Centre(site / "shared-centre").start()
    made = Hub(site / "shared-hub", cluster, own, python=python, users=users)
    yield made.start()
    made.stop()
    own.stop()
