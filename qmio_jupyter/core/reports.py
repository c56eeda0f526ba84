"""What agents say about their claims. Every message is fenced by key, epoch and attempt.

Who may speak: a key enrolled as agent of the claim's device, and that of the very agent which holds the claim.
A message that names a claim no longer current tells its sender to stop; it changes nothing.
"""

from __future__ import annotations

from math import isfinite

from msgspec.structs import replace

from qmio_jupyter.core import claim, eta, forecast, life
from qmio_jupyter.core.effects import AbortClaim, ClaimRecorded, PublishPartial, Renewed
from qmio_jupyter.core.inputs import Finish, GiveBack, Held, Origin, Progress, Renew, Started
from qmio_jupyter.core.records import DeviceSaved, ResultStored
from qmio_jupyter.core.refusal import info, refusal
from qmio_jupyter.core.state import Claim, Device, Draft, State
from qmio_jupyter.errors import CODES
from qmio_jupyter.model.access import Role
from qmio_jupyter.model.ids import DeviceName, KeyId
from qmio_jupyter.model.result import Outcome, TaskResult
from qmio_jupyter.model.task import ClaimRef, ErrorInfo, Stamp, Task, TaskState

#: Stages the agent's clock may add to a timeline.
_MEASURED = ("compiled", "on_device", "measured")
_STAGE_LENGTH = 200
_HINT_LENGTH = 300
#: No claim uses its device longer (ten years), whatever its agent says: keeps arithmetic finite.
_LONGEST_S = 3.2e8


def _device_of(state: State, key: KeyId) -> DeviceName | None:
    enrolment = state.enrolments.get(key)
    if enrolment is None or enrolment.role is not Role.AGENT or enrolment.device not in state.devices:
        return None
    return enrolment.device


def _authorise(state: State, origin: Origin) -> Device:
    name = _device_of(state, origin.key)
    if name is None:
        raise refusal("auth.role", "this key is no agent's")
    return state.devices[name]


def _find(state: State, origin: Origin, ref: ClaimRef) -> Task | None:
    """Return the task if `ref` is its last claim and the sender the agent that made it; None otherwise."""
    _authorise(state, origin)
    return _last(state, origin.key, ref)


def _last(state: State, key: KeyId, ref: ClaimRef) -> Task | None:
    task = state.tasks.get(ref.task_id)
    if task is None or task.agent is None or task.spec.device != _device_of(state, key):
        return None
    agent = state.device_of(task).agents.get(task.agent)
    if agent is not None and agent.key != key:
        return None
    return task if claim.is_current(task, ref) else None


def held_by(state: State, key: KeyId, ref: ClaimRef) -> Task | None:
    """Return the task whose live claim is `ref` if it is held by this key's agent; None otherwise."""
    task = _last(state, key, ref)
    return task if task is not None and task.state in life.LIVE_CLAIM else None


def _hear(state: State, origin: Origin, draft: Draft) -> None:
    """Note that a key's agents are not silent: they may get work again."""
    device = _authorise(state, origin)
    for agent in list(device.agents.values()):
        if agent.key == origin.key and agent.silent_until_ms:
            device.agents[agent.name] = replace(agent, silent_until_ms=0)
            draft.devices[device.name] = None


def _live(state: State, origin: Origin, ref: ClaimRef, draft: Draft) -> Task | None:
    """Return the task if `ref` is its live claim; the lease is renewed, for its agent is alive."""
    _hear(state, origin, draft)
    task = _find(state, origin, ref)
    if task is None or task.state not in life.LIVE_CLAIM:
        return None
    renew_lease(state, state.claims[ref.task_id])
    return task


def renew_lease(state: State, held: Claim) -> None:
    """Move a claim's lease, and note that its agent has it."""
    state.claims[held.ref.task_id] = replace(
        held, lease_until_ms=state.now_ms + round(state.config.lease_s * 1000), held=True
    )


def _stop(origin: Origin, ref: ClaimRef, draft: Draft) -> None:
    draft.effects.append(AbortClaim(connection=origin.connection, ref=ref))


def held(state: State, message: Held, draft: Draft) -> None:
    """Note that the agent has the dispatch."""
    task = _live(state, message.origin, message.ref, draft)
    if task is None or task.state is TaskState.CANCELLING:
        _stop(message.origin, message.ref, draft)


def started(state: State, message: Started, draft: Draft) -> None:
    """Note that the claim runs."""
    task = _live(state, message.origin, message.ref, draft)
    if task is None or task.state is TaskState.CANCELLING:
        _stop(message.origin, message.ref, draft)
    elif task.state is TaskState.CLAIMED:
        _begin(state, task)
        life.advance(state, draft, task, TaskState.RUNNING)


def _begin(state: State, task: Task) -> None:
    begun = state.claims[task.task_id]
    state.claims[task.task_id] = replace(begun, started_ms=state.now_ms)


def renew(state: State, message: Renew, draft: Draft) -> None:
    """Renew what the agent still holds; the reply names what it is to stop."""
    _authorise(state, message.origin)
    stop: list[ClaimRef] = []
    for index, ref in enumerate(message.refs):
        task = _live(state, message.origin, ref, draft)
        if task is None or task.state is TaskState.CANCELLING:
            stop.append(ref)
            continue
        stage = message.stages[index][:_STAGE_LENGTH] if index < len(message.stages) else task.stage
        if stage != task.stage:
            life.change(state, draft, task, stage=stage)
    draft.reply = Renewed(origin=message.origin, abort=tuple(stop))


def progress(state: State, message: Progress, draft: Draft) -> None:
    """Record cumulative partial counts; older ones than those known are ignored."""
    task = _live(state, message.origin, message.ref, draft)
    if task is None or task.state is TaskState.CANCELLING:
        _stop(message.origin, message.ref, draft)
        return
    result = replace(message.result, is_final=False)
    known = state.claims[task.task_id]
    if result.task_id != task.task_id or result.revision <= known.partial:
        return
    state.claims[task.task_id] = replace(known, partial=result.revision)
    draft.records.append(_stored(task, result))
    done = min(max(result.shots_done, task.shots_done), task.spec.total_shots)
    if task.state is TaskState.CLAIMED:
        _begin(state, task)
        life.advance(state, draft, task, TaskState.RUNNING, shots_done=done)
    elif done != task.shots_done:
        life.change(state, draft, task, shots_done=done)
    draft.effects.append(PublishPartial(tenant=task.owner.tenant, result=result))


def _stored(task: Task, result: TaskResult) -> ResultStored:
    return ResultStored(task_id=task.task_id, epoch=task.epoch, attempt=task.attempt, result=result)


# ---------------------------------------------------------------- the end of a claim


def finish(state: State, message: Finish, draft: Draft) -> None:
    """Record the end of a claim, once. A lapsed claim's result is good while nobody has claimed again."""
    origin, ref = message.origin, message.ref
    task = _find(state, origin, ref)
    if task is None:
        _recorded_before(state, ref, message.outcome.state)
    _hear(state, origin, draft)
    draft.reply = ClaimRecorded(origin=origin, ref=ref)
    if task is None:
        return
    outcome = _checked(task, message.outcome)
    if outcome.state is TaskState.CANCELLED:
        _stopped(state, task, draft)
        return
    used_s = outcome.device_s
    if outcome.state is TaskState.COMPLETED and used_s == 0:
        used_s = task.predicted_s
    is_fitted = eta.clock_of(state.device_of(task).row.description, task.spec.options) is None
    if outcome.device_s > 0 and outcome.state is TaskState.COMPLETED and is_fitted:
        _learn(state, task, outcome.device_s, draft)
    if task.state is TaskState.QUEUED:
        forecast.changed(state, state.device_of(task), "a late result took a task out of the queue")
    stamps: tuple[Stamp, ...] = ()
    error: ErrorInfo | None = None
    done = task.shots_done
    if outcome.result is not None:
        draft.records.append(_stored(task, outcome.result))
        stamps = _measured(outcome.result, state.now_ms)
        done = task.spec.total_shots
    else:
        error = _error(outcome)
    life.end(state, draft, task, outcome.state, error=error, stamps=stamps, used_s=used_s, shots_done=done)


def _recorded_before(state: State, ref: ClaimRef, outcome: TaskState) -> None:
    """Return if this claim's end is on disk already, refuse it as stale otherwise."""
    ended = state.ended.get(ref.task_id)
    if (
        ended is None
        or (ended.epoch, ended.attempt) != (ref.epoch, ref.attempt)
        or ended.state is not outcome
    ):
        raise refusal("task.stale_claim", f"claim {ref.attempt} of {ref.task_id} is not current")


def _checked(task: Task, outcome: Outcome) -> Outcome:
    """Return the outcome made sound: an agent that breaks the rules fails the task, not the gateway."""
    used = outcome.device_s if 0 < outcome.device_s <= _LONGEST_S else 0.0
    if outcome.state is TaskState.COMPLETED:
        result = outcome.result
        if result is not None and result.task_id == task.task_id:
            return replace(outcome, device_s=used, result=replace(result, is_final=True))
        fault = "the agent sent no result of this task"
    elif outcome.state in (TaskState.FAILED, TaskState.CANCELLED):
        return replace(outcome, device_s=used, result=None)
    else:
        fault = f"the agent ended it in state {outcome.state}"
    return Outcome(state=TaskState.FAILED, error_code="agent", error_message=fault, device_s=used)


def _error(outcome: Outcome) -> ErrorInfo:
    code = outcome.error_code if outcome.error_code in CODES else "agent"
    return info(
        code,
        outcome.error_message or CODES[code][0],
        hint=outcome.error_hint[:_HINT_LENGTH],
    )


def _stopped(state: State, task: Task, draft: Draft) -> None:
    """Settle a claim the agent stopped: as asked, or of its own accord (then it counts as lapsed)."""
    if task.state is TaskState.CANCELLING:
        life.end(state, draft, task, TaskState.CANCELLED)
    elif task.state is not TaskState.QUEUED:
        claim.lapse(state, state.claims[task.task_id], draft, "the agent stopped it unasked")


def _measured(result: TaskResult, now_ms: int) -> tuple[Stamp, ...]:
    return tuple(
        Stamp(stage=stage, at_ms=now_ms, seconds=seconds)
        for stage, seconds in result.durations[:16]
        if stage in _MEASURED and isfinite(seconds) and seconds >= 0
    )


def _learn(state: State, task: Task, seconds: float, draft: Draft) -> None:
    device = state.device_of(task)
    row = device.row
    model = eta.learn(row.model, row.description.cost, task.spec, seconds, state.config.least_s)
    device.row = replace(row, model=model)
    draft.records.append(DeviceSaved(device=device.row))


def give_back(state: State, message: GiveBack, draft: Draft) -> None:
    """Take a claim back: no attempt is spent, and the agent is left alone for a moment."""
    origin, ref = message.origin, message.ref
    task = _find(state, origin, ref)
    if task is None:
        ended = state.ended.get(ref.task_id)
        if ended is None or (ended.epoch, ended.attempt) != (ref.epoch, ref.attempt):
            raise refusal("task.stale_claim", f"claim {ref.attempt} of {ref.task_id} is not current")
    draft.reply = ClaimRecorded(origin=origin, ref=ref)
    if task is None or task.state is TaskState.QUEUED:
        return
    device = state.device_of(task)
    agent = device.agents.get(state.claims[task.task_id].agent)
    if agent is not None:
        until_ms = state.now_ms + round(state.config.give_back_pause_s * 1000)
        device.agents[agent.name] = replace(agent, paused_until_ms=until_ms)
    if task.state is TaskState.CANCELLING:
        life.end(state, draft, task, TaskState.CANCELLED, is_charged=False)
    else:
        reason = message.reason[:_STAGE_LENGTH]
        cause = f"the agent gave it back ({reason})" if reason else "the agent gave it back"
        claim.come_back(state, task, draft, cause, lapses=task.lapses)
