"""Whoever starts a :mod:`keeper` and tells it what to do: processes that end with the process that wanted them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from qmio_jupyter.testing import keeper

_SBIN = ("/usr/sbin", "/usr/local/sbin", "/sbin")
#: Seconds that the end of everything may take.
PATIENCE_S = 30.0


def which(program: str) -> str | None:
    """Return the path of a program, also of an administrator's; None if there is none."""
    return shutil.which(program, path=os.pathsep.join((os.environ.get("PATH", ""), *_SBIN)))


def path_of(program: str) -> str:
    """Return the path of a program.

    Raises
    ------
    FileNotFoundError
        If there is none.
    """
    found = which(program)
    if found is None:
        raise FileNotFoundError(program)
    return found


def namespace() -> list[str]:
    """Return what starts a command as process 1 of a PID namespace that ends with this thread."""
    user = (
        [] if os.geteuid() == 0 else ["--user", f"--map-user={os.geteuid()}", f"--map-group={os.getegid()}"]
    )
    unshare = [path_of("unshare"), *user, "--pid", "--fork", "--kill-child", "--mount-proc"]
    return [path_of("setpriv"), "--pdeathsig", "KILL", *unshare]


class Keeping:
    """A keeper in a PID namespace of its own.

    Parameters
    ----------
    before : sequence of str
        Argument list put before its own, as ``nsenter`` for a network of its own.
    """

    def __init__(self, before: Sequence[str] = ()) -> None:
        self._keeper = subprocess.Popen(
            [*before, *namespace(), sys.executable, "-I", "-S", str(Path(keeper.__file__))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd="/",
        )

    def order(self, **order: Any) -> dict[str, Any]:
        """Have something done; return what is said of it.

        Raises
        ------
        AssertionError
            If it cannot be done.
        """
        assert self._keeper.stdin is not None
        assert self._keeper.stdout is not None
        self._keeper.stdin.write(json.dumps(order) + "\n")
        self._keeper.stdin.flush()
        line = self._keeper.stdout.readline()
        if not line:
            raise AssertionError("the cluster's keeper has ended")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise AssertionError(f"{order.get('do')} {order.get('name')}: {answer['error']}")
        return answer

    def stop(self) -> None:
        """End it and all it has started. Idempotent."""
        if self._keeper.stdin is not None and not self._keeper.stdin.closed:
            self._keeper.stdin.close()
        try:
            self._keeper.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._keeper.kill()
            self._keeper.wait(PATIENCE_S)
        if self._keeper.stdout is not None:
            self._keeper.stdout.close()
