"""Builders for ledger tests: tasks by number, the records of their lives, one value of everything else."""

from __future__ import annotations

import msgspec

from qmio_jupyter.core.records import (
    DeviceRow,
    DurationModel,
    Record,
    ResultStored,
    TaskInserted,
    TaskUpdated,
)
from qmio_jupyter.model.access import Booking, BookingKind, Enrolment, Grant, Role, Session
from qmio_jupyter.model.allocation import JobSecret
from qmio_jupyter.model.device import DeviceDescription, DeviceState, Snapshot
from qmio_jupyter.model.ids import TaskId, digest, mint
from qmio_jupyter.model.program import OCTETS, Program
from qmio_jupyter.model.result import BindingCounts, ItemResult, Register, TaskResult, pack_counts
from qmio_jupyter.model.task import (
    Contract,
    Item,
    Owner,
    ParameterMatrix,
    Stamp,
    Task,
    TaskOptions,
    TaskSpec,
    TaskState,
)

#: Submission time of task 0, ms.
EPOCH_MS = 1_700_000_000_000


def task_id(number: int) -> TaskId:
    """Return the id of task `number`: rising with it."""
    return mint("t", EPOCH_MS + number, number.to_bytes(10, "big"))


def new_task(
    number: int,
    *,
    tenant: str = "physics/ana",
    device: str = "echo",
    label: str = "",
    submitted_ms: int | None = None,
    programs: tuple[str, ...] = ("one", "two", "one"),
) -> Task:
    """Return a queued task, every optional part of its spec filled."""
    spec = TaskSpec(
        device=device,
        label=label,
        items=tuple(
            Item(
                program=digest(name.encode()),
                shots=100 + index,
                parameters=ParameterMatrix(names=("theta",), bindings=2, data=bytes(range(16))),
            )
            for index, name in enumerate(programs)
        ),
        options=TaskOptions(seed=2**63 - 1, memory=True, device_options=(("k", "v"),)),
    )
    at_ms = EPOCH_MS + number if submitted_ms is None else submitted_ms
    return Task(
        task_id=task_id(number),
        owner=Owner(tenant=tenant, uid=1000, session_id="s-1"),
        spec=spec,
        spec_digest=digest(msgspec.msgpack.encode(spec)),
        state=TaskState.QUEUED,
        revision=1,
        submitted_ms=at_ms,
        updated_ms=at_ms,
        predicted_s=0.125,
        timeline=(Stamp(stage="accepted", at_ms=at_ms, seconds=0.5),),
    )


def moved(task: Task, state: TaskState, *, epoch: int = 1) -> Task:
    """Return `task` one change later, in `state`; claiming raises its attempt."""
    claims = state is TaskState.CLAIMED
    return msgspec.structs.replace(
        task,
        state=state,
        revision=task.revision + 1,
        updated_ms=task.updated_ms + 10,
        epoch=epoch if claims else task.epoch,
        attempt=task.attempt + claims,
        agent="agent-1" if claims else task.agent,
        contract=Contract(
            programs=tuple(item.program for item in task.spec.items),
            seed=7,
            snapshot_id=None,
            batch_shots=1000,
        )
        if claims
        else task.contract,
    )


def update(before: Task, after: Task, cause: str = "") -> TaskUpdated:
    """Return the record that leads from `before` to `after`, all guards set."""
    return TaskUpdated(
        task=after,
        expect_state=before.state,
        expect_revision=before.revision,
        expect_epoch=before.epoch,
        expect_attempt=before.attempt,
        cause=cause,
    )


def result_of(task: Task, *, revision: int = 1, is_final: bool = True) -> ResultStored:
    """Return a result of the task's current claim."""
    keys, counts = pack_counts([(0, 40), (3, 60)], 2)
    item = ItemResult(
        n_bits=2,
        registers=(Register(name="c", bits=(0, 1)),),
        bindings=(BindingCounts(shots=100, keys=keys, counts=counts, memory=b"\x00\x03"),),
        notes=(("method", "exact"),),
    )
    return ResultStored(
        task_id=task.task_id,
        epoch=task.epoch,
        attempt=task.attempt,
        result=TaskResult(
            task_id=task.task_id,
            device=task.spec.device,
            items=(item,),
            shots=100,
            shots_done=100,
            revision=revision,
            is_final=is_final,
            seed=7,
        ),
    )


def life(task: Task) -> tuple[list[list[Record]], Task]:
    """Return the batches of a whole life (insert, claim, run, complete) and the task at its end."""
    claimed = moved(task, TaskState.CLAIMED)
    running = moved(claimed, TaskState.RUNNING)
    done = moved(running, TaskState.COMPLETED)
    return [
        [TaskInserted(task=task)],
        [update(task, claimed, "dispatched")],
        [update(claimed, running, "started")],
        [update(running, done, "finished"), result_of(done)],
    ], done


def program(text: str) -> Program:
    """Return a program of these bytes."""
    data = text.encode()
    return Program(digest=digest(data), media_type=OCTETS, data=data)


def snapshot(text: str, *, device: str = "echo") -> Snapshot:
    """Return a snapshot of this canonical JSON."""
    data = text.encode()
    return Snapshot(snapshot_id=digest(data), device=device, taken_ms=EPOCH_MS, data=data)


def session(name: str = "s-1") -> Session:
    """Return an open session."""
    return Session(
        session_id=name, key="k" * 64, uid=1000, tenant="physics/ana", opened_ms=EPOCH_MS, expires_ms=None
    )


def grant(name: str = "g-1") -> Grant:
    """Return a grant."""
    return Grant(
        grant_id=name,
        issuer="h" * 64,
        uid=1000,
        tenant="physics/ana",
        devices=("echo",),
        kind="batch",
        budget_s=60.0,
        created_ms=EPOCH_MS,
        expires_ms=EPOCH_MS + 1000,
    )


def job_secret(node: str = "n1", job_id: str = "7", check: bytes = b"c" * 32) -> JobSecret:
    """Return what checks a job's proofs."""
    return JobSecret(
        cluster="c", job_id=job_id, node=node, uid=1000, check=check, address="10.0.0.1", handed_ms=EPOCH_MS
    )


def booking(name: str = "b-1") -> Booking:
    """Return a booking."""
    return Booking(
        booking_id=name,
        device="echo",
        kind=BookingKind.CLASS,
        holder="physics",
        from_ms=EPOCH_MS,
        until_ms=EPOCH_MS + 1000,
        idle_yield_s=1.5,
    )


def enrolment(key: str = "a" * 64) -> Enrolment:
    """Return an agent's enrolment."""
    return Enrolment(key=key, role=Role.AGENT, device="echo")


def device(name: str = "echo") -> DeviceRow:
    """Return a device's row with a fitted model."""
    return DeviceRow(
        description=DeviceDescription(name=name, title="Echo", n_qubits=None, driver="echo"),
        state=DeviceState.IDLE,
        model=DurationModel(samples=3, sums=(1.0, 2.0, 0.1, 4.0, 5.0), ratios=(0.9, 1.1)),
    )
