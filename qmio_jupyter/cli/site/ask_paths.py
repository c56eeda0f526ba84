"""Looking at paths: owner, mode, file system, and who could replace them."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from qmio_jupyter.cli.site.facts import PathFacts
from qmio_jupyter.config.filesystems import filesystem_type, is_network


def look_at(path: Path | str, *, with_parents: bool = False) -> PathFacts:
    """Return what this process sees of a path.

    Parameters
    ----------
    path : Path
        Absolute.
    with_parents : bool
        Look at the directories above it as well.
    """
    path = Path(path)
    try:
        info = path.lstat()
    except OSError as problem:
        return PathFacts(path=str(path), why=problem.strerror or str(problem))
    above: list[tuple[str, int, int]] = []
    for one in Path(os.path.realpath(path)).parents if with_parents else ():
        of = one.stat()
        above.append((str(one), of.st_uid, stat.S_IMODE(of.st_mode)))
    wanted = os.X_OK if stat.S_ISDIR(info.st_mode) else os.R_OK
    return PathFacts(
        path=str(path),
        kind=_kind(info.st_mode),
        uid=info.st_uid,
        mode=stat.S_IMODE(info.st_mode),
        filesystem=filesystem_type(path),
        is_remote=is_network(path),
        is_readable=os.access(path, wanted),
        above=tuple(above),
    )


def _kind(mode: int) -> str:
    for is_kind, name in ((stat.S_ISLNK, "link"), (stat.S_ISREG, "file"), (stat.S_ISDIR, "directory")):
        if is_kind(mode):
            return name
    return "other"
