"""Messages of protocol major 1: tagged-union Structs with explicit tags.

Grammar of tags: imperative for requests (``task.submit``), past tense or noun for replies and events.
Inside a major, fields are only added, with defaults. Every request gets one reply, unless said otherwise.
A `Whole` is an integer from 0 to 2**53, a `Seed` one below 2**63, `Seconds` a finite number from 0 to 1e9.

All messages are in one file because their union is one thing: to read, to document and to freeze.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from qmio_jupyter.model.access import Booking, Grant, Role, Session
from qmio_jupyter.model.device import DeviceDescription, DeviceState, DeviceView, Snapshot
from qmio_jupyter.model.dry_run import DryRun
from qmio_jupyter.model.ids import BookingId, DeviceName, Digest, GrantId, KeyId, TaskId
from qmio_jupyter.model.numbers import Whole
from qmio_jupyter.model.result import Outcome, TaskResult
from qmio_jupyter.model.task import ClaimRef, Contract, ErrorInfo, TaskSpec, TaskState, TaskView

#: The newest major this build speaks.
MAJOR = 1
#: The oldest it still speaks.
OLDEST_MAJOR = 1


class _Message(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    pass


# ---------------------------------------------------------------- conversation


class Hello(_Message, frozen=True, kw_only=True, tag="hello"):
    """First request on every connection, and again after every reconnect. Reply: `Welcome`."""

    oldest: int = OLDEST_MAJOR
    newest: int = MAJOR
    #: ``name/version`` of the software at the other end.
    software: str = ""


class Limits(_Message, frozen=True, kw_only=True):
    """What this gateway accepts; the client checks before sending, an oversized frame is dropped unseen."""

    message_bytes: int = 64 * 2**20
    program_bytes: int = 16 * 2**20
    items: int = 1_000
    shots: int = 10_000_000
    queued_per_session: int = 10_000
    events_hz: float = 5.0


class Welcome(_Message, frozen=True, kw_only=True, tag="welcome"):
    """Agreed major, the gateway's identity and epoch, and who you are to it."""

    major: int
    gateway: str
    #: Rises with every start or reload of the gateway.
    epoch: Whole
    role: Role
    limits: Limits
    now_ms: Whole
    software: str
    session: Session | None = None


class Ping(_Message, frozen=True, kw_only=True, tag="ping"):
    """Is anybody there? Reply: `Pong`."""


class Pong(_Message, frozen=True, kw_only=True, tag="pong"):
    """Yes; the epoch tells whether the gateway was restarted."""

    epoch: Whole


class Failure(_Message, frozen=True, kw_only=True, tag="error"):
    """Reply to any request that was refused."""

    error: ErrorInfo


class Done(_Message, frozen=True, kw_only=True, tag="done"):
    """Reply to a request that has nothing more to say."""


class Restarted(_Message, frozen=True, kw_only=True, tag="gateway.restarted"):
    """Event: the gateway has a new epoch; agents announce again, clients say hello again and ask."""

    epoch: Whole


# ---------------------------------------------------------------- sessions, grants, bookings


class SessionChallenge(_Message, frozen=True, kw_only=True, tag="session.challenge"):
    """Ask for a nonce to prove who you are. Reply: `SessionNonce`."""


class SessionNonce(_Message, frozen=True, kw_only=True, tag="session.nonce"):
    """32 bytes, single use, valid 30 s."""

    nonce: bytes
    server_key: str
    #: The gateway's uid: who alone is to be able to read the credential.
    uid: Whole | None = None
    #: What it takes: ``munge``, a credential of MUNGE's; ``secret``, a proof with the secret of the job.
    proofs: tuple[str, ...] = ("munge",)


class SessionOpen(_Message, frozen=True, kw_only=True, tag="session.open"):
    """Prove the right to a session. Reply: `SessionState`."""

    cluster: str = ""
    job_id: str = ""
    credential: bytes = b""
    grant_id: GrantId | None = None
    #: How often the job was put back into the queue, as its programs know it: an older answer of Slurm is not used.
    restarts: Whole = 0
    #: The node whose prolog handed the job the secret that `credential` was made with; empty: it is MUNGE's.
    node: str = ""


class SessionShow(_Message, frozen=True, kw_only=True, tag="session.show"):
    """Show my session. Reply: `SessionState`."""


class SessionClose(_Message, frozen=True, kw_only=True, tag="session.close"):
    """End my session now. Reply: `Done`."""


class SessionState(_Message, frozen=True, kw_only=True, tag="session.state"):
    """The session as the gateway knows it."""

    session: Session


class AllocationAdmit(_Message, frozen=True, kw_only=True, tag="allocation.admit"):
    """Node: its prolog has handed a secret to a Slurm job of `uid`. Reply: `Done`."""

    cluster: str
    #: The job's own id, also of an array's task or a heterogeneous job's component.
    job_id: str
    #: The node's name.
    node: str
    uid: Whole
    #: A hash of the secret: with it a proof is checked, and none can be made.
    check: bytes


class AllocationEnd(_Message, frozen=True, kw_only=True, tag="allocation.end"):
    """Node: the Slurm job's epilog runs; its sessions end now. Reply: `Done`."""

    cluster: str
    job_id: str
    #: The node whose secret is forgotten; empty: all of the job's.
    node: str = ""


class GrantCreate(_Message, frozen=True, kw_only=True, tag="grant.create"):
    """Hub: promise a session to `uid`. Reply: `GrantState`."""

    grant_id: GrantId
    uid: Whole
    tenant: str
    ttl_s: float
    devices: tuple[DeviceName, ...] = ()
    kind: str = "interactive"
    budget_s: float | None = None


class GrantBind(_Message, frozen=True, kw_only=True, tag="grant.bind"):
    """Hub: this grant belongs to that Slurm job. Reply: `GrantState`."""

    grant_id: GrantId
    cluster: str
    job_id: str


class GrantRevoke(_Message, frozen=True, kw_only=True, tag="grant.revoke"):
    """Hub: end the grant and every session opened with it. Reply: `Done`."""

    grant_id: GrantId


class GrantState(_Message, frozen=True, kw_only=True, tag="grant.state"):
    """The grant as the gateway knows it."""

    grant: Grant


class BookingCreate(_Message, frozen=True, kw_only=True, tag="booking.create"):
    """Operator: hold a device. Reply: `BookingList`."""

    booking: Booking


class BookingCancel(_Message, frozen=True, kw_only=True, tag="booking.cancel"):
    """Operator: give it back. Reply: `Done`."""

    booking_id: BookingId


class BookingShow(_Message, frozen=True, kw_only=True, tag="booking.list"):
    """Bookings of a device, or of all. Reply: `BookingList`."""

    device: DeviceName | None = None


class BookingList(_Message, frozen=True, kw_only=True, tag="booking.page"):
    """Bookings that are not over."""

    bookings: tuple[Booking, ...]


# ---------------------------------------------------------------- programs and tasks


class ProgramQuery(_Message, frozen=True, kw_only=True, tag="program.query"):
    """Which of these programs must I upload? Reply: `ProgramMissing`."""

    digests: tuple[Digest, ...]


class ProgramMissing(_Message, frozen=True, kw_only=True, tag="program.missing"):
    """Those not stored for this tenant."""

    digests: tuple[Digest, ...]


class ProgramPut(_Message, frozen=True, kw_only=True, tag="program.put"):
    """Store the attached programs (attachment i has media type and digest). Reply: `Done`."""


class TaskSubmit(_Message, frozen=True, kw_only=True, tag="task.submit"):
    """Queue a task; attachments may carry its programs. Idempotent by (task_id, spec). Reply: `TaskAccepted`.

    Subscribes this connection to the task's events.
    """

    task_id: TaskId
    spec: TaskSpec
    #: Send the result, unless it is large, with the event that says the task has completed.
    deliver: bool = False


class TaskAccepted(_Message, frozen=True, kw_only=True, tag="task.accepted"):
    """It is on disk."""

    view: TaskView


class TaskCancel(_Message, frozen=True, kw_only=True, tag="task.cancel"):
    """Cancel one task. Reply: `TaskShown`; a final task stays as it is."""

    task_id: TaskId


class TaskShow(_Message, frozen=True, kw_only=True, tag="task.show"):
    """Show one task. Reply: `TaskShown`."""

    task_id: TaskId


class TaskWatch(_Message, frozen=True, kw_only=True, tag="task.watch"):
    """Show one task and send its events to this connection from now on. Reply: `TaskShown`."""

    task_id: TaskId
    #: As in `TaskSubmit`.
    deliver: bool = False


class TaskShown(_Message, frozen=True, kw_only=True, tag="task.shown"):
    """A task of yours."""

    view: TaskView


class TaskList(_Message, frozen=True, kw_only=True, tag="task.list"):
    """My tasks, newest first. Reply: `TaskPage`."""

    limit: Annotated[int, Meta(ge=1, le=1000)] = 20
    #: Only tasks older than this one.
    before: TaskId | None = None
    states: tuple[TaskState, ...] = ()
    device: DeviceName | None = None
    #: Only tasks whose label holds this text.
    label: str = ""


class TaskPage(_Message, frozen=True, kw_only=True, tag="task.page"):
    """A page of tasks."""

    views: tuple[TaskView, ...]


class TaskResultGet(_Message, frozen=True, kw_only=True, tag="task.result"):
    """The final result, or the last partial one with ``partial``. Reply: `TaskResultData`."""

    task_id: TaskId
    partial: bool = False


class TaskResultData(_Message, frozen=True, kw_only=True, tag="task.data"):
    """A result (large columns travel inside; the frame limit applies)."""

    result: TaskResult


class TaskForget(_Message, frozen=True, kw_only=True, tag="task.forget"):
    """Remove a final task and its result. Reply: `Done`."""

    task_id: TaskId


class TaskEvent(_Message, frozen=True, kw_only=True, tag="task.event"):
    """Event: a watched task, its position or its estimate changed. May be lost: a revision gap means ask."""

    view: TaskView
    #: The final result, to its owner who asked for it (`TaskSubmit.deliver`), with the view of a completed task.
    result: TaskResult | None = None


class TaskPartial(_Message, frozen=True, kw_only=True, tag="task.partial"):
    """Event: cumulative partial counts of a watched task."""

    result: TaskResult


class TaskEstimate(_Message, frozen=True, kw_only=True, tag="task.estimate"):
    """What would this task be and take? Nothing is queued, nothing is kept. Reply: `TaskEstimated`.

    Attachments carry those of its programs that are not stored already. Refused as `task.submit` would refuse it.
    """

    spec: TaskSpec
    #: Seconds the device's agent has for it; the gateway may allow less.
    within_s: Annotated[float, Meta(ge=0.05, le=3600)] = 30.0


class TaskEstimated(_Message, frozen=True, kw_only=True, tag="task.estimated"):
    """What the device's agent says of it."""

    dry_run: DryRun


# ---------------------------------------------------------------- devices and gateway


class DeviceList(_Message, frozen=True, kw_only=True, tag="device.list"):
    """Devices I may use. Reply: `DevicePage`."""


class DeviceShow(_Message, frozen=True, kw_only=True, tag="device.show"):
    """One device. Reply: `DevicePage` with one entry."""

    device: DeviceName


class DevicePage(_Message, frozen=True, kw_only=True, tag="device.page"):
    """Devices."""

    devices: tuple[DeviceView, ...]


class SnapshotGet(_Message, frozen=True, kw_only=True, tag="snapshot.get"):
    """A snapshot by id, or a device's current one. Reply: `SnapshotData`."""

    snapshot_id: Digest | None = None
    device: DeviceName | None = None


class SnapshotData(_Message, frozen=True, kw_only=True, tag="snapshot.data"):
    """A snapshot, whole."""

    snapshot: Snapshot


class GatewayShow(_Message, frozen=True, kw_only=True, tag="gateway.show"):
    """Health and figures. Reply: `GatewayState`."""


class GatewayState(_Message, frozen=True, kw_only=True, tag="gateway.state"):
    """What `status` prints."""

    gateway: str
    epoch: Whole
    software: str
    started_ms: int
    tasks_live: int
    agents: int
    connections: int
    store: str
    store_ok: bool
    log: str = ""
    #: Counters since the start as (name, value): messages, accepted, refused, commits, failed_commits, ...
    figures: tuple[tuple[str, int], ...] = ()


class GatewayStop(_Message, frozen=True, kw_only=True, tag="gateway.stop"):
    """Stop the gateway (operator, or the owner of an embedded one). Reply: `Done`."""


# ---------------------------------------------------------------- agents


class AgentAnnounce(_Message, frozen=True, kw_only=True, tag="agent.announce"):
    """Here I am: on connecting, after `gateway.restarted`, and on changes. Reply: `AgentWelcome`."""

    agent: str
    #: Rises with every start of this agent (its clock in ms at start): an older one's messages are refused.
    incarnation: Whole
    #: Counts this incarnation's announcements; an older one that arrives late is ignored.
    sequence: Whole
    description: DeviceDescription
    state: DeviceState
    #: Claims it may hold at once.
    credit: Annotated[int, Meta(ge=0, le=1000)]
    #: Claims it holds now.
    holding: tuple[ClaimRef, ...] = ()
    snapshot: Snapshot | None = None
    software: str = ""


class AgentWelcome(_Message, frozen=True, kw_only=True, tag="agent.welcome"):
    """Announced. Renew every claim at least every ``lease_s / 3``."""

    epoch: Whole
    lease_s: float
    #: Claims it said to hold that are no longer its: abort them.
    abort: tuple[ClaimRef, ...] = ()


class ClaimDispatch(_Message, frozen=True, kw_only=True, tag="claim.dispatch"):
    """Gateway to agent: this task is yours. Attachments carry programs not yet sent on this connection.

    Not a request: acknowledged by `ClaimHeld`, sent again until then.
    """

    ref: ClaimRef
    spec: TaskSpec
    contract: Contract
    lease_s: float
    #: The bound snapshot, when the agent has not been sent it on this connection.
    snapshot: Snapshot | None = None


class ClaimHeld(_Message, frozen=True, kw_only=True, tag="claim.held"):
    """Agent: I have it (not yet running). No reply; left out where the end, or counts, come at once."""

    ref: ClaimRef


class ClaimStarted(_Message, frozen=True, kw_only=True, tag="claim.started"):
    """Agent: it runs. No reply; left out like `ClaimHeld`, and it says the same."""

    ref: ClaimRef


class ClaimRenew(_Message, frozen=True, kw_only=True, tag="claim.renew"):
    """Agent: I still hold these. Reply: `ClaimRenewed`."""

    refs: tuple[ClaimRef, ...]
    #: What each is doing, in the same order; may be empty.
    stages: tuple[str, ...] = ()


class ClaimRenewed(_Message, frozen=True, kw_only=True, tag="claim.renewed"):
    """Leases moved; `abort` lists those that are no longer yours or are to be cancelled."""

    abort: tuple[ClaimRef, ...] = ()


class ClaimProgress(_Message, frozen=True, kw_only=True, tag="claim.progress"):
    """Agent: cumulative partial counts. Also renews. No reply."""

    ref: ClaimRef
    result: TaskResult


class ClaimFinish(_Message, frozen=True, kw_only=True, tag="claim.finish"):
    """Agent: it ended. Sent again until answered. Reply: `ClaimRecorded`, or an error `task.stale_claim`."""

    ref: ClaimRef
    outcome: Outcome


class ClaimRecorded(_Message, frozen=True, kw_only=True, tag="claim.recorded"):
    """On disk; forget it."""

    ref: ClaimRef


class ClaimGiveBack(_Message, frozen=True, kw_only=True, tag="claim.giveback"):
    """Agent: cannot take it now; costs no attempt. Sent again until answered. Reply: `ClaimRecorded`."""

    ref: ClaimRef
    reason: str = ""


class ClaimAbort(_Message, frozen=True, kw_only=True, tag="claim.abort"):
    """Gateway to agent: stop this claim (cancelled, or no longer yours).

    No reply; `ClaimFinish` follows if it runs.
    """

    ref: ClaimRef


class ProgramGet(_Message, frozen=True, kw_only=True, tag="program.get"):
    """Agent: send me the programs of a claim I hold. Reply: `ProgramData` with attachments."""

    ref: ClaimRef
    digests: tuple[Digest, ...]


class ProgramData(_Message, frozen=True, kw_only=True, tag="program.data"):
    """The programs, as attachments."""


class EstimateAsk(_Message, frozen=True, kw_only=True, tag="estimate.ask"):
    """Gateway to agent: a dry run of this, please; attachments carry its programs, all of them.

    Not a request: answered by `EstimateAnswer`, never sent again. It costs no credit and no claim.
    """

    #: The gateway's number of the question.
    number: Whole
    spec: TaskSpec
    #: Seconds until nobody waits for the answer any more: whatever works on it is to be ended then.
    within_s: Annotated[float, Meta(ge=0, le=3600)]


class EstimateDrop(_Message, frozen=True, kw_only=True, tag="estimate.drop"):
    """Gateway to agent: nobody waits for this answer any more. No reply."""

    number: Whole


class EstimateAnswer(_Message, frozen=True, kw_only=True, tag="estimate.answer"):
    """Agent: what it is, or why it cannot be run; exactly one of them. No reply."""

    number: Whole
    dry_run: DryRun | None = None
    error: ErrorInfo | None = None


# ---------------------------------------------------------------- operators


class KeyEnrol(_Message, frozen=True, kw_only=True, tag="key.enrol"):
    """Operator: give a key a role. Reply: `Done`."""

    key: KeyId
    role: Role
    device: DeviceName | None = None
    uid: Whole | None = None
    tenant: str | None = None
    note: str = ""


class KeyRevoke(_Message, frozen=True, kw_only=True, tag="key.revoke"):
    """Operator: forget a key; its sessions close. Reply: `Done`."""

    key: KeyId


Message = (
    Hello
    | Welcome
    | Ping
    | Pong
    | Failure
    | Done
    | Restarted
    | SessionChallenge
    | SessionNonce
    | SessionOpen
    | SessionShow
    | SessionClose
    | SessionState
    | AllocationAdmit
    | AllocationEnd
    | GrantCreate
    | GrantBind
    | GrantRevoke
    | GrantState
    | BookingCreate
    | BookingCancel
    | BookingShow
    | BookingList
    | ProgramQuery
    | ProgramMissing
    | ProgramPut
    | ProgramGet
    | ProgramData
    | TaskSubmit
    | TaskAccepted
    | TaskCancel
    | TaskShow
    | TaskWatch
    | TaskShown
    | TaskList
    | TaskPage
    | TaskResultGet
    | TaskResultData
    | TaskForget
    | TaskEvent
    | TaskPartial
    | TaskEstimate
    | TaskEstimated
    | DeviceList
    | DeviceShow
    | DevicePage
    | SnapshotGet
    | SnapshotData
    | GatewayShow
    | GatewayState
    | GatewayStop
    | AgentAnnounce
    | AgentWelcome
    | ClaimDispatch
    | ClaimHeld
    | ClaimStarted
    | ClaimRenew
    | ClaimRenewed
    | ClaimProgress
    | ClaimFinish
    | ClaimRecorded
    | ClaimGiveBack
    | ClaimAbort
    | EstimateAsk
    | EstimateDrop
    | EstimateAnswer
    | KeyEnrol
    | KeyRevoke
)


class AttachmentInfo(msgspec.Struct, frozen=True, array_like=True):
    """Describes one raw frame: its place after the envelope, media type, length in bytes, SHA-256."""

    index: int
    media_type: str
    length: int
    digest: Digest


class Envelope(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What every message travels in.

    `id` is the sender's own number for a request (0 for events); a reply repeats it in `re`.
    """

    body: Message
    id: int = 0
    re: int = 0
    attachments: tuple[AttachmentInfo, ...] = ()


class Packet(msgspec.Struct, frozen=True):
    """An envelope with its raw attachments, in order: what links carry and protocol objects exchange."""

    envelope: Envelope
    attachments: tuple[bytes, ...] = ()
