"""When a message opens or renews its key's session. The core decides; here its input is made."""

from __future__ import annotations

from collections.abc import Callable

from qmio_jupyter.core import inputs as ins
from qmio_jupyter.gateway.caller import Caller
from qmio_jupyter.gateway.proofs import Proof
from qmio_jupyter.gateway.verifying import Admitted
from qmio_jupyter.model.access import Role, Session
from qmio_jupyter.model.addresses import normal


def opens_session(caller: Caller, lease_s: float | None, ids: Callable[[str], str]) -> ins.OpenSession | None:
    """Return the input that opens or renews a session on hello; None if the caller has none to open.

    Only keys enrolled with uid and tenant open one by hello (embedded mode): who holds such a key was
    vouched for when it was enrolled. Other users prove themselves with `session.open`.
    """
    enrolment = caller.enrolment
    if caller.role is not Role.USER or enrolment is None:
        return None
    if enrolment.uid is None or enrolment.tenant is None:
        return None
    return ins.OpenSession(
        origin=caller.origin,
        session_id=ids("s") if caller.session is None else caller.session.session_id,
        uid=enrolment.uid,
        tenant=enrolment.tenant,
        lease_s=lease_s,
    )


def session_by_proof(
    proof: Proof, admitted: Admitted, lease_s: float | None, ids: Callable[[str], str]
) -> ins.OpenSession:
    """Return the input that opens the session that a good proof is worth."""
    facts = admitted.facts
    return ins.OpenSession(
        origin=ins.Origin(proof.connection, proof.request, proof.key),
        session_id=ids("s"),
        uid=facts.uid,
        tenant=facts.tenant,
        lease_s=lease_s,
        cluster=facts.cluster,
        job_id=facts.job_id,
        grant_id=proof.grant_id,
        devices=admitted.devices,
        submit_ms=facts.submit_ms,
        restarts=facts.restarts,
        addresses=facts.addresses,
    )


def may_be_used_from(session: Session, address: str) -> bool:
    """Return whether a session's key may be used from an address: on its job's nodes, or anywhere without a job."""
    return not session.addresses or normal(address) in session.addresses


def renews_session(caller: Caller, lease_s: float | None, now_ms: int) -> ins.OpenSession | None:
    """Return the input that renews an active user's lease, once a third of it is used; else None.

    Its request number is 0: nobody is answered.
    """
    session = caller.session
    if session is None or session.expires_ms is None or lease_s is None:
        return None
    if session.expires_ms - now_ms > lease_s * 1000 * 2 / 3:
        return None
    return ins.OpenSession(
        origin=ins.Origin(0, 0, caller.key),
        session_id=session.session_id,
        uid=session.uid,
        tenant=session.tenant,
        lease_s=lease_s,
        cluster=session.cluster,
        job_id=session.job_id,
        grant_id=session.grant_id,
        devices=session.devices,
        submit_ms=session.submit_ms,
        restarts=session.restarts,
        addresses=session.addresses,
    )
