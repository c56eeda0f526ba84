"""Looking into proofs, and into which jobs have ended: MUNGE and Slurm are asked in threads, the loop never waits."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from typing import TypeVar

import msgspec

from qmio_jupyter.core.allocation import check_bearer, devices_of, resolve
from qmio_jupyter.errors import GatewayError, QmioError
from qmio_jupyter.gateway.proofs import Proof
from qmio_jupyter.model.allocation import AllocationFacts, Bearer, JobRun
from qmio_jupyter.model.ids import DeviceName
from qmio_jupyter.ports import Verifier

T = TypeVar("T")

#: Proofs looked into at once; most of the time each waits for the one query of Slurm.
THREADS = 64


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
        """
        bearer = self._decode(proof.credential)
        check_bearer(bearer, digests=proof.digests, gateway_uid=self._uid)
        found = self._verifier.facts(proof.cluster, proof.job_id, restarts=proof.restarts)
        facts = resolve(bearer, proof.job_id, found)
        return Admitted(facts, devices_of(facts, prefix=self._prefix, required=self._required))

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
