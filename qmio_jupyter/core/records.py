"""What a step must have on disk before its effects are released, and what a restart gets back.

All records of a step are committed in one transaction, in order.
"""

from __future__ import annotations

import msgspec

from qmio_jupyter.model.access import Booking, Enrolment, Grant, Session
from qmio_jupyter.model.allocation import JobSecret
from qmio_jupyter.model.device import DeviceDescription, DeviceState, Snapshot
from qmio_jupyter.model.ids import DeviceName, Digest, KeyId, TaskId, Tenant
from qmio_jupyter.model.program import Program
from qmio_jupyter.model.result import TaskResult
from qmio_jupyter.model.task import Task, TaskState


class _Record(msgspec.Struct, frozen=True, kw_only=True):
    pass


class EpochSaved(_Record, frozen=True, kw_only=True):
    """The gateway's new epoch; refused by the store unless higher than the one it has."""

    epoch: int


class TaskInserted(_Record, frozen=True, kw_only=True):
    """A new task; refused if the id exists."""

    task: Task


class TaskUpdated(_Record, frozen=True, kw_only=True):
    """A changed task; the UPDATE's WHERE holds all four `expect_*`, and no row changed is a failed commit."""

    task: Task
    expect_state: TaskState
    expect_revision: int
    expect_epoch: int
    expect_attempt: int
    #: Why, for the transitions log (written when the state changes).
    cause: str = ""


class TaskForgotten(_Record, frozen=True, kw_only=True):
    """Remove a final task, its transitions and its result."""

    task_id: TaskId


class ForgottenId(msgspec.Struct, frozen=True, kw_only=True):
    """The id of a task that its owner had forgotten. It stays taken: a copy of its submission may still come."""

    task_id: TaskId
    forgotten_ms: int


class ForgottenIdSaved(_Record, frozen=True, kw_only=True):
    """An id that stays taken."""

    forgotten: ForgottenId


class ForgottenIdDropped(_Record, frozen=True, kw_only=True):
    """An id that is taken no longer."""

    task_id: TaskId


class ProgramStored(_Record, frozen=True, kw_only=True):
    """A program of a tenant (same tenant and digest: no-op)."""

    tenant: Tenant
    program: Program
    stored_ms: int


class ProgramDropped(_Record, frozen=True, kw_only=True):
    """No task refers to it any more."""

    tenant: Tenant
    digest: Digest


class ResultStored(_Record, frozen=True, kw_only=True):
    """A result of a claim: partial ones replace each other, a final one is inserted once."""

    task_id: TaskId
    epoch: int
    attempt: int
    result: TaskResult


class SessionSaved(_Record, frozen=True, kw_only=True):
    """A session, new or changed."""

    session: Session


class GrantSaved(_Record, frozen=True, kw_only=True):
    """A grant, new or changed."""

    grant: Grant


class JobSecretSaved(_Record, frozen=True, kw_only=True):
    """What checks the proofs of a Slurm job on a node; the one before it is gone."""

    secret: JobSecret


class JobSecretDropped(_Record, frozen=True, kw_only=True):
    """A Slurm job on a node has no secret any more."""

    cluster: str
    job_id: str
    node: str


class BookingSaved(_Record, frozen=True, kw_only=True):
    """A booking, new or changed."""

    booking: Booking


class EnrolmentSaved(_Record, frozen=True, kw_only=True):
    """A key's role."""

    enrolment: Enrolment


class EnrolmentDropped(_Record, frozen=True, kw_only=True):
    """A key without a role."""

    key: KeyId


class SnapshotSaved(_Record, frozen=True, kw_only=True):
    """A snapshot (same id: no-op)."""

    snapshot: Snapshot


class DurationModel(msgspec.Struct, frozen=True, kw_only=True):
    """The fitted duration model of one device; see ``core.eta``. Sums only, so fitting is incremental."""

    samples: int = 0
    #: Exponentially weighted sums of w, x, y, xx, xy with x = shots x bindings x items, y = seconds.
    sums: tuple[float, float, float, float, float] = (0.0, 0.0, 0.0, 0.0, 0.0)
    #: Last observed ratios (real / predicted once the run was learnt), newest last, at most 64: for p50 and p90.
    ratios: tuple[float, ...] = ()
    #: Last runs as (bindings, shots, seconds), newest last, at most 8: they tell whether the fit is far off.
    recent: tuple[tuple[int, int, float], ...] = ()
    #: What the fit is multiplied by where the last runs agree that it is far off.
    factor: float = 1.0


class DeviceRow(msgspec.Struct, frozen=True, kw_only=True):
    """A device as the ledger knows it."""

    description: DeviceDescription
    state: DeviceState
    snapshot_id: Digest | None = None
    snapshot_ms: int | None = None
    model: DurationModel = DurationModel()


class DeviceSaved(_Record, frozen=True, kw_only=True):
    """A device, new or changed."""

    device: DeviceRow


class UsageRow(msgspec.Struct, frozen=True, kw_only=True):
    """Decayed device-seconds charged to a node of the fair-share tree (an account, or ``account/user``)."""

    device: DeviceName
    node: str
    seconds: float
    #: The instant up to which `seconds` is decayed.
    as_of_ms: int


class UsageSaved(_Record, frozen=True, kw_only=True):
    """Usage of some nodes of a device's tree."""

    rows: tuple[UsageRow, ...]


Record = (
    EpochSaved
    | TaskInserted
    | TaskUpdated
    | TaskForgotten
    | ForgottenIdSaved
    | ForgottenIdDropped
    | ProgramStored
    | ProgramDropped
    | ResultStored
    | SessionSaved
    | GrantSaved
    | JobSecretSaved
    | JobSecretDropped
    | BookingSaved
    | EnrolmentSaved
    | EnrolmentDropped
    | SnapshotSaved
    | DeviceSaved
    | UsageSaved
)


class EndedTask(msgspec.Struct, frozen=True, kw_only=True):
    """All the core keeps in memory of a final task: enough to answer a repeated submit."""

    task_id: TaskId
    tenant: Tenant
    spec_digest: Digest
    state: TaskState
    revision: int
    epoch: int
    attempt: int
    programs: tuple[Digest, ...] = ()
    #: When it ended: retention counts from here. 0: unknown, counts from the restart.
    updated_ms: int = 0


class KnownProgram(msgspec.Struct, frozen=True, kw_only=True):
    """All the core keeps in memory of a program."""

    tenant: Tenant
    digest: Digest
    media_type: str
    size: int


class LiveState(msgspec.Struct, frozen=True, kw_only=True):
    """What a restarted core is built from."""

    epoch: int = 0
    tasks: tuple[Task, ...] = ()
    ended: tuple[EndedTask, ...] = ()
    forgotten: tuple[ForgottenId, ...] = ()
    programs: tuple[KnownProgram, ...] = ()
    sessions: tuple[Session, ...] = ()
    grants: tuple[Grant, ...] = ()
    job_secrets: tuple[JobSecret, ...] = ()
    bookings: tuple[Booking, ...] = ()
    enrolments: tuple[Enrolment, ...] = ()
    devices: tuple[DeviceRow, ...] = ()
    usage: tuple[UsageRow, ...] = ()
