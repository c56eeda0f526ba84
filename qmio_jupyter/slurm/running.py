"""Runs a command: an argument list, no shell, a deadline after which its whole process group is killed."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence

from qmio_jupyter.errors import SlurmError

#: Seconds that killed processes have to let go of their pipes.
_LET_GO_S = 2.0


class ProcessRunner:
    """The `SlurmRunner` of real processes. Holds nothing; safe from any thread."""

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes = b"",
        timeout_s: float,
        environ: Mapping[str, str] | None = None,
    ) -> tuple[int, str, str]:
        """Run `argv`; return its exit code, and what it wrote, as text.

        Parameters
        ----------
        argv : sequence of str
            The command and its arguments, each as it is.
        stdin : bytes
            What it reads; the end follows at once.
        timeout_s : float
            Seconds it may take.
        environ : mapping, optional
            Its environment; this process's own when None.

        Raises
        ------
        SlurmError
            ``slurm.unreachable`` (retryable) if it took too long, ``slurm.command`` if it cannot be started.
        """
        try:
            process = subprocess.Popen(
                list(argv),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=None if environ is None else dict(environ),
                start_new_session=True,
                cwd="/",
            )
        except (OSError, ValueError) as problem:
            raise SlurmError(
                f"{argv[0]} cannot be run ({problem})",
                code="slurm.command",
                hint="Check the command's path in the settings, and that it is installed on this host.",
            ) from problem
        try:
            out, err = process.communicate(stdin, timeout=timeout_s)
        except subprocess.TimeoutExpired:
            _let_go(process)
            raise SlurmError(
                f"{_name(argv)} gave no answer within {timeout_s:g} s",
                code="slurm.unreachable",
                retryable=True,
                hint="Slurm may be busy or down; nothing is taken to have ended.",
            ) from None
        except BaseException:
            _let_go(process)
            raise
        return process.returncode, out.decode("utf-8", "replace"), err.decode("utf-8", "replace")


def _name(argv: Sequence[str]) -> str:
    return argv[0].rpartition("/")[2]


def _let_go(process: subprocess.Popen[bytes]) -> None:
    """Kill the process and its children, and wait for them no longer than `_LET_GO_S`.

    What a run-as helper started for another user is beyond our reach, and so is who waits for a file system that is
    away: they are left to a thread that takes note of their end.
    """
    with contextlib.suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(OSError):
        process.kill()
    try:
        process.wait(_LET_GO_S)
    except subprocess.TimeoutExpired:
        threading.Thread(target=process.wait, name="left to itself", daemon=True).start()
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            # What was still to be written to it is not.
            with contextlib.suppress(OSError):
                pipe.close()
