"""What a hub has begun and not yet undone, on disk: one file per start, so that no restart forgets a debt.

The hub's own database forgets a server as soon as it is stopped; a job that could not be cancelled at that moment must
not be forgotten with it. A file holds the saga and whose it is, 0600, written before the hub acts; it is removed once
nothing is left to undo. It holds no secret: a grant's id opens nothing without its user's proof.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from qmio_jupyter.hub.saga import Saga
from qmio_jupyter.model.ids import is_id
from qmio_jupyter.private_files import read_private, write_private


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One start: its saga, the hub's name and the unix name of its user, and the server's name."""

    saga: Saga
    user: str
    owner: str
    server: str = ""


class Journal:
    """The files of one hub.

    Parameters
    ----------
    directory : Path
        A directory that only the hub's user may enter; made if it is missing.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    def write(self, entry: Entry) -> None:
        """Write a start down, in place of what was known of it; on disk on return."""
        write_private(self._path(entry.saga.grant_id), msgspec.json.encode(entry))

    def forget(self, grant_id: str) -> None:
        """Remove a start of which nothing is left."""
        self._path(grant_id).unlink(missing_ok=True)

    def entries(self) -> list[Entry]:
        """Return every start that is written down; a file that cannot be read is left for the administrator."""
        found = []
        for path in sorted(self._directory.glob("g-*.json")):
            try:
                found.append(msgspec.json.decode(read_private(path), type=Entry))
            except Exception:  # noqa: BLE001, S112 - whatever it is, it must not keep the others from being undone
                continue
        return found

    def _path(self, grant_id: str) -> Path:
        assert is_id(grant_id)
        return self._directory / f"{grant_id}.json"
