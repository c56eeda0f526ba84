"""A core after a restart: the state rebuilt from the ledger, and what must be on disk before anything else.

All live leases start anew: agents may renew what they run as soon as they have announced themselves again.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from qmio_jupyter.core import booking, claim, forecast, job_secrets, life, programs, session
from qmio_jupyter.core.config import CoreConfig
from qmio_jupyter.core.fair import nodes
from qmio_jupyter.core.records import DeviceRow, EpochSaved, LiveState, Record, SessionSaved, UsageRow
from qmio_jupyter.core.state import Claim, Device, State
from qmio_jupyter.core.task import amend
from qmio_jupyter.model.device import DeviceDescription, DeviceState
from qmio_jupyter.model.ids import DeviceName
from qmio_jupyter.model.task import Task, TaskState


def load(config: CoreConfig, live: LiveState, epoch: int, now_ms: int) -> tuple[State, tuple[Record, ...]]:
    """Return the state of a gateway's new life, and the records that open it."""
    state = State(config, epoch, now_ms)
    records: list[Record] = [EpochSaved(epoch=epoch)]
    state.enrolments.update((enrolment.key, enrolment) for enrolment in live.enrolments)
    _load_devices(state, live)
    for grant in live.grants:
        state.grants[grant.grant_id] = grant
        state.timers.set(max(grant.expires_ms, now_ms), "grant", grant.grant_id)
    job_secrets.load(state, live.job_secrets)
    for one in live.sessions:
        session.load(state, one)
        if state.sessions[one.session_id] != one:
            records.append(SessionSaved(session=state.sessions[one.session_id]))
    for program in live.programs:
        programs.add(state, program)
    for ended in sorted(live.ended, key=lambda ended: (ended.updated_ms, ended.task_id)):
        state.ended[ended.task_id] = ended if ended.updated_ms else replace(ended, updated_ms=now_ms)
        programs.refer(state, ended.tenant, ended.programs)
    for forgotten in sorted(live.forgotten, key=lambda one: (one.forgotten_ms, one.task_id)):
        state.forgotten[forgotten.task_id] = forgotten.forgotten_ms
    if state.ended or state.forgotten:
        state.timers.set(now_ms, "retention", "")
    for task in sorted(live.tasks, key=lambda task: (task.submitted_ms, task.task_id)):
        programs.refer(state, task.owner.tenant, life.programs_of(task))
        life.enter(state, task, is_known=True)
        if task.state in life.LIVE_CLAIM:
            records.append(_load_claim(state, task))
    _forget_closed(state)
    for device in state.devices.values():
        forecast.changed(state, device)
    for one_booking in live.bookings:
        if one_booking.cancelled_ms is None and one_booking.until_ms > now_ms:
            booking.add(state, one_booking)
    return state, tuple(records)


def _load_devices(state: State, live: LiveState) -> None:
    """Make every device that is known, or that a task names (a ledger out of step must not lose a task)."""
    rows = {row.description.name: row for row in live.devices}
    for task in live.tasks:
        name = task.spec.device
        if name not in rows:
            description = DeviceDescription(name=name, title=name, n_qubits=None, driver="")
            rows[name] = DeviceRow(description=description, state=DeviceState.OFFLINE)
    newest: dict[DeviceName, int] = {}
    for task in live.tasks:
        newest[task.spec.device] = max(newest.get(task.spec.device, 0), task.submitted_ms)
    usage: dict[DeviceName, list[UsageRow]] = {}
    for usage_row in live.usage:
        usage.setdefault(usage_row.device, []).append(usage_row)
    for name, device_row in rows.items():
        offline = replace(device_row, state=DeviceState.OFFLINE)
        device = Device(offline, state.config, state.shares, state.now_ms)
        device.ready.usage.load(_sound(usage.get(name, ())), newest.get(name, 0))
        state.devices[name] = device


def _sound(rows: Iterable[UsageRow]) -> list[UsageRow]:
    return [row for row in rows if row.seconds >= 0]


def _load_claim(state: State, task: Task) -> Record:
    now, device = state.now_ms, state.device_of(task)
    lease_until_ms = now + round(state.config.lease_s * 1000)
    task, record = amend(task, now, lease_until_ms=lease_until_ms)
    state.tasks[task.task_id] = task
    claimed = [stamp.at_ms for stamp in task.timeline if stamp.stage == "claimed"]
    claimed_ms = claimed[-1] if claimed else task.updated_ms
    loaded = Claim(
        ref=task.ref,
        device=device.name,
        agent=task.agent or "",
        claimed_ms=claimed_ms,
        lease_until_ms=lease_until_ms,
        sent_ms=now,
        held=task.state is TaskState.RUNNING,
    )
    claim.keep(state, device, loaded)
    state.timers.set(lease_until_ms, "lease", task.task_id)
    account, user = nodes(task.owner.tenant)
    device.ready.usage.adopt(task.task_id, account, user, task.predicted_s, claimed_ms)
    return record


def _forget_closed(state: State) -> None:
    """Keep of the closed sessions only those whose tasks are still live."""
    for session_id, one in list(state.sessions.items()):
        if not one.is_open and session_id not in state.live_by_session:
            del state.sessions[session_id]
