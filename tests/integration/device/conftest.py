"""One gateway with two emulated devices: one like Qmio with a quick clock, one of a site's own file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from qmio_jupyter.client.sync import Client, connect
from qmio_jupyter.testing.home import Home

#: Device time of the emulated Qmio here: seconds per binding, and per shot.
T0_S, PER_SHOT_S = 0.2, 0.002
BATCH = 100
SETTINGS = """
[gateway]
idle_s = 120
[[gateway.agents]]
device = "fake-qmio"
driver = "emulator"
credit = 4
options = {{ t0_s = "0.2", repetition_s = "0.002", readout_s = "0", batch_shots = "100" }}
[[gateway.agents]]
device = "line"
driver = "emulator"
options = {{ calibration = "{calibration}", title = "Our own line of five", warm = "no" }}
[client]
default_device = "fake-qmio"
timeout_s = 60
"""


def line_of_five() -> dict[str, Any]:
    """A calibration as a site would write it: five good qubits in a line, both directions of cz."""
    singles = [
        {"name": name, "qubits": [qubit], "duration_s": 3e-8, "error": 1e-4}
        for name in ("sx", "x")
        for qubit in range(5)
    ]
    frames = [{"name": "rz", "qubits": [qubit], "duration_s": 0.0, "error": 0.0} for qubit in range(5)]
    pairs = [
        {"name": "cz", "qubits": pair, "duration_s": 8e-8, "error": 2e-3}
        for k in range(4)
        for pair in ([k, k + 1], [k + 1, k])
    ]
    qubit = {
        "t1_s": 2e-4,
        "t2_s": 1e-4,
        "readout_s": 1e-6,
        "prob_meas1_prep0": 0.01,
        "prob_meas0_prep1": 0.02,
    }
    return {
        "format": "qmio-calibration",
        "version": 1,
        "source": "our own line of five",
        "taken_ms": 1_790_000_000_000,
        "dt_s": 1e-9,
        "control_flow": [],
        "qubits": [qubit] * 5,
        "gates": singles + frames + pairs,
    }


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A home whose gateway runs."""
    root: Path = tmp_path_factory.mktemp("home")
    calibration = root / "line.json"
    calibration.write_text(json.dumps(line_of_five()))
    found = Home(root, SETTINGS.format(calibration=calibration))
    started = found.cli("up", "--timeout", "50")
    assert started.returncode == 0, started.stderr.decode()
    yield found
    stopped = found.cli("down")
    assert stopped.returncode == 0, stopped.stderr.decode()
    assert found.sweep() == []


@pytest.fixture(scope="module")
def client(home: Home) -> Iterator[Client]:
    """A client of it."""
    with connect(environ=home.environ, start=False) as found:
        yield found
