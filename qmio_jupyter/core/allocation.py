"""Whether a proof and Slurm's word for a job allow a session, and of which job. Pure; no state.

What is refused says no more of other users' jobs than that no such job of the asker runs.
"""

from __future__ import annotations

from collections.abc import Sequence

from qmio_jupyter.core.refusal import refusal
from qmio_jupyter.model.allocation import AllocationFacts, Bearer, JobSecret
from qmio_jupyter.model.ids import DeviceName

#: A credential older than this is refused, also where the host's clock is behind.
OLDEST_S = 60.0


def check_bearer(bearer: Bearer, *, digests: Sequence[bytes], gateway_uid: int) -> None:
    """Refuse a credential that was not made for this gateway, key and nonce, or not just now.

    Parameters
    ----------
    digests : sequence of bytes
        What it may carry: one for each nonce that this key was given and has not used.
    gateway_uid : int
        The uid that alone may have been able to read it.

    Raises
    ------
    AuthError
        ``auth.credential``.
    """
    if bearer.payload not in digests:
        raise refusal("auth.credential", "the credential is not for this key, gateway, job and question")
    if bearer.only_for != gateway_uid:
        raise refusal("auth.credential", "the credential is not restricted to the gateway's uid")
    if not -OLDEST_S <= bearer.age_s <= OLDEST_S:
        raise refusal(
            "auth.credential", f"the credential is {bearer.age_s:.0f} s old (the clocks may differ)"
        )


def resolve(bearer: Bearer, job_id: str, found: Sequence[AllocationFacts]) -> AllocationFacts:
    """Return the job that the bearer's processes run in.

    Parameters
    ----------
    job_id : str
        What they call it: in a heterogeneous job the leader's id, in an array the array's or the task's.
    found : sequence of AllocationFacts
        All that it may mean.

    Raises
    ------
    AuthError
        ``auth.credential``; retryable while the job may still start.
    """
    own = [facts for facts in found if facts.uid == bearer.uid]
    if not own:
        raise refusal("auth.credential", f"no job {job_id[:20]!r} of uid {bearer.uid} runs")
    running = [facts for facts in own if facts.running]
    if not running:
        raise refusal("auth.credential", f"job {job_id[:20]} does not run ({own[0].state})")
    here = [facts for facts in running if bearer.address in facts.addresses]
    if not here:
        raise refusal(
            "auth.credential",
            f"the proof was made on {bearer.address}, no node of job {job_id[:20]}",
            hint="In salloc's shell, start it with srun. Else its administrator may have to name the address: "
            "[gateway.slurm.addresses].",
        )
    return here[0]


def check_origin(secret: JobSecret, facts: AllocationFacts) -> None:
    """Refuse a secret that was not handed out on a node of the job it is used for.

    A node's key is good for that node's jobs only: it lets nobody into a job that runs elsewhere.

    Raises
    ------
    AuthError
        ``auth.credential``.
    """
    if secret.address not in facts.addresses:
        raise refusal(
            "auth.credential",
            f"the secret was handed out on {secret.address}, no node of job {facts.job_id}",
            hint="Its administrator may have to name the address: [gateway.slurm.addresses].",
        )


def devices_of(facts: AllocationFacts, *, prefix: str, required: bool) -> tuple[DeviceName, ...]:
    """Return the devices that the job's licences allow; all (empty) where none is required.

    Parameters
    ----------
    prefix : str
        What the name of a device's licence begins with, as ``qpu_``.
    required : bool
        Whether a session needs a licence.

    Raises
    ------
    AuthError
        ``auth.credential`` if one is required and not held.
    """
    if not required:
        return ()
    held = sorted(
        name.removeprefix(prefix).partition("@")[0] for name in facts.licences if name.startswith(prefix)
    )
    if not held:
        raise refusal("auth.credential", f"job {facts.job_id} holds no licence {prefix}DEVICE")
    return tuple(held)
