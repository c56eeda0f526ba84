"""What a job keeps on its node goes with its server, also when the server is slow to end."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from qmio_jupyter.hub import keeping
from qmio_jupyter.testing.home import wait_until

#: Says that it is there, and ends only when its input does.
SLOW = (
    # No print: the signal may come while the first one is being written.
    "import os, signal, sys\n"
    "signal.signal(signal.SIGTERM, lambda *_: os.write(1, b'asked\\n'))\n"
    "os.write(1, b'there\\n')\n"
    "sys.stdin.read()\n"
    "sys.exit(3)\n"
)


def kept(here: Path, *command: str) -> subprocess.Popen[str]:
    """Start a keeper as a node does."""
    (here / "run" / "tls").mkdir(parents=True)
    (here / "run" / "tls" / "key.pem").write_text("key")
    (here / "session").mkdir()
    kept_here = [str(here / name) for name in ("run/tls", "run", "session")]
    argv = [sys.executable, "-I", "-S", str(keeping.__file__), *kept_here, "--"]
    return subprocess.Popen(
        [*argv, sys.executable, "-I", "-S", "-c", *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_a_key_goes_at_once_when_the_job_is_ended_and_the_rest_with_the_server(tmp_path: Path) -> None:
    keeper = kept(tmp_path, SLOW)
    assert keeper.stdin is not None
    assert keeper.stdout is not None
    with keeper:
        assert keeper.stdout.readline() == "there\n"
        keeper.send_signal(signal.SIGTERM)
        assert keeper.stdout.readline() == "asked\n"
        wait_until(lambda: not (tmp_path / "run" / "tls").exists(), "the key is gone")
        assert (tmp_path / "run").exists()
        keeper.stdin.close()
        assert keeper.wait(10) == 3
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("source", "status"),
    [("", 0), ("raise SystemExit(7)", 7), ("import os; os.kill(os.getpid(), 9)", 137)],
)
def test_a_servers_end_is_told_as_a_shell_does(tmp_path: Path, source: str, status: int) -> None:
    with kept(tmp_path, source) as keeper:
        assert keeper.wait(10) == status
    assert not (tmp_path / "run").exists()
