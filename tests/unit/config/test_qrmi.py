"""QRMI's names lead to our devices, and only to ours; our own name comes first."""

from __future__ import annotations

from pathlib import Path

import pytest

from qmio_jupyter.config.qrmi import device_of, exported
from qmio_jupyter.config.settings import load

OTHER = {"QRMI_JOB_QPU_RESOURCES": "ibm_x", "QRMI_JOB_QPU_TYPES": "qiskit-runtime-service"}


def test_what_is_exported_is_read_back() -> None:
    assert device_of(exported("fake-qmio", job_id="7", uid=2001)) == "fake-qmio"


@pytest.mark.parametrize(
    ("environ", "device"),
    [
        ({}, ""),
        (OTHER, ""),
        ({"QRMI_JOB_QPU_RESOURCES": "a, b", "QRMI_JOB_QPU_TYPES": "other, qmio"}, "b"),
        ({"QRMI_JOB_QPU_RESOURCES": "a", "QRMI_JOB_QPU_TYPES": ""}, ""),
        ({"QRMI_JOB_QPU_RESOURCES": "", "QRMI_JOB_QPU_TYPES": "qmio"}, ""),
    ],
)
def test_only_our_devices_are_taken(environ: dict[str, str], device: str) -> None:
    assert device_of(environ) == device


def test_a_jobs_device_is_the_default_where_ours_is_not_set(tmp_path: Path) -> None:
    found = exported("fake-fez", job_id="7", uid=2001) | {"HOME": str(tmp_path)}
    assert load(environ={**found}).client.default_device == "fake-fez"
    assert load(environ={**found, "QMIO_DEVICE": "echo"}).client.default_device == "echo"
