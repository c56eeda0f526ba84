"""What the commands of prolog and epilog share: a deadline, a line in the log, and status 0 whatever comes.

Slurm drains the node whose prolog or epilog fails, and holds it while one runs: no gateway is worth a node.
"""

from __future__ import annotations

import contextlib
import os
import syslog
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from qmio_jupyter.auth.job_files import DIRECTORY
from qmio_jupyter.cli.shared import SECONDS
from qmio_jupyter.errors import QmioError
from qmio_jupyter.private_files import leave_no_core_file

F = TypeVar("F", bound=Callable[..., Any])

#: Seconds of the deadline that are kept back for closing the link and writing the log, if it has twice as many.
_SPARE_S = 1.5

deadline_option = click.option(
    "--deadline",
    type=SECONDS,
    default=5.0,
    show_default=True,
    metavar="SECONDS",
    help="It ends after so long, whatever the gateway does.",
)
directory_option = click.option(
    "--directory",
    type=click.Path(path_type=Path),
    default=DIRECTORY,
    show_default=True,
    help="Where jobs' secrets are, on the node's own disk or in its memory.",
)
log_option = click.option(
    "--log",
    type=click.Path(path_type=Path),
    default=None,
    help="File for its line; the system's log otherwise.",
)


def carry_out(what: str, work: Callable[[float], str], *, deadline_s: float, log: Path | None) -> None:
    """Do something for Slurm, and write one line of how it went; return normally in any case, and in time.

    Parameters
    ----------
    what : str
        ``prolog`` or ``epilog``.
    work : callable
        Given the seconds it has; returns what it has done, or raises.
    deadline_s : float
        Seconds after which the process ends, with status 0, wherever it is.
    log : Path, optional
        A file to write the line to; the system's log when None.
    """
    started_s = time.monotonic()
    leave_no_core_file()

    def give_up() -> None:
        _write(what, f"not done within {deadline_s:g} s", log, syslog.LOG_WARNING)
        # Some call of the system's hangs, in a thread that hears of no signal.
        os._exit(0)

    watchdog = threading.Timer(deadline_s, give_up)
    watchdog.daemon = True
    watchdog.start()
    try:
        line, level = work(max(deadline_s / 2, deadline_s - _SPARE_S)), syslog.LOG_INFO
    except QmioError as error:
        line, level = error.one_line(), syslog.LOG_WARNING
    except Exception as error:  # noqa: BLE001 - a defect of ours drains no node either
        line, level = f"it broke off ({type(error).__name__}: {error})", syslog.LOG_ERR
    watchdog.cancel()
    _write(what, f"{line} ({time.monotonic() - started_s:.2f} s)", log, level)


def _write(what: str, line: str, log: Path | None, level: int) -> None:
    text = f"qmio {what}: job {os.environ.get('SLURM_JOB_ID', '?')}: {' '.join(line.split())}"
    if log is not None:
        with contextlib.suppress(OSError), log.open("a") as file:
            file.write(f"{time.strftime('%Y-%m-%dT%H:%M:%S%z')} {text}\n")
            return
    syslog.syslog(level, text)
