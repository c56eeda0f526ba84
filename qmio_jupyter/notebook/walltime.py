"""Warns before the Slurm job in which a kernel runs is ended for its time limit: what runs then is lost.

Told by a line on standard error, which a notebook shows under the cell that runs or ran last, and with the next cell
where none has run since. Nothing happens where no job's end is known (`END`).
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from qmio_jupyter.display.eta import span

#: Slurm's variable with the job's projected end, seconds since the Unix epoch; the hub's servers have it with every
#: version of Slurm.
END = "SLURM_JOB_END_TIME"
#: Seconds before the end at which it is told.
WARNINGS_S = (600.0, 300.0, 60.0)


class Countdown:
    """What is due to be told of one end.

    Parameters
    ----------
    end_s : float
        The end, seconds since the Unix epoch.
    """

    def __init__(self, end_s: float) -> None:
        self._end_s = end_s
        self._left = [end_s - before for before in WARNINGS_S]

    def due(self, now_s: float) -> str:
        """Return what is to be told at `now_s`, once; empty if nothing."""
        passed = [at for at in self._left if at <= now_s]
        if not passed:
            return ""
        self._left = self._left[len(passed) :]
        left_s = max(self._end_s - now_s, 0.0)
        at = time.strftime("%H:%M", time.localtime(self._end_s))
        return (
            f"Your Slurm job's time is up in {span(left_s, left_s)}, at {at}: save your notebook, and start a new "
            "server then. What still runs is lost."
        )

    def next_s(self) -> float | None:
        """Return when the next warning is due, None after the last one."""
        return self._left[0] if self._left else None


class Watch:
    """Tells the user of a shell of the end of her job.

    Parameters
    ----------
    shell : InteractiveShell
        Its cells bring the warnings.
    countdown : Countdown
        What there is to tell.
    clock : callable, optional
        Seconds since the Unix epoch.
    """

    def __init__(self, shell: Any, countdown: Countdown, clock: Callable[[], float] | None = None) -> None:
        self._shell, self._countdown, self._clock = shell, countdown, clock or _now_s
        self._lock = threading.Lock()
        self._has_run = threading.Event()
        self._is_over = threading.Event()
        shell.events.register("pre_run_cell", self.before_cell)
        threading.Thread(target=self._wait, name="walltime", daemon=True).start()

    def before_cell(self, *_: object) -> None:
        """Tell with a cell what is due."""
        self._has_run.set()
        self._tell()

    def stop(self) -> None:
        """Tell nothing more."""
        self._is_over.set()
        self._shell.events.unregister("pre_run_cell", self.before_cell)

    def _wait(self) -> None:
        while (next_s := self._countdown.next_s()) is not None:
            # Woken now and then: a clock may be set, and a machine may sleep.
            if self._is_over.wait(min(max(next_s - self._clock(), 0.1), 30.0)):
                return
            # Before the first cell there is no place where it could be read.
            if self._has_run.is_set():
                self._tell()

    def _tell(self) -> None:
        with self._lock:
            text = self._countdown.due(self._clock())
        if text:
            print(text, file=sys.stderr, flush=True)  # noqa: T201


def _now_s() -> float:
    return time.time_ns() / 1e9


def watch(shell: Any, environ: Mapping[str, str] = os.environ) -> Watch | None:
    """Watch the end of this process's job for a shell; None where there is none or nobody knows it."""
    try:
        end_s = float(environ[END])
    except (KeyError, ValueError):
        return None
    return Watch(shell, Countdown(end_s))
