"""A directory that another user of the node has planted where ours would be."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import missing

STRANGER = 65534
CODE = """
import os, sys
from pathlib import Path
from qmio_jupyter.config.places import places
from qmio_jupyter.errors import ConfigError
tmp, home = map(Path, sys.argv[1:])
os.setgroups([]); os.setgid(65534); os.setuid(65534)
try:
    places({"HOME": str(home)}, mountinfo="", tmp=tmp, system=tmp / "none")
except ConfigError as error:
    print(error.one_line())
"""


@pytest.mark.root
def test_it_is_refused_in_one_line_that_says_what_to_do(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        missing("root, for a second unix user,")
    for directory in (tmp_path, *tmp_path.parents):
        # The test's own directories must not be what keeps the user out.
        if directory.stat().st_mode & 0o005 != 0o005 and str(directory) != "/":
            directory.chmod(directory.stat().st_mode | 0o055)
    planted = tmp_path / f"qmio-{STRANGER}"
    planted.mkdir(mode=0o700)
    (planted / "connection.json").touch()
    done = subprocess.run(
        [sys.executable, "-P", "-c", CODE, str(tmp_path), str(tmp_path / "home")],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"[config.permissions] {planted} belongs to another user (uid 0)")
    assert "Set QMIO_HOME" in done.stdout
