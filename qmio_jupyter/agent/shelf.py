"""Programs and snapshots an agent keeps for later claims, bounded; what falls off is asked for again."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from qmio_jupyter.model.device import Snapshot
from qmio_jupyter.model.ids import Digest
from qmio_jupyter.model.program import Program
from qmio_jupyter.wire.messages import Packet

#: Bytes of programs kept.
PROGRAM_BYTES: Final = 64 * 2**20
#: Snapshots kept.
SNAPSHOTS: Final = 8


class Shelf:
    """Least recently used programs (by bytes) and snapshots (by number) go first."""

    def __init__(self, program_bytes: int = PROGRAM_BYTES) -> None:
        self._limit = program_bytes
        self._programs: OrderedDict[Digest, Program] = OrderedDict()
        self._bytes = 0
        self._snapshots: OrderedDict[Digest, Snapshot] = OrderedDict()

    def take(self, packet: Packet) -> dict[Digest, Program]:
        """Keep a packet's programs and return them, by digest (also those that are too large to be kept)."""
        arrived = {
            info.digest: Program(digest=info.digest, media_type=info.media_type, data=data)
            for info, data in zip(packet.envelope.attachments, packet.attachments, strict=False)
        }
        for program in arrived.values():
            old = self._programs.pop(program.digest, None)
            self._bytes += len(program.data) - (len(old.data) if old is not None else 0)
            self._programs[program.digest] = program
        while self._bytes > self._limit:
            _, dropped = self._programs.popitem(last=False)
            self._bytes -= len(dropped.data)
        return arrived

    def keep(self, snapshot: Snapshot) -> None:
        """Keep a snapshot."""
        self._snapshots[snapshot.snapshot_id] = snapshot
        self._snapshots.move_to_end(snapshot.snapshot_id)
        while len(self._snapshots) > SNAPSHOTS:
            self._snapshots.popitem(last=False)

    def program(self, digest: Digest) -> Program | None:
        """Return a program, None if it is not here."""
        program = self._programs.get(digest)
        if program is not None:
            self._programs.move_to_end(digest)
        return program

    def snapshot(self, snapshot_id: Digest) -> Snapshot | None:
        """Return a snapshot, None if it is not here."""
        return self._snapshots.get(snapshot_id)
