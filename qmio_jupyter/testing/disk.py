"""The ledger of a simulated world: a `TaskStore` in dicts, whose transactions are whole or nothing.

It is also a judge. A real store refuses what its guards forbid; here, where there is one writer and no other
fault than those the world injects, a refused guard means that the core decided on memory that is not on disk,
and that is a `Violation`. So is a final task that changes and a second final result.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from typing import Any

from qmio_jupyter.core.records import (
    BookingSaved,
    DeviceRow,
    DeviceSaved,
    EndedTask,
    EnrolmentDropped,
    EnrolmentSaved,
    EpochSaved,
    ForgottenId,
    ForgottenIdDropped,
    ForgottenIdSaved,
    GrantSaved,
    JobSecretDropped,
    JobSecretSaved,
    KnownProgram,
    LiveState,
    ProgramDropped,
    ProgramStored,
    Record,
    ResultStored,
    SessionSaved,
    SnapshotSaved,
    TaskForgotten,
    TaskInserted,
    TaskUpdated,
    UsageRow,
    UsageSaved,
)
from qmio_jupyter.errors import StoreError
from qmio_jupyter.model.access import Booking, Enrolment, Grant, Session
from qmio_jupyter.model.allocation import JobSecret
from qmio_jupyter.model.device import Snapshot
from qmio_jupyter.model.ids import Digest, TaskId, Tenant
from qmio_jupyter.model.program import Program
from qmio_jupyter.model.result import TaskResult
from qmio_jupyter.model.task import Task, TaskState
from qmio_jupyter.ports import TaskQuery
from qmio_jupyter.testing.checks import Violation

_MISSING: Any = object()
Transition = tuple[int, TaskState, TaskState, int, str]


class Disk:
    """Tables in memory that outlive every crash of the simulated gateway."""

    def __init__(self) -> None:
        self.meta: dict[str, int] = {"epoch": 0}
        self.tasks_by_id: dict[TaskId, Task] = {}
        #: Every state a task was ever committed in, by (task, revision): what may be shown of it.
        self.history: dict[tuple[TaskId, int], TaskState] = {}
        #: Every claim ever committed: (task, epoch, attempt) -> agent.
        self.claims: dict[tuple[TaskId, int, int], str] = {}
        self.final_results: dict[TaskId, ResultStored] = {}
        self.partial_results: dict[TaskId, ResultStored] = {}
        self.log: dict[TaskId, tuple[Transition, ...]] = {}
        self.programs: dict[tuple[Tenant, Digest], Program] = {}
        self.sessions: dict[str, Session] = {}
        self.grants: dict[str, Grant] = {}
        self.job_secrets: dict[tuple[str, str, str], JobSecret] = {}
        self.bookings: dict[str, Booking] = {}
        self.enrolments: dict[str, Enrolment] = {}
        self.snapshots: dict[Digest, Snapshot] = {}
        self.devices: dict[str, DeviceRow] = {}
        self.usage: dict[tuple[str, str], UsageRow] = {}
        #: Tasks removed at their owner's wish.
        self.forgotten: dict[TaskId, None] = {}
        self.forgotten_ids: dict[TaskId, ForgottenId] = {}
        self.is_full = False
        self._undo: list[tuple[dict[Any, Any], Any, Any]] = []

    def image(self) -> dict[str, dict[Any, Any]]:
        """Return a copy of every table, to compare with a later one."""
        return {name: dict(table) for name, table in vars(self).items() if isinstance(table, dict)}

    # ------------------------------------------------------------ writing

    def write(self, batch: Iterable[Record]) -> None:
        """Apply `batch` in one transaction.

        Raises
        ------
        StoreError
            If the disk is full; nothing changed.
        Violation
            If a guard refuses.
        """
        if self.is_full:
            raise StoreError("no space left on the simulated disk")
        self._undo = []
        try:
            for record in batch:
                self._apply(record)
        except BaseException:
            self.roll_back()
            raise

    def roll_back(self) -> None:
        """Undo the last transaction: what a crash in the middle of it leaves behind."""
        for table, key, old in reversed(self._undo):
            if old is _MISSING:
                table.pop(key, None)
            else:
                table[key] = old
        self._undo = []

    def commit(self, batch: Sequence[Record], *, at_once: bool = False) -> Future[None]:  # noqa: ARG002
        """Write at once; a simulated writer calls :meth:`write` itself when its time has come."""
        future: Future[None] = Future()
        try:
            self.write(batch)
        except StoreError as error:
            future.set_exception(error)
        else:
            future.set_result(None)
        return future

    def resume(self) -> None:
        """Do nothing: there is no line of commits to open again."""

    def close(self) -> None:
        """Do nothing: there is nothing to release."""

    def _set(self, table: dict[Any, Any], key: Any, value: Any) -> None:
        self._undo.append((table, key, table.get(key, _MISSING)))
        table[key] = value

    def _delete(self, table: dict[Any, Any], key: Any) -> None:
        if key in table:
            self._undo.append((table, key, table.pop(key)))

    def _apply(self, record: Record) -> None:  # noqa: C901
        match record:
            case TaskUpdated():
                self._update(record)
            case TaskInserted(task=task):
                if task.task_id in self.tasks_by_id:
                    raise Violation("ledger", f"{task.task_id} inserted twice")
                if task.task_id in self.forgotten:
                    raise Violation("forgotten", f"{task.task_id} was forgotten and is queued again")
                if task.revision < 1 or task.state.is_final:
                    raise Violation(
                        "ledger", f"{task.task_id} inserted as {task.state}, revision {task.revision}"
                    )
                self._set(self.tasks_by_id, task.task_id, task)
                self._set(self.history, (task.task_id, task.revision), task.state)
            case ResultStored():
                self._result(record)
            case UsageSaved(rows=rows):
                for row in rows:
                    self._set(self.usage, (row.device, row.node), row)
            case ProgramStored(tenant=tenant, program=program):
                self._set(self.programs, (tenant, program.digest), program)
            case ProgramDropped(tenant=tenant, digest=digest):
                self._delete(self.programs, (tenant, digest))
            case DeviceSaved(device=device):
                self._device(device)
            case SnapshotSaved(snapshot=snapshot):
                self._set(self.snapshots, snapshot.snapshot_id, snapshot)
            case SessionSaved(session=session):
                self._set(self.sessions, session.session_id, session)
            case BookingSaved(booking=booking):
                self._set(self.bookings, booking.booking_id, booking)
            case GrantSaved(grant=grant):
                self._set(self.grants, grant.grant_id, grant)
            case JobSecretSaved(secret=secret):
                self._set(self.job_secrets, secret.name, secret)
            case JobSecretDropped(cluster=cluster, job_id=job_id, node=node):
                self._delete(self.job_secrets, (cluster, job_id, node))
            case EnrolmentSaved(enrolment=enrolment):
                self._set(self.enrolments, enrolment.key, enrolment)
            case EnrolmentDropped(key=key):
                self._delete(self.enrolments, key)
            case TaskForgotten(task_id=task_id):
                self._forget(task_id)
            case ForgottenIdSaved(forgotten=forgotten):
                self._set(self.forgotten_ids, forgotten.task_id, forgotten)
            case ForgottenIdDropped(task_id=task_id):
                self._delete(self.forgotten_ids, task_id)
            case EpochSaved(epoch=epoch):
                if epoch <= self.meta["epoch"]:
                    raise Violation("epoch", f"epoch {epoch} saved after {self.meta['epoch']}")
                self._set(self.meta, "epoch", epoch)

    def _update(self, record: TaskUpdated) -> None:
        new = record.task
        old = self.tasks_by_id.get(new.task_id)
        if old is None:
            raise Violation("ledger", f"{new.task_id} updated, but not there")
        if old.state.is_final:
            raise Violation("final", f"{new.task_id} was {old.state} and is updated to {new.state}")
        expected = (record.expect_state, record.expect_revision, record.expect_epoch, record.expect_attempt)
        found = (old.state, old.revision, old.epoch, old.attempt)
        if expected != found:
            raise Violation("fence", f"{new.task_id} is {found} on disk, the core expected {expected}")
        if new.revision <= old.revision:
            raise Violation("revision", f"{new.task_id} goes from revision {old.revision} to {new.revision}")
        if new.spec_digest != old.spec_digest or new.owner.tenant != old.owner.tenant:
            raise Violation("ledger", f"{new.task_id} changed what it is")
        if new.state is TaskState.CLAIMED and old.state is TaskState.QUEUED:
            self._claim(old, new)
        elif (new.epoch, new.attempt) != (old.epoch, old.attempt):
            raise Violation("claim", f"{new.task_id} changed its claim's numbers without being claimed")
        self._set(self.tasks_by_id, new.task_id, new)
        self._set(self.history, (new.task_id, new.revision), new.state)
        if new.state is not old.state:
            entry = (new.revision, old.state, new.state, new.updated_ms, record.cause)
            self._set(self.log, new.task_id, (*self.log.get(new.task_id, ()), entry))

    def _claim(self, old: Task, new: Task) -> None:
        """Check that its numbers rise and name the epoch, and that the current snapshot is bound."""
        if new.epoch != self.meta["epoch"]:
            raise Violation(
                "epoch", f"{new.task_id} claimed in epoch {new.epoch}, it is {self.meta['epoch']}"
            )
        if new.attempt != old.attempt + 1:
            raise Violation("claim", f"{new.task_id}: attempt {new.attempt} follows {old.attempt}")
        if new.agent is None or new.contract is None or new.lease_until_ms is None:
            raise Violation("claim", f"{new.task_id} claimed without agent, contract or lease")
        self._check_bookings(new)
        row = self.devices[new.spec.device]
        bound = new.spec.options.snapshot or row.snapshot_id
        if new.contract.snapshot_id != bound:
            raise Violation(
                "contract", f"{new.task_id} bound to {new.contract.snapshot_id}, current is {bound}"
            )
        if old.contract is not None and new.contract.seed != old.contract.seed:
            raise Violation("contract", f"{new.task_id} got another seed with its next claim")
        self._set(self.claims, (new.task_id, new.epoch, new.attempt), new.agent)

    def _check_bookings(self, task: Task) -> None:
        """Let nobody but its holder have a booked device (bookings that yield are left to the core)."""
        at_ms = next(stamp.at_ms for stamp in reversed(task.timeline) if stamp.stage == "claimed")
        for booking in self.bookings.values():
            if (
                booking.device == task.spec.device
                and booking.cancelled_ms is None
                and booking.idle_yield_s is None
                and booking.from_ms <= at_ms < booking.until_ms
                and booking.holder not in (task.owner.tenant, task.owner.tenant.partition("/")[0])
            ):
                raise Violation(
                    "booking", f"{task.task_id} claimed {booking.device}, booked for {booking.holder}"
                )

    def _result(self, record: ResultStored) -> None:
        task = self.tasks_by_id.get(record.task_id)
        if task is None:
            raise Violation("result", f"a result of {record.task_id}, which is not there")
        if (record.epoch, record.attempt) != (task.epoch, task.attempt):
            raise Violation(
                "result",
                f"{record.task_id}: result of claim {(record.epoch, record.attempt)}, "
                f"the claim is {(task.epoch, task.attempt)}",
            )
        if ("forged", "1") in record.result.software:
            raise Violation("fence", f"{record.task_id}: a forged result is recorded")
        if not record.result.is_final:
            if task.state.is_final:
                raise Violation("result", f"partial result of {record.task_id}, which is {task.state}")
            self._set(self.partial_results, record.task_id, record)
            return
        if record.task_id in self.final_results:
            raise Violation("result", f"second final result of {record.task_id}")
        self._set(self.final_results, record.task_id, record)

    def _device(self, row: DeviceRow) -> None:
        old = self.devices.get(row.description.name)
        if old is not None and old.snapshot_ms is not None and (row.snapshot_ms or 0) < old.snapshot_ms:
            raise Violation("contract", f"the snapshot of {row.description.name} went back in time")
        self._set(self.devices, row.description.name, row)

    def _forget(self, task_id: TaskId) -> None:
        task = self.tasks_by_id.get(task_id)
        if task is None or not task.state.is_final:
            raise Violation("ledger", f"{task_id} forgotten, but not final")
        for table in (self.tasks_by_id, self.final_results, self.partial_results, self.log):
            self._delete(table, task_id)
        self._set(self.forgotten, task_id, None)

    # ------------------------------------------------------------ reading

    def load_live(self) -> LiveState:
        """Return what a restarted core is built from."""
        tasks = self.tasks_by_id.values()
        return LiveState(
            epoch=self.meta["epoch"],
            tasks=tuple(t for t in tasks if not t.state.is_final),
            ended=tuple(
                EndedTask(
                    task_id=t.task_id,
                    tenant=t.owner.tenant,
                    spec_digest=t.spec_digest,
                    state=t.state,
                    revision=t.revision,
                    epoch=t.epoch,
                    attempt=t.attempt,
                    updated_ms=t.updated_ms,
                    programs=tuple(dict.fromkeys(item.program for item in t.spec.items)),
                )
                for t in tasks
                if t.state.is_final
            ),
            forgotten=tuple(self.forgotten_ids.values()),
            programs=tuple(
                KnownProgram(tenant=tenant, digest=p.digest, media_type=p.media_type, size=len(p.data))
                for (tenant, _), p in self.programs.items()
            ),
            sessions=tuple(s for s in self.sessions.values() if s.is_open),
            grants=tuple(g for g in self.grants.values() if g.revoked_ms is None),
            job_secrets=tuple(self.job_secrets.values()),
            bookings=tuple(b for b in self.bookings.values() if b.cancelled_ms is None),
            enrolments=tuple(self.enrolments.values()),
            devices=tuple(self.devices.values()),
            usage=tuple(self.usage.values()),
        )

    def task(self, task_id: TaskId, tenant: Tenant | None) -> Task | None:
        """Return one task; None if absent or of another tenant."""
        task = self.tasks_by_id.get(task_id)
        return task if task is not None and tenant in (None, task.owner.tenant) else None

    def tasks(self, query: TaskQuery) -> list[Task]:
        """Return a page of tasks, newest first."""
        found = [
            task
            for task_id, task in sorted(self.tasks_by_id.items(), reverse=True)
            if query.tenant in (None, task.owner.tenant)
            and (query.before is None or task_id < query.before)
            and (not query.states or task.state in query.states)
            and query.device in (None, task.spec.device)
            and query.label in task.spec.label
        ]
        return found[: query.limit]

    def result(self, task_id: TaskId, *, partial: bool) -> TaskResult | None:
        """Return the final result, or (with `partial`) the newest there is."""
        stored = self.final_results.get(task_id)
        if stored is None and partial:
            stored = self.partial_results.get(task_id)
        return None if stored is None else stored.result

    def program(self, tenant: Tenant, digest: Digest) -> Program | None:
        """Return a stored program."""
        return self.programs.get((tenant, digest))

    def snapshot(self, snapshot_id: Digest) -> Snapshot | None:
        """Return a stored snapshot."""
        return self.snapshots.get(snapshot_id)

    def transitions(self, task_id: TaskId) -> list[Transition]:
        """Return the task's log, oldest first."""
        return list(self.log.get(task_id, ()))
