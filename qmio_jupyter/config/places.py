"""Where we keep things: a node-local runtime directory for secrets, a state directory for the ledger.

Both are 0700, owned by the user, and never a symbolic link somebody else could have planted.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

import msgspec

from qmio_jupyter.config.filesystems import is_network
from qmio_jupyter.errors import ConfigError

#: Name of our directory inside the user's and the system's.
NAME = "qmio"
CONNECTION_FILE = "connection.json"


class Places(msgspec.Struct, frozen=True, kw_only=True):
    """The directories in use, created and checked."""

    #: Node-local, 0700: connection file, locks, keys.
    runtime: Path
    #: Local disk, 0700: the ledger and the logs.
    state: Path
    #: What the user should be told in a line each (a network home was avoided).
    notes: tuple[str, ...] = ()

    @property
    def connection_file(self) -> Path:
        """Where the embedded gateway tells how to reach it."""
        return self.runtime / CONNECTION_FILE

    @property
    def lock_file(self) -> Path:
        """Held by the one embedded gateway of this user and host."""
        return self.runtime / "gateway.lock"

    @property
    def keys(self) -> Path:
        """Directory of key files, 0700; made by whoever writes the first."""
        return self.runtime / "keys"

    @property
    def ledger(self) -> Path:
        """The embedded gateway's database."""
        return self.state / "ledger.sqlite"

    @property
    def gateway_log(self) -> Path:
        """Where a detached gateway's output goes."""
        return self.state / "gateway.log"


def places(
    environ: Mapping[str, str] | None = None,
    *,
    mountinfo: str | None = None,
    tmp: Path = Path("/tmp"),  # noqa: S108 - checked for owner, mode and links below
    system: Path | None = None,
) -> Places:
    """Return the directories to use, creating those that are missing.

    ``QMIO_HOME`` overrides both (its ``run`` and ``state``). Else the runtime directory is in
    ``XDG_RUNTIME_DIR``, in `system`, or in `tmp`, whichever holds a connection file or comes first; the state
    directory is in ``XDG_STATE_HOME`` or ``~/.local/state``, unless that is on a network file system: then it
    is node-local too, and a note says so.

    Parameters
    ----------
    environ : mapping, optional
        The environment; the process's own when None.
    mountinfo : str, optional
        Mount table, for tests.
    tmp : Path
        Node-local directory of last resort.
    system : Path, optional
        What ``XDG_RUNTIME_DIR`` is where it is set; ``/run/user/UID`` when None.

    Raises
    ------
    ConfigError
        ``config.permissions`` if a directory is a link, another user's, or open to others; ``config.file``
        if it cannot be made.
    """
    env = os.environ if environ is None else environ
    home = env.get("QMIO_HOME", "")
    if home:
        root = Path(home).expanduser().absolute()
        _make_parents(root)
        private_directory(root)
        notes: tuple[str, ...] = ()
        if is_network(root, mountinfo):
            notes = (f"QMIO_HOME ({root}) is on a network file system, where locks and databases may fail",)
        return Places(
            runtime=private_directory(root / "run"), state=private_directory(root / "state"), notes=notes
        )
    runtime = _runtime(env, mountinfo, tmp, system or Path(f"/run/user/{os.getuid()}"))
    state_home = Path(env.get("XDG_STATE_HOME") or Path(env.get("HOME") or "~").expanduser() / ".local/state")
    state = state_home / NAME
    if not is_network(state, mountinfo):
        _make_parents(state)
        return Places(runtime=runtime, state=private_directory(state))
    local = private_directory(_first_local(env, mountinfo, tmp) / f"{NAME}-{os.getuid()}-state")
    note = f"{state_home} is on a network file system: the ledger is kept on this node, in {local}"
    return Places(runtime=runtime, state=local, notes=(note,))


def node_local(environ: Mapping[str, str] | None = None) -> Path:
    """Return a 0700 directory on this node's own disk or memory, whatever ``QMIO_HOME`` says: for keys of jobs.

    Raises
    ------
    ConfigError
        As :func:`places`.
    """
    env = os.environ if environ is None else environ
    return _runtime(env, None, Path("/tmp"), Path(f"/run/user/{os.getuid()}"))  # noqa: S108 - checked


def private_directory(path: Path) -> Path:
    """Return `path`, a directory that is ours alone, making it if it is missing.

    Raises
    ------
    ConfigError
        If it is a symbolic link, not a directory, another user's, or has a mode wider than 0700.
    """
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        pass
    except OSError as problem:
        raise ConfigError(
            f"{path} cannot be made ({problem.strerror})",
            hint="Set QMIO_HOME to a directory you can write.",
            code="config.file",
        ) from problem
    info = path.lstat()
    hint = "Remove it or chmod 700 it, or set QMIO_HOME to a directory of your own."
    if stat.S_ISLNK(info.st_mode):
        fault = "is a symbolic link, which somebody may have planted"
    elif not stat.S_ISDIR(info.st_mode):
        fault = "is not a directory"
    elif info.st_uid != os.getuid():
        fault = f"belongs to another user (uid {info.st_uid})"
        # In a shared directory its owner alone can remove it.
        hint = "Set QMIO_HOME to a directory of your own on this node, and tell the administrator."
    elif info.st_mode & 0o077:
        fault = f"is open to others (mode {stat.S_IMODE(info.st_mode):04o})"
    else:
        return path
    raise ConfigError(
        f"{path} {fault}",
        hint=hint,
        code="config.permissions",
    )


def _runtime(env: Mapping[str, str], mountinfo: str | None, tmp: Path, system: Path) -> Path:
    """Return the runtime directory: the one where a gateway has left word, else the first that can be used.

    Sessions of one user on one host do not all have XDG_RUNTIME_DIR (a batch step has none, a login has one),
    yet they share one gateway.
    """
    found = [
        base / NAME
        for base in (Path(env.get("XDG_RUNTIME_DIR") or system), system)
        if os.access(base, os.W_OK) and base.is_dir() and not is_network(base, mountinfo)
    ]
    try:
        found.append(_first_local(env, mountinfo, tmp) / f"{NAME}-{os.getuid()}")
    except ConfigError:
        if not found:
            raise
    for candidate in found:
        if _holds_word(candidate):
            return private_directory(candidate)
    return private_directory(found[0])


def _holds_word(candidate: Path) -> bool:
    """Return whether `candidate` is a directory of ours that holds a connection file.

    The owner is looked at first: another user may have planted it, and closed it to us.
    """
    try:
        info = candidate.lstat()
        return info.st_uid == os.getuid() and (candidate / CONNECTION_FILE).exists()
    except OSError:
        return False


def _first_local(env: Mapping[str, str], mountinfo: str | None, tmp: Path) -> Path:
    for candidate in (tmp, Path(env.get("TMPDIR") or tmp), Path("/var/tmp")):  # noqa: S108 - checked by private_directory
        # `access` first: below a directory that is closed to us, `is_dir` raises.
        if os.access(candidate, os.F_OK) and candidate.is_dir() and not is_network(candidate, mountinfo):
            return candidate
    raise ConfigError(
        f"no node-local directory was found ({tmp} is on a network file system)",
        hint="Set QMIO_HOME to a node-local directory.",
        code="config.file",
    )


def _make_parents(path: Path) -> None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as problem:
        raise ConfigError(
            f"{path.parent} cannot be made ({problem.strerror})",
            hint="Set QMIO_HOME to a directory you can write.",
            code="config.file",
        ) from problem
