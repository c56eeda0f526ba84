"""What users are told of the queue: positions and estimates, from one forward run per device for everybody.

The forward run says who is dispatched when, and so the positions; `times` says when those tasks really run.

A number told is remembered. If it gets worse, the view that says so names the cause: whatever has happened to the
device's queue since the last publication. A worse number without a cause is a defect (`invariants.check`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec.structs import replace

from qmio_jupyter.core import queue, times, view
from qmio_jupyter.core.calendar import Calendar
from qmio_jupyter.core.effects import Publish
from qmio_jupyter.core.queue import Entry, Place
from qmio_jupyter.core.state import Agent, Device, Draft, Shown, State
from qmio_jupyter.model.ids import AgentId, KeyId, TaskId, Tenant
from qmio_jupyter.model.task import Ahead, Estimate, Task, TaskState, TaskView


def calendar(state: State, device: Device) -> Calendar | None:
    """Return the bookings in force or to come, None if there are none. Live claims count as running on."""
    if not device.bookings:
        return None
    ends = dict(device.last_end_ms)
    for claims in device.claims.values():
        for task_id in claims:
            # The holder of a booking is not idle while it runs.
            ends[state.tasks[task_id].owner.tenant] = times.NEVER_MS
    return _calendar(state, device, ends)


def _calendar(state: State, device: Device, ends: dict[Tenant, int]) -> Calendar:
    for booking in device.bookings.values():
        if booking.holder is not None:
            ends[booking.holder] = max(ends.get(booking.holder, 0), device.since_ms)
    return Calendar(device.bookings.values(), state.pace(device), ends)


def changed(state: State, device: Device, cause: str = "") -> None:
    """Note that a device's queue changed, and why if that may worsen positions; publish soon."""
    device.places = None
    if cause and cause not in device.causes:
        device.causes.append(cause)
    if device.entries or device.shown:
        # Ever rarer as a queue grows: a publication costs time for each task in it.
        period_ms = round(1000 / state.config.publish_hz) * (1 + len(device.entries) // 1000)
        due_ms = device.published_ms + period_ms
        state.timers.set(max(due_ms, state.now_ms), "publish", device.name)


def places(state: State, device: Device) -> list[Place]:
    """Return the forward run of the queue as it is (kept until the queue changes, or time may change it)."""
    if device.places is not None and (device.places[0] == state.now_ms or not device.bookings):
        return device.places[1]
    pace = state.pace(device)
    ends = dict(device.last_end_ms)
    free: dict[AgentId, list[int]] = {}
    for name, held in device.claims.items():
        own = free[name] = []
        for task_id in held:
            task = state.tasks[task_id]
            end_ms = max(state.claims[task_id].claimed_ms + state.length_ms(task), state.now_ms)
            own.append(end_ms)
            ends[task.owner.tenant] = max(end_ms, ends.get(task.owner.tenant, 0))
    heard = _heard(device, free)
    servers = [
        ms
        for agent in device.present()
        for ms in _servers(
            agent, free.get(agent.name, []), heard.get(agent.key, times.NEVER_MS), state.now_ms
        )
    ]
    outlook = _calendar(state, device, ends) if device.bookings else None
    found = times.waiting(state, device, queue.run_forward(device.ready, servers, outlook, pace))
    device.places = (state.now_ms, found)
    return found


def _heard(device: Device, ends: Mapping[AgentId, list[int]]) -> dict[KeyId, int]:
    """Return when agents will be heard of, by key: who ends a claim says so, and is silent no longer."""
    heard: dict[KeyId, int] = {}
    for name, ends_ms in ends.items():
        agent = device.agents.get(name)
        if agent is not None:
            heard[agent.key] = min(heard.get(agent.key, times.NEVER_MS), *ends_ms)
    return heard


def _servers(agent: Agent, ends_ms: list[int], heard_ms: int, now_ms: int) -> list[int]:
    """Return when each unit of an agent's credit is expected to be free (the last ones, if it holds more)."""
    if not agent.state.takes_tasks:
        return []
    free_ms = max(now_ms, agent.waits_until_ms(heard_ms))
    instants = sorted([*ends_ms, *[free_ms] * (agent.credit - len(ends_ms))])
    return [max(free_ms, ms) for ms in instants[len(instants) - agent.credit :]]


def show(
    device: Device, task_id: TaskId, place: tuple[int, int | None], ahead: Ahead, *, to_all: bool
) -> str:
    """Remember what is told; return the cause to name if it is worse than what anybody was told before.

    Telling one asker (`to_all` False) only lowers what is remembered: the others are still to be told.
    """
    position, start_ms = place
    before = device.shown.get(task_id)
    if to_all or before is None:
        device.shown[task_id] = Shown(position, start_ms, position, start_ms, ahead)
    elif 0 <= position < before.lowest:
        device.shown[task_id] = replace(before, lowest=position, lowest_start_ms=start_ms)
    if before is None or position <= before.lowest:
        return ""
    if device.causes:
        return "; ".join(device.causes[-2:])
    if device.bookings:
        first = min(device.bookings.values(), key=lambda booking: (booking.from_ms, booking.booking_id))
        return f"a {first.kind} booking holds the device"
    device.unexplained.append(f"{task_id}: {before.lowest} -> {position}")
    return "the queue was put in order"


def of(state: State, task: Task, cause: str, exact_up_to: int, *, to_all: bool) -> TaskView:
    """Return the view of a live task; its position is told if the queue is no longer than `exact_up_to`.

    In a longer queue the best position told is repeated, for it may be this asker who was told it; the next
    publication brings the exact one.
    """
    device = state.device_of(task)
    if task.state is not TaskState.QUEUED:
        return _claimed(state, device, task, cause)
    if len(device.entries) > exact_up_to:
        last = device.shown.get(task.task_id)
        if last is None or last.position is None:
            return view.of(task, cause=cause)
        spread = _spread_of_all(state, device)
        return _queued(state, device, task, last.lowest, None, last.lowest_start_ms, cause, spread)
    found = places(state, device)
    position = next(index for index, place in enumerate(found) if place.task_id == task.task_id)
    start_ms = found[position].start_ms
    crowd = queue.Crowd(device.entries[place.task_id].tenant for place in found[:position])
    ahead = crowd.before(task.owner.tenant)
    worse = show(device, task.task_id, (position, start_ms), ahead, to_all=to_all)
    spread = _spread_of_all(state, device)
    return _queued(state, device, task, position, ahead, start_ms, cause or worse, spread)


def publish(state: State, device: Device, draft: Draft) -> None:
    """Tell all watchers of a device's queue what has changed for them, and forget the causes."""
    device.published_ms = state.now_ms
    device.places = None
    found = places(state, device)
    spread = _spread_of_all(state, device)
    crowd = queue.Crowd(())
    for position, place in enumerate(found):
        before = device.shown.get(place.task_id)
        tenant = device.entries[place.task_id].tenant
        ahead = crowd.before(tenant)
        crowd.add(tenant)
        is_told = (
            before is not None and before.position == before.lowest == position and before.ahead == ahead
        )
        if before is not None and is_told and not _moved(state, before, place):
            continue
        cause = show(device, place.task_id, (position, place.start_ms), ahead, to_all=True)
        task = state.tasks[place.task_id]
        shown = _queued(state, device, task, position, ahead, place.start_ms, cause, spread)
        draft.effects.append(Publish(view=shown))
    device.causes.clear()
    if found:
        state.timers.set(state.now_ms + round(state.config.refresh_s * 1000), "publish", device.name)


def cleared(state: State, device: Device) -> Estimate | None:
    """Return when all that a device holds now has run, if nothing else arrives.

    None where a booking or an absent agent keeps a task waiting for nobody knows how long, or the queue is longer than
    one that is gone through for a single asker.
    """
    if len(device.entries) > state.config.position_in_view:
        return None
    ends_ms = [
        turn.end_ms for agent in device.claims for turn in times.held(state, device, agent).turns.values()
    ]
    for place in places(state, device) if device.entries else ():
        if place.start_ms is None:
            return None
        task = state.tasks[place.task_id]
        ends_ms.append(place.start_ms + times.length_ms(state, device, task, is_exact=state.is_exact(task)))
    return _estimate(
        state, device, max(ends_ms, default=state.now_ms), _spread_of_all(state, device) if ends_ms else 1.0
    )


def _moved(state: State, before: Shown, place: Place) -> bool:
    if before.start_ms is None or place.start_ms is None:
        return before.start_ms is not place.start_ms
    wait_ms = max(place.start_ms - state.now_ms, 0)
    return abs(place.start_ms - before.start_ms) > max(1000, wait_ms // 5)


def _spread(state: State, device: Device, claimed: Iterable[TaskId], queued: Iterable[Entry]) -> float:
    """Return p90 over p50 of what these tasks take together: 1 if all keep the device's clock."""
    is_exact = all(entry.is_exact for entry in queued) and all(
        state.is_exact(state.tasks[task_id]) for task_id in claimed
    )
    p50, p90 = device.spread()
    return 1.0 if is_exact else max(1.0, p90 / p50)


def _spread_of_all(state: State, device: Device) -> float:
    claimed = (task_id for held in device.claims.values() for task_id in held)
    return _spread(state, device, claimed, device.entries.values())


def _estimate(state: State, device: Device, ms: int, spread: float) -> Estimate:
    seconds = max(ms - state.now_ms, 0) / 1000
    return Estimate(p50_s=seconds, p90_s=seconds * spread, samples=device.row.model.samples)


def _queued(
    state: State,
    device: Device,
    task: Task,
    position: int,
    ahead: Ahead | None,
    start_ms: int | None,
    cause: str,
    spread: float,
) -> TaskView:
    start = end = None
    if start_ms is not None:
        start = _estimate(state, device, start_ms, spread)
        length_ms = times.length_ms(state, device, task, is_exact=state.is_exact(task))
        end = _estimate(state, device, start_ms + length_ms, spread)
    return view.of(task, position=position, ahead=ahead, start=start, end=end, cause=cause)


def _claimed(state: State, device: Device, task: Task, cause: str) -> TaskView:
    agent = state.claims[task.task_id].agent
    turn = times.held(state, device, agent).turns[task.task_id]
    spread = _spread(state, device, device.claims[agent], ())
    start = _estimate(state, device, turn.start_ms, spread) if task.state is TaskState.CLAIMED else None
    return view.of(task, start=start, end=_estimate(state, device, turn.end_ms, spread), cause=cause)
