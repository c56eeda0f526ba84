"""When tasks really run, in predicted time: what agents hold, then what waits.

An agent may hold more tasks than its device runs at once (`DeviceDescription.parallel`); the others wait their turn
in the order in which they were dispatched. Positions are a matter of dispatch (`queue.run_forward`); this is not.
Durations are predicted anew by the model as it is now: what a task was charged may have been said in ignorance.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from heapq import heapify, heapreplace
from typing import NamedTuple

from qmio_jupyter.core import eta
from qmio_jupyter.core.queue import Place
from qmio_jupyter.core.state import Agent, Device, State
from qmio_jupyter.model.ids import AgentId, TaskId
from qmio_jupyter.model.task import Task, TaskState


class Turn(NamedTuple):
    """From when to when a task is expected to run, ms."""

    start_ms: int
    end_ms: int


def lengths(state: State, device: Device) -> Callable[[Task], int]:
    """Return a function that tells the median duration of a task on the device, ms."""
    model, cost = device.row.model, device.row.description.cost
    least_s, pace = state.config.least_s, state.pace(device)
    known: dict[tuple[int, int], int] = {}

    def length_ms(task: Task) -> int:
        size = eta.work(task.spec)
        found = known.get(size)
        if found is None:
            seconds = eta.predict_work(model, cost, *size, least_s) * pace
            found = known[size] = max(1, round(seconds * 1000))
        return found

    return length_ms


def held(state: State, device: Device, agent: AgentId) -> tuple[dict[TaskId, Turn], list[int]]:
    """Return the turns of the tasks that an agent holds, and when each of its servers is free after them."""
    mine = device.claims.get(agent, set())
    known = device.agents.get(agent)
    servers = min(device.row.description.parallel, max(1 if known is None else known.credit, len(mine), 1))
    free_ms = [0] * servers
    length_ms = lengths(state, device)
    # Claims are kept in the order in which they were made, which is that in which agents start them.
    claims = [claim for task_id, claim in state.claims.items() if task_id in mine]
    running = sorted((c for c in claims if c.started_ms is not None), key=lambda c: c.started_ms or 0)
    # One that runs since before a restart of the gateway has no such instant.
    others = sorted(
        (c for c in claims if c.started_ms is None),
        key=lambda c: state.tasks[c.ref.task_id].state is TaskState.CLAIMED,
    )
    last_end_ms = max(device.last_end_ms.values(), default=0)
    turns: dict[TaskId, Turn] = {}
    for claim in (*running, *others):
        task = state.tasks[claim.ref.task_id]
        since_ms = claim.started_ms
        if since_ms is None:
            # Its turn came with its claim, or when the one before it ended.
            is_next = task.state is TaskState.CLAIMED
            since_ms = max(claim.claimed_ms, last_end_ms) if is_next else claim.claimed_ms
        start_ms = max(since_ms, free_ms[0])
        length = 0 if task.state is TaskState.CANCELLING else length_ms(task)
        turn = Turn(start_ms, max(start_ms + length, state.now_ms))
        turns[task.task_id] = turn
        heapreplace(free_ms, turn.end_ms)
    return turns, free_ms


def waiting(state: State, device: Device, places: Sequence[Place]) -> list[Place]:
    """Return the places with the instants at which the tasks are expected to run, not to be dispatched.

    Parameters
    ----------
    places : sequence of Place
        The forward run; where it cannot say when a task is dispatched, nothing is said.
    """
    servers = [ms for agent in device.present() for ms in _servers(state, device, agent)]
    if not servers:
        return [Place(place.task_id, None) for place in places]
    heapify(servers)
    length_ms = lengths(state, device)
    found: list[Place] = []
    for place in places:
        if place.start_ms is None:
            found.append(place)
            continue
        # Nothing but a booking holds a task back whose turn has come.
        start_ms = max(servers[0], place.start_ms) if device.bookings else servers[0]
        found.append(Place(place.task_id, start_ms))
        heapreplace(servers, start_ms + length_ms(state.tasks[place.task_id]))
    return found


def _servers(state: State, device: Device, agent: Agent) -> list[int]:
    """Return when each server of an agent is free for what waits (the last ones, if it holds too much)."""
    count = min(device.row.description.parallel, agent.credit)
    if not agent.state.takes_tasks or count == 0:
        return []
    earliest_ms = max(state.now_ms, agent.paused_until_ms, agent.silent_until_ms)
    free_ms = sorted(held(state, device, agent.name)[1])
    free_ms = [0] * (count - len(free_ms)) + free_ms
    return [max(earliest_ms, ms) for ms in free_ms[len(free_ms) - count :]]
