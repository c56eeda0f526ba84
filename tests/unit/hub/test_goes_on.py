"""Whether a running server's job is still there, and where its server said it is."""

from __future__ import annotations

import msgspec
import pytest

from qmio_jupyter.hub.saga import Saga
from qmio_jupyter.hub.starting import goes_on
from qmio_jupyter.slurm.jobs import Job

SAGA = Saga(grant_id="g-1", job_id="7", node="n1", is_running=True)
JOB = Job(job_id=7, uid=1000, user="ana", state="RUNNING", submit_ms=1, nodes=("n1",), name=SAGA.job_name)


@pytest.mark.parametrize(
    ("job", "is_there"),
    [
        (JOB, True),
        (None, False),
        (msgspec.structs.replace(JOB, name="another"), False),
        (msgspec.structs.replace(JOB, nodes=("n2",)), False),
        (msgspec.structs.replace(JOB, nodes=("n2", "n1")), True),
        # Slurm's answer is older than the node's report: it says nothing of the node yet.
        (msgspec.structs.replace(JOB, state="PENDING", nodes=()), True),
        (msgspec.structs.replace(JOB, state="COMPLETING"), True),
    ],
)
def test_it_goes_on(job: Job | None, is_there: bool) -> None:
    assert goes_on(SAGA, job) is is_there
