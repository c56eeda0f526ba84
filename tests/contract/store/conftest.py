"""What the ledger's tests need of the machine."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest


@pytest.fixture
def may_mount(tmp_path: Path) -> None:
    """Skip (fail under ``CI=true``) where this process may not mount a small file system."""
    from tests.conftest import missing

    probe = tmp_path / "probe"
    probe.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(probe)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        missing("the right to mount a small file system")
    subprocess.run(["umount", str(probe)], check=True)
