"""A progress bar on standard error, for runs that take long and terminals that can show it."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from qmio_jupyter.display.status import status_text
from qmio_jupyter.model.result import TaskResult
from qmio_jupyter.model.task import TaskView

#: Shorter runs show no bar.
AFTER_S = 1.0


class Bar:
    """Called with every change of a task; draws from `AFTER_S` seconds on, if standard error is a terminal."""

    def __init__(self, *, enabled: bool = True) -> None:
        self._enabled = enabled and sys.stderr.isatty()
        self._began = time.monotonic()
        self._progress: Progress | None = None

    def __call__(self, view: TaskView, partial: TaskResult | None) -> None:
        """Draw a task's newest state."""
        if not self._enabled or (self._progress is None and time.monotonic() - self._began < AFTER_S):
            return
        if self._progress is None:
            self._progress = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                TaskProgressColumn(),
                TimeElapsedColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._progress.start()
            self._progress.add_task("", total=view.shots)
        done = max(view.shots_done, partial.shots_done if partial is not None else 0)
        self._progress.update(self._progress.task_ids[0], completed=done, description=status_text(view))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._progress is not None:
            self._progress.stop()
