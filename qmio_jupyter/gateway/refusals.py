"""Errors the desk itself answers with, as values."""

from __future__ import annotations

from collections.abc import Sequence

from qmio_jupyter.errors import QmioError
from qmio_jupyter.model.access import Role
from qmio_jupyter.model.task import ErrorInfo
from qmio_jupyter.wire.messages import Failure


def as_failure(error: QmioError) -> Failure:
    """Return the reply that carries `error` (its detail stays in the log)."""
    return Failure(
        error=ErrorInfo(code=error.code, message=error.message, hint=error.hint, retryable=error.retryable)
    )


def failure(code: str, message: str, hint: str, *, retryable: bool = False) -> Failure:
    """Return a refusal."""
    return Failure(error=ErrorInfo(code=code, message=message, hint=hint, retryable=retryable))


def wrong_role(role: Role, tag: str) -> Failure:
    """Return the refusal of a message that this role may not send."""
    return failure("auth.role", f"Role {role.value!r} may not send {tag}", "Use a key enrolled for it.")


def no_session() -> Failure:
    """Return the refusal of a user's request without an open session."""
    return failure("auth.session", "This key has no open session", "Say hello, or start a new session.")


def misplaced() -> Failure:
    """Return the refusal of a key that is used from elsewhere than the nodes of its job."""
    return failure(
        "auth.session",
        "This key's session is of a Slurm job on other nodes",
        "Open a session of this job: each job makes a key of its own.",
    )


def no_proofs() -> Failure:
    """Return the answer of a gateway that opens no sessions by proof."""
    return failure(
        "auth.credential",
        "This gateway takes no proofs from Slurm jobs",
        "Ask its administrator: [gateway] verifier says whether it does.",
    )


def other_proofs(kinds: Sequence[str]) -> Failure:
    """Return the answer to a proof of a kind that this gateway does not take."""
    return failure(
        "auth.credential",
        f"This gateway takes other proofs from Slurm jobs ({', '.join(kinds)})",
        "Ask its administrator: [gateway.slurm] proofs says which.",
    )


def stale_proof() -> Failure:
    """Return the answer to a proof whose nonce was used, has expired, or was never given to this key."""
    return failure(
        "auth.credential",
        "This key has no nonce to prove itself with",
        "Ask for one, and use it once.",
        retryable=True,
    )


def too_many_proofs() -> Failure:
    """Return the answer to a proof that there is no time for now."""
    return failure(
        "limit.rate", "Too many proofs are being looked into", "Retry in a moment.", retryable=True
    )


def unknown_task(task_id: str) -> Failure:
    """Return the answer for an absent task, the same for another tenant's."""
    return failure("task.unknown", f"No task {task_id[:40]} of yours", "List yours with %qpu tasks.")


def unknown_device(name: str) -> Failure:
    """Return the answer for an absent device."""
    return failure("device.unknown", f"No device {name[:64]!r}", "List devices with %qpu devices.")


def not_stored() -> Failure:
    """Return the answer to what a failed commit undid, and to what arrives while the store is down."""
    return failure(
        "store",
        "The gateway cannot write its ledger now; this request was not taken",
        "Retry in a moment.",
        retryable=True,
    )


def undecided() -> Failure:
    """Return the answer to what was decided just before a defect: its records may still reach the disk."""
    return failure(
        "store",
        "The gateway broke off before it could answer; this request may have been accepted",
        "Ask, or send it again under the same id: it is taken once.",
        retryable=True,
    )


def stopping() -> Failure:
    """Return the answer to what arrives after the gateway was asked to stop."""
    return failure("gateway.stopping", "The gateway is stopping", "Retry in a moment.", retryable=True)


def internal() -> Failure:
    """Return the answer to a request that met a defect of ours."""
    return failure(
        "internal",
        "The gateway met a defect of its own; the ledger is unharmed",
        "Report it, with the gateway's log.",
    )


def not_yet(what: str) -> Failure:
    """Return the answer for what the protocol has a place for, and no implementation yet."""
    return failure("not_yet", f"{what} is not there yet", "")
