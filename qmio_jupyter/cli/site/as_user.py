"""Running a part of the doctor as the user who will need what it looks at."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from collections.abc import Mapping
from typing import TypedDict, TypeVar

import msgspec

from qmio_jupyter.cli.site.probe import MARK
from qmio_jupyter.errors import ConfigError

F = TypeVar("F", bound=msgspec.Struct)

#: Seconds a part may take: many small questions, each with a deadline of its own.
PATIENCE_S = 240.0


def account(name: str) -> pwd.struct_passwd:
    """Return the account of this name; this process's own for an empty one.

    Raises
    ------
    ConfigError
        If there is none.
    """
    try:
        return pwd.getpwnam(name) if name else pwd.getpwuid(os.geteuid())
    except KeyError:
        raise ConfigError(
            f"there is no user {name or os.geteuid()!r} on this host", hint="Make it, or name another."
        ) from None


class Becoming(TypedDict, total=False):
    """Arguments of `subprocess` that make a process another user's."""

    user: int
    group: int
    extra_groups: list[int]


def becoming(user: pwd.struct_passwd) -> Becoming:
    """Return what makes `subprocess` run something as `user`.

    Raises
    ------
    ConfigError
        ``config.permissions`` if this process may not become that user.
    """
    if user.pw_uid == os.geteuid():
        return {}
    if os.geteuid() != 0:
        raise ConfigError(
            f"only root can look at it as {user.pw_name}",
            hint=f"Run it as root, or as {user.pw_name}.",
            code="config.permissions",
        )
    groups = os.getgrouplist(user.pw_name, user.pw_gid)
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": groups}


def environment(user: pwd.struct_passwd, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return what a service of `user` has in its environment, and what says which Slurm and MUNGE are meant."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name
        in ("PATH", "LANG", "LC_ALL", "SLURM_CONF", "SLURM_CONF_SERVER", "QMIO_MUNGE_SOCKET", "NODE_PATH")
    }
    own = {"HOME": user.pw_dir, "USER": user.pw_name, "LOGNAME": user.pw_name}
    return {"PATH": "/usr/local/bin:/usr/bin:/bin"} | kept | own | dict(more or {})


def ask(part: str, question: msgspec.Struct, kind: type[F], user: pwd.struct_passwd) -> F:
    """Return the facts of a part, found by `user`.

    Raises
    ------
    ConfigError
        Why that part cannot be run as that user.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-m", "qmio_jupyter.cli.site.probe", part],
            input=msgspec.json.encode(question),
            capture_output=True,
            env=environment(user),
            cwd="/",
            timeout=PATIENCE_S,
            check=False,
            **becoming(user),
        )
    except (OSError, subprocess.TimeoutExpired, subprocess.SubprocessError) as problem:
        raise ConfigError(
            f"{sys.executable} does not run as {user.pw_name} ({problem})",
            hint="Install qmio_jupyter outside any home, where that user can run it.",
        ) from problem
    found = facts_in(done.stdout, kind)
    if found is None:
        last = done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2][:200]
        raise ConfigError(
            f"looking at the {part} as {user.pw_name} ended with {done.returncode} ({last})",
            hint="Install qmio_jupyter outside any home, where that user can run it.",
        )
    return found


def facts_in(output: bytes, kind: type[F]) -> F | None:
    """Return the facts in a part's output; None if there are none."""
    for line in output.decode("utf-8", "replace").splitlines():
        if line.startswith(MARK):
            return msgspec.json.decode(line[len(MARK) :].encode(), type=kind)
    return None
