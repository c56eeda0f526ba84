"""Packages that offer plugins to Qiskit do not get into a worker; compiling works without them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

GREEDY = """
import sys
sys.path.insert(0, sys.argv[1])
from qmio_jupyter.drivers.aer import plugins
if sys.argv[2] == "out":
    assert "greedy_plugins" in plugins.keep_out_plugins()
from qmio_jupyter.drivers.aer import compiling
compiling.warm()
print("greedy_plugins" in sys.modules and sys.modules["greedy_plugins"] is not None)
"""


@pytest.mark.parametrize(("wish", "is_loaded"), [("out", False), ("in", True)])
def test_a_package_that_offers_a_plugin_is_not_imported(tmp_path: Path, wish: str, is_loaded: bool) -> None:
    (tmp_path / "greedy_plugins.py").write_text("class Stage:\n    pass\n")
    about = tmp_path / "greedy-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: greedy\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[qiskit.transpiler.routing]\ngreedy = greedy_plugins:Stage\n")
    done = subprocess.run(
        [sys.executable, "-c", GREEDY, str(tmp_path), wish],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert done.stdout.strip() == str(is_loaded)
    assert done.stderr == ""
