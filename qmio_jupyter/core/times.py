"""When tasks really run, in predicted time: what agents hold, then what waits.

An agent may hold more tasks than its device runs at once (`DeviceDescription.parallel`); the others wait their turn
in the order in which they were dispatched. Those that keep the device's clock have it one by one, whatever `parallel`.
Positions are a matter of dispatch (`queue.run_forward`); this is not.
Durations are predicted anew by the model as it is now: what a task was charged may have been said in ignorance.
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heapify, heapreplace
from typing import NamedTuple

from qmio_jupyter.core import eta, queue
from qmio_jupyter.core.queue import Place
from qmio_jupyter.core.state import Agent, Device, State
from qmio_jupyter.model.ids import AgentId, TaskId
from qmio_jupyter.model.task import Task, TaskState

#: An instant that cannot be told.
NEVER_MS = 1 << 62
#: Sizes of tasks whose durations a device remembers.
_KNOWN = 1_000


class Turn(NamedTuple):
    """From when to when a task is expected to run, ms."""

    start_ms: int
    end_ms: int


def length_ms(state: State, device: Device, task: Task, *, is_exact: bool) -> int:
    """Return the median duration of a task on the device, ms; `is_exact`: it keeps the device's clock."""
    bindings, shots = eta.work(task.spec)
    known = device.lengths()
    size = (is_exact, bindings, shots)
    found = known.get(size)
    if found is None:
        seconds = eta.predict_on(device.row, task.spec, state.config.least_s)
        found = known[size] = queue.length_ms(seconds, 1.0 if is_exact else state.pace(device))
        if len(known) > _KNOWN:
            known.clear()
    return found


class Held(NamedTuple):
    """What an agent holds, in predicted time."""

    turns: dict[TaskId, Turn]
    #: When each of its servers is free, ms.
    free_ms: list[int]
    #: When the device is free for the next task that keeps its clock, ms.
    clock_ms: int


def held(state: State, device: Device, agent: AgentId) -> Held:
    """Return the turns of the tasks that an agent holds, and when it is free after them."""
    mine = device.claims.get(agent, set())
    known = device.agents.get(agent)
    servers = min(device.row.description.parallel, max(1 if known is None else known.credit, len(mine), 1))
    free_ms = [0] * servers
    if not mine:
        return Held({}, free_ms, 0)
    # Claims are kept in the order in which they were made, which is that in which agents start them.
    if len(mine) == 1:
        claims = [state.claims[task_id] for task_id in mine]
    else:
        found = [claim for task_id, claim in state.claims.items() if task_id in mine]
        claims = sorted((c for c in found if c.started_ms is not None), key=lambda c: c.started_ms or 0)
        # One that runs since before a restart of the gateway has no such instant.
        claims += sorted(
            (c for c in found if c.started_ms is None),
            key=lambda c: state.tasks[c.ref.task_id].state is TaskState.CLAIMED,
        )
    last_end_ms = max(device.last_end_ms.values(), default=0)
    turns: dict[TaskId, Turn] = {}
    clock_ms = 0
    for claim in claims:
        task = state.tasks[claim.ref.task_id]
        since_ms = claim.started_ms
        if since_ms is None:
            # Its turn came with its claim, or when the one before it ended.
            is_next = task.state is TaskState.CLAIMED
            since_ms = max(claim.claimed_ms, last_end_ms) if is_next else claim.claimed_ms
        is_exact = state.is_exact(task)
        start_ms = max(since_ms, free_ms[0], clock_ms if is_exact else 0)
        is_ending = task.state is TaskState.CANCELLING
        length = 0 if is_ending else length_ms(state, device, task, is_exact=is_exact)
        turn = Turn(start_ms, max(start_ms + length, state.now_ms))
        turns[task.task_id] = turn
        heapreplace(free_ms, turn.end_ms)
        if is_exact:
            clock_ms = turn.end_ms
    return Held(turns, free_ms, clock_ms)


def waiting(state: State, device: Device, places: Sequence[Place]) -> list[Place]:
    """Return the places with the instants at which the tasks are expected to run, not to be dispatched.

    Parameters
    ----------
    places : sequence of Place
        The forward run; where it cannot say when a task is dispatched, nothing is said.
    """
    if not places:
        return []
    agents = [(agent, held(state, device, agent.name)) for agent in device.present()]
    clocks_ms = [own.clock_ms for _, own in agents]
    servers = [
        (ms, number)
        for number, (agent, own) in enumerate(agents)
        for ms in _servers(state, device, agent, own)
    ]
    if not servers:
        return [Place(place.task_id, None) for place in places]
    heapify(servers)
    found: list[Place] = []
    for place in places:
        if place.start_ms is None:
            found.append(place)
            continue
        task = state.tasks[place.task_id]
        is_exact = state.is_exact(task)
        free_ms, number = servers[0]
        # Nothing but a booking, or the device's clock, holds a task back whose turn has come.
        start_ms = max(
            free_ms, place.start_ms if device.bookings else 0, clocks_ms[number] if is_exact else 0
        )
        found.append(Place(place.task_id, start_ms))
        end_ms = start_ms + length_ms(state, device, task, is_exact=is_exact)
        heapreplace(servers, (end_ms, number))
        if is_exact:
            clocks_ms[number] = end_ms
    return found


def _servers(state: State, device: Device, agent: Agent, own: Held) -> list[int]:
    """Return when each server of an agent is free for what waits (the last ones, if it holds too much)."""
    count = min(device.row.description.parallel, agent.credit)
    if not agent.state.takes_tasks or count == 0:
        return []
    # A silent agent is heard of when something that it holds ends.
    heard_ms = min((turn.end_ms for turn in own.turns.values()), default=NEVER_MS)
    earliest_ms = max(state.now_ms, agent.waits_until_ms(heard_ms))
    free_ms = sorted(own.free_ms)
    free_ms = [0] * (count - len(free_ms)) + free_ms
    return [max(earliest_ms, ms) for ms in free_ms[len(free_ms) - count :]]
