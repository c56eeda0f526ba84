"""No request leaves the machine: the kernel of the operating system counts what tried to.

The quick-start notebook, and a Jupyter server that cancels a task, run in a network namespace of their own which has
a loopback and no way out. Whatever tries another address there is counted (``OutNoRoutes``), whichever process or
library it is; a look-up of a name would be too, or counts as a datagram. What the pages of a browser ask for is
watched in `tests/browser`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from qmio_jupyter.testing.homes import Home
from tests.conftest import missing

HERE = Path(__file__).parent
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def isolated(home: Home, *argv: str, timeout_s: float = 240) -> dict[str, int]:
    """Run `offline.py` with `argv` in a namespace with a loopback alone; return what it counted."""
    own = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--net", "--map-root-user"]
    try:
        subprocess.run([*own, "true"], check=True, capture_output=True, timeout=30)
    except (OSError, subprocess.CalledProcessError):
        missing("a network namespace of our own")
    done = subprocess.run(
        [*own, sys.executable, "-P", str(HERE / "offline.py"), *argv],
        env=home.environ(
            JUPYTER_RUNTIME_DIR=str(home.path.parent / "runtime"), IPYTHONDIR=str(home.path.parent)
        ),
        cwd=home.path.parent,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{home.logs()}"
    counted: dict[str, int] = json.loads(done.stdout.splitlines()[-1])
    return counted


def test_what_tries_to_leave_is_counted(home: Home) -> None:
    """Three attempts that the rest of this file must not make: a connection, a datagram, a name."""
    for attempt in ("tcp", "udp", "name"):
        assert sum(isolated(home, attempt).values()) > 0, attempt


def test_the_quickstart_asks_nobody(home: Home) -> None:
    assert isolated(home, "quickstart") == {"no route": 0, "no route, IPv6": 0, "datagrams": 0}


def test_a_jupyter_server_that_cancels_asks_nobody(home: Home) -> None:
    assert isolated(home, "server") == {"no route": 0, "no route, IPv6": 0, "datagrams": 0}
