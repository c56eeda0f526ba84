"""Whether files and directories are whose they should be, and closed to others. Pure."""

from __future__ import annotations

from collections.abc import Callable

from qmio_jupyter.cli.site.facts import PathFacts

#: The bit that keeps others from replacing what is in a directory that everybody may write to.
_STICKY = 0o1000


def fault_of_config(path: PathFacts, uid: int, name_of: Callable[[int], str]) -> tuple[str, str]:
    """Return what is wrong with a configuration file of `uid`'s service, and what to do; empty if nothing.

    It may be read by all; changed by root and that user only, itself and every directory above it.
    """
    if path.why or path.kind != "file":
        return _absent(path, "file")
    if path.uid not in (0, uid):
        return f"{path.path} belongs to {name_of(path.uid)}", f"chown root {path.path}"
    if path.mode & 0o022:
        return f"{path.path} can be changed by others (mode {path.mode:04o})", f"chmod go-w {path.path}"
    for above, owner, mode in path.above:
        if owner not in (0, uid):
            return f"{above} belongs to {name_of(owner)}, who can replace {path.path}", f"chown root {above}"
        if mode & 0o022 and not mode & _STICKY:
            return (
                f"{above} is open to others (mode {mode:04o}), who can replace {path.path}",
                f"chmod go-w {above}",
            )
    return "", ""


def fault_of_secret(path: PathFacts, uid: int, name_of: Callable[[int], str]) -> tuple[str, str]:
    """Return what is wrong with a file that only `uid` may read, and what to do; empty if nothing."""
    if path.why or path.kind != "file":
        return _absent(path, "file")
    if path.uid != uid:
        return f"{path.path} belongs to {name_of(path.uid)}", f"chown {name_of(uid)} {path.path}"
    if path.mode & 0o177:
        return (
            f"{path.path} has mode {path.mode:04o}, wider than 0600",
            f"chmod 600 {path.path}, and make a new key if others may have read it",
        )
    return "", ""


def fault_of_directory(path: PathFacts, uid: int, name_of: Callable[[int], str]) -> tuple[str, str]:
    """Return what is wrong with a directory of `uid` alone on a local disk, and what to do; empty if nothing."""
    if path.why or path.kind != "directory":
        return _absent(path, "directory")
    if path.uid != uid:
        return f"{path.path} belongs to {name_of(path.uid)}", f"chown {name_of(uid)} {path.path}"
    if path.mode & 0o077:
        return f"{path.path} is open to others (mode {path.mode:04o})", f"chmod 700 {path.path}"
    if path.is_remote:
        return (
            f"{path.path} is on a network file system ({path.filesystem}), where locks fail",
            "Move it to a local disk",
        )
    return "", ""


def _absent(path: PathFacts, wanted: str) -> tuple[str, str]:
    if path.why:
        return f"{path.path} cannot be looked at ({path.why})", "Check the path, and the directories above it"
    return f"{path.path} is a {path.kind}, not a {wanted}", "Put the real one there"
