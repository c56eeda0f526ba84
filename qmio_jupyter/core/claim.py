"""Claims: made, fenced, kept alive by a lease, lapsed. The only place where a task gets an agent.

A claim is (task, agent, epoch, attempt); the attempt rises when a task is claimed, never when it lapses, so a
late result is still good while nobody has claimed the task again.
"""

from __future__ import annotations

from msgspec.structs import replace

from qmio_jupyter.core import forecast, life, queue
from qmio_jupyter.core.effects import AbortClaim, Dispatch
from qmio_jupyter.core.queue import Entry
from qmio_jupyter.core.records import DeviceRow, UsageSaved
from qmio_jupyter.core.refusal import info
from qmio_jupyter.core.state import Agent, Claim, Device, Draft, State
from qmio_jupyter.model.ids import TaskId, seed_from
from qmio_jupyter.model.task import (
    ClaimRef,
    Contract,
    ErrorInfo,
    StalePolicy,
    Stamp,
    Task,
    TaskOptions,
    TaskState,
)

# ---------------------------------------------------------------- fences


def same_epoch(task: Task, ref: ClaimRef) -> bool:
    """Return whether the claim was made by the gateway's life that `ref` names."""
    return ref.epoch == task.epoch


def same_attempt(task: Task, ref: ClaimRef) -> bool:
    """Return whether nobody has claimed the task since."""
    return ref.attempt == task.attempt


def is_current(task: Task, ref: ClaimRef) -> bool:
    """Return whether `ref` names the task's last claim (which may have lapsed without a successor)."""
    return task.attempt > 0 and same_epoch(task, ref) and same_attempt(task, ref)


def has_lapsed(claim: Claim, now_ms: int) -> bool:
    """Return whether the lease has run out."""
    return now_ms >= claim.lease_until_ms


# ---------------------------------------------------------------- the contract


def obstacle(row: DeviceRow, options: TaskOptions) -> ErrorInfo | None:
    """Return why a task with these options cannot be bound to the device's snapshot as it is now."""
    if options.snapshot is not None and options.snapshot != row.snapshot_id:
        return info(
            "device.snapshot",
            f"snapshot {options.snapshot[:12]} is not the current one of {row.description.name}",
        )
    is_stale = options.compiled_for is not None and options.compiled_for != row.snapshot_id
    if is_stale and options.stale is StalePolicy.REFUSE:
        return info(
            "device.snapshot",
            f"{row.description.name} was recalibrated since the program was compiled",
            hint="Compile it again, or allow --stale recompile.",
        )
    return None


def bind_contract(row: DeviceRow, task: Task) -> Contract:
    """Return what a claim made now binds: programs, seed, current snapshot, batches."""
    seed = task.spec.options.seed
    return Contract(
        programs=life.programs_of(task),
        seed=seed_from(task.task_id) if seed is None else seed,
        snapshot_id=row.snapshot_id,
        batch_shots=row.description.batch_shots,
    )


# ---------------------------------------------------------------- dispatch


def choose_agent(device: Device, now_ms: int) -> Agent | None:
    """Return the agent with most credit to spare (by name among equals), None if none has any."""
    best: Agent | None = None
    most = 0
    for agent in device.agents.values():
        if (
            agent.connection is None
            or not agent.state.takes_tasks
            or max(agent.paused_until_ms, agent.silent_until_ms) > now_ms
        ):
            continue
        spare = agent.credit - len(device.claims.get(agent.name, ()))
        if spare > most or (best is not None and spare == most and agent.name < best.name):
            best, most = agent, spare
    return best


def dispatch(state: State, device: Device, draft: Draft) -> None:
    """Give waiting tasks to agents with credit, in the policy's order, as long as there are both."""
    while device.entries:
        agent = choose_agent(device, state.now_ms)
        if agent is None:
            _wake_after_pause(state, device)
            return
        calendar = forecast.calendar(state, device)
        gate = None if calendar is None else calendar.gate(state.now_ms, device.ready)
        entry = queue.pick(device.ready, gate)
        if entry is None:
            later = None if calendar is None else calendar.next_change(state.now_ms, device.ready)
            if later is not None:
                state.timers.set(later, "device", device.name)
            return
        _claim(state, device, agent, entry, draft)


def _wake_after_pause(state: State, device: Device) -> None:
    ends_ms = [
        pause_ms
        for agent in device.present()
        for pause_ms in (max(agent.paused_until_ms, agent.silent_until_ms),)
        if pause_ms > state.now_ms
    ]
    if ends_ms:
        state.timers.set(min(ends_ms), "device", device.name)


def _claim(state: State, device: Device, agent: Agent, entry: Entry, draft: Draft) -> None:
    task = state.tasks[entry.task_id]
    contract = bind_contract(device.row, task)
    life.leave_queue(device, task)
    device.ready.charge(entry)
    now, lease_ms = state.now_ms, round(state.config.lease_s * 1000)
    task = life.advance(
        state,
        draft,
        task,
        TaskState.CLAIMED,
        stamps=(Stamp(stage="claimed", at_ms=now),),
        attempt=task.attempt + 1,
        epoch=state.epoch,
        agent=agent.name,
        contract=contract,
        lease_until_ms=now + lease_ms,
    )
    draft.records.append(UsageSaved(rows=device.ready.usage.rows(device.name, entry.tenant)))
    claim = Claim(
        ref=task.ref,
        device=device.name,
        agent=agent.name,
        claimed_ms=now,
        lease_until_ms=now + lease_ms,
        sent_ms=now,
    )
    keep(state, device, claim)
    state.timers.set(claim.lease_until_ms, "lease", task.task_id)
    send(state, device, claim, draft)
    forecast.changed(state, device)


def keep(state: State, device: Device, claim: Claim) -> None:
    """Put a live claim into its containers."""
    state.claims[claim.ref.task_id] = claim
    device.claims.setdefault(claim.agent, set()).add(claim.ref.task_id)


def send(state: State, device: Device, claim: Claim, draft: Draft) -> None:
    """Send a claim to its agent (again), if the link is up; it is sent again until acknowledged."""
    agent = device.agents.get(claim.agent)
    task = state.tasks[claim.ref.task_id]
    if agent is None or agent.connection is None or task.contract is None:
        return
    draft.effects.append(
        Dispatch(
            connection=agent.connection,
            agent=agent.name,
            ref=claim.ref,
            spec=task.spec,
            contract=task.contract,
            tenant=task.owner.tenant,
            lease_s=state.config.lease_s,
            is_repeatable=device.row.description.repeatable,
        )
    )
    sent_again(state, claim)


def sent_again(state: State, claim: Claim) -> None:
    """Look again after `redispatch_s` whether the agent has answered."""
    state.claims[claim.ref.task_id] = replace(claim, sent_ms=state.now_ms)
    state.timers.set(state.now_ms + redispatch_ms(state), "redispatch", claim.ref.task_id)


def redispatch_ms(state: State) -> int:
    """Return how long an unanswered dispatch or abort waits before it is sent again."""
    return round(state.config.redispatch_s * 1000)


def abort(device: Device, claim: Claim, draft: Draft) -> None:
    """Tell the claim's agent to stop, if its link is up."""
    agent = device.agents.get(claim.agent)
    if agent is not None and agent.connection is not None:
        draft.effects.append(AbortClaim(connection=agent.connection, ref=claim.ref))


# ---------------------------------------------------------------- lapse


def lapse(state: State, claim: Claim, draft: Draft, cause: str, *, is_free: bool = False) -> None:
    """Take a claim from an agent that lost it: queued again, or failed if no attempt is left.

    Parameters
    ----------
    is_free : bool
        The attempt is not counted: the agent surely did not run it, or running it twice does no harm.
    """
    task = state.tasks[claim.ref.task_id]
    device = state.device_of(task)
    abort(device, claim, draft)
    if task.state is TaskState.CANCELLING:
        life.end(state, draft, task, TaskState.CANCELLED, cause=cause, is_charged=False)
        return
    limit = task.spec.options.max_attempts or device.row.description.max_attempts
    lapses = task.lapses + (0 if is_free else 1)
    if lapses < limit:
        come_back(state, task, draft, cause, lapses=lapses)
        return
    life.end(
        state,
        draft,
        task,
        TaskState.FAILED,
        cause=cause,
        error=info("task.lost_agent", f"task {task.task_id}: {cause}, after {lapses} of {limit} attempts"),
        is_charged=False,
        lapses=lapses,
    )


def come_back(state: State, task: Task, draft: Draft, cause: str, *, lapses: int) -> None:
    """Queue a claimed task again; fail it if the snapshot it asked for is gone meanwhile."""
    error = obstacle(state.device_of(task).row, task.spec.options)
    if error is None:
        life.requeue(state, draft, task, cause, lapses=lapses)
    else:
        life.end(
            state, draft, task, TaskState.FAILED, cause=cause, error=error, is_charged=False, lapses=lapses
        )


def lease_due(state: State, claim: Claim, draft: Draft) -> None:
    """Lapse a claim whose lease has run out, or look again when it will."""
    if not has_lapsed(claim, state.now_ms):
        state.timers.set(claim.lease_until_ms, "lease", claim.ref.task_id)
        return
    device = state.devices[claim.device]
    agent = device.agents.get(claim.agent)
    if agent is not None:
        silent_ms = state.now_ms + round(state.config.lease_s * 1000)
        device.agents[agent.name] = replace(agent, silent_until_ms=silent_ms)
    is_free = not claim.held and device.row.description.repeatable
    lapse(state, claim, draft, "the lease ran out", is_free=is_free)


def redispatch_due(state: State, claim: Claim, draft: Draft) -> None:
    """Send an unacknowledged dispatch, or an unanswered abort, again."""
    due_ms = claim.sent_ms + redispatch_ms(state)
    if state.now_ms < due_ms:
        state.timers.set(due_ms, "redispatch", claim.ref.task_id)
        return
    device = state.devices[claim.device]
    if state.tasks[claim.ref.task_id].state is TaskState.CANCELLING:
        abort(device, claim, draft)
        sent_again(state, claim)
    else:
        send(state, device, claim, draft)


def awaits_answer(state: State, task_id: TaskId) -> bool:
    """Return whether a dispatch or an abort of this task's claim is still unanswered."""
    claim = state.claims.get(task_id)
    if claim is None:
        return False
    now_in = state.tasks[task_id].state
    return now_in is TaskState.CANCELLING or (now_in is TaskState.CLAIMED and not claim.held)
