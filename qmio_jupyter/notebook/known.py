"""What this kernel has submitted: the gateway gives no programs back, and some answers need them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple

from qmio_jupyter.model.ids import Digest, TaskId
from qmio_jupyter.model.program import Program
from qmio_jupyter.model.task import TaskSpec

#: Bytes of programs that are kept; the oldest tasks are forgotten first.
MOST_BYTES = 32 * 2**20
#: Tasks that are kept.
MOST_TASKS = 1000


class Submitted(NamedTuple):
    """A task as it was submitted."""

    spec: TaskSpec
    programs: dict[Digest, Program]


class Known:
    """The tasks that were submitted last."""

    def __init__(self, most_bytes: int = MOST_BYTES, most_tasks: int = MOST_TASKS) -> None:
        self._most_bytes, self._most_tasks = most_bytes, most_tasks
        self._tasks: OrderedDict[TaskId, Submitted] = OrderedDict()
        self._bytes = 0

    def keep(self, task_id: TaskId, spec: TaskSpec, programs: Sequence[Program]) -> None:
        """Remember a task."""
        self._tasks[task_id] = Submitted(spec, {program.digest: program for program in programs})
        self._bytes += sum(len(program.data) for program in programs)
        while self._tasks and (self._bytes > self._most_bytes or len(self._tasks) > self._most_tasks):
            _, oldest = self._tasks.popitem(last=False)
            self._bytes -= sum(len(program.data) for program in oldest.programs.values())

    def get(self, task_id: TaskId) -> Submitted | None:
        """Return a task as it was submitted; None if this kernel has not, or has forgotten it."""
        return self._tasks.get(task_id)


#: Of this process.
KNOWN = Known()
