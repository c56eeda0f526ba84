"""Counters shown by `gateway.show`; nothing is decided by them."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(slots=True)
class Figures:
    """What has been counted since the process started."""

    #: Messages looked at.
    messages: int = 0
    #: Requests refused, whatever the reason.
    refused: int = 0
    #: Messages of keys without role that were not answered.
    ignored: int = 0
    #: Submissions answered with `task.accepted`.
    accepted: int = 0
    #: Claims sent to agents, repeated sends included.
    dispatched: int = 0
    #: Claims reported as ended and recorded.
    recorded: int = 0
    #: Events sent to watchers.
    events: int = 0
    #: Batches on disk.
    commits: int = 0
    #: Batches that could not be written.
    failed_commits: int = 0
    #: Events dropped because a connection did not take them.
    dropped_events: int = 0

    def pairs(self) -> tuple[tuple[str, int], ...]:
        """Return (name, value) of every counter."""
        return tuple((field.name, getattr(self, field.name)) for field in fields(self))
