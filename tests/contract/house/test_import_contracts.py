"""The import contracts are themselves tested: a planted violation of each is caught, and named."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]

#: (the contract's name, the file that gets the bad import, the import)
PLANTED = [
    ("Imports go down the stairs only", "model/task.py", "import qmio_jupyter.core.effects"),
    ("Imports go down the stairs only", "core/task.py", "import qmio_jupyter.wire.messages"),
    ("Imports go down the stairs only", "gateway/desk.py", "import qmio_jupyter.client.protocol"),
    ("Imports go down the stairs only", "store/memory.py", "import qmio_jupyter.transport.zap"),
    ("Imports go down the stairs only", "notebook/link.py", "import qmio_jupyter.server.link"),
    ("Imports go down the stairs only", "server/link.py", "import qmio_jupyter.notebook.link"),
    ("Sans-I/O rooms touch no world", "core/task.py", "import time"),
    ("Sans-I/O rooms touch no world", "core/task.py", "import logging"),
    ("Sans-I/O rooms touch no world", "wire/codec.py", "import zmq"),
    ("Sans-I/O rooms touch no world", "model/ids.py", "import secrets"),
    ("The daemon knows no quantum SDK, no driver, no notebook", "gateway/desk.py", "import qiskit"),
    ("The daemon knows no quantum SDK, no driver, no notebook", "store/sqlite.py", "import numpy"),
    ("Front doors know only the client", "notebook/grammar.py", "import qmio_jupyter.gateway.desk"),
    ("Front doors know only the client", "notebook/grammar.py", "import qmio_jupyter.core.task"),
    ("Pages are pure", "display/table.py", "import time"),
    ("Pages are pure", "display/table.py", "import qmio_jupyter.config.settings"),
    ("Front doors know only the client", "server/handlers.py", "import qmio_jupyter.gateway.desk"),
    ("Front doors know only the client", "hub/check.py", "import qmio_jupyter.gateway.desk"),
    ("What the hub decides is pure", "hub/saga.py", "import asyncio"),
    ("What the site's doctor judges is pure", "cli/site/judge_slurm.py", "import subprocess"),
    ("Imports go down the stairs only", "hub/form.py", "import qmio_jupyter.server.link"),
    ("The client carries no server parts", "client/protocol.py", "import sqlite3"),
    ("The client carries no server parts", "client/protocol.py", "import qiskit"),
    ("Pictures are made of values and the standard library", "drawing/svg.py", "import numpy"),
    ("Pictures are made of values and the standard library", "drawing/svg.py", "import time"),
    ("Imports go down the stairs only", "drawing/svg.py", "import qmio_jupyter.calibration.record"),
    ("Only the daemon's command imports the daemon", "cli/main.py", "import qmio_jupyter.gateway.desk"),
    ("Test helpers are never shipped inward", "core/task.py", "import qmio_jupyter.testing"),
]


def lint(tree: Path) -> subprocess.CompletedProcess[str]:
    """Run import-linter on a copy of the package."""
    return subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"],
        cwd=tree,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(tree), "COLUMNS": "200"},
    )


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Return a copy of the package and its configuration."""
    shutil.copytree(
        ROOT / "qmio_jupyter", tmp_path / "qmio_jupyter", ignore=shutil.ignore_patterns("__pycache__")
    )
    shutil.copy(ROOT / "pyproject.toml", tmp_path / "pyproject.toml")
    return tmp_path


def test_the_tree_as_it_is_keeps_every_contract(tree: Path) -> None:
    done = lint(tree)
    assert done.returncode == 0, done.stdout
    assert "0 broken" in done.stdout


@pytest.mark.parametrize(("contract", "file", "statement"), PLANTED)
def test_a_planted_violation_is_caught(tree: Path, contract: str, file: str, statement: str) -> None:
    path = tree / "qmio_jupyter" / file
    path.write_text(path.read_text() + f"\n{statement}\n")
    done = lint(tree)
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"{contract} BROKEN" in " ".join(done.stdout.split()), done.stdout


def test_a_room_that_no_contract_lists_is_caught(tree: Path) -> None:
    room = tree / "qmio_jupyter" / "attic"
    room.mkdir()
    (room / "__init__.py").write_text('"""A room nobody planned."""\n')
    done = lint(tree)
    assert done.returncode == 1
    assert "attic" in done.stdout + done.stderr
