"""The mini cluster itself: whatever becomes of who started it, nothing is left."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from qmio_jupyter.testing.slurm import missing, until

RUN = """
import sys
from qmio_jupyter.slurm.requests import JobRequest
from qmio_jupyter.testing.slurm import mini_slurm, until
with mini_slurm() as cluster:
    slurm = cluster.slurm()
    request = JobRequest(name="left", output="/dev/null", directory="/tmp")
    job = slurm.submit(b"#!/bin/sh\\ntrap '' TERM\\nexec sleep 4711\\n", request).job_id
    until(lambda: any(one.is_running for one in slurm.job(job)), "it runs")
    print(cluster.directory, flush=True)
    sys.stdin.read()
"""


def processes(directory: str) -> list[str]:
    """Return the command lines of the cluster's daemons and of its job."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            environ = (process / "environ").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if directory in words or f"SLURM_CONF={directory}" in environ:
            found.append(words)
    return found


@pytest.mark.parametrize("how", ["kill", "terminate"])
def test_nothing_is_left_when_who_started_it_is_killed(how: str) -> None:
    if lacking := missing():
        from tests.conftest import missing as skip

        skip(lacking)
    runner = subprocess.Popen(
        [sys.executable, "-c", RUN], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with runner:
        assert runner.stdout is not None
        directory = runner.stdout.readline().strip()
        assert directory
        assert any("slurmctld" in words for words in processes(directory))
        until(lambda: any("4711" in words for words in processes(directory)), "the job's process is there")
        getattr(runner, how)()
        runner.wait(30)
    until(lambda: not processes(directory), "every process is gone")
    subprocess.run(["rm", "-rf", directory], check=True)
