"""Tasks: what is queued for one device, its states, its claim and its contract."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta

from qmio_jupyter.model.ids import AgentId, DeviceName, Digest, SessionId, TaskId, Tenant
from qmio_jupyter.model.numbers import Seed, Whole

#: Largest number of shots of one item; larger requests are refused before they queue.
MAX_SHOTS = 10_000_000
#: Largest number of items in one task.
MAX_ITEMS = 1_000


class TaskState(StrEnum):
    """Where a task is in its life; the allowed moves are ``core.task.EDGES``."""

    QUEUED = "queued"
    CLAIMED = "claimed"
    RUNNING = "running"
    CANCELLING = "cancelling"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """True for ``completed``, ``failed`` and ``cancelled``."""
        return self in _FINAL


_FINAL = frozenset({TaskState.COMPLETED, TaskState.FAILED, TaskState.CANCELLED})


class ParameterMatrix(msgspec.Struct, frozen=True, kw_only=True):
    """Values for a parameterised program: float64, little-endian, row-major, shape (bindings, parameters).

    Columns follow `names`; a row is one binding.
    """

    names: tuple[str, ...]
    bindings: Annotated[int, Meta(ge=1, le=100_000)]
    data: bytes

    def __post_init__(self) -> None:
        if len(self.data) != 8 * self.bindings * len(self.names):
            raise ValueError("data must hold 8 bytes for each of bindings x parameters values")


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One program, its bindings and its shots (per binding)."""

    program: Digest
    shots: Annotated[int, Meta(ge=1, le=MAX_SHOTS)]
    parameters: ParameterMatrix | None = None
    #: Reserved for expectation values; must be empty until drivers take them.
    observables: tuple[str, ...] = ()
    #: Reserved: target standard error of the observables.
    precision: float | None = None

    @property
    def bindings(self) -> int:
        """Number of bindings; 1 for a program without parameters."""
        return 1 if self.parameters is None else self.parameters.bindings


class StalePolicy(StrEnum):
    """What to do when the bound snapshot is not the one an ISA program was compiled for."""

    WARN = "warn"
    RECOMPILE = "recompile"
    REFUSE = "refuse"


class TaskOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Everything about a task that changes how it runs, not what it is."""

    #: Results do not depend on batching for a given seed. None: derived from the task id.
    seed: Seed | None = None
    #: Keep one packed row of bits per shot beside the counts.
    memory: bool = False
    #: Run without noise on a device that has some.
    ideal: bool = False
    optimization_level: Annotated[int, Meta(ge=0, le=3)] | None = None
    #: Physical qubits of the program's qubits, in order; empty: the device chooses.
    layout: tuple[int, ...] = ()
    #: ``real``: an emulated device takes the time a real one would. ``fast``: as fast as it can.
    pace: str = "fast"
    #: Snapshot asked for by id; None: the device's current one at claim.
    snapshot: Digest | None = None
    stale: StalePolicy = StalePolicy.WARN
    #: Snapshot an ISA program was compiled for; None for logical programs.
    compiled_for: Digest | None = None
    #: Attempts allowed in all; None: the device's own limit.
    max_attempts: Annotated[int, Meta(ge=1, le=100)] | None = None
    #: Options only this kind of device knows, as sorted (key, value) pairs.
    device_options: tuple[tuple[str, str], ...] = ()


class TaskSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What a user submits. Immutable; its digest makes a repeated submit harmless."""

    device: DeviceName
    items: Annotated[tuple[Item, ...], Meta(min_length=1, max_length=MAX_ITEMS)]
    options: TaskOptions = TaskOptions()
    label: Annotated[str, Meta(max_length=200)] = ""

    @property
    def total_shots(self) -> int:
        """Shots over all items and bindings."""
        return sum(item.shots * item.bindings for item in self.items)


class Owner(msgspec.Struct, frozen=True, kw_only=True):
    """Who a task belongs to and who is charged."""

    tenant: Tenant
    uid: Whole
    session_id: SessionId


class ErrorInfo(msgspec.Struct, frozen=True, kw_only=True):
    """An error as a value: what the wire and the ledger keep of a ``QmioError``."""

    code: str
    message: str
    hint: str = ""
    retryable: bool = False


class ClaimRef(msgspec.Struct, frozen=True, kw_only=True):
    """The numbers every message about a claim quotes: they fence late and foreign messages."""

    task_id: TaskId
    epoch: Whole
    attempt: Whole


class Contract(msgspec.Struct, frozen=True, kw_only=True):
    """What a claim binds, immutable from then on."""

    programs: tuple[Digest, ...]
    seed: Seed
    #: Snapshot the run is bound to; None for a device that has none (echo, ideal).
    snapshot_id: Digest | None
    #: Shots per batch of one binding; a batch's seed is derived from (seed, index).
    batch_shots: Whole


class Stamp(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of a task's timeline."""

    #: accepted, queued, claimed, compiled, on_device, measured, recorded, cancelled, failed, requeued.
    stage: str
    at_ms: Whole
    #: Length of the stage by the monotonic clock of the host that measured it; None if not measured.
    seconds: float | None = None


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """A task as the ledger knows it. Each change makes a new value with a higher `revision`."""

    task_id: TaskId
    owner: Owner
    spec: TaskSpec
    #: SHA-256 of the encoded spec.
    spec_digest: Digest
    state: TaskState
    #: Counts this task's changes, from 1; every event carries it.
    revision: Whole
    submitted_ms: Whole
    updated_ms: Whole
    #: Device-seconds predicted at submission and charged at dispatch.
    predicted_s: float
    #: Number of the last claim, 0 before the first. With `epoch` it fences messages.
    attempt: int = 0
    #: Gateway epoch in which the last claim was made.
    epoch: int = 0
    agent: AgentId | None = None
    contract: Contract | None = None
    lease_until_ms: Whole | None = None
    #: Claims that lapsed (not those given back).
    lapses: int = 0
    #: A queued task's place is kept when its claim lapses: it re-enters with this priority time.
    shots_done: int = 0
    #: What the agent says it is doing ("compiling", "PENDING (Resources)"); may be empty.
    stage: str = ""
    error: ErrorInfo | None = None
    timeline: tuple[Stamp, ...] = ()

    @property
    def ref(self) -> ClaimRef:
        """The current claim's numbers."""
        return ClaimRef(task_id=self.task_id, epoch=self.epoch, attempt=self.attempt)


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """When a queued task starts, or a running one ends, told honestly: a range with its sample size."""

    #: Seconds from now, median.
    p50_s: float
    #: Seconds from now, 9 times out of 10 not later.
    p90_s: float
    #: Completed tasks the device's model has seen; 0 means "from the driver's figures alone".
    samples: int


class Ahead(msgspec.Struct, frozen=True, kw_only=True):
    """Whose the tasks are that would be dispatched earlier; together they are the position.

    Nothing else is told of another tenant's tasks.
    """

    #: The user's own.
    own: Whole = 0
    #: Those of other users of her account.
    account: Whole = 0
    #: Those of other accounts.
    others: Whole = 0


class TaskView(msgspec.Struct, frozen=True, kw_only=True):
    """What a user is shown of her task: one message, complete, good for every front door."""

    task_id: TaskId
    device: DeviceName
    state: TaskState
    revision: Whole
    label: str
    tenant: Tenant
    submitted_ms: Whole
    updated_ms: Whole
    shots: Whole
    shots_done: Whole
    attempt: Whole
    #: Tasks that would be dispatched earlier if nothing else arrived (0 = next); None unless queued.
    position: int | None = None
    #: Whose they are; None where that was not counted.
    ahead: Ahead | None = None
    start: Estimate | None = None
    end: Estimate | None = None
    snapshot_id: Digest | None = None
    seed: Seed | None = None
    stage: str = ""
    #: Why the position got worse, or why the state changed; empty when it needs no word.
    cause: str = ""
    error: ErrorInfo | None = None
    timeline: tuple[Stamp, ...] = ()
