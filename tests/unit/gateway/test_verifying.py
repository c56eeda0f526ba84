"""Many proofs at once: one user's wait for Slurm keeps no other's from being looked into."""

from __future__ import annotations

import threading

import pytest

from qmio_jupyter.errors import AuthError, LimitError
from qmio_jupyter.gateway.proofs import Proof
from qmio_jupyter.gateway.verifying import MOST_OF_USER, Verifying
from qmio_jupyter.model.allocation import AllocationFacts, Bearer
from qmio_jupyter.model.ids import digest

UID, HOSTILE, HONEST = 990, 1001, 1002
HONEST_JOB = AllocationFacts(
    cluster="c", job_id="8", uid=HONEST, tenant="physics/bob", state="RUNNING", running=True, nodes=("n1",),
    addresses=("10.0.0.1",), submit_ms=5,
)  # fmt: skip


class SlowSlurm:
    """Knows one job; for any other it takes its time."""

    def __init__(self) -> None:
        self.asked = threading.Semaphore(0)
        self.is_over = threading.Event()

    def facts(self, cluster: str, job_id: str, *, restarts: int = 0) -> tuple[AllocationFacts, ...]:
        if job_id == HONEST_JOB.job_id:
            return (HONEST_JOB,)
        self.asked.release()
        self.is_over.wait(30)
        return ()


def proof(number: int, job_id: str, uid: int) -> Proof:
    return Proof(
        number=number, connection=number, request=1, key=digest(bytes([number])), cluster="c", job_id=job_id,
        grant_id=None, credential=str(uid).encode(), digests=(b"d",),
    )  # fmt: skip


def decode(credential: bytes) -> Bearer:
    return Bearer(uid=int(credential), address="10.0.0.1", age_s=0.0, only_for=UID, payload=b"d")


def test_one_users_jobs_that_do_not_exist_keep_nobody_else_waiting() -> None:
    slurm = SlowSlurm()
    verifying = Verifying(decode, slurm, gateway_uid=UID)  # type: ignore[arg-type]
    try:
        waiting = [verifying.look_into(proof(n, str(100 + n), HOSTILE)) for n in range(MOST_OF_USER)]
        for _ in waiting:
            assert slurm.asked.acquire(timeout=30)
        with pytest.raises(LimitError) as refused:
            verifying.look_into(proof(200, "300", HOSTILE)).result(30)
        assert refused.value.code == "limit.rate"
        assert refused.value.retryable
        assert verifying.look_into(proof(201, "8", HONEST)).result(30).facts == HONEST_JOB
        slurm.is_over.set()
        for one in waiting:
            with pytest.raises(AuthError):
                one.result(30)
        # Their turns are over: the next one is looked into again.
        with pytest.raises(AuthError):
            verifying.look_into(proof(202, "301", HOSTILE)).result(30)
    finally:
        slurm.is_over.set()
        verifying.close()
