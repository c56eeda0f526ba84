"""When the live view shows what: nothing at first, then at most ten times a second, the end always.

Pure but for the clock it is given. What has not changed is not shown again; drawing what has takes at most a tenth
of the time, however large it is.
"""

from __future__ import annotations

from collections.abc import Callable

from qmio_jupyter.display.about import About
from qmio_jupyter.display.moment import Moment, estimated, moment
from qmio_jupyter.display.pictures import Scale, pictures
from qmio_jupyter.display.result_page import Bundle
from qmio_jupyter.display.sections import sections
from qmio_jupyter.display.status import status_text
from qmio_jupyter.drawing.picture import Drawing
from qmio_jupyter.model.result import TaskResult
from qmio_jupyter.model.task import TaskState, TaskView
from qmio_jupyter.notebook.live.screens import Frame, Lasting, Screen

#: A task that ends sooner shows nothing but its end.
PATIENCE_S = 0.15
#: Least time between two frames.
INTERVAL_S = 0.1
#: Time between two frames, over the time that drawing one takes.
LEISURE = 10.0


class Director:
    """Shows a task's changes on a screen.

    Parameters
    ----------
    screen : Screen
        Where to.
    clock : callable
        Monotonic seconds.
    wall : callable
        Milliseconds of the date, for the age of calibrations.
    """

    def __init__(self, screen: Screen, clock: Callable[[], float], wall: Callable[[], int]) -> None:
        self._screen = screen
        self._clock = clock
        self._wall = wall
        self._due = clock() + PATIENCE_S
        self._shown: Moment | None = None
        self._drawn: tuple[TaskResult | None, list[Drawing]] | None = None
        self._scale = Scale()
        self._due_since: tuple[TaskState, float] | None = None

    def next_s(self) -> float:
        """Return the seconds after which `update` should be called again."""
        return max(self._due - self._clock(), 0.01)

    def update(
        self,
        view: TaskView,
        partial: TaskResult | None,
        about: About,
        *,
        seen_s_ago: float = 0.0,
        connected: bool = True,
    ) -> None:
        """Show how the task is, if its time has come and it has changed."""
        began = self._clock()
        if began < self._due:
            return
        seen_s_ago = max(seen_s_ago, self._overdue_s(view, seen_s_ago, began))
        now = moment(view, partial, about, now_ms=self._wall(), seen_s_ago=seen_s_ago, connected=connected)
        is_new = self._drawn is None or self._drawn[0] is not partial
        self._due = began + INTERVAL_S
        if not is_new and now == self._shown:
            return
        is_first = self._shown is None
        self._screen.show(
            Frame(now, self._drawing(partial, about, view.shots), status_text(view, connected=connected))
        )
        self._shown = now
        if is_new and not is_first:
            # The first frame may have loaded what it is shown with; that says nothing of the next.
            ended = self._clock()
            self._due = max(self._due, ended + LEISURE * (ended - began))

    def _overdue_s(self, view: TaskView, seen_s_ago: float, now_s: float) -> float:
        """Return for how long what is awaited has been due: "any moment" may be said for a moment only."""
        _, estimate = estimated(view)
        if estimate is None or estimate.p90_s > seen_s_ago:
            self._due_since = None
            return 0.0
        if self._due_since is None or self._due_since[0] is not view.state:
            self._due_since = (view.state, now_s)
        return now_s - self._due_since[1]

    def _drawing(self, partial: TaskResult | None, about: About, shots: int) -> list[Drawing]:
        if self._drawn is None or self._drawn[0] is not partial:
            self._drawn = (partial, pictures(sections(partial, about), asked=shots, scale=self._scale))
        return self._drawn[1]

    def end(self, bundle: Bundle, view: TaskView, partial: TaskResult | None, about: About) -> None:
        """Show a bundle for good, whatever was shown before, and leave the last state to who keeps it."""
        if self._shown is not None and isinstance(self._screen, Lasting):
            now = moment(view, partial, about, now_ms=self._wall())
            self._screen.last(Frame(now, self._drawing(partial, about, view.shots), status_text(view)))
        self._screen.final(bundle)
