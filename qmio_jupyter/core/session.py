"""Sessions: a user's authenticated, expiring identity, bound to a key. Closing one never loses accepted work."""

from __future__ import annotations

from math import isfinite

from msgspec.structs import replace

from qmio_jupyter.core import grant
from qmio_jupyter.core.effects import Acknowledged, CloseConnections, SessionShown
from qmio_jupyter.core.inputs import CloseSession, EndAllocation, EndJobSessions, OpenSession, Origin
from qmio_jupyter.core.records import SessionSaved
from qmio_jupyter.core.refusal import refusal
from qmio_jupyter.core.state import Draft, State
from qmio_jupyter.model.access import Session
from qmio_jupyter.model.allocation import JobRun
from qmio_jupyter.model.ids import GrantId, KeyId, SessionId

#: No lease is longer than this (ten years): keeps arithmetic finite.
_LONGEST_S = 3.2e8


def require(state: State, origin: Origin, draft: Draft) -> Session:
    """Return the open session of the origin's key, its lease moved by this activity.

    The ledger hears of it only once half the lease is used up.

    Raises
    ------
    AuthError
        `auth.session` if the key has none.
    """
    session = open_of(state, origin.key)
    if session.expires_ms is None:
        return session
    lease_ms = state.session_lease_ms.get(session.session_id, round(state.config.session_lease_s * 1000))
    if session.expires_ms - state.now_ms < lease_ms // 2:
        session = replace(session, expires_ms=state.now_ms + lease_ms)
        state.sessions[session.session_id] = session
        draft.records.append(SessionSaved(session=session))
    return session


def open_of(state: State, key: KeyId) -> Session:
    """Return the key's open session.

    Raises
    ------
    AuthError
        `auth.session` if it has none.
    """
    session = find(state, key)
    if session is None:
        raise refusal("auth.session", "this key has no open session")
    return session


def find(state: State, key: KeyId) -> Session | None:
    """Return the key's open session, None if it has none or its lease has run out."""
    session_id = state.session_by_key.get(key)
    if session_id is None:
        return None
    session = state.sessions[session_id]
    is_over = session.expires_ms is not None and session.expires_ms <= state.now_ms
    return None if is_over else session


def open_session(state: State, request: OpenSession, draft: Draft) -> None:
    """Open the key's session, or renew the one it has."""
    lease_s = request.lease_s
    if lease_s is not None and not (isfinite(lease_s) and 0 < lease_s <= _LONGEST_S):
        raise refusal("auth.credential", "a session's lease must be a positive number of seconds")
    if not request.tenant.partition("/")[0]:
        raise refusal("auth.credential", "a session needs a tenant")
    session = find(state, request.origin.key)
    if session is None:
        session = _new(state, request, draft)
    elif _identity(session) != (
        request.uid,
        request.tenant,
        request.cluster,
        request.job_id,
        request.grant_id,
        (request.submit_ms, request.restarts),
    ):
        raise refusal("auth.credential", "this key's session is someone else's or another job's")
    lease_ms = None if lease_s is None else round(lease_s * 1000)
    session = replace(session, expires_ms=None if lease_ms is None else state.now_ms + lease_ms)
    _remember(state, session, lease_ms)
    draft.records.append(SessionSaved(session=session))
    draft.reply = SessionShown(origin=request.origin, session=session)


def _identity(session: Session) -> tuple[object, ...]:
    person = session.uid, session.tenant
    return (*person, session.cluster, session.job_id, session.grant_id, _run(session))


def _run(session: Session) -> tuple[int | None, int]:
    return session.submit_ms, session.restarts


def _new(state: State, request: OpenSession, draft: Draft) -> Session:
    if request.session_id in state.sessions:
        raise refusal("auth.session", "this session id is taken")
    if request.job_id and _of_job(state, request) >= state.config.sessions_per_job:
        raise refusal(
            "limit.rate", f"job {request.job_id} has {state.config.sessions_per_job} sessions already"
        )
    devices = request.devices
    if request.grant_id is not None:
        devices = grant.admit(state, request, draft)
    expired = state.session_by_key.get(request.origin.key)
    if expired is not None:
        close(state, expired, draft, "its lease ran out")
    return Session(
        session_id=request.session_id,
        key=request.origin.key,
        uid=request.uid,
        tenant=request.tenant,
        opened_ms=state.now_ms,
        expires_ms=None,
        cluster=request.cluster,
        job_id=request.job_id,
        grant_id=request.grant_id,
        devices=devices,
        submit_ms=request.submit_ms,
        restarts=request.restarts,
        addresses=request.addresses,
    )


def _of_job(state: State, request: OpenSession) -> int:
    job = (request.cluster, request.job_id)
    opened = (state.sessions[session_id] for session_id in state.session_by_key.values())
    return sum((session.cluster, session.job_id) == job for session in opened)


def _remember(state: State, session: Session, lease_ms: int | None) -> None:
    state.sessions[session.session_id] = session
    state.session_by_key[session.key] = session.session_id
    if lease_ms is not None and session.expires_ms is not None:
        state.session_lease_ms[session.session_id] = lease_ms
        state.timers.set(session.expires_ms, "session", session.session_id)
    else:
        state.session_lease_ms.pop(session.session_id, None)


def load(state: State, session: Session) -> None:
    """Take over a session from the ledger; one that ran out meanwhile gets a moment to be renewed."""
    if not session.is_open:
        state.sessions[session.session_id] = session
        return
    if session.expires_ms is not None:
        grace_ms = state.now_ms + round(state.config.session_grace_s * 1000)
        session = replace(session, expires_ms=max(session.expires_ms, grace_ms))
        state.timers.set(grace_ms, "session", session.session_id)
    state.sessions[session.session_id] = session
    state.session_by_key[session.key] = session.session_id


def close(state: State, session_id: SessionId, draft: Draft, cause: str) -> None:
    """Close an open session: its key may do nothing more; its tasks go on."""
    session = replace(state.sessions[session_id], closed_ms=state.now_ms, close_cause=cause)
    draft.records.append(SessionSaved(session=session))
    draft.effects.append(CloseConnections(key=session.key))
    del state.session_by_key[session.key]
    state.session_lease_ms.pop(session_id, None)
    if session_id in state.live_by_session:
        state.sessions[session_id] = session
    else:
        del state.sessions[session_id]


def close_session(state: State, request: CloseSession, draft: Draft) -> None:
    """Close the session of the origin's key."""
    session = require(state, request.origin, Draft())
    close(state, session.session_id, draft, "closed by its user")
    draft.reply = Acknowledged(origin=request.origin)


def end_job(state: State, message: EndJobSessions, draft: Draft) -> None:
    """Close the sessions of a Slurm job that ended."""
    for session_id in list(state.session_by_key.values()):
        session = state.sessions[session_id]
        if not session.job_id or (session.cluster, session.job_id) != (message.cluster, message.job_id):
            continue
        if message.run is None or message.run == _run(session):
            close(state, session_id, draft, "its Slurm job ended")


def end_allocation(state: State, message: EndAllocation, draft: Draft) -> None:
    """Close the sessions of a Slurm job whose epilog runs, as far as that node may speak for them."""
    for session_id in list(state.session_by_key.values()):
        session = state.sessions[session_id]
        if not session.job_id or (session.cluster, session.job_id) != (message.cluster, message.job_id):
            continue
        if message.address is None or message.address in session.addresses:
            close(state, session_id, draft, "its Slurm job's epilog ran")


def job_runs(state: State) -> tuple[JobRun, ...]:
    """Return the runs of Slurm jobs that have open sessions, each once."""
    found: dict[JobRun, None] = {}
    for session_id in state.session_by_key.values():
        session = state.sessions[session_id]
        if session.job_id and session.submit_ms is not None:
            found[JobRun(session.cluster, session.job_id, session.submit_ms, session.restarts)] = None
    return tuple(found)


def close_of_grant(state: State, grant_id: GrantId, draft: Draft) -> None:
    """Close the sessions opened with a grant."""
    for session_id in list(state.session_by_key.values()):
        if state.sessions[session_id].grant_id == grant_id:
            close(state, session_id, draft, "its grant was revoked")


def due(state: State, session_id: SessionId, draft: Draft) -> None:
    """Close a session whose lease has run out, or look again when it will."""
    session = state.sessions[session_id]
    if find(state, session.key) is None:
        close(state, session_id, draft, "its lease ran out")
    elif session.expires_ms is not None:
        state.timers.set(session.expires_ms, "session", session_id)
