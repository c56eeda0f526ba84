"""When a message opens or renews its key's session. The core decides; here its input is made."""

from __future__ import annotations

from collections.abc import Callable, Collection

from qmio_jupyter.core import inputs as ins
from qmio_jupyter.gateway.caller import Caller
from qmio_jupyter.gateway.proofs import Proof
from qmio_jupyter.gateway.verifying import Admitted
from qmio_jupyter.model.access import Role, Session
from qmio_jupyter.model.addresses import normal
from qmio_jupyter.model.allocation import AllocationFacts
from qmio_jupyter.model.ids import DeviceName, GrantId, SessionId
from qmio_jupyter.wire import messages as m


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
    origin = ins.Origin(proof.connection, proof.request, proof.key)
    return _of_job(admitted.facts, origin, ids("s"), lease_s, proof.grant_id, admitted.devices)


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
    origin = ins.Origin(0, 0, caller.key)
    return _of_job(session, origin, session.session_id, lease_s, session.grant_id, session.devices)


def _of_job(
    one: AllocationFacts | Session,
    origin: ins.Origin,
    session_id: SessionId,
    lease_s: float | None,
    grant_id: GrantId | None,
    devices: tuple[DeviceName, ...],
) -> ins.OpenSession:
    """Return the input for a session of whoever, and of whatever job, `one` says."""
    return ins.OpenSession(
        origin=origin,
        session_id=session_id,
        uid=one.uid,
        tenant=one.tenant,
        lease_s=lease_s,
        cluster=one.cluster,
        job_id=one.job_id,
        grant_id=grant_id,
        devices=devices,
        submit_ms=one.submit_ms,
        restarts=one.restarts,
        addresses=one.addresses,
    )


def allocation(
    caller: Caller, body: m.AllocationAdmit | m.AllocationEnd, controllers: Collection[str]
) -> ins.HandSecret | ins.EndAllocation:
    """Return the input for what a node's prolog or epilog says of a Slurm job: with where it says so."""
    if isinstance(body, m.AllocationAdmit):
        return ins.HandSecret(
            origin=caller.origin,
            cluster=body.cluster,
            job_id=body.job_id,
            node=body.node,
            uid=body.uid,
            check=body.check,
            address=caller.address,
        )
    return ins.EndAllocation(
        origin=caller.origin,
        cluster=body.cluster,
        job_id=body.job_id,
        node=body.node,
        address=None if caller.address in controllers else caller.address,
    )
