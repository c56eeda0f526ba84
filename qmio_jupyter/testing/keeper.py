"""Process 1 of a mini cluster: starts and ends what it is told to, reaps everything, and takes all with it.

Run as a script by :mod:`qmio_jupyter.testing.slurm` inside a PID namespace, where its end is the end of every process:
whatever becomes of the test runner, no daemon, job or notebook is left. Standard library only. One JSON object per
line on standard input: ``{"do": "start", "name", "argv", "environ", "log"}``, ``{"do": "stop", "name", "signal"}``;
one line in answer. The end of the input is the end.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time

#: Seconds a process may take to end before it is killed.
PATIENCE_S = 3.0


class Keeper:
    """The processes by name, and who of them has ended."""

    def __init__(self) -> None:
        self.pids: dict[str, int] = {}
        self.ended: dict[int, int] = {}

    def reap(self, *_: object) -> None:
        """Take note of every child that ended, also of orphans that became ours."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            self.ended[pid] = os.waitstatus_to_exitcode(status)

    def start(self, order: dict[str, object]) -> dict[str, object]:
        """Start a process with its output in a file; return its id in this namespace."""
        argv = [str(word) for word in order["argv"]]  # type: ignore[attr-defined]
        environ = {str(key): str(value) for key, value in order["environ"].items()}  # type: ignore[attr-defined]
        append = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        pid = os.posix_spawn(
            argv[0],
            argv,
            environ,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, str(order["log"]), append, 0o644),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ],
            setsid=True,
            setsigmask=(),
            setsigdef=(signal.SIGCHLD, signal.SIGTERM, signal.SIGINT),
        )
        self.pids[str(order["name"])] = pid
        return {"pid": pid}

    def stop(self, order: dict[str, object]) -> dict[str, object]:
        """End a process by a signal, and by SIGKILL if it does not heed it; return its exit status."""
        pid = self.pids.get(str(order["name"]), 0)
        if not pid:
            return {"status": None}
        wanted = int(str(order.get("signal", int(signal.SIGTERM))))
        give_up = time.monotonic() + PATIENCE_S
        self._signal(pid, wanted)
        while pid not in self.ended:
            time.sleep(0.005)
            self.reap()
            if time.monotonic() > give_up:
                self._signal(pid, signal.SIGKILL)
        del self.pids[str(order["name"])]
        return {"status": self.ended.pop(pid)}

    def alive(self, order: dict[str, object]) -> dict[str, object]:
        """Return whether a process still runs."""
        self.reap()
        pid = self.pids.get(str(order["name"]), 0)
        return {"alive": bool(pid) and pid not in self.ended}

    def _signal(self, pid: int, number: int) -> None:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            self.reap()


def main() -> None:
    """Do what the lines on standard input say."""
    if os.getpid() != 1:
        sys.exit("keeper: only as process 1 of a namespace of its own")
    keeper = Keeper()
    # Whoever is process 1 ignores signals it has no handler for.
    signal.signal(signal.SIGCHLD, keeper.reap)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    deeds = {"start": keeper.start, "stop": keeper.stop, "alive": keeper.alive}
    for line in sys.stdin:
        order = json.loads(line)
        try:
            answer = deeds[order["do"]](order)
        except (OSError, KeyError, ValueError) as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)
    os.kill(-1, signal.SIGKILL)


if __name__ == "__main__":
    main()
