"""A device whose calibration is broken: users are told what is wrong with it, at once, wherever they look."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from qmio_jupyter.testing.home import Home, one_line

pytestmark = pytest.mark.slow

SETTINGS = """
[gateway]
idle_s = 120
[[gateway.agents]]
device = "broken"
driver = "emulator"
options = {{ calibration = "{path}" }}
"""
WHY = "2025_04_16__12_00_02.json: a partial calibration: 1 qubits in 'Qubits', 2 in 'Q1Gates'; 'Qubits' lacks q[1]"


def test_tasks_are_refused_with_the_reason(tmp_path: Path) -> None:
    qubit = {"T1 (s)": 1, "T2 (s)": 1}
    partial = {"Qubits": {"q[0]": qubit}, "Q1Gates": {"q[0]": {}, "q[1]": {}}, "Q2Gates(RB)": {}}
    (tmp_path / "daily").mkdir()
    (tmp_path / "daily" / "2025_04_16__12_00_02.json").write_text(json.dumps(partial))
    (tmp_path / "flip.qasm").write_text("OPENQASM 3.0; qubit q; bit c; c = measure q;")
    home = Home(tmp_path, SETTINGS.format(path=tmp_path / "daily"))
    try:
        for more in ((), ("--dry-run",)):
            done = home.cli("run", "flip.qasm", "--device", "broken", *more)
            line = one_line(done.stderr)
            assert done.returncode == 1
            assert line.startswith(
                "[device.offline] Device 'broken' cannot be started: [config.calibration] "
            )
            assert WHY in line
        looked = home.json("devices", "broken")
        assert isinstance(looked, dict)
        assert WHY in looked["note"]
        examined = home.cli("doctor")
        assert examined.returncode == 1
        assert WHY in examined.stdout.decode()
        assert home.cli("down").returncode == 0
    finally:
        home.sweep()
