"""Which connections are told of which task."""

from __future__ import annotations

from qmio_jupyter.model.ids import TaskId

#: Watches of one connection; the oldest is dropped beyond, and its client asks when it misses events.
MAX_WATCHES = 20_000


class Watchers:
    """Two-way index of watches. Whoever adds one has checked that the task may be shown there."""

    def __init__(self, limit: int = MAX_WATCHES) -> None:
        self._limit = limit
        # Dicts in place of sets: their order is that of insertion, so that a seed replays exactly.
        # The value: whether the result is to be delivered with the end.
        self._by_task: dict[TaskId, dict[int, bool]] = {}
        self._by_connection: dict[int, dict[TaskId, None]] = {}

    def add(self, connection: int, task_id: TaskId) -> None:
        """Tell `connection` of the task's changes from now on."""
        tasks = self._by_connection.setdefault(connection, {})
        if task_id in tasks:
            return
        if len(tasks) >= self._limit:
            oldest = next(iter(tasks))
            del tasks[oldest]
            self._unlink(oldest, connection)
        tasks[task_id] = None
        self._by_task.setdefault(task_id, {})[connection] = False

    def deliver(self, connection: int, task_id: TaskId) -> None:
        """Have the result delivered with the end of a task that `connection` watches; nothing if it does not."""
        connections = self._by_task.get(task_id, {})
        if connection in connections:
            connections[connection] = True

    def wants_result(self, connection: int, task_id: TaskId) -> bool:
        """Return whether `connection` is to get the result with the task's end."""
        return self._by_task.get(task_id, {}).get(connection, False)

    def of(self, task_id: TaskId) -> tuple[int, ...]:
        """Return the connections that watch a task, in order of asking."""
        return tuple(self._by_task.get(task_id, ()))

    def end(self, task_id: TaskId) -> None:
        """Forget a task that changes no more."""
        for connection in self._by_task.pop(task_id, ()):
            tasks = self._by_connection[connection]
            del tasks[task_id]
            if not tasks:
                del self._by_connection[connection]

    def drop(self, connection: int) -> None:
        """Forget all watches of a connection."""
        for task_id in self._by_connection.pop(connection, ()):
            self._unlink(task_id, connection)

    def __len__(self) -> int:
        return len(self._by_task)

    def _unlink(self, task_id: TaskId, connection: int) -> None:
        connections = self._by_task[task_id]
        del connections[connection]
        if not connections:
            del self._by_task[task_id]
