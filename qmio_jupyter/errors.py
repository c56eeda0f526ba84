"""The error tree: every failure has a stable code, a one-line message, a hint and a retry flag.

This room owns the codes. A code never changes its meaning once released; the wire carries
``(code, message, hint, retryable, detail)`` and :func:`from_code` rebuilds the same class on the other side.

The tree::

    QmioError
    ├── UsageError            the caller wrote something we do not accept (magic line, CLI, API argument)
    ├── ConfigError           a configuration or connection file is wrong
    ├── AuthError             the key, role or credential does not allow this
    ├── ProtocolError         a message that breaks the wire protocol
    ├── LimitError            larger, longer or more than agreed
    ├── ProgramError          the program cannot be read or run on this device
    ├── TaskError             about one task
    │   ├── UnknownTaskError      no such task (or not yours: the two look the same)
    │   ├── TaskConflictError     same id, other content
    │   ├── StaleClaimError       (epoch, attempt) is not the current claim
    │   ├── TaskFailedError       the task ended in `failed`
    │   └── TaskCancelledError    the task ended in `cancelled`
    ├── DeviceError           no such device, offline, refused
    ├── AgentError            an agent or its worker died or misbehaved
    ├── StoreError            not on disk; retry later
    ├── SlurmError            Slurm could not be asked, or refused
    ├── GatewayError          gateway unreachable, stopping, restarted
    ├── HubError              the hub cannot start, or keep, a server
    ├── DeadlineError         a wait reached its deadline; the work goes on
    └── NotYetError           accepted grammar, feature not there yet
"""

from __future__ import annotations

from typing import ClassVar


def sentences(message: str, hint: str) -> str:
    """Return what happened and what to do next, on one line."""
    if hint and not message.rstrip().endswith((".", "!", "?")):
        message = f"{message.rstrip()}."
    return " ".join(f"{message} {hint}".split())


class QmioError(Exception):
    """Base of every error this package raises.

    Parameters
    ----------
    message : str
        One line: what is wrong, and where.
    hint : str
        One line: what to do next. May be empty.
    code : str, optional
        Stable dotted code; the class default when omitted.
    retryable : bool, optional
        True if the same request may succeed later, unchanged.
    detail : str
        More for a log or a bug report (never secrets). May be empty.
    """

    default_code: ClassVar[str] = "internal"
    default_retryable: ClassVar[bool] = False
    #: Sender's number of the request a broken message carried, where it could be read; else 0.
    request_id: int = 0

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        code: str | None = None,
        retryable: bool | None = None,
        detail: str = "",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.code = code if code is not None else self.default_code
        self.retryable = self.default_retryable if retryable is None else retryable
        self.detail = detail

    def one_line(self) -> str:
        """Return ``[code] message Hint``, on one line, for terminals and cells."""
        return f"[{self.code}] {sentences(self.message, self.hint)}"

    def __str__(self) -> str:
        return self.one_line()

    def _render_traceback_(self) -> list[str]:
        """IPython's hook: show one line in place of a traceback, and still fail the cell."""
        return [self.one_line()]


class UsageError(QmioError):
    """The caller wrote something we do not accept."""

    default_code = "usage"


class ConfigError(QmioError):
    """A configuration or connection file is missing, unreadable or wrong."""

    default_code = "config"


class AuthError(QmioError):
    """The key, role or credential does not allow this."""

    default_code = "auth"


class ProtocolError(QmioError):
    """A message breaks the wire protocol."""

    default_code = "wire"


class LimitError(QmioError):
    """Larger, longer or more than was agreed."""

    default_code = "limit"


class ProgramError(QmioError):
    """The program cannot be read, or cannot run on this device."""

    default_code = "program"


class TaskError(QmioError):
    """About one task."""

    default_code = "task"


class UnknownTaskError(TaskError):
    """No such task. Another tenant's task looks exactly the same."""

    default_code = "task.unknown"


class TaskConflictError(TaskError):
    """A task of this id exists with other content."""

    default_code = "task.conflict"


class StaleClaimError(TaskError):
    """The (epoch, attempt) quoted is not the task's current claim."""

    default_code = "task.stale_claim"


class TaskFailedError(TaskError):
    """The task ended in `failed`; ``code`` is the cause's own code."""

    default_code = "task.failed"


class TaskCancelledError(TaskError):
    """The task ended in `cancelled`."""

    default_code = "task.cancelled"


class DeviceError(QmioError):
    """No such device, or it cannot take this task now."""

    default_code = "device"


class AgentError(QmioError):
    """An agent, or the worker it hosts, died or misbehaved."""

    default_code = "agent"


class StoreError(QmioError):
    """The ledger could not be written or read; nothing was accepted."""

    default_code = "store"
    default_retryable = True


class SlurmError(QmioError):
    """Slurm could not be asked, knows no such job, or refused."""

    default_code = "slurm"


class GatewayError(QmioError):
    """The gateway cannot be reached, is stopping, or was restarted."""

    default_code = "gateway"
    default_retryable = True


class HubError(QmioError):
    """The hub cannot start a server, and nothing of it is left."""

    default_code = "hub"


class DeadlineError(QmioError):
    """A wait reached its deadline. What was waited for goes on."""

    default_code = "deadline"
    default_retryable = True


class NotYetError(QmioError):
    """The grammar accepts this, the feature is not there yet."""

    default_code = "not_yet"


_CLASSES: dict[str, type[QmioError]] = {
    cls.default_code: cls
    for cls in (
        QmioError,
        UsageError,
        ConfigError,
        AuthError,
        ProtocolError,
        LimitError,
        ProgramError,
        TaskError,
        UnknownTaskError,
        TaskConflictError,
        StaleClaimError,
        TaskFailedError,
        TaskCancelledError,
        DeviceError,
        AgentError,
        StoreError,
        SlurmError,
        GatewayError,
        HubError,
        DeadlineError,
        NotYetError,
    )
}

#: Every code that may cross the wire or reach a user: code -> (what it means, what to do next).
CODES: dict[str, tuple[str, str]] = {
    "internal": ("A defect in this software.", "Report it with the log; the task's state is safe."),
    "usage": ("An argument is not accepted.", "See --help."),
    "usage.option": ("Unknown or ill-formed option.", "Use the suggestion, or --help."),
    "usage.cell": (
        "The cell's body is empty or its last value is no circuit.",
        "End the cell with a circuit.",
    ),
    "usage.language": (
        "The program's language was not recognised.",
        "Start with OPENQASM 3.0; or give --lang.",
    ),
    "config": ("Configuration is wrong.", "Correct the named key."),
    "config.file": ("A file is missing or unreadable.", "Check the path and its owner."),
    "config.permissions": ("A secret file is readable by others.", "chmod 600 the file."),
    "config.calibration": ("A calibration cannot be used.", "Correct the named value, or take another one."),
    "config.no_job": ("Only a Slurm job may use this gateway.", "Use sbatch or srun."),
    "config.other_host": ("The connection file belongs to another host.", "Start a gateway here."),
    "auth": ("Not allowed.", "Use a key enrolled for this role."),
    "auth.role": ("This role may not send this message.", "See the roles table."),
    "auth.session": ("No open session for this key.", "Reconnect; the session may have expired."),
    "auth.credential": ("The credential was refused.", "Start a new session from your Slurm job."),
    "auth.munge": ("MUNGE's daemon could not be asked.", "Retry; check munged on the host that says so."),
    "wire": ("A malformed message.", "Update the client."),
    "wire.version": ("No common protocol version.", "Update the older side."),
    "wire.unsupported": ("A message this side does not know.", "Update the older side."),
    "wire.digest": ("An attachment does not match its digest.", "Send it again."),
    "limit": ("Over a limit.", "Reduce the request."),
    "limit.size": ("Message or program too large.", "Split the program or the parameter matrix."),
    "limit.shots": ("Too many shots.", "Ask for fewer shots."),
    "limit.queue": ("Too many tasks queued.", "Wait for some to end, or cancel some."),
    "limit.duration": (
        "The predicted duration is over the longest allowed task.",
        "Ask for fewer shots or items.",
    ),
    "limit.budget": ("The grant's device-seconds are used up.", "Ask for less, or for a new session."),
    "limit.rate": ("Too many messages.", "Slow down."),
    "program": ("The program is not accepted.", "Correct the named place."),
    "program.syntax": ("The program cannot be parsed.", "Correct the named line and column."),
    "program.format": ("Unknown or refused program format.", "Use OpenQASM 2, OpenQASM 3 or QPY 13+."),
    "program.unsupported": ("A construct this device cannot run.", "Remove or rewrite the named construct."),
    "program.too_wide": ("More qubits than the device can take.", "Use fewer qubits, or another device."),
    "program.too_large": (
        "Reading or running it needs more memory or time than allowed.",
        "Make it smaller.",
    ),
    "program.too_costly": (
        "Simulating it is predicted to take more time or memory than allowed.",
        "Use fewer qubits, gates or shots, as it says.",
    ),
    "program.missing": ("The program's bytes are not here.", "Submit it again."),
    "program.parameters": ("Parameters are unbound, extra, or not finite.", "Bind every parameter."),
    "task": ("About a task.", ""),
    "task.unknown": ("No such task of yours.", "List yours with %qpu tasks."),
    "task.conflict": ("This task id is taken by other content.", "Submit under a new id."),
    "task.stale_claim": ("The claim is no longer current.", "Drop the work."),
    "task.failed": ("The task failed.", "See its error."),
    "task.cancelled": ("The task was cancelled.", "Submit again if it was not meant."),
    "task.lost_agent": ("The agent was lost while the task ran, and no attempt is left.", "Submit again."),
    "task.not_finished": ("The task has no result yet.", "Wait for it."),
    "device": ("About a device.", ""),
    "device.unknown": ("No such device.", "List devices with %qpu devices."),
    "device.offline": ("The device is offline.", "Wait, or use another device."),
    "device.option": ("The device does not know this option.", "See %qpu device NAME."),
    "device.booked": ("The device is booked for this time.", "Wait, or use another device."),
    "device.snapshot": (
        "The snapshot asked for is not the device's current one.",
        "Submit again for the current one.",
    ),
    "booking": ("The booking is not accepted.", "Correct its id, device, holder or time."),
    "grant": ("No such grant, or it was made for something else.", "Create a new grant."),
    "agent": ("An agent failed.", "Submit again."),
    "agent.worker": ("The worker process died.", "Make the program smaller, or submit again."),
    "agent.timeout": ("The worker ran out of its time.", "Make the program smaller, or raise the limit."),
    "agent.memory": ("The worker ran out of its memory.", "Make the program smaller."),
    "store": ("The ledger cannot be written.", "Retry; tell the administrator if it goes on."),
    "slurm": ("About Slurm.", ""),
    "slurm.unreachable": (
        "Slurm could not be asked; nothing is taken to have ended.",
        "Retry in a moment.",
    ),
    "slurm.unknown_job": ("Slurm knows no such job.", "It may have ended; see sacct."),
    "slurm.refused": ("Slurm refused, for the reason it names.", "Ask for something else."),
    "slurm.command": ("A Slurm command cannot be run.", "Correct its path in the settings."),
    "gateway": ("The gateway cannot be reached.", "Check `jupyter qmio status`."),
    "gateway.start": ("The embedded gateway did not start.", "See the log it names."),
    "gateway.stopping": ("The gateway is stopping.", "Retry in a moment."),
    "gateway.restarted": ("The gateway was restarted.", "Retry; accepted tasks go on."),
    "hub": ("The hub could not start your server.", "Try again, or tell the administrator."),
    "hub.account": ("The hub's user has no account on the cluster.", "Ask the administrator for one."),
    "hub.ended": (
        "The Slurm job ended before the server was there.",
        "See the reason it names; start again.",
    ),
    "hub.late": (
        "Your server was not there within the time that the hub allows.",
        "See the reason it names; ask for less, or try later.",
    ),
    "hub.option": ("A choice that cannot be had.", "Choose one of those it names."),
    "hub.ports": (
        "No port at which servers may listen is free on the node.",
        "Try again, or have c.QmioSpawner.server_ports widened.",
    ),
    "hub.server": (
        "The server was started on its node but does not answer the hub.",
        "See its log; a firewall may be between it and the hub.",
    ),
    "hub.unanswered": ("Slurm or the gateway does not answer.", "Try again in a minute."),
    "deadline": ("A deadline passed.", "The work goes on; ask again, or allow more time."),
    "not_yet": ("Not there yet.", ""),
}


def from_code(
    code: str, message: str, *, hint: str = "", retryable: bool = False, detail: str = ""
) -> QmioError:
    """Rebuild the error that the other side named.

    The class is the one of the longest known prefix of `code`; an unknown code gives a plain
    :class:`QmioError` that keeps the code.
    """
    parts = code.split(".")
    for end in range(len(parts), 0, -1):
        cls = _CLASSES.get(".".join(parts[:end]))
        if cls is not None:
            break
    else:
        cls = QmioError
    return cls(message, hint=hint, code=code, retryable=retryable, detail=detail)
