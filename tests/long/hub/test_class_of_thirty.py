"""A class of thirty that starts at once, on a cluster with room for them, and then runs cells at once."""

from __future__ import annotations

import json
import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from secrets import token_hex

import pytest

from qmio_jupyter.testing.centre import ECHO, Centre
from qmio_jupyter.testing.home import wait_until
from qmio_jupyter.testing.hub import unix_users
from qmio_jupyter.testing.slurm import MiniSlurm, NodeSpec
from tests.integration.hub.classes import start_class, students_of

_STUDENTS = 30
#: Cells of the one who is before the others, and of each of these.
_GREEDY, _EACH = 10, 2


@pytest.fixture
def accounts(site: Path) -> Iterator[dict[str, str] | None]:
    """A unix user for each student: fair share is between users."""
    if os.geteuid() != 0:
        yield None
        return
    names = [*students_of(_STUDENTS), "onlooker"]
    unix = {name: f"qmio-{token_hex(3)}" for name in names}
    with unix_users(list(unix.values()), site / "homes"):
        yield unix


def order_of_completion(here: Path) -> list[str]:
    """Have the first student queue many cells, then everybody some at once; return whose cells ended, in order."""
    first, *others = students_of(_STUDENTS)
    # Her first cell holds the device until everybody's are queued.
    cells = {first: [60.0, *[0.05] * (_GREEDY - 1)]}
    (here / "cells.json").write_text(json.dumps(cells | {name: [0.05] * _EACH for name in others}))
    (here / "go").mkdir()
    (here / "go" / first).touch()
    wait_until((here / f"begun-{first}").exists, "the first one's cells are queued", 60)
    for name in others:
        (here / "go" / name).touch()
    everybody = students_of(_STUDENTS)
    wait_until(
        lambda: all((here / f"begun-{name}").exists() for name in everybody), "all cells are queued", 120
    )
    queued_ns = max((here / f"begun-{name}").stat().st_mtime_ns for name in everybody)
    wait_until(lambda: all((here / f"done-{name}").exists() for name in everybody), "all cells have run", 180)
    ended = []
    for name in everybody:
        for ended_ms, state in json.loads((here / f"done-{name}").read_text()):
            assert state == "completed", (name, state)
            ended.append((ended_ms, name))
    ended.sort()
    assert ended[0][0] * 1_000_000 > queued_ns, "the device was held until everybody had queued"
    return [name for _, name in ended]


@pytest.mark.timeout(900)
def test_thirty_students(
    site: Path, here: Path, tmp_path: Path, python: str, accounts: dict[str, str] | None
) -> None:
    directory = Path(tempfile.mkdtemp(dir=site)) / "slurm"
    directory.parent.chmod(0o755)
    directory.mkdir()
    nodes = tuple(NodeSpec(f"n{number}", cpus=16) for number in range(3))
    cluster = MiniSlurm(directory, nodes=nodes, licences={"qpu_echo": 40})

    def cells() -> None:
        order = order_of_completion(here)
        first, *others = students_of(_STUDENTS)
        if accounts is None:
            return
        assert order[0] == first
        # One round for everybody, then the next one: who queued ten before is not served ten times before.
        assert set(order[1 : 1 + len(others)]) == set(others), order
        assert all(
            count == _EACH for name, count in Counter(order[: 1 + 2 * _STUDENTS]).items() if name != first
        )
        assert set(order[1 + 2 * _STUDENTS :]) == {first}, order
        print(f"order of completion: {' '.join(name.removeprefix('student') for name in order)}")

    try:
        cluster.start()
        (tmp_path / "centre").mkdir()
        # One task at a time, as on a QPU. A task is charged ten seconds: more than the first one gains by waiting
        # longer than the others, which ageing counts in her favour.
        agents = ECHO.replace("credit = 16", "credit = 1") + '[gateway.agents.options]\nt0_s = "10"\n'
        centre = Centre(tmp_path / "centre", agents=agents, more=Centre.verifier(cluster)).start()
        try:
            start_class(_STUDENTS, site, here, cluster, centre, python, accounts, cells)
        finally:
            centre.stop()
    finally:
        cluster.stop()
