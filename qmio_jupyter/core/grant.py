"""Grants: what the hub promises a user before her Slurm job runs. Only its issuer may bind or revoke one."""

from __future__ import annotations

from math import isfinite

from msgspec.structs import replace

from qmio_jupyter.core.effects import GrantShown
from qmio_jupyter.core.inputs import BindGrant, CreateGrant, OpenSession, Origin, RevokeGrant
from qmio_jupyter.core.records import GrantSaved
from qmio_jupyter.core.refusal import refusal
from qmio_jupyter.core.state import Draft, State
from qmio_jupyter.model.access import Grant, Session
from qmio_jupyter.model.ids import DeviceName, GrantId, Tenant

_LONGEST_S = 3.2e8
_KINDS = ("batch", "interactive")


def create(state: State, request: CreateGrant, draft: Draft) -> None:
    """Make a grant; the same again is answered alike, another of the same id is refused."""
    known = state.grants.get(request.grant_id)
    if known is not None:
        if known.issuer != request.origin.key or _promise(known) != _promise(request):
            raise refusal("grant", f"grant {request.grant_id} exists with other content")
        draft.reply = GrantShown(origin=request.origin, grant=known)
        return
    if not (isfinite(request.ttl_s) and 0 < request.ttl_s <= _LONGEST_S):
        raise refusal("grant", "a grant's ttl_s must be a positive number of seconds")
    if request.budget_s is not None and not (isfinite(request.budget_s) and request.budget_s >= 0):
        raise refusal("grant", "a grant's budget_s must be a number of device-seconds, or none")
    if request.kind not in _KINDS or not request.grant_id or not request.tenant.partition("/")[0]:
        raise refusal("grant", "a grant needs an id, a tenant, and a kind of batch or interactive")
    made = Grant(
        grant_id=request.grant_id,
        issuer=request.origin.key,
        uid=request.uid,
        tenant=request.tenant,
        devices=request.devices,
        kind=request.kind,
        budget_s=request.budget_s,
        created_ms=state.now_ms,
        expires_ms=state.now_ms + round(request.ttl_s * 1000),
    )
    state.timers.set(made.expires_ms, "grant", made.grant_id)
    _save(state, made, draft)
    draft.reply = GrantShown(origin=request.origin, grant=made)


def _promise(grant: Grant | CreateGrant) -> tuple[object, ...]:
    return grant.uid, grant.tenant, grant.devices, grant.kind, grant.budget_s


def _save(state: State, grant: Grant, draft: Draft) -> None:
    state.grants[grant.grant_id] = grant
    draft.records.append(GrantSaved(grant=grant))


def _usable(state: State, grant_id: GrantId) -> Grant:
    grant = state.grants.get(grant_id)
    if grant is None:
        raise refusal("grant", f"no grant {grant_id!r}")
    if grant.revoked_ms is not None or grant.expires_ms <= state.now_ms:
        raise refusal("grant", f"grant {grant_id} was revoked or has expired")
    return grant


def _issued(state: State, grant_id: GrantId, origin: Origin) -> Grant:
    grant = state.grants.get(grant_id)
    if grant is None or grant.issuer != origin.key:
        raise refusal("grant", f"no grant {grant_id!r} of this issuer")
    return grant


def bind(state: State, request: BindGrant, draft: Draft) -> None:
    """Tie a grant to its Slurm job, once; the same again is answered alike."""
    grant = _issued(state, request.grant_id, request.origin)
    if not request.job_id:
        raise refusal("grant", "a grant is bound to a job id")
    job = (request.cluster, request.job_id)
    if (grant.cluster, grant.job_id) != job or grant.revoked_ms is not None:
        _usable(state, grant.grant_id)
        grant = _bound(state, grant, job, draft)
    draft.reply = GrantShown(origin=request.origin, grant=grant)


def _bound(state: State, grant: Grant, job: tuple[str, str], draft: Draft) -> Grant:
    if grant.job_id:
        raise refusal("grant", f"grant {grant.grant_id} is bound to another job")
    grant = replace(grant, cluster=job[0], job_id=job[1])
    _save(state, grant, draft)
    return grant


def admit(state: State, request: OpenSession, draft: Draft) -> tuple[DeviceName, ...]:
    """Bind the grant a session is opened with to the session's job if it was not yet; return its devices."""
    assert request.grant_id is not None
    grant = _usable(state, request.grant_id)
    # Whom to charge is Slurm's to say: the job's account may be the default one, which the hub does not know.
    if grant.uid != request.uid or _user(grant.tenant) != _user(request.tenant):
        raise refusal("grant", f"grant {grant.grant_id} was made for another user")
    devices = _narrowed(request.devices, grant.devices)
    job = (request.cluster, request.job_id)
    if (grant.cluster, grant.job_id) != job:
        _bound(state, grant, job, draft)
    return devices


def _narrowed(allowed: tuple[DeviceName, ...], promised: tuple[DeviceName, ...]) -> tuple[DeviceName, ...]:
    """Return the devices that both the job and the grant allow; empty means all in each."""
    if not allowed or not promised:
        return allowed or promised
    both = tuple(name for name in promised if name in allowed)
    if not both:
        raise refusal("grant", f"the job allows {', '.join(allowed)}, its grant {', '.join(promised)}")
    return both


def _user(tenant: Tenant) -> str:
    return tenant.partition("/")[2]


def revoke(state: State, request: RevokeGrant, draft: Draft) -> None:
    """End a grant; the caller closes its sessions."""
    grant = _issued(state, request.grant_id, request.origin)
    if grant.revoked_ms is None:
        _save(state, replace(grant, revoked_ms=state.now_ms), draft)


def check_budget(state: State, session: Session, predicted_s: float) -> None:
    """Refuse a task that would overdraw its session's grant (what runs or waits counts as predicted)."""
    grant = None if session.grant_id is None else state.grants.get(session.grant_id)
    if grant is None or grant.budget_s is None:
        return
    left_s = grant.budget_s - grant.used_s - state.reserved_s.get(grant.grant_id, 0.0)
    if predicted_s > left_s:
        raise refusal(
            "limit.budget",
            f"the task is predicted to take {predicted_s:.3g} s, {max(left_s, 0.0):.3g} s of the grant are left",
        )


def due(state: State, grant_id: GrantId) -> None:
    """Forget a grant that has expired, once no session refers to it."""
    if any(session.grant_id == grant_id for session in state.sessions.values()):
        state.timers.set(state.now_ms + 3_600_000, "grant", grant_id)
    else:
        del state.grants[grant_id]
        state.reserved_s.pop(grant_id, None)
