"""Runs a job's server and, when it ends or its job is ended, removes what the job has kept on its node.

``python -I -S keeping.py SECRETS [DIRECTORY ...] -- COMMAND...``, run by its path, with the standard library alone: it
lives as long as the server does and is to cost next to nothing. It is the process that Slurm knows, so Slurm waits for
it.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from types import FrameType

#: Signals that are passed on to the server.
PASSED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


def main(secrets: str, directories: list[str], command: list[str]) -> int:
    """Run the command; return its exit status.

    Parameters
    ----------
    secrets : str
        Directory that is removed as soon as the job is being ended: Slurm kills a job that takes its time, and this
        process with it. The server has read what is in it when it started.
    directories : list of str
        Removed when the command has ended.
    command : list of str
        Absolute path of a program, and its arguments.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, PASSED)
    child = os.fork()
    if child == 0:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, PASSED)
        os.execv(command[0], command)  # noqa: S606 - the hub's own list, no shell

    def pass_on(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - as a handler is called
        if number != signal.SIGUSR1 and number != signal.SIGUSR2:
            shutil.rmtree(secrets, ignore_errors=True)
        os.kill(child, number)

    for number in PASSED:
        signal.signal(number, pass_on)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, PASSED)
    _, status = os.waitpid(child, 0)
    for number in PASSED:
        signal.signal(number, signal.SIG_IGN)
    for directory in (secrets, *directories):
        shutil.rmtree(directory, ignore_errors=True)
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    end = sys.argv.index("--")
    sys.exit(main(sys.argv[1], sys.argv[2:end], sys.argv[end + 1 :]))
