"""What the core remembers, and the draft of a step. Containers only; the deciding is done beside.

Values inside are immutable; a change puts a new value into its container. Everything here can be rebuilt
from a `LiveState`, except what dies with the process by design: agents' links, leases' instants, positions shown.
"""

from __future__ import annotations

from collections import Counter

import msgspec

from qmio_jupyter.core import eta
from qmio_jupyter.core.config import CoreConfig
from qmio_jupyter.core.effects import Accepted, Effect, Reply, TaskShown
from qmio_jupyter.core.fair import Shares, Usage
from qmio_jupyter.core.inputs import Origin
from qmio_jupyter.core.queue import Entry, Place, ReadyQueue, length_ms
from qmio_jupyter.core.records import DeviceRow, DurationModel, EndedTask, KnownProgram, Record
from qmio_jupyter.core.timers import Timers
from qmio_jupyter.model.access import Booking, Enrolment, Grant, Session
from qmio_jupyter.model.allocation import JobSecret
from qmio_jupyter.model.device import DeviceState
from qmio_jupyter.model.ids import (
    AgentId,
    BookingId,
    DeviceName,
    Digest,
    GrantId,
    KeyId,
    SessionId,
    TaskId,
    Tenant,
)
from qmio_jupyter.model.task import Ahead, ClaimRef, Task, TaskSpec


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """A live claim as the core tracks it beside the task."""

    ref: ClaimRef
    device: DeviceName
    agent: AgentId
    claimed_ms: int
    #: When the agent said that it runs; None: not yet, or before this gateway was started.
    started_ms: int | None = None
    #: Lapses when this has passed; moved by renewing, in memory only.
    lease_until_ms: int
    #: When the dispatch was last sent.
    sent_ms: int
    #: The agent has said that it has it.
    held: bool = False
    #: Revision of the newest partial result.
    partial: int = 0


class Agent(msgspec.Struct, frozen=True, kw_only=True):
    """An agent that has announced itself since the gateway started."""

    name: AgentId
    key: KeyId
    #: None while its link is known to be gone.
    connection: int | None
    incarnation: int
    sequence: int
    state: DeviceState
    credit: int
    #: Gave a claim back: gets no other before this.
    paused_until_ms: int = 0
    #: Let a lease lapse: gets no claim before this, unless it is heard of.
    silent_until_ms: int = 0
    #: Claims it held when it announced its credit (it may have been lowered below what it holds).
    held_before: int = 0

    def waits_until_ms(self, heard_ms: int) -> int:
        """Return the instant before which it gets no claim if it is heard of at `heard_ms` at the latest."""
        return max(self.paused_until_ms, min(self.silent_until_ms, heard_ms))


class Shown(msgspec.Struct, frozen=True):
    """What users were told of a queued task."""

    #: What all its watchers were told last; None: nothing yet in this stay in the queue.
    position: int | None = None
    start_ms: int | None = None
    #: The lowest that anybody was told since; -1: something was told before that is not known any more
    #: (before a restart, or before the task was claimed and came back).
    lowest: int = -1
    #: The start that was told with it.
    lowest_start_ms: int | None = None
    #: Whose the tasks ahead are, as all its watchers were told last.
    ahead: Ahead | None = None


class Device:
    """A device with its agents, queue and what was shown of the queue."""

    def __init__(self, row: DeviceRow, config: CoreConfig, shares: Shares, now_ms: int) -> None:
        self.row = row
        self.agents: dict[AgentId, Agent] = {}
        #: Live claims by agent, also of agents that have not announced themselves yet.
        self.claims: dict[AgentId, set[TaskId]] = {}
        self.ready = ReadyQueue(shares, Usage(config.half_life_s))
        self.entries: dict[TaskId, Entry] = {}
        self.bookings: dict[BookingId, Booking] = {}
        #: Bookings whose window has begun.
        self.begun: set[BookingId] = set()
        #: Live tasks by tenant, and when a tenant's last one ended (for `idle_yield_s`).
        self.live: Counter[Tenant] = Counter()
        self.last_end_ms: dict[Tenant, int] = {}
        self.since_ms = now_ms
        self.shown: dict[TaskId, Shown] = {}
        #: What has happened since the last publication that may worsen positions.
        self.causes: list[str] = ["the gateway was restarted"]
        self.published_ms = 0
        #: The last forward run with the instant it was made for; None when the queue has changed since.
        self.places: tuple[int, list[Place]] | None = None
        self._spread: tuple[DurationModel, tuple[float, float]] | None = None
        #: Durations that were predicted from a row, by whether a task keeps the clock and by its size.
        self._lengths: tuple[DeviceRow, dict[tuple[bool, int, int], int]] | None = None
        #: Positions that got worse although nothing had happened: always a defect.
        self.unexplained: list[str] = []

    @property
    def name(self) -> DeviceName:
        """The device's name."""
        return self.row.description.name

    def spread(self) -> tuple[float, float]:
        """Return (p50, p90) of real over predicted duration."""
        model = self.row.model
        if self._spread is None or self._spread[0] is not model:
            self._spread = model, eta.quantiles(model)
        return self._spread[1]

    def lengths(self) -> dict[tuple[bool, int, int], int]:
        """Return the memo of durations predicted from the row as it is."""
        if self._lengths is None or self._lengths[0] is not self.row:
            self._lengths = self.row, {}
        return self._lengths[1]

    @property
    def running(self) -> int:
        """Number of live claims."""
        return sum(map(len, self.claims.values()))

    def present(self) -> list[Agent]:
        """Return the agents whose link is up."""
        return [agent for agent in self.agents.values() if agent.connection is not None]


class State:
    """Everything the core knows."""

    def __init__(self, config: CoreConfig, epoch: int, now_ms: int) -> None:
        self.config = config
        self.epoch = epoch
        self.now_ms = now_ms
        self.shares = Shares(dict(config.weights), config.ageing)
        self.timers = Timers()
        self.tasks: dict[TaskId, Task] = {}
        self.ended: dict[TaskId, EndedTask] = {}
        #: Ids of tasks that their owners had forgotten, and since when, oldest first.
        self.forgotten: dict[TaskId, int] = {}
        self.claims: dict[TaskId, Claim] = {}
        self.devices: dict[DeviceName, Device] = {}
        self.sessions: dict[SessionId, Session] = {}
        self.session_by_key: dict[KeyId, SessionId] = {}
        self.session_lease_ms: dict[SessionId, int] = {}
        self.grants: dict[GrantId, Grant] = {}
        #: By cluster, Slurm job and node, the oldest first.
        self.job_secrets: dict[tuple[str, str, str], JobSecret] = {}
        self.bookings: dict[BookingId, Booking] = {}
        self.enrolments: dict[KeyId, Enrolment] = {}
        self.programs: dict[tuple[Tenant, Digest], KnownProgram] = {}
        #: Tasks, live and ended, that refer to a program.
        self.references: Counter[tuple[Tenant, Digest]] = Counter()
        #: Programs that no task refers to, and since when.
        self.unused: dict[tuple[Tenant, Digest], int] = {}
        self.program_bytes: Counter[Tenant] = Counter()
        self.live_by_session: Counter[SessionId] = Counter()
        self.live_by_tenant: Counter[Tenant] = Counter()
        #: Bytes of live tasks' specs.
        self.live_bytes: Counter[Tenant] = Counter()
        #: Predicted device-seconds of live tasks, by grant.
        self.reserved_s: dict[GrantId, float] = {}
        #: Order of arrival, unique; a task keeps its number.
        self.arrivals: dict[TaskId, int] = {}
        self.next_arrival = 0

    def device_of(self, task: Task) -> Device:
        """Return the device of a live task."""
        return self.devices[task.spec.device]

    def pace(self, device: Device) -> float:
        """Return the median of real over predicted duration on a device."""
        return device.spread()[0]

    def is_exact(self, task: Task) -> bool:
        """Return whether a task keeps its device's clock, and so takes what was predicted."""
        description = self.devices[task.spec.device].row.description
        return description.clock is not None and eta.keeps_clock(description, task.spec.options)

    def length_ms(self, task: Task) -> int:
        """Return how long a claimed task is expected to have its place, as it was predicted, ms."""
        pace = 1.0 if self.is_exact(task) else self.pace(self.device_of(task))
        return length_ms(task.predicted_s, pace)


class Draft:
    """A step in the making. Views are made last, so that a reply shows the state after the whole step."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.effects: list[Effect] = []
        self.reply: Reply | None = None
        #: Live tasks to publish, with the cause to name.
        self.changed: dict[TaskId, str] = {}
        #: Ended tasks to publish, as they were when they ended.
        self.final: dict[TaskId, Task] = {}
        #: Devices whose queue or agents may allow a dispatch (a dict: its order is the same in every run).
        self.devices: dict[DeviceName, None] = {}
        #: The reply is a view of this task: (kind of reply, its origin, the task, spec if the request had one).
        self.show: tuple[type[Accepted | TaskShown], Origin, TaskId, TaskSpec | None] | None = None
