"""Are the positions shown honest? Fork the core, let nothing else arrive, and see who starts when.

In the fork no packet comes but the ends of runs, each exactly when the core's own model says. A task shown at
position k must then be dispatched after exactly k others of its device's queue.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable
from itertools import islice
from typing import Any

from msgspec.structs import replace

from qmio_jupyter.core.core import Core
from qmio_jupyter.core.effects import Dispatch, Effect
from qmio_jupyter.core.fair import Usage
from qmio_jupyter.core.inputs import Finish, Held, Input, Origin, Tick
from qmio_jupyter.core.queue import ReadyQueue, _Account, _Ranking
from qmio_jupyter.core.state import Claim, Device, State
from qmio_jupyter.core.timers import Timers
from qmio_jupyter.model.ids import DeviceName, TaskId
from qmio_jupyter.model.result import Outcome
from qmio_jupyter.model.task import ClaimRef, TaskState
from qmio_jupyter.testing.checks import Violation

#: Ticks without a dispatch after which a fork is left alone: a queue that nobody serves would tick for ever.
_PATIENCE = 50
_NEVER_MS = 1 << 62


def check_positions(core: Core, now_ms: int) -> int:
    """Return how many positions were checked.

    Raises
    ------
    Violation
        If a task is dispatched after more or fewer others than its position says.
    """
    if not any(device.entries for device in core.state.devices.values()):
        return 0
    fork = _Fork(core, now_ms)
    shown = {name: fork.core.positions(name) for name in core.state.devices}
    started = fork.run(shown)
    checked = 0
    for device, order in started.items():
        for place, task_id in enumerate(order):
            position = shown[device][task_id]
            if position != place:
                raise Violation(
                    "position",
                    f"{task_id} was shown at position {position} on {device} and starts after {place} others",
                )
            checked += 1
    return checked


class _Fork:
    """A copy of the core in which only time passes and runs end."""

    def __init__(self, core: Core, now_ms: int) -> None:
        self.now_ms = now_ms
        # Tasks and other frozen values are shared; only the containers are copied.
        self.core = _twin(core)
        # Nobody listens to what a fork publishes.
        self.core.state.config = replace(core.state.config, publish_hz=0.001, refresh_s=1e6)
        self._ends: list[tuple[int, int, ClaimRef]] = []
        self._count = 0
        self._claimed: dict[ClaimRef, None] = {}
        for task_id, claim in core.state.claims.items():
            # A claim that lapses brings its task back, and that would be an arrival.
            self.core.state.claims[task_id] = replace(claim, lease_until_ms=_NEVER_MS, held=True)
            self._plan(claim)
        # What is due now is done first: positions are told, and forked, at one instant.
        Core.handle(self.core, Tick(), now_ms)
        for task_id, claim in self.core.state.claims.items():
            if claim.ref not in self._claimed:
                self.core.state.claims[task_id] = replace(claim, lease_until_ms=_NEVER_MS, held=True)
                self._plan(self.core.state.claims[task_id])

    def run(self, shown: dict[DeviceName, dict[TaskId, int]]) -> dict[DeviceName, list[TaskId]]:
        """Return the tasks of `shown` in the order in which they are dispatched, for each device."""
        order: dict[DeviceName, list[TaskId]] = {device: [] for device in shown}
        waiting = sum(map(len, shown.values()))
        idle = started = 0
        while started < waiting and idle < _PATIENCE:
            tick_ms = self.core.next_deadline()
            end_ms = self._ends[0][0] if self._ends else None
            if end_ms is not None and (tick_ms is None or end_ms <= tick_ms):
                self.now_ms = max(self.now_ms, end_ms)
                self._finish(heapq.heappop(self._ends)[2], order)
                idle = 0
            elif tick_ms is not None:
                self.now_ms = max(self.now_ms, tick_ms)
                self._do(Tick(), order)
                idle += 1
            else:
                break
            started = sum(map(len, order.values()))
        return order

    def _do(self, given: Input, order: dict[DeviceName, list[TaskId]]) -> None:
        self._look(Core.handle(self.core, given, self.now_ms).effects, order)

    def _look(self, effects: Iterable[Effect], order: dict[DeviceName, list[TaskId]]) -> None:
        for effect in effects:
            if isinstance(effect, Dispatch) and effect.ref not in self._claimed:
                claim = self.core.state.claims[effect.ref.task_id]
                order[claim.device].append(effect.ref.task_id)
                self.core.state.claims[effect.ref.task_id] = replace(
                    claim, lease_until_ms=_NEVER_MS, held=True
                )
                self._plan(claim)

    def _plan(self, claim: Claim) -> None:
        """Let the run end when the core's model says."""
        state = self.core.state
        task = state.tasks[claim.ref.task_id]
        self._count += 1
        self._claimed[claim.ref] = None
        end_ms = max(claim.claimed_ms + state.length_ms(task), self.now_ms)
        heapq.heappush(self._ends, (end_ms, self._count, claim.ref))

    def _finish(self, ref: ClaimRef, order: dict[DeviceName, list[TaskId]]) -> None:
        claim = self.core.state.claims.get(ref.task_id)
        if claim is None or claim.ref != ref:
            return
        agent = self.core.state.devices[claim.device].agents.get(claim.agent)
        if agent is None:
            return
        origin = Origin(agent.connection or 0, 0, agent.key)
        self._do(Held(origin=origin, ref=ref), order)
        ended = Outcome(state=TaskState.FAILED, error_code="program", error_message="the fork ends")
        self._do(Finish(origin=origin, ref=ref, outcome=ended), order)


#: What a core's state is made of that changes in place; everything else in it is a frozen value, and shared.
_LIVING = (State, Device, ReadyQueue, _Account, _Ranking, Usage, Timers)


def _twin(core: Core) -> Core:
    """Return a core with a state of its own; whoever looks over the core's shoulder stays outside."""
    made = object.__new__(type(core))
    made.__dict__.update(core.__dict__)
    made.state = _copied(core.state)
    return made


def _copied(value: Any) -> Any:
    """Return a copy of a container, or of something living, down to the frozen values."""
    kind = type(value)
    if kind is dict:
        # All values of one of our dicts are of one kind.
        is_deep = any(type(inner) in _CONTAINERS for inner in islice(value.values(), 1))
        return {key: _copied(inner) for key, inner in value.items()} if is_deep else dict(value)
    if kind in (list, set, Counter):
        return kind(value)
    if kind not in _LIVING:
        return value
    made = object.__new__(kind)
    for name in getattr(kind, "__slots__", ()) or vars(value):
        setattr(made, name, _copied(getattr(value, name)))
    return made


_CONTAINERS = frozenset({dict, list, set, Counter, *_LIVING})
