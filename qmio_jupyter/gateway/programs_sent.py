"""What each agent has been sent on its connection, and a bounded store of program bytes in memory."""

from __future__ import annotations

from collections import OrderedDict

from qmio_jupyter.model.ids import Digest, Tenant
from qmio_jupyter.model.program import Program

#: Digests remembered per connection; an agent that keeps fewer programs asks with `program.get`.
REMEMBERED = 256
#: Bytes of programs kept in memory to save reads of the store.
KEPT_BYTES = 32 * 2**20


class ProgramsSent:
    """What was last sent on each agent connection under each digest, newest kept.

    The media type counts: the same bytes may be one user's OpenQASM and another's octets, and the agent keeps
    what came last.
    """

    def __init__(self, remembered: int = REMEMBERED) -> None:
        self._remembered = remembered
        self._sent: dict[int, OrderedDict[Digest, str]] = {}

    def has(self, connection: int, digest: Digest, media_type: str) -> bool:
        """Return whether this is what was last sent there under this digest."""
        sent = self._sent.get(connection)
        return sent is not None and sent.get(digest) == media_type

    def note(self, connection: int, digest: Digest, media_type: str) -> None:
        """Remember that this was sent."""
        sent = self._sent.setdefault(connection, OrderedDict())
        sent[digest] = media_type
        sent.move_to_end(digest)
        if len(sent) > self._remembered:
            sent.popitem(last=False)

    def drop(self, connection: int) -> None:
        """Forget a connection."""
        self._sent.pop(connection, None)


class ProgramCache:
    """Programs by (tenant, digest), least recently used dropped first; bounded in bytes."""

    def __init__(self, kept_bytes: int = KEPT_BYTES) -> None:
        self._kept_bytes = kept_bytes
        self._bytes = 0
        self._programs: OrderedDict[tuple[Tenant, Digest], Program] = OrderedDict()

    def put(self, tenant: Tenant, program: Program) -> None:
        """Keep a program, unless it alone is over the bound."""
        key = (tenant, program.digest)
        size = len(program.data)
        if size > self._kept_bytes:
            return
        if key in self._programs:
            self._programs.move_to_end(key)
            return
        self._programs[key] = program
        self._bytes += size
        while self._bytes > self._kept_bytes:
            _, dropped = self._programs.popitem(last=False)
            self._bytes -= len(dropped.data)

    def get(self, tenant: Tenant, digest: Digest) -> Program | None:
        """Return a program if it is kept."""
        program = self._programs.get((tenant, digest))
        if program is not None:
            self._programs.move_to_end((tenant, digest))
        return program

    def clear(self) -> None:
        """Forget everything (after a failed commit nothing here is known to be on disk)."""
        self._programs.clear()
        self._bytes = 0
