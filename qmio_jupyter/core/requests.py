"""What users ask for: submit, cancel, forget. Another tenant's task looks exactly like an absent one."""

from __future__ import annotations

import msgspec

from qmio_jupyter.core import claim, eta, forecast, grant, life, programs, session
from qmio_jupyter.core.effects import Accepted, Acknowledged, TaskShown
from qmio_jupyter.core.inputs import Cancel, Forget, Submit
from qmio_jupyter.core.records import (
    ForgottenId,
    ForgottenIdDropped,
    ForgottenIdSaved,
    TaskForgotten,
    TaskInserted,
)
from qmio_jupyter.core.refusal import refusal
from qmio_jupyter.core.state import Device, Draft, State
from qmio_jupyter.errors import from_code
from qmio_jupyter.model.access import Session
from qmio_jupyter.model.ids import Digest, TaskId, is_id
from qmio_jupyter.model.program import Program
from qmio_jupyter.model.task import Owner, Stamp, Task, TaskSpec, TaskState

_PACES = ("fast", "real")


def submit(state: State, request: Submit, draft: Draft) -> None:
    """Queue a task; the same one again is answered with its present state."""
    own = session.require(state, request.origin, draft)
    if _is_known(state, request, own):
        draft.show = (Accepted, request.origin, request.task_id, request.spec)
        return
    device = _device(state, request.spec, own)
    attached = {program.digest: program for program in request.programs}
    task = _check(state, request, own, device, attached)
    for digest in life.programs_of(task):
        if digest in attached:
            programs.store(state, own.tenant, attached[digest], draft)
    programs.refer(state, own.tenant, life.programs_of(task))
    device.ready.arrive(state.now_ms)
    draft.records.append(TaskInserted(task=task))
    life.enter(state, task, is_known=False)
    draft.devices[device.name] = None
    draft.show = (Accepted, request.origin, task.task_id, request.spec)
    forecast.changed(state, device, "a task of a lighter user arrived")


def _is_known(state: State, request: Submit, own: Session) -> bool:
    if request.task_id in state.forgotten:
        # A copy that comes late must not run it again: as far as its owner is concerned, it is gone.
        raise refusal(
            "task.unknown", f"task {request.task_id} was forgotten", hint="Submit it under a new id."
        )
    live, ended = state.tasks.get(request.task_id), state.ended.get(request.task_id)
    if live is not None:
        known = (live.owner.tenant, live.spec_digest)
    elif ended is not None:
        known = (ended.tenant, ended.spec_digest)
    else:
        return False
    if known != (own.tenant, request.spec_digest):
        raise refusal("task.conflict", f"task id {request.task_id} is taken by another task")
    return True


def _device(state: State, spec: TaskSpec, own: Session) -> Device:
    device = state.devices.get(spec.device)
    if device is None or (own.devices and device.name not in own.devices):
        raise refusal("device.unknown", f"no device {spec.device[:64]!r}")
    return device


def _check(
    state: State, request: Submit, own: Session, device: Device, attached: dict[Digest, Program]
) -> Task:
    """Return the task to queue, or refuse it for the first reason found."""
    if not (is_id(request.task_id) and request.task_id.startswith("t-")):
        raise refusal("usage", f"{request.task_id[:64]!r} is no task id")
    _check_spec(request.spec, device)
    for count, limit, whose in (
        (state.live_by_session[own.session_id], state.config.live_per_session, "this session"),
        (state.live_by_tenant[own.tenant], state.config.live_per_tenant, own.tenant),
    ):
        if count >= limit:
            raise refusal("limit.queue", f"{limit} tasks of {whose} are queued or running", retryable=True)
    limit = state.config.live_bytes_per_tenant
    if state.live_bytes[own.tenant] + life.spec_bytes(request.spec) > limit:
        raise refusal(
            "limit.queue",
            f"with it, tasks of {own.tenant} that are queued or running would hold more than {limit} bytes",
            retryable=True,
        )
    digests = _check_programs(state, request.spec, own, device, attached)
    programs.check_room(state, own.tenant, [attached[digest] for digest in digests if digest in attached])
    predicted_s = _predict(state, request.spec, own, device)
    now = state.now_ms
    return Task(
        task_id=request.task_id,
        owner=Owner(tenant=own.tenant, uid=own.uid, session_id=own.session_id),
        spec=request.spec,
        spec_digest=request.spec_digest,
        state=TaskState.QUEUED,
        revision=1,
        submitted_ms=now,
        updated_ms=now,
        predicted_s=predicted_s,
        timeline=(Stamp(stage="accepted", at_ms=now), Stamp(stage="queued", at_ms=now)),
    )


class Quote(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a task before it is queued."""

    #: Device-seconds it would be charged.
    cost_s: float
    #: Size of its programs together.
    program_bytes: int
    #: Connections of the device's agents whose link is up, by the agents' names.
    agents: tuple[int, ...]


def quote(state: State, own: Session, spec: TaskSpec, attached: dict[Digest, Program]) -> Quote:
    """Return what a task would cost, or refuse it as `submit` would.

    Whether there is room for one more task now is not asked.
    """
    device = _device(state, spec, own)
    _check_spec(spec, device)
    digests = _check_programs(state, spec, own, device, attached)
    sizes = (
        len(attached[one].data) if one in attached else state.programs[own.tenant, one].size
        for one in digests
    )
    present = sorted(device.present(), key=lambda agent: agent.name)
    return Quote(
        cost_s=_predict(state, spec, own, device),
        program_bytes=sum(sizes),
        agents=tuple(agent.connection for agent in present if agent.connection is not None),
    )


def _check_programs(
    state: State, spec: TaskSpec, own: Session, device: Device, attached: dict[Digest, Program]
) -> dict[Digest, None]:
    """Return the digests of a task's programs, all of them here and of a kind that the device reads."""
    digests = dict.fromkeys(item.program for item in spec.items)
    programs.check_named_alike(state, own.tenant, attached.values())
    programs.check_media_types(state, own.tenant, digests, attached, device.row.description)
    return digests


def _predict(state: State, spec: TaskSpec, own: Session, device: Device) -> float:
    """Return the device-seconds a task is predicted to take, or refuse it for its length or its grant."""
    predicted_s = eta.predict_on(device.row, spec, state.config.least_s)
    if predicted_s > state.config.longest_task_s:
        raise refusal(
            "limit.duration",
            f"predicted to take {predicted_s:.3g} s, the longest allowed is {state.config.longest_task_s:.3g} s",
        )
    grant.check_budget(state, own, predicted_s)
    return predicted_s


def _check_spec(spec: TaskSpec, device: Device) -> None:
    description, options = device.row.description, spec.options
    if not spec.items:
        raise refusal("program", "a task needs at least one item")
    for index, item in enumerate(spec.items):
        if not 1 <= item.shots <= description.max_shots:
            raise refusal(
                "limit.shots",
                f"item {index} asks for {item.shots} shots, {device.name} does 1 to {description.max_shots}",
            )
        if item.observables or item.precision is not None:
            raise refusal("program.unsupported", f"item {index}: observables are not taken yet")
    if options.pace not in _PACES:
        raise refusal("usage.option", f"pace {options.pace[:32]!r} is neither fast nor real")
    unknown = [key for key, _ in options.device_options if key not in description.options]
    # Of a device that has not announced itself yet nothing is known: its driver will say.
    if unknown and description.driver:
        raise refusal("device.option", f"{device.name} has no option {unknown[0][:64]!r}")
    if (error := claim.obstacle(device.row, options)) is not None:
        raise from_code(error.code, error.message, hint=error.hint)


def _own_live(state: State, task_id: TaskId, own: Session) -> Task | None:
    """Return the tenant's live task, None if it has ended.

    Raises
    ------
    UnknownTaskError
        If there is none, or it is another tenant's.
    """
    task, ended = state.tasks.get(task_id), state.ended.get(task_id)
    if task is not None and task.owner.tenant == own.tenant:
        return task
    if ended is not None and ended.tenant == own.tenant:
        return None
    raise refusal("task.unknown", f"no task {task_id[:64]!r} of yours")


def cancel(state: State, request: Cancel, draft: Draft) -> None:
    """Cancel a task: at once if it waits, through its agent if it is claimed; an ended one stays as it is."""
    own = session.require(state, request.origin, draft)
    task = _own_live(state, request.task_id, own)
    draft.show = (TaskShown, request.origin, request.task_id, None)
    if task is None:
        return
    device = state.device_of(task)
    if task.state is TaskState.QUEUED:
        life.end(state, draft, task, TaskState.CANCELLED)
        forecast.changed(state, device, "a task was cancelled")
        return
    if task.state is not TaskState.CANCELLING:
        life.advance(state, draft, task, TaskState.CANCELLING)
    held = state.claims[task.task_id]
    claim.abort(device, held, draft)
    claim.sent_again(state, held)


def forget(state: State, request: Forget, draft: Draft) -> None:
    """Remove an ended task from the ledger. Its id stays taken as long as the task might have stayed."""
    own = session.require(state, request.origin, draft)
    if _own_live(state, request.task_id, own) is not None:
        raise refusal("task.not_finished", f"task {request.task_id} has not ended", hint="Cancel it first.")
    drop_ended(state, request.task_id, draft)
    forgotten = ForgottenId(task_id=request.task_id, forgotten_ms=state.now_ms)
    state.forgotten[forgotten.task_id] = forgotten.forgotten_ms
    draft.records.append(ForgottenIdSaved(forgotten=forgotten))
    too_many = len(state.forgotten) > state.config.retained_tasks
    free_ms = state.now_ms + (0 if too_many else round(state.config.retention_s * 1000))
    state.timers.set(free_ms, "retention", "")
    draft.reply = Acknowledged(origin=request.origin)


def drop_ended(state: State, task_id: TaskId, draft: Draft) -> None:
    """Remove an ended task and count its references out."""
    ended = state.ended.pop(task_id)
    programs.unrefer(state, ended.tenant, ended.programs)
    draft.records.append(TaskForgotten(task_id=task_id))


def drop_old(state: State, draft: Draft) -> None:
    """Remove ended tasks past their retention, oldest first, and free the ids of those forgotten as long ago."""
    for task_id, ended in list(state.ended.items()):
        if not _is_past(state, ended.updated_ms, len(state.ended)):
            break
        drop_ended(state, task_id, draft)
    for task_id, forgotten_ms in list(state.forgotten.items()):
        if not _is_past(state, forgotten_ms, len(state.forgotten)):
            break
        del state.forgotten[task_id]
        draft.records.append(ForgottenIdDropped(task_id=task_id))


def _is_past(state: State, since_ms: int, count: int) -> bool:
    """Return whether what is the oldest of `count` is kept no longer; if it is, look again when its time has come."""
    until_ms = since_ms + round(state.config.retention_s * 1000)
    if until_ms <= state.now_ms or count > state.config.retained_tasks:
        return True
    state.timers.set(until_ms, "retention", "")
    return False
