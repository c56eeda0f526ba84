"""The install guide is followed to its end on a host of its own, and every part that is broken there is named.

What is put in place of systemd, package indexes and several hosts: `qmio_jupyter.testing.host.INSTEAD`. The tests
themselves are in ``inside``: they run in another pytest, in namespaces that end with it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from qmio_jupyter.testing import host
from tests.conftest import missing
from tests.long.site.inside.broken import TOGETHER

REPORT = host.ROOT / "docs" / "reports" / "centre.md"
INSIDE = Path(__file__).parent / "inside"


@pytest.mark.timeout(1800)
def test_the_guide_and_the_doctor() -> None:
    lacking = host.missing()
    if lacking:
        missing(lacking)
    # In this order: nothing can be broken before it is there.
    files = [str(INSIDE / f"{name}.py") for name in ("followed", "broken", "removed")]
    plain = ["-p", "no:randomly", "-p", "no:cacheprovider", "-q", "--timeout=900"]
    argv = host.entered([sys.executable, "-m", "pytest", *plain, *files])
    done = subprocess.run(
        argv, cwd=host.ROOT, env=dict(os.environ), stdin=subprocess.DEVNULL, check=False, timeout=1700
    )
    assert done.returncode == 0
    REPORT.write_text(report())


def report() -> str:
    """Return what has been shown, in a table."""
    rows = [
        f"| `{one.code}` | {one.verdict} | {one.says} |" for _, breaks in TOGETHER.values() for one in breaks
    ]
    head = (
        "# A centre, installed and broken\n\n"
        "The [install guide](../how-to/install-at-a-centre.md) was followed from nothing to a task of a user and "
        "JupyterLab\non a node, then backed up, upgraded and removed, on one host in namespaces of its own. "
        "What stood in for what:\n\n"
    )
    instead = "".join(f"- {one.why}\n" for one in host.INSTEAD)
    table = (
        "\nIn between, each of these was broken for real, and `doctor --site` named it:\n\n"
        "| check | says | of |\n|---|---|---|\n"
    )
    end = "\nWritten by `python -m pytest tests/long/site`.\n"
    return (
        head
        + instead
        + "- a script stands for systemd, and heeds of a unit what it says\n"
        + table
        + "\n".join(rows)
        + "\n"
        + end
    )


def test_systemd_takes_the_units(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        missing("systemd-analyze")
    units = host.ROOT / "jupyterhub_config" / "systemd"
    for path in units.glob("*.service"):
        # The interpreter has to be there for systemd to be content.
        (tmp_path / path.name).write_text(path.read_text().replace("/opt/qmio/bin/python", sys.executable))
    environ = os.environ | {"SYSTEMD_UNIT_PATH": f"{tmp_path}:"}
    named = [str(path) for path in sorted(tmp_path.glob("*.service"))]
    assert len(named) == 3
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *named],
        env=environ,
        check=False,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    for name in ("qmio-gateway.service", "qmio-agent@.service"):
        # Of 100: the exposure that systemd reckons.
        argv = ["systemd-analyze", "security", "--offline=true", "--threshold=30", str(tmp_path / name)]
        done = subprocess.run(argv, env=environ, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-300:]
