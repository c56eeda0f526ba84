"""Secrets of Slurm jobs that prove themselves without MUNGE: what checks their proofs, while the job may run.

Only hashes are here. Whether the job runs is Slurm's to say when a proof comes: one kept too long opens nothing.
"""

from __future__ import annotations

from collections.abc import Iterable

from qmio_jupyter.core.effects import Acknowledged
from qmio_jupyter.core.inputs import EndAllocation, HandSecret
from qmio_jupyter.core.records import JobSecretDropped, JobSecretSaved
from qmio_jupyter.core.refusal import refusal
from qmio_jupyter.core.state import Draft, State
from qmio_jupyter.model.allocation import JobSecret

#: Bytes of a hash.
CHECK_BYTES = 32
_LONGEST_NAME = 255


def hand(state: State, request: HandSecret, draft: Draft) -> None:
    """Note what checks a job's proofs from a node, in place of what did before; the same again is noted again."""
    named = (request.cluster, request.job_id, request.node)
    if not all(0 < len(part) <= _LONGEST_NAME for part in named) or len(request.check) != CHECK_BYTES:
        raise refusal(
            "auth.credential", "a secret is of a job, on a node of a cluster, and has a hash of 32 bytes"
        )
    state.job_secrets.pop(named, None)
    if len(state.job_secrets) >= state.config.job_secrets:
        _drop(state, next(iter(state.job_secrets)), draft)
    handed = JobSecret(
        cluster=request.cluster,
        job_id=request.job_id,
        node=request.node,
        uid=request.uid,
        check=request.check,
        address=request.address,
        handed_ms=state.now_ms,
    )
    state.job_secrets[named] = handed
    state.timers.set(_until_ms(state, handed), "secrets", "")
    draft.records.append(JobSecretSaved(secret=handed))
    draft.reply = Acknowledged(origin=request.origin)


def forget(state: State, request: EndAllocation, draft: Draft) -> None:
    """Forget the secret of a job on a node, or on all of them; as far as that node may speak for it."""
    job = (request.cluster, request.job_id)
    if request.node:
        names = [(*job, request.node)] if (*job, request.node) in state.job_secrets else []
    else:
        names = [name for name in state.job_secrets if name[:2] == job]
    for name in names:
        if request.address is None or state.job_secrets[name].address == request.address:
            _drop(state, name, draft)


def load(state: State, known: Iterable[JobSecret]) -> None:
    """Take over what the ledger knows."""
    for secret in sorted(known, key=lambda one: (one.handed_ms, one.name)):
        state.job_secrets[secret.name] = secret
    if state.job_secrets:
        state.timers.set(state.now_ms, "secrets", "")


def drop_old(state: State, draft: Draft) -> None:
    """Forget those whose epilog never came."""
    while state.job_secrets:
        oldest = next(iter(state.job_secrets.values()))
        until_ms = _until_ms(state, oldest)
        if until_ms > state.now_ms:
            state.timers.set(until_ms, "secrets", "")
            return
        _drop(state, oldest.name, draft)


def _until_ms(state: State, secret: JobSecret) -> int:
    return secret.handed_ms + round(state.config.job_secret_s * 1000)


def _drop(state: State, name: tuple[str, str, str], draft: Draft) -> None:
    del state.job_secrets[name]
    cluster, job_id, node = name
    draft.records.append(JobSecretDropped(cluster=cluster, job_id=job_id, node=node))
