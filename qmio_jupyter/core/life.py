"""What happens to a live task in the core's containers: it enters, changes, waits, ends.

These functions keep every index in step with the tasks' states; whoever decides calls them.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from qmio_jupyter.core import forecast
from qmio_jupyter.core.queue import Entry
from qmio_jupyter.core.records import EndedTask, GrantSaved, UsageSaved
from qmio_jupyter.core.state import Claim, Device, Draft, Shown, State
from qmio_jupyter.core.task import amend, move
from qmio_jupyter.model.task import ErrorInfo, Stamp, Task, TaskSpec, TaskState

LIVE_CLAIM = frozenset({TaskState.CLAIMED, TaskState.RUNNING, TaskState.CANCELLING})


def enter(state: State, task: Task, *, is_known: bool) -> None:
    """Count a live task in (new, or known from before a restart) and queue it if it is queued."""
    device = state.device_of(task)
    state.tasks[task.task_id] = task
    state.arrivals[task.task_id] = state.next_arrival
    state.next_arrival += 1
    device.live[task.owner.tenant] += 1
    state.live_by_session[task.owner.session_id] += 1
    state.live_by_tenant[task.owner.tenant] += 1
    state.live_bytes[task.owner.tenant] += spec_bytes(task.spec)
    session = state.sessions.get(task.owner.session_id)
    if session is not None and session.grant_id is not None:
        state.reserved_s[session.grant_id] = state.reserved_s.get(session.grant_id, 0.0) + task.predicted_s
    if task.state is TaskState.QUEUED:
        wait(state, device, task)
        if is_known:
            device.shown[task.task_id] = Shown()


def wait(state: State, device: Device, task: Task) -> None:
    """Put a queued task in its place."""
    entry = Entry(
        arrival=state.arrivals[task.task_id],
        task_id=task.task_id,
        tenant=task.owner.tenant,
        submitted_ms=task.submitted_ms,
        predicted_s=task.predicted_s,
        is_exact=state.is_exact(task),
    )
    device.entries[task.task_id] = entry
    device.ready.add(entry)


def file_again(state: State, device: Device) -> None:
    """Put all queued tasks in their places anew: the device's clock has changed."""
    for entry in list(device.entries.values()):
        device.ready.remove(entry)
        wait(state, device, state.tasks[entry.task_id])


def leave_queue(device: Device, task: Task) -> Entry:
    """Take a task out of the queue."""
    entry = device.entries.pop(task.task_id)
    device.ready.remove(entry)
    device.shown.pop(task.task_id, None)
    return entry


def change(state: State, draft: Draft, task: Task, *, cause: str = "", **changes: Any) -> Task:
    """Change a live task without moving it, and publish it."""
    new, record = amend(task, state.now_ms, cause=cause, **changes)
    draft.records.append(record)
    state.tasks[task.task_id] = new
    draft.changed[task.task_id] = cause
    return new


def advance(
    state: State,
    draft: Draft,
    task: Task,
    to: TaskState,
    *,
    cause: str = "",
    stamps: tuple[Stamp, ...] = (),
    **changes: Any,
) -> Task:
    """Move a live task to another live state, and publish it."""
    new, record = move(task, to, state.now_ms, cause=cause, stamps=stamps, **changes)
    draft.records.append(record)
    state.tasks[task.task_id] = new
    draft.changed[task.task_id] = cause
    return new


def end(
    state: State,
    draft: Draft,
    task: Task,
    to: TaskState,
    *,
    cause: str = "",
    error: ErrorInfo | None = None,
    stamps: tuple[Stamp, ...] = (),
    is_charged: bool = True,
    used_s: float = 0.0,
    **changes: Any,
) -> None:
    """Move a task to a final state and out of every live container.

    Parameters
    ----------
    is_charged : bool
        Whether its claim's charge is kept (False: nobody got anything for it).
    used_s : float
        Device-seconds its grant pays.
    """
    device = state.device_of(task)
    tenant = task.owner.tenant
    if task.state is TaskState.QUEUED:
        leave_queue(device, task)
    else:
        release(state, draft, task, is_charged=is_charged)
        forecast.changed(state, device, "" if is_charged else "a claim ended without a charge")
    last = "recorded" if to is TaskState.COMPLETED else to.value
    new, record = move(
        task,
        to,
        state.now_ms,
        cause=cause,
        stamps=(*stamps, Stamp(stage=last, at_ms=state.now_ms)),
        lease_until_ms=None,
        error=error,
        stage="",
        **changes,
    )
    draft.records.append(record)
    draft.final[task.task_id] = new
    draft.changed[task.task_id] = cause
    draft.devices[device.name] = None
    del state.tasks[task.task_id], state.arrivals[task.task_id]
    state.ended[task.task_id] = EndedTask(
        task_id=task.task_id,
        tenant=tenant,
        spec_digest=task.spec_digest,
        state=to,
        revision=new.revision,
        epoch=new.epoch,
        attempt=new.attempt,
        programs=programs_of(task),
        updated_ms=new.updated_ms,
    )
    too_many = len(state.ended) > state.config.retained_tasks
    drop_ms = state.now_ms if too_many else new.updated_ms + round(state.config.retention_s * 1000)
    state.timers.set(drop_ms, "retention", "")
    device.last_end_ms[tenant] = state.now_ms
    _count_down(device.live, tenant)
    _count_down(state.live_by_session, task.owner.session_id)
    _count_down(state.live_by_tenant, tenant)
    _count_down(state.live_bytes, tenant, spec_bytes(task.spec))
    _settle_grant(state, draft, task, used_s)


def release(state: State, draft: Draft, task: Task, *, is_charged: bool) -> Claim:
    """End a task's claim: the agent's credit is free, the charge is kept or taken back."""
    claim = state.claims.pop(task.task_id)
    device = state.device_of(task)
    held = device.claims[claim.agent]
    held.discard(task.task_id)
    if not held:
        del device.claims[claim.agent]
    if is_charged:
        device.ready.usage.settle(task.task_id)
    else:
        device.ready.refund(task.task_id)
        draft.records.append(UsageSaved(rows=device.ready.usage.rows(device.name, task.owner.tenant)))
    draft.devices[device.name] = None
    forecast.changed(state, device)
    return claim


def requeue(state: State, draft: Draft, task: Task, cause: str, *, lapses: int) -> None:
    """Take a claim from its agent and put the task back in its place in the queue."""
    device = state.device_of(task)
    release(state, draft, task, is_charged=False)
    stamp = Stamp(stage="requeued", at_ms=state.now_ms)
    new = advance(
        state,
        draft,
        task,
        TaskState.QUEUED,
        cause=cause,
        stamps=(stamp,),
        lease_until_ms=None,
        lapses=lapses,
        shots_done=0,
        stage="",
    )
    wait(state, device, new)
    device.shown[task.task_id] = Shown()
    forecast.changed(state, device, f"{cause}: its task came back")


def programs_of(task: Task) -> tuple[str, ...]:
    """Return the digests a task refers to, each once, in order."""
    return tuple(dict.fromkeys(item.program for item in task.spec.items))


def spec_bytes(spec: TaskSpec) -> int:
    """Return the bytes of whatever in a spec may be long: parameters, digests, options."""
    size = sum(len(key) + len(value) for key, value in spec.options.device_options)
    for item in spec.items:
        size += len(item.program)
        if item.parameters is not None:
            size += len(item.parameters.data) + sum(map(len, item.parameters.names))
    return size


def _count_down(counter: dict[str, int], key: str, by: int = 1) -> None:
    if counter[key] <= by:
        del counter[key]
    else:
        counter[key] -= by


def _settle_grant(state: State, draft: Draft, task: Task, used_s: float) -> None:
    session = state.sessions.get(task.owner.session_id)
    if session is None:
        return
    grant_id = session.grant_id
    if grant_id is not None:
        state.reserved_s[grant_id] = max(0.0, state.reserved_s.get(grant_id, 0.0) - task.predicted_s)
        grant = state.grants.get(grant_id)
        if grant is not None and used_s > 0:
            state.grants[grant_id] = replace(grant, used_s=grant.used_s + used_s)
            draft.records.append(GrantSaved(grant=state.grants[grant_id]))
    if not session.is_open and session.session_id not in state.live_by_session:
        del state.sessions[session.session_id]
