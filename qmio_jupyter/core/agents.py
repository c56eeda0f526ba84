"""Agents: who hosts which device, over which link, with how much credit, and what they hold.

The incarnation rises with every start of an agent, the sequence with every announcement. What an agent does not
hold any more is taken from it: at once if it was started anew, by the lease if it merely has not heard of it.
"""

from __future__ import annotations

from msgspec.structs import replace

from qmio_jupyter.core import claim, forecast, life
from qmio_jupyter.core.effects import AgentWelcomed
from qmio_jupyter.core.inputs import Announce, Disconnected
from qmio_jupyter.core.records import DeviceRow, DeviceSaved, SnapshotSaved
from qmio_jupyter.core.refusal import refusal
from qmio_jupyter.core.reports import renew_lease
from qmio_jupyter.core.state import Agent, Claim, Device, Draft, State
from qmio_jupyter.model.access import Enrolment, Role
from qmio_jupyter.model.device import DeviceDescription, DeviceState, Snapshot
from qmio_jupyter.model.ids import KeyId, check_name, digest
from qmio_jupyter.model.task import ClaimRef, TaskState

_MOST_CREDIT = 1000
#: What a device's state is if its agents differ: the first of these.
_STATES = (
    DeviceState.IDLE,
    DeviceState.BUSY,
    DeviceState.DEGRADED,
    DeviceState.CALIBRATING,
    DeviceState.MAINTENANCE,
    DeviceState.ERROR,
)


def announce(state: State, message: Announce, draft: Draft) -> None:
    """Take note of an agent, settle what it holds, give it work."""
    _check(state, message)
    device = state.devices.get(message.description.name)
    before = None if device is None else device.agents.get(message.agent)
    # A host's clock may have been set back: only a later start that is still here counts against this one.
    if before is not None and before.connection is not None and message.incarnation < before.incarnation:
        raise refusal("agent", f"a later start of agent {message.agent} is here already")
    if device is None:
        device = _make(state, message.description)
    is_late = (
        before is not None
        and message.incarnation == before.incarnation
        and message.sequence <= before.sequence
    )
    if not is_late:
        _take_note(device, message, before)
        _update_row(state, device, message, draft)
        _settle_holding(state, device, message, before, draft)
        draft.devices[device.name] = None
        forecast.changed(state, device)
    draft.reply = AgentWelcomed(
        origin=message.origin,
        lease_s=state.config.lease_s,
        abort=tuple(ref for ref in message.holding if not _is_wanted(state, device, message.agent, ref)),
    )


def _make(state: State, description: DeviceDescription) -> Device:
    row = DeviceRow(description=description, state=DeviceState.OFFLINE)
    device = Device(row, state.config, state.shares, state.now_ms)
    device.causes.clear()
    state.devices[device.name] = device
    return device


def _check(state: State, message: Announce) -> None:
    name = message.description.name
    enrolment = state.enrolments.get(message.origin.key)
    if enrolment is None or enrolment.role is not Role.AGENT or enrolment.device != name:
        raise refusal("auth.role", f"this key is not enrolled as an agent of {name!r}")
    check_name(message.agent, "agent")
    check_name(name, "device")
    snapshot = message.snapshot
    if snapshot is None:
        return
    if snapshot.device != name:
        raise refusal("device", f"the snapshot is of {snapshot.device!r}, not of {name!r}")
    device = state.devices.get(name)
    is_known = device is not None and device.row.snapshot_id == snapshot.snapshot_id
    if not is_known and digest(snapshot.data) != snapshot.snapshot_id:
        raise refusal("wire.digest", f"the snapshot of {name!r} is not what its id says")


def _take_note(device: Device, message: Announce, before: Agent | None) -> None:
    is_same = before is not None and before.incarnation == message.incarnation
    device.agents[message.agent] = Agent(
        name=message.agent,
        key=message.origin.key,
        connection=message.origin.connection,
        incarnation=message.incarnation,
        sequence=message.sequence,
        state=message.state,
        credit=min(max(message.credit, 0), _MOST_CREDIT),
        paused_until_ms=before.paused_until_ms if before is not None and is_same else 0,
        held_before=len(device.claims.get(message.agent, ())),
    )


def _update_row(state: State, device: Device, message: Announce, draft: Draft) -> None:
    row = replace(device.row, description=message.description, state=_state_of(device))
    snapshot = message.snapshot
    if snapshot is not None and _supersedes(snapshot, row):
        if snapshot.snapshot_id != row.snapshot_id:
            draft.records.append(SnapshotSaved(snapshot=snapshot))
        row = replace(
            row,
            snapshot_id=snapshot.snapshot_id,
            snapshot_ms=snapshot.taken_ms,
        )
    _save_row(state, device, row, draft)


def _supersedes(snapshot: Snapshot, row: DeviceRow) -> bool:
    """Return whether a snapshot is the device's current one from now on.

    The newest is, whoever announces it; an agent that comes back with what it had changes nothing.
    """
    return snapshot.taken_ms >= (row.snapshot_ms or 0)


def _save_row(state: State, device: Device, row: DeviceRow, draft: Draft) -> None:
    if row == device.row:
        return
    is_recalibrated = row.snapshot_id != device.row.snapshot_id
    before, device.row = device.row.description, row
    if (row.description.clock, row.description.pace) != (before.clock, before.pace):
        life.file_again(state, device)
    draft.records.append(DeviceSaved(device=row))
    if not is_recalibrated:
        return
    for task_id in list(device.entries):
        task = state.tasks[task_id]
        error = claim.obstacle(row, task.spec.options)
        if error is not None:
            life.end(state, draft, task, TaskState.FAILED, error=error)
            forecast.changed(state, device, "a new calibration took tasks out of the queue")


def _state_of(device: Device) -> DeviceState:
    found = {agent.state for agent in device.present()}
    return next((one for one in _STATES if one in found), DeviceState.OFFLINE)


def _is_wanted(state: State, device: Device, agent: str, ref: ClaimRef) -> bool:
    """Return whether a claim is the agent's that it says to hold (a cancelled one is aborted by its own word)."""
    task = state.tasks.get(ref.task_id)
    return (
        task is not None
        and task.state in life.LIVE_CLAIM
        and task.spec.device == device.name
        and task.agent == agent
        and claim.is_current(task, ref)
    )


def _settle_holding(
    state: State, device: Device, message: Announce, before: Agent | None, draft: Draft
) -> None:
    holding = set(message.holding)
    for task_id in sorted(device.claims.get(message.agent, ())):
        kept = state.claims[task_id]
        if kept.ref in holding:
            renew_lease(state, kept)
            if state.tasks[task_id].state is TaskState.CANCELLING:
                claim.abort(device, kept, draft)
                claim.sent_again(state, state.claims[task_id])
        elif before is None:
            _settle_after_restart(state, device, message, kept, draft)
        elif message.incarnation != before.incarnation:
            claim.lapse(state, kept, draft, "its agent was started anew")
        else:
            _settle_unheard(state, device, kept, draft)


def _settle_unheard(state: State, device: Device, unheard: Claim, draft: Draft) -> None:
    """Settle a claim that the same start of its agent does not know: lost, or still on its way."""
    task = state.tasks[unheard.ref.task_id]
    if task.state is TaskState.CLAIMED:
        claim.send(state, device, unheard, draft)
    elif task.state is TaskState.CANCELLING and not unheard.held:
        life.end(state, draft, task, TaskState.CANCELLED, is_charged=False)


def _settle_after_restart(
    state: State, device: Device, message: Announce, unheard: Claim, draft: Draft
) -> None:
    """Settle it when the gateway does not remember the agent's start: its clock tells if it is older.

    Even then it is claimed anew, not sent again: clocks of hosts may disagree, and one claim must never run in two
    starts of an agent.
    """
    is_older = message.incarnation <= unheard.claimed_ms
    now_in = state.tasks[unheard.ref.task_id].state
    if is_older and now_in is not TaskState.CLAIMED:
        _settle_unheard(state, device, unheard, draft)
    elif is_older:
        claim.lapse(state, unheard, draft, "its dispatch was lost", is_free=True)
    else:
        is_free = device.row.description.repeatable
        claim.lapse(state, unheard, draft, "its agent was started anew", is_free=is_free)


def disconnected(state: State, message: Disconnected, draft: Draft) -> None:
    """Give nothing more to agents whose link is gone; what they hold is theirs until the lease lapses."""
    for device in state.devices.values():
        for agent in device.present():
            if agent.connection == message.connection:
                part(state, device, agent, draft)


def part(state: State, device: Device, agent: Agent, draft: Draft) -> None:
    """Note that an agent's link is gone."""
    device.agents[agent.name] = replace(agent, connection=None)
    _save_row(state, device, replace(device.row, state=_state_of(device)), draft)
    forecast.changed(state, device)


def revoke(state: State, key: KeyId, draft: Draft) -> None:
    """Give nothing more to agents whose key is no longer enrolled for their device."""
    enrolment = state.enrolments.get(key)
    still = enrolment.device if enrolment is not None and enrolment.role is Role.AGENT else None
    for device in state.devices.values():
        if device.name != still:
            for agent in device.present():
                if agent.key == key:
                    part(state, device, agent, draft)


def expect(state: State, enrolment: Enrolment, draft: Draft) -> None:
    """Know the device of an enrolled agent from now on: until it announces itself, tasks may wait for it."""
    name = enrolment.device
    if enrolment.role is not Role.AGENT or name is None or name in state.devices:
        return
    description = DeviceDescription(name=name, title=name, n_qubits=None, driver="")
    device = _make(state, description)
    draft.records.append(DeviceSaved(device=device.row))
