"""What an agent remembers of one claim: where it is in life, its programs, the end it owes the gateway."""

from __future__ import annotations

from enum import Enum

import msgspec

from qmio_jupyter.model.device import Snapshot
from qmio_jupyter.model.ids import Digest
from qmio_jupyter.model.program import Program
from qmio_jupyter.model.result import TaskResult
from qmio_jupyter.model.task import ClaimRef
from qmio_jupyter.ports import Run
from qmio_jupyter.wire.messages import ClaimDispatch, ClaimFinish, ClaimGiveBack


class Life(Enum):
    """Where a claim is in its life at the agent."""

    #: Waits for its programs, its snapshot, or a free place.
    WAITING = "waiting"
    #: Given to the shell.
    RUNNING = "running"
    #: The shell was told to stop it; it will be reported as cancelled.
    STOPPING = "stopping"
    #: The shell was told to stop it; it is no longer ours and nothing will be reported.
    DROPPED = "dropped"
    #: Over for us; `final` is sent until the gateway answers.
    ENDED = "ended"

    @property
    def takes_credit(self) -> bool:
        """True while it counts against the agent's credit."""
        return self in (Life.WAITING, Life.RUNNING, Life.STOPPING)

    @property
    def takes_place(self) -> bool:
        """True while the shell works on it."""
        return self in (Life.RUNNING, Life.STOPPING, Life.DROPPED)


class HeldClaim(msgspec.Struct, kw_only=True):
    """One claim; mutable, owned by `AgentProtocol`. Times are seconds of the caller's monotonic clock."""

    ref: ClaimRef
    #: What the gateway sent; None for a claim that was aborted before it came.
    dispatch: ClaimDispatch | None = None
    life: Life = Life.WAITING
    programs: dict[Digest, Program] = msgspec.field(default_factory=dict[Digest, Program])
    snapshot: Snapshot | None = None
    stage: str = ""
    #: True once the shell says it really runs.
    has_started: bool = False
    #: When to say that it is here, or has started; None: that was said, or its end says it.
    word_due: float | None = None
    progress: TaskResult | None = None
    #: When the gateway last surely moved the lease.
    renewed_at: float
    has_lapsed: bool = False
    #: When to ask for missing programs (again), and when to stop asking.
    fetch_due: float = 0.0
    fetch_until: float = 0.0
    final: ClaimFinish | ClaimGiveBack | None = None
    final_due: float = 0.0
    final_wait: float = 0.0

    @property
    def snapshot_id(self) -> Digest:
        """Id of the bound snapshot; empty if none is bound."""
        bound = self.dispatch.contract.snapshot_id if self.dispatch is not None else None
        return bound or ""

    def lacking(self) -> tuple[Digest, ...]:
        """Return the digests of programs that have not come yet, in order of first use."""
        if self.dispatch is None:
            return ()
        wanted = dict.fromkeys(item.program for item in self.dispatch.spec.items)
        return tuple(digest for digest in wanted if digest not in self.programs)

    @property
    def lacks_snapshot(self) -> bool:
        """True if the bound snapshot has not come yet."""
        return bool(self.snapshot_id) and self.snapshot is None

    @property
    def is_ready(self) -> bool:
        """True if everything the run needs is here."""
        return not self.lacks_snapshot and not self.lacking()

    def run(self) -> Run:
        """Return what the driver needs; only for a claim that is ready."""
        assert self.dispatch is not None
        return Run(
            task_id=self.ref.task_id,
            spec=self.dispatch.spec,
            contract=self.dispatch.contract,
            programs=self.programs,
            snapshot=self.snapshot,
        )
