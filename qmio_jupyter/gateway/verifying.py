"""Looking into proofs, and into which jobs have ended: MUNGE and Slurm are asked in threads, the loop never waits.

Whatever a proof was made with, Slurm's word on the job it is for is taken in the same way.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from typing import TypeVar

import msgspec

from qmio_jupyter.auth.job_secrets import proven
from qmio_jupyter.core.allocation import check_bearer, check_origin, devices_of, resolve
from qmio_jupyter.errors import AuthError, GatewayError, LimitError, QmioError
from qmio_jupyter.gateway.proofs import Proof
from qmio_jupyter.model.allocation import AllocationFacts, Bearer, JobRun
from qmio_jupyter.model.ids import DeviceName
from qmio_jupyter.ports import Verifier

T = TypeVar("T")

#: Proofs looked into at once; most of the time each waits for the one query of Slurm.
THREADS = 64
#: Of them, those of one user: jobs that do not exist cannot keep the others' from being looked for.
MOST_OF_USER = 16


class Admitted(msgspec.Struct, frozen=True):
    """What a good proof is worth: a session for this job, on these devices (empty: all)."""

    facts: AllocationFacts
    devices: tuple[DeviceName, ...]


class Verifying:
    """Asks MUNGE and Slurm.

    Parameters
    ----------
    decode : callable
        Returns who made a credential, or raises `AuthError`.
    verifier : Verifier
        Slurm's word on jobs.
    gateway_uid : int
        The uid that alone may have been able to read a credential.
    licence_prefix, licence_required
        As for `core.allocation.devices_of`.
    """

    def __init__(
        self,
        decode: Callable[[bytes], Bearer],
        verifier: Verifier,
        *,
        gateway_uid: int | None = None,
        licence_prefix: str = "qpu_",
        licence_required: bool = False,
    ) -> None:
        self._decode = decode
        self._verifier = verifier
        self._uid = os.geteuid() if gateway_uid is None else gateway_uid
        self._prefix = licence_prefix
        self._required = licence_required
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="verifying")
        #: How many proofs of each uid wait for Slurm now.
        self._waiting: Counter[int] = Counter()
        self._lock = threading.Lock()

    def look_into(self, proof: Proof) -> Future[Admitted]:
        """Return the future of what a proof is worth; it raises `QmioError` where it is worth nothing."""
        return self._pool.submit(self.examine, proof)

    def examine(self, proof: Proof) -> Admitted:
        """Return what a proof is worth; blocks for some seconds where Slurm has to be asked anew.

        Raises
        ------
        AuthError
            ``auth.credential``: it is worth nothing. ``auth.munge`` (retryable): MUNGE could not be asked.
        SlurmError
            ``slurm.unreachable`` (retryable).
        LimitError
            ``limit.rate`` (retryable): as many of this user's as are allowed are being looked into.
        """
        bearer = self._by_secret(proof) if proof.node else self._decode(proof.credential)
        check_bearer(bearer, digests=proof.digests, gateway_uid=self._uid)
        with self._turn_of(bearer.uid):
            found = self._verifier.facts(proof.cluster, proof.job_id, restarts=proof.restarts)
        facts = resolve(bearer, proof.job_id, found)
        if proof.secret is not None:
            check_origin(proof.secret, facts)
        return Admitted(facts, devices_of(facts, prefix=self._prefix, required=self._required))

    @contextlib.contextmanager
    def _turn_of(self, uid: int) -> Iterator[None]:
        """Count a proof among its user's while Slurm is asked; refuse one too many."""
        with self._lock:
            if self._waiting[uid] >= MOST_OF_USER:
                raise LimitError(
                    f"{MOST_OF_USER} proofs of uid {uid} are being looked into already",
                    code="limit.rate",
                    retryable=True,
                    hint="Retry in a moment.",
                )
            self._waiting[uid] += 1
        try:
            yield
        finally:
            with self._lock:
                self._waiting[uid] -= 1
                if not self._waiting[uid]:
                    del self._waiting[uid]

    def _by_secret(self, proof: Proof) -> Bearer:
        """Return whose a proof with a job's secret is: hers to whom the secret was handed."""
        secret = proof.secret
        digest = None if secret is None else proven(proof.credential, proof.digests, secret.check)
        if secret is None or digest is None:
            raise AuthError(
                f"the proof is not made with the secret of job {proof.job_id[:20]!r} on {proof.node[:40]!r}",
                code="auth.credential",
                hint="The node's log says whether its prolog reached the gateway when the job began.",
            )
        # It was made for this connection's question, just now and for this gateway: the digest says so.
        return Bearer(uid=secret.uid, address=proof.address, age_s=0.0, only_for=self._uid, payload=digest)

    def has_ended(self, cluster: str, job_id: str) -> None:
        """Take no older word of Slurm's for a job whose epilog has run; asks nothing."""
        self._verifier.has_ended(cluster, job_id)

    def ended(self, runs: Sequence[JobRun]) -> Future[tuple[JobRun, ...]]:
        """Return the future of those of `runs` that Slurm says are over."""
        return self._pool.submit(self._verifier.ended, runs)

    def close(self) -> None:
        """Look into nothing more; what is being looked into is not waited for."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def outcome_of(done: Future[T]) -> T | QmioError:
    """Return what was found out, or the error that it ended with; a defect is an error like any other."""
    try:
        return done.result()
    except QmioError as error:
        return error
    except CancelledError:
        return GatewayError("The gateway is stopping", code="gateway.stopping")
    except Exception as error:  # noqa: BLE001 - the asker is told; the loop goes on
        return QmioError(
            f"Looking into it broke off ({type(error).__name__})", hint="Report it with the log."
        )
