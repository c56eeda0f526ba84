"""Calibration documents of three qubits, in every shape, fresh for each test to spoil."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture
def current() -> dict[str, Any]:
    """Qmio's current shape."""
    return {
        "Qubits": {
            f"q[{k}]": {
                "T1 (s)": 5e-5 + k * 1e-6,
                "T2 (s)": 6e-5,
                "Drive Frequency (Hz)": 4.3e9 + k,
                "Measuring frequency (Hz)": 9.7e9,
                "Readout duration (s)": 2.5e-6,
                "Readout fidelity (RB)": 0.875,
                "Fidelity readout": 0.5,
                "T1 error (s)": 1e-6,
                "T2 error (s)": 2e-6,
            }
            for k in range(3)
        },
        "Q1Gates": {
            f"q[{k}]": {
                "SX": {"Gate duration (s)": 3.2e-8, "Fidelity(RB)": 0.75, "Fidelity error": 0.001},
                "Rz": {"Gate duration (s)": 0, "Fidelity(RB)": 1.0},
            }
            for k in range(3)
        },
        "Q2Gates(RB)": {
            f"{a}-{b}": {
                "ECR": {
                    "Control": a,
                    "Target": b,
                    "Duration (s)": 4e-7,
                    "Fidelity(RB)": 0.9375,
                    "Fidelity error": 0.01,
                }
            }
            for a, b in [(0, 1), (2, 1)]
        },
    }


@pytest.fixture
def legacy() -> dict[str, Any]:
    """The older shape alone: micro- and nanoseconds, percents, spaces around names."""
    return {
        "Qubits": {
            f"q[{k}]": {
                "T1": 50.0,
                "T2e": 60.0,
                "Drive Frequency ": 4.3e9,
                "Measuring frequency": 9.7e9,
                "Fidelity readout": 0.875,
                "Readout duration": 2500.0,
            }
            for k in range(2)
        },
        "Q1Gates": {
            f"q[{k}]": {
                "SX": {"Duration (ns)": 32.0, "Fidelity": 75.0},
                "Rz": {"duration (ns)": 0, "Fidelity": 100.0},
            }
            for k in range(2)
        },
        "Q2Gates": {
            "ZXpi/4[1,0]": {
                "Control": 1,
                "Target": 0,
                "Gate duration (ns)": 400.0,
                "Fidelity": 92,
                " Fidelity error": 0.05,
            }
        },
    }


@pytest.fixture
def ours() -> dict[str, Any]:
    """Our own form: two qubits, one of them little known."""
    return {
        "format": "qmio-calibration",
        "version": 1,
        "source": "a test",
        "taken_ms": 1_700_000_000_000,
        "dt_s": 1e-9,
        "control_flow": ["if_else"],
        "qubits": [
            {
                "t1_s": 5e-5,
                "t2_s": 6e-5,
                "readout_s": 1e-6,
                "prob_meas1_prep0": 0.01,
                "prob_meas0_prep1": 0.02,
            },
            {"t1_s": None},
        ],
        "gates": [
            {"name": "sx", "qubits": [1]},
            {"name": "cz", "qubits": [0, 1], "duration_s": 1e-7, "error": 0.01},
        ],
    }


@pytest.fixture
def configuration() -> dict[str, Any]:
    """A backend's configuration."""
    return {
        "backend_name": "ibm_test",
        "n_qubits": 2,
        "basis_gates": ["cz", "sx", "rz"],
        "supported_instructions": ["cz", "sx", "rz", "delay", "measure", "if_else", "reset"],
        "dt": 4.0,
    }


@pytest.fixture
def properties() -> dict[str, Any]:
    """The properties that belong to it."""

    def values(**given: tuple[float, str]) -> list[dict[str, Any]]:
        return [{"name": name, "value": value, "unit": unit} for name, (value, unit) in given.items()]

    return {
        "backend_name": "ibm_test",
        "backend_version": "1.2.3",
        "last_update_date": "2025-02-26T15:16:25-05:00",
        "qubits": [
            values(
                T1=(50, "us"),
                T2=(0.06, "ms"),
                frequency=(4.3, "GHz"),
                readout_length=(1500, "ns"),
                prob_meas1_prep0=(0.01, ""),
                prob_meas0_prep1=(0.03, ""),
            ),
            values(T1=(70, "us"), readout_error=(0.05, "")),
        ],
        "gates": [
            {
                "gate": "sx",
                "qubits": [0],
                "parameters": values(gate_error=(0.001, ""), gate_length=(24, "ns")),
            },
            {"gate": "sx", "qubits": [1], "parameters": values(gate_length=(24, "ns"))},
            {
                "gate": "cz",
                "qubits": [0, 1],
                "parameters": values(gate_error=(1, ""), gate_length=(84, "ns")),
            },
            {"gate": "rx", "qubits": [0], "parameters": values(gate_error=(0.1, ""))},
            {"gate": "reset", "qubits": [0], "parameters": values(gate_length=(1584, "ns"))},
            {"gate": "reset", "qubits": [1], "parameters": values(gate_length=(1584, "ns"))},
        ],
    }
