"""The example's task prolog in a real job: who needs no hub finds the gateway and the device, by either name."""

from __future__ import annotations

from pathlib import Path

import pytest

from qmio_jupyter.slurm.requests import JobRequest
from qmio_jupyter.testing import slurm
from qmio_jupyter.testing.home import wait_until
from qmio_jupyter.testing.slurm import mini_slurm

PROLOG = Path(__file__).resolve().parents[3] / "jupyterhub_config" / "slurm" / "task_prolog"


def test_what_a_batch_job_is_given() -> None:
    lacking = slurm.missing()
    if lacking:
        pytest.skip(lacking)
    with mini_slurm(extra=f"TaskProlog={PROLOG}\n") as cluster:
        out = cluster.directory / "out"
        out.mkdir(mode=0o777)
        for number, environ in enumerate(({}, {"QMIO_DEVICE": "echo", "QMIO_GATEWAY": "tcp://10.0.0.9:1"})):
            wanted = JobRequest(
                name="qrmi", output=str(out / f"{number}"), directory="/", export=tuple(environ)
            )
            job = cluster.slurm().submit(b"#!/bin/sh\nenv\necho end\n", wanted, environ=environ)
            path = out / f"{number}"
            wait_until(lambda path=path: path.exists() and "end\n" in path.read_text(), "the job has run")
            found = dict(line.split("=", 1) for line in path.read_text().splitlines() if "=" in line)
            device = environ.get("QMIO_DEVICE", "fake-qmio")
            assert found["QMIO_DEVICE"] == device
            assert found["QMIO_GATEWAY"] == environ.get("QMIO_GATEWAY", "tcp://10.0.0.5:7711")
            assert (found["QRMI_JOB_QPU_RESOURCES"], found["QRMI_JOB_QPU_TYPES"]) == (device, "qmio")
            assert (found["QRMI_JOB_ID"], found["QRMI_JOB_UID"]) == (str(job.job_id), "0")
