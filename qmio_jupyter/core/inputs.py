"""Facts given to the core. Ids arrive inside; the core mints none and reads no clock."""

from __future__ import annotations

import msgspec

from qmio_jupyter.model.access import Booking, Enrolment
from qmio_jupyter.model.device import DeviceDescription, DeviceState, Snapshot
from qmio_jupyter.model.ids import BookingId, DeviceName, Digest, GrantId, KeyId, SessionId, TaskId
from qmio_jupyter.model.program import Program
from qmio_jupyter.model.result import Outcome, TaskResult
from qmio_jupyter.model.task import ClaimRef, TaskSpec


class Origin(msgspec.Struct, frozen=True):
    """Where a request came from: opaque to the core, given back in the reply."""

    #: The shell's number of the connection.
    connection: int
    #: The sender's number of the request.
    request: int
    #: Key that authenticated the frame.
    key: KeyId


class _Input(msgspec.Struct, frozen=True, kw_only=True):
    pass


class Request(_Input, frozen=True, kw_only=True):
    """Anything somebody sent: it is answered, or refused, to its origin."""

    origin: Origin


class Tick(_Input, frozen=True, kw_only=True):
    """Time has passed; due at the latest at ``Core.next_deadline()``."""


class OpenSession(Request, frozen=True, kw_only=True):
    """Open, or renew, the session of the origin's key. The shell has verified uid and allocation.

    `session_id` is used if the key has no open session; otherwise that one is renewed and replied.
    """

    session_id: SessionId
    uid: int
    tenant: str
    #: None: never expires by itself (embedded mode).
    lease_s: float | None
    cluster: str = ""
    job_id: str = ""
    grant_id: GrantId | None = None
    #: Devices that the job allows; empty: all. A grant narrows them further.
    devices: tuple[DeviceName, ...] = ()
    #: The job's run, as in `Session`.
    submit_ms: int | None = None
    restarts: int = 0
    addresses: tuple[str, ...] = ()


class CloseSession(Request, frozen=True, kw_only=True):
    """Close the session of the origin's key."""


class EndJobSessions(_Input, frozen=True, kw_only=True):
    """A Slurm job ended: close its sessions, whoever noticed."""

    cluster: str
    job_id: str
    #: The run of it that ended (`Session.submit_ms`, `Session.restarts`); None: whichever there is.
    run: tuple[int | None, int] | None = None


class HandSecret(Request, frozen=True, kw_only=True):
    """Node: its prolog has handed a secret to a Slurm job; `check` is what the job's proofs are checked with.

    The same job's earlier one on that node is forgotten.
    """

    cluster: str
    job_id: str
    node: str
    uid: int
    check: bytes
    #: Where the node spoke from.
    address: str


class EndAllocation(Request, frozen=True, kw_only=True):
    """Node: a Slurm job's epilog runs. Its secret is forgotten, and its sessions end.

    `address` is where the node spoke from: it ends only sessions that may be used from there. None: a controller,
    which speaks for every node.
    """

    cluster: str
    job_id: str
    #: Whose secret is forgotten; empty: all nodes'.
    node: str
    address: str | None


class CreateGrant(Request, frozen=True, kw_only=True):
    """Issuer: promise a session. Idempotent by id and content."""

    grant_id: GrantId
    uid: int
    tenant: str
    ttl_s: float
    devices: tuple[DeviceName, ...] = ()
    kind: str = "interactive"
    budget_s: float | None = None


class BindGrant(Request, frozen=True, kw_only=True):
    """Issuer: tie a grant to its Slurm job. Only the grant's own issuer may."""

    grant_id: GrantId
    cluster: str
    job_id: str


class RevokeGrant(Request, frozen=True, kw_only=True):
    """Issuer: end a grant and the sessions opened with it."""

    grant_id: GrantId


class CreateBooking(Request, frozen=True, kw_only=True):
    """Operator: hold a device for a time."""

    booking: Booking


class CancelBooking(Request, frozen=True, kw_only=True):
    """Operator: give it back."""

    booking_id: BookingId


class EnrolKey(Request, frozen=True, kw_only=True):
    """Operator: give a key a role."""

    enrolment: Enrolment


class RevokeKey(Request, frozen=True, kw_only=True):
    """Operator: forget a key, close its sessions."""

    key: KeyId


class QueryPrograms(Request, frozen=True, kw_only=True):
    """Ask which of these the origin's tenant has to upload."""

    digests: tuple[Digest, ...]


class PutPrograms(Request, frozen=True, kw_only=True):
    """Store programs for the origin's tenant. The shell has checked digests and media types."""

    programs: tuple[Program, ...]


class Submit(Request, frozen=True, kw_only=True):
    """Queue a task of the origin's session. Idempotent by (task_id, spec_digest)."""

    task_id: TaskId
    spec: TaskSpec
    spec_digest: Digest
    programs: tuple[Program, ...] = ()


class Cancel(Request, frozen=True, kw_only=True):
    """Cancel a task of the origin's tenant."""

    task_id: TaskId


class Forget(Request, frozen=True, kw_only=True):
    """Remove a final task of the origin's tenant."""

    task_id: TaskId


class Announce(Request, frozen=True, kw_only=True):
    """An agent is here, with what it hosts and holds."""

    agent: str
    incarnation: int
    sequence: int
    description: DeviceDescription
    state: DeviceState
    credit: int
    holding: tuple[ClaimRef, ...] = ()
    snapshot: Snapshot | None = None


class Held(Request, frozen=True, kw_only=True):
    """An agent acknowledges a dispatch."""

    ref: ClaimRef


class Started(Request, frozen=True, kw_only=True):
    """A claim runs."""

    ref: ClaimRef


class Renew(Request, frozen=True, kw_only=True):
    """An agent still holds these claims."""

    refs: tuple[ClaimRef, ...]
    stages: tuple[str, ...] = ()


class Progress(Request, frozen=True, kw_only=True):
    """Cumulative partial counts of a claim."""

    ref: ClaimRef
    result: TaskResult


class Finish(Request, frozen=True, kw_only=True):
    """A claim ended."""

    ref: ClaimRef
    outcome: Outcome


class GiveBack(Request, frozen=True, kw_only=True):
    """An agent cannot take the claim now."""

    ref: ClaimRef
    reason: str = ""


class Disconnected(_Input, frozen=True, kw_only=True):
    """The link to an agent's connection is known to be gone. Claims stay until their lease lapses."""

    connection: int


Input = (
    Tick
    | OpenSession
    | CloseSession
    | EndJobSessions
    | HandSecret
    | EndAllocation
    | CreateGrant
    | BindGrant
    | RevokeGrant
    | CreateBooking
    | CancelBooking
    | EnrolKey
    | RevokeKey
    | QueryPrograms
    | PutPrograms
    | Submit
    | Cancel
    | Forget
    | Announce
    | Held
    | Started
    | Renew
    | Progress
    | Finish
    | GiveBack
    | Disconnected
)
