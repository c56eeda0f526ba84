"""Exit codes of every command."""

from __future__ import annotations

from enum import IntEnum

from qmio_jupyter.errors import (
    ConfigError,
    DeadlineError,
    GatewayError,
    QmioError,
    TaskCancelledError,
    TaskFailedError,
    UsageError,
)


class Exit(IntEnum):
    """What a command says to the shell that ran it."""

    #: Done.
    OK = 0
    #: Refused, or failed, for a reason that has no code of its own.
    ERROR = 1
    #: The command line, or a configuration file, is wrong.
    USAGE = 2
    #: The task ended in ``failed``.
    FAILED = 3
    #: The task ended in ``cancelled``.
    CANCELLED = 4
    #: A deadline passed; the task goes on.
    DEADLINE = 5
    #: No gateway can be reached.
    UNREACHABLE = 6
    #: Interrupted (Ctrl-C); the task that was waited for is cancelled.
    INTERRUPTED = 130


def exit_for(error: QmioError) -> Exit:
    """Return the exit code of an error."""
    table: tuple[tuple[type[QmioError], Exit], ...] = (
        (UsageError, Exit.USAGE),
        (ConfigError, Exit.USAGE),
        (TaskFailedError, Exit.FAILED),
        (TaskCancelledError, Exit.CANCELLED),
        (DeadlineError, Exit.DEADLINE),
        (GatewayError, Exit.UNREACHABLE),
    )
    for kind, code in table:
        if isinstance(error, kind):
            return code
    return Exit.ERROR
