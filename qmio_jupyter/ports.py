"""Protocols between the decisions and the world. Every implementation passes the suite in `testing`.

May not: contain behaviour, or import an implementation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Protocol

import msgspec

from qmio_jupyter.core.records import LiveState, Record
from qmio_jupyter.model.access import Role
from qmio_jupyter.model.allocation import AllocationFacts, JobRun
from qmio_jupyter.model.device import DeviceDescription, DeviceState, Snapshot
from qmio_jupyter.model.dry_run import DryRun
from qmio_jupyter.model.ids import DeviceName, Digest, KeyId, TaskId, Tenant
from qmio_jupyter.model.program import Program
from qmio_jupyter.model.result import TaskResult
from qmio_jupyter.model.task import Contract, Task, TaskSpec, TaskState
from qmio_jupyter.wire.messages import Packet


class Clock(Protocol):
    """The gateway's clock."""

    def now_ms(self) -> int:
        """Return milliseconds since the Unix epoch; never goes back while the process lives."""
        ...


class Peer(msgspec.Struct, frozen=True, kw_only=True):
    """Who sent a frame, as the transport authenticated it."""

    key: KeyId
    address: str


class TaskQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which tasks to list, newest first. `tenant` None lists everybody's (operators, monitors)."""

    tenant: Tenant | None
    limit: int = 20
    before: TaskId | None = None
    states: tuple[TaskState, ...] = ()
    device: DeviceName | None = None
    label: str = ""


class TaskStore(Protocol):
    """The ledger. One writer; reads may come from another thread.

    Raises `StoreError` (retryable) where the disk says no; a failed commit changed nothing.
    """

    def load_live(self) -> LiveState:
        """Return what a core is built from."""
        ...

    def commit(self, batch: Sequence[Record], *, at_once: bool = False) -> Future[None]:
        """Write `batch` in one durable transaction; the future ends in order of the calls.

        With `at_once` the caller has nothing better to do than to wait: a store may then write before it returns.

        Batches queued together may share one transaction (group commit); if that fails each is tried
        alone in order, and after the first failure all later queued ones fail too, until `resume`.
        """
        ...

    def resume(self) -> None:
        """Accept commits again after a failure (the caller has reloaded)."""
        ...

    def task(self, task_id: TaskId, tenant: Tenant | None) -> Task | None:
        """Return one task; None if absent or of another tenant."""
        ...

    def tasks(self, query: TaskQuery) -> list[Task]:
        """Return a page of tasks, newest first."""
        ...

    def result(self, task_id: TaskId, *, partial: bool) -> TaskResult | None:
        """Return the final result, or (with `partial`) the newest there is."""
        ...

    def program(self, tenant: Tenant, digest: Digest) -> Program | None:
        """Return a stored program."""
        ...

    def snapshot(self, snapshot_id: Digest) -> Snapshot | None:
        """Return a stored snapshot."""
        ...

    def transitions(self, task_id: TaskId) -> list[tuple[int, TaskState, TaskState, int, str]]:
        """Return the task's log: (revision, from, to, at_ms, cause), oldest first."""
        ...

    def close(self) -> None:
        """Finish queued commits and release everything."""
        ...


class Authenticator(Protocol):
    """Says what role an authenticated key has."""

    def role(self, peer: Peer) -> Role:
        """Return the peer's role; `Role.NONE` for an unknown key."""
        ...


class Verifier(Protocol):
    """Answers from Slurm who runs what where."""

    def facts(self, cluster: str, job_id: str, *, restarts: int = 0) -> tuple[AllocationFacts, ...]:
        """Return all that `job_id` may mean to a job's own processes; empty if there is no such job.

        May wait some seconds for Slurm to be asked anew: a job that is not found running, after as many `restarts`
        as its processes know of, is looked for in an answer to a question that was asked after this call.

        Raises `QmioError` (retryable) where Slurm cannot be asked: never taken for "no such job".
        """
        ...

    def ended(self, runs: Sequence[JobRun]) -> tuple[JobRun, ...]:
        """Return those of `runs` that Slurm says are over: the job is gone, ends, or was put back into the queue.

        Raises as `facts` does: a run is over only where Slurm says so.
        """
        ...

    def has_ended(self, cluster: str, job_id: str) -> None:
        """Take in that this job's epilog has run: what Slurm said of it before is not used any more. Asks nothing."""
        ...


class Link(Protocol):
    """A client's or agent's connection to a gateway, as its shell sees it (see `client`, `agent`)."""

    def send(self, packet: Packet) -> None:
        """Queue a packet; raises `GatewayError` if the link cannot take it."""
        ...

    def close(self) -> None:
        """Flush for at most a second and close."""
        ...


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a driver needs for one claim."""

    task_id: TaskId
    spec: TaskSpec
    contract: Contract
    #: The programs of `spec.items`, by digest.
    programs: dict[Digest, Program]
    snapshot: Snapshot | None = None


#: Called with cumulative partial results at batch boundaries.
OnPartial = Callable[[TaskResult], None]
#: Called with a word on what is being done ("compiling", ...).
OnStage = Callable[[str], None]


class DeviceDriver(Protocol):
    """Code that speaks to one kind of device; lives in an agent's process, never in the daemon.

    Found through entry points of group ``qmio_jupyter.drivers``: each is a callable
    ``(name: str, options: Mapping[str, str]) -> DeviceDriver``.
    """

    def describe(self) -> DeviceDescription:
        """Return the device's description."""
        ...

    def state(self) -> DeviceState:
        """Return the device's state now."""
        ...

    def snapshot(self) -> Snapshot | None:
        """Return the current snapshot, None for a device that has none."""
        ...

    def start(self, run: Run, on_partial: OnPartial, on_stage: OnStage) -> Future[TaskResult]:
        """Start a run; the future gives the final result or a `QmioError`. Callbacks come from any thread."""
        ...

    def estimate(self, run: Run, timeout_s: float) -> Future[DryRun]:
        """Say what a run would be and take; the future gives it, or the `QmioError` that `start` would give.

        Nothing is executed, and nothing waits for the runs there are. After `timeout_s` seconds the work is ended
        and the future gives a `DeadlineError`. `run.task_id` is no task's: it names the estimate to `stop`.
        """
        ...

    def stop(self, task_id: TaskId) -> None:
        """Stop a run or an estimate (kill its worker); its future ends with `TaskCancelledError`. Idempotent."""
        ...

    def close(self) -> None:
        """Stop everything, leave no process behind."""
        ...


class SlurmRunner(Protocol):
    """Runs one Slurm command (argv, no shell) and gives back (exit code, stdout, stderr)."""

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes = b"",
        timeout_s: float,
        environ: Mapping[str, str] | None = None,
    ) -> tuple[int, str, str]:
        """Run `argv`; raises `QmioError` on timeout or if the command cannot be started.

        Its environment is `environ`, or this process's own when None.
        """
        ...
