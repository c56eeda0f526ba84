"""What a failed Slurm command means: Slurm could not be asked, there is no such job, or Slurm says no and why.

Only texts that Slurm's own commands print are looked at; anything not known is a refusal in Slurm's own words,
except for queries, where it is taken for "could not be asked": nothing is ever taken to be gone by mistake.
"""

from __future__ import annotations

import re

from qmio_jupyter.errors import SlurmError

#: The controller, its database or MUNGE could not be reached, or asked to be asked again.
_UNREACHABLE = (
    "unable to contact slurm",
    "socket timed out",
    "connection refused",
    "connection timed out",
    "connection reset",
    "unable to connect",
    "zero bytes were transmitted or received",
    "resource temporarily unavailable",
    "temporarily unable to",
    "protocol authentication error",
    "munge encode failed",
    "invalid authentication credential",
    "unspecified error",
    "slurmdbd: getting response to message type",
    "sending persistconnection init msg",
    "problem talking to the database",
    "problem talking to database",
    "unable to establish configuration source",
    "communication connection failure",
    "slurm backup controller in standby mode",
)
_UNKNOWN_JOB = (
    "invalid job id specified",
    "invalid job array id",
    "job/step already completing or completed",
)
_HEADS = re.compile(
    r"^(?:(?:sbatch|scancel|squeue|scontrol|sinfo|sacctmgr|srun|allocation failure)\s*:\s*)?(?:error\s*:\s*)?",
    re.IGNORECASE,
)
_WORDY = re.compile(r"^Batch job submission failed:\s*", re.IGNORECASE)
#: Lines of a failure that say nothing to a user.
_NOISE = ("if munged is up, restart", "slurm_send_node_msg", "select/")


def reason_of(stderr: str) -> str:
    """Return Slurm's reason as one line, without the command's name before it; empty if it said nothing."""
    said: list[str] = []
    for line in stderr.splitlines():
        text = _WORDY.sub("", _HEADS.sub("", line.strip()))
        if text and text not in said and not any(noise in text.lower() for noise in _NOISE):
            said.append(text)
    return "; ".join(said)[:500]


def is_unreachable(stderr: str) -> bool:
    """Return whether a failure means that Slurm could not be asked."""
    text = stderr.lower()
    return any(words in text for words in _UNREACHABLE)


def is_unknown_job(stderr: str) -> bool:
    """Return whether a failure means that there is no such job (any more)."""
    text = stderr.lower()
    return any(words in text for words in _UNKNOWN_JOB)


def failure(command: str, code: int, stderr: str, *, is_query: bool = False) -> SlurmError:
    """Return the error that a failed command stands for.

    Parameters
    ----------
    command : str
        Its name, as ``squeue``.
    code : int
        Its exit status.
    stderr : str
        What it complained of.
    is_query : bool
        It only asks: an unknown failure is no refusal.

    Returns
    -------
    SlurmError
        ``slurm.unreachable`` (retryable), ``slurm.unknown_job``, or ``slurm.refused`` with Slurm's reason, or sudo's.
    """
    reason = reason_of(stderr) or f"{command} ended with status {code} and said nothing"
    if any(line.startswith("sudo:") for line in stderr.splitlines()):
        return SlurmError(
            f"the hub or agent may not run {command} for this user ({reason})",
            code="slurm.refused",
            hint="Tell the administrator: sudo's rules do not name this user.",
        )
    if is_unreachable(stderr):
        return unreachable(command, reason)
    if is_unknown_job(stderr):
        return SlurmError(f"Slurm knows no such job ({reason})", code="slurm.unknown_job")
    if is_query:
        return unreachable(command, reason)
    return SlurmError(reason, code="slurm.refused", hint="Ask for something else, or ask the administrator.")


def unreachable(command: str, reason: str) -> SlurmError:
    """Return the error that says that Slurm could not be asked."""
    return SlurmError(
        f"Slurm could not be asked by {command}: {reason}",
        code="slurm.unreachable",
        retryable=True,
        hint="Retry in a moment; nothing is taken to have ended.",
    )
