"""Refused before it queues: tasks of wide programs are cleared by a dry run before they are submitted.

A device says up to which width its programs are always cheap enough (`DeviceDescription.checked_above`). Narrower
programs, by far the most, are submitted without asking anybody. Of a wider one, or one whose width cannot be told,
a dry run is asked for first, once for each program and way of running it. A dry run that cannot be had is no reason
to refuse a task: the device's worker looks at it again.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Sequence
from typing import Final, TypeVar

from qmio_jupyter.client import flows
from qmio_jupyter.client.flows import Flow
from qmio_jupyter.client.width import width_of
from qmio_jupyter.errors import QmioError
from qmio_jupyter.model.ids import DeviceName, Digest, TaskId
from qmio_jupyter.model.program import Program
from qmio_jupyter.model.task import TaskSpec, TaskView

#: Seconds an agent gets to clear a task.
CLEAR_S: Final = 10.0
#: Programs whose width is remembered, and tasks that were cleared.
_WIDTHS: Final = 4096
_CLEARED: Final = 1024
#: What a dry run is refused with that a task would be refused with, too.
_REASONS: Final = ("program", "limit", "device.option", "device.snapshot", "device.unknown")

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Clearances:
    """What one client remembers: widths of programs, limits of devices, tasks that were cleared."""

    def __init__(self) -> None:
        self._widths: OrderedDict[Digest, int | None] = OrderedDict()
        self._limits: dict[DeviceName, int | None] = {}
        self._cleared: OrderedDict[Hashable, None] = OrderedDict()
        self._epoch = -1

    def widest(self, spec: TaskSpec, programs: Sequence[Program]) -> int | None:
        """Return the width of a task's widest program, None if one cannot be told."""
        widths = self._widths
        for program in programs:
            if program.digest not in widths:
                _remember(widths, program.digest, width_of(program), _WIDTHS)
        widest = 0
        for item in spec.items:
            width = widths.get(item.program)
            if width is None:
                return None
            widest = max(widest, width)
        return widest

    def renew(self, epoch: int) -> None:
        """Forget what devices said in another life of the gateway."""
        if epoch != self._epoch:
            self._epoch = epoch
            self._limits.clear()

    def limit(self, device: DeviceName) -> Flow[int | None]:
        """Return the width above which tasks for a device are cleared, None for never."""
        if device in self._limits:
            return self._limits[device]
        description = (yield from flows.device(device)).description
        if description.driver:  # else it has not announced itself yet
            self._limits[device] = description.checked_above
        return description.checked_above

    def is_cleared(self, spec: TaskSpec) -> bool:
        """Return whether a task like this one was cleared before."""
        return _kind(spec) in self._cleared

    def clear(self, spec: TaskSpec) -> None:
        """Remember that a task like this one was cleared."""
        _remember(self._cleared, _kind(spec), None, _CLEARED)


def submit(
    task_id: TaskId,
    spec: TaskSpec,
    programs: Sequence[Program],
    stored: set[Digest],
    clearances: Clearances,
    *,
    epoch: int,
) -> Flow[TaskView]:
    """Submit a task, after a dry run where its width asks for one; see `flows.submit`.

    Raises
    ------
    ProgramError, LimitError
        What the device cannot run, before it is queued.
    """
    clearances.renew(epoch)
    width = clearances.widest(spec, programs)
    if width is None or width > 1:
        limit = yield from clearances.limit(spec.device)
        if limit is not None and (width is None or width > limit) and not clearances.is_cleared(spec):
            yield from _cleared(spec, programs, stored, clearances)
    return (yield from flows.submit(task_id, spec, programs, stored))


def _cleared(
    spec: TaskSpec, programs: Sequence[Program], stored: set[Digest], clearances: Clearances
) -> Flow[None]:
    try:
        # Put, not sent along: the task needs them too, and they travel once.
        yield from flows.put([program for program in programs if program.digest not in stored], stored)
        yield from flows.estimate(spec, programs, stored, within_s=CLEAR_S)
    except QmioError as error:
        if error.code.startswith(_REASONS) and not error.retryable:
            raise
    else:
        clearances.clear(spec)


def _kind(spec: TaskSpec) -> Hashable:
    """Return what a task's cost depends on: not the values it is bound to, nor its label."""
    return (
        spec.device,
        spec.options,
        tuple((item.program, item.shots, item.bindings) for item in spec.items),
    )


def _remember(memory: OrderedDict[K, V], key: K, value: V, most: int) -> None:
    memory[key] = value
    if len(memory) > most:
        memory.popitem(last=False)
