"""The tasks a client watches: newest views, lost events, revision gaps. Sans-I/O.

Events may be lost, doubled or late. Views are complete, so only the newest matters: an older revision is
dropped, a gap or a long silence makes the client ask.
"""

from __future__ import annotations

from qmio_jupyter.model.ids import TaskId
from qmio_jupyter.model.result import TaskResult
from qmio_jupyter.model.task import TaskView

#: Ask about a watched task of which nothing was heard for this long: its last event may have been lost.
RECHECK_S = 10.0
#: Ended tasks that are remembered, so that a late word about one is not taken for news.
ENDED_KEPT = 10_000
#: An unanswered question is asked again after this long.
ASK_AGAIN_S = 3.0


class _Watch:
    __slots__ = ("ask_at", "asked", "partial", "view")

    def __init__(self, ask_at: float) -> None:
        self.view: TaskView | None = None
        #: (attempt, revision) of the newest partial result seen.
        self.partial: tuple[int, int] = (0, 0)
        self.ask_at = ask_at
        #: Number of the question in flight, 0 for none.
        self.asked = 0


class Watchlist:
    """What is known of the tasks this client watches."""

    def __init__(self) -> None:
        self._watches: dict[TaskId, _Watch] = {}
        #: Tasks seen to end, oldest first.
        self._ended: dict[TaskId, None] = {}

    def __len__(self) -> int:
        return len(self._watches)

    def __contains__(self, task_id: TaskId) -> bool:
        return task_id in self._watches

    def add(self, task_id: TaskId, now_s: float) -> None:
        """Watch a task, unless it was seen to end; the gateway was, or is being, asked about it."""
        if task_id in self._ended:
            return
        self._watches.setdefault(task_id, _Watch(now_s + RECHECK_S))

    def drop(self, task_id: TaskId) -> None:
        """Watch it no more."""
        self._watches.pop(task_id, None)

    def forget(self, task_id: TaskId) -> None:
        """Forget all about a task: the gateway has; its id may be used again."""
        self.drop(task_id)
        self._ended.pop(task_id, None)

    def observe(self, view: TaskView, now_s: float, *, event: bool) -> bool:
        """Take in a view; return whether it is news.

        With `event`, a jump of more than one revision means that events were lost, and the task is asked
        about at once. A final view is news once and ends the watch.
        """
        watch = self._watches.get(view.task_id)
        if watch is None:
            return False
        known = watch.view
        if known is not None and view.revision < known.revision:
            return False
        if not event:
            watch.asked = 0
        gap = event and known is not None and view.revision > known.revision + 1
        if gap and not watch.asked:
            watch.ask_at = now_s
        elif not watch.asked:
            watch.ask_at = now_s + RECHECK_S
        watch.view = view
        if view.state.is_final:
            self.drop(view.task_id)
            self._ended[view.task_id] = None
            if len(self._ended) > ENDED_KEPT:
                del self._ended[next(iter(self._ended))]
        return view != known

    def observe_partial(self, result: TaskResult, now_s: float) -> bool:
        """Take in partial counts; return whether they are newer than those seen before."""
        watch = self._watches.get(result.task_id)
        if watch is None:
            return False
        attempt = watch.view.attempt if watch.view is not None else 0
        mark = (attempt, result.revision)
        if mark <= watch.partial:
            return False
        watch.partial = mark
        if not watch.asked:
            watch.ask_at = now_s + RECHECK_S
        return True

    def due(self, now_s: float) -> list[TaskId]:
        """Return the tasks to ask about now."""
        return [task_id for task_id, watch in self._watches.items() if watch.ask_at <= now_s]

    def asked(self, task_id: TaskId, number: int, now_s: float) -> None:
        """Note that question `number` about the task is under way."""
        watch = self._watches[task_id]
        watch.asked = number
        watch.ask_at = now_s + ASK_AGAIN_S

    def answered(self, task_id: TaskId, number: int, now_s: float) -> None:
        """Note that question `number` was answered, or refused for now."""
        watch = self._watches.get(task_id)
        if watch is not None and watch.asked == number:
            watch.asked = 0
            watch.ask_at = now_s + RECHECK_S

    def ask_all(self, now_s: float) -> None:
        """Ask about every task now: the subscriptions went with the old connection or epoch."""
        for watch in self._watches.values():
            watch.asked = 0
            watch.ask_at = now_s

    def next_deadline(self) -> float | None:
        """Return when :meth:`due` next has something, None if nothing is watched."""
        if not self._watches:
            return None
        return min([watch.ask_at for watch in self._watches.values()])
