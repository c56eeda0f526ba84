"""Attaching programs and snapshots to what an agent is sent, each once per connection."""

from __future__ import annotations

import msgspec

from qmio_jupyter.errors import QmioError
from qmio_jupyter.gateway.programs_sent import ProgramCache, ProgramsSent
from qmio_jupyter.gateway.refusals import as_failure, failure
from qmio_jupyter.gateway.translate import parameter_bytes
from qmio_jupyter.gateway.turn import Relay, Ship
from qmio_jupyter.model.ids import Tenant
from qmio_jupyter.model.program import Program
from qmio_jupyter.ports import TaskStore
from qmio_jupyter.wire import messages as m
from qmio_jupyter.wire.codec import attach_programs

#: Bytes of programs in one message at most; the agent asks for the rest with `program.get`.
BUDGET_BYTES = 32 * 2**20
#: Programs in one message (frames are limited as well).
BUDGET_PROGRAMS = 512
#: Stands for the media type where a snapshot is noted as sent.
_SNAPSHOT = "snapshot"


class Shipping:
    """Fills `Ship` outputs when they are released.

    Parameters
    ----------
    sent : ProgramsSent, optional
        What each agent connection has been sent.
    cache : ProgramCache, optional
        Program bytes kept in memory.
    message_bytes : int
        Largest message an agent takes.
    """

    def __init__(
        self,
        sent: ProgramsSent | None = None,
        cache: ProgramCache | None = None,
        message_bytes: int = m.Limits().message_bytes,
    ) -> None:
        self._sent = sent or ProgramsSent()
        self._cache = cache or ProgramCache()
        self._budget_bytes = min(BUDGET_BYTES, message_bytes // 2)
        self._message_bytes = message_bytes

    def keep(self, tenant: Tenant, programs: tuple[Program, ...]) -> None:
        """Keep programs just uploaded; a claim that needs them is likely to follow."""
        for program in programs:
            self._cache.put(tenant, program)

    def drop(self, connection: int) -> None:
        """Forget a connection."""
        self._sent.drop(connection)

    def reset(self) -> None:
        """Forget the bytes kept: a failed commit may have left them out of the ledger."""
        self._cache.clear()

    def fill(self, ship: Ship, store: TaskStore) -> m.Packet | None:
        """Return the packet to send; None to send nothing (the core dispatches again)."""
        try:
            programs, missing = self._fetch(ship, store)
            message = ship.message if ship.request else self._with_snapshot(ship, store)
        except QmioError as error:
            return attach_programs(as_failure(error), (), re=ship.request) if ship.request else None
        if ship.request and missing and not programs:
            refusal = failure("program.missing", "The program's bytes are gone", "Submit it again.")
            return attach_programs(refusal, (), re=ship.request)
        for program in programs:
            self._sent.note(ship.connection, program.digest, program.media_type)
        return attach_programs(message, programs, re=ship.request)

    def relay(self, relay: Relay, store: TaskStore) -> m.Packet | m.Failure:
        """Return the packet for the agent, or why there is none.

        All programs travel, whatever the agent was sent before: it keeps none of a dry run.
        """
        programs = {program.digest: program for program in relay.attached}
        try:
            for digest in dict.fromkeys(item.program for item in relay.message.spec.items):
                if digest not in programs:
                    program = self._cache.get(relay.tenant, digest) or store.program(relay.tenant, digest)
                    if program is None:
                        return failure(
                            "program.missing", "The program's bytes are gone", "Send it with them."
                        )
                    programs[digest] = program
        except QmioError as error:
            return as_failure(error)
        return attach_programs(relay.message, programs.values())

    def _fetch(self, ship: Ship, store: TaskStore) -> tuple[list[Program], bool]:
        """Return programs within the budget, and whether one is not in the store.

        What a dispatch needs and the agent was last sent is left out; of what it asks for, at least one comes.
        """
        programs: list[Program] = []
        budget = self._budget_bytes
        if isinstance(ship.message, m.ClaimDispatch):
            budget = min(budget, self._message_bytes * 3 // 4 - parameter_bytes(ship.message.spec))
        missing = False
        for digest in dict.fromkeys(ship.digests):
            program = self._cache.get(ship.tenant, digest)
            if program is None:
                program = store.program(ship.tenant, digest)
                if program is None:
                    missing = True
                    continue
                self._cache.put(ship.tenant, program)
            if not ship.request and self._sent.has(ship.connection, digest, program.media_type):
                continue
            budget -= len(program.data)
            is_due = bool(ship.request) and not programs
            if not is_due and (budget < 0 or len(programs) == BUDGET_PROGRAMS):
                break
            programs.append(program)
        return programs, missing

    def _with_snapshot(self, ship: Ship, store: TaskStore) -> m.Message:
        """Return the dispatch, with its snapshot if the agent has not been sent it."""
        snapshot_id = ship.snapshot_id
        if snapshot_id is None or self._sent.has(ship.connection, snapshot_id, _SNAPSHOT):
            return ship.message
        snapshot = store.snapshot(snapshot_id)
        if snapshot is None:
            return ship.message
        self._sent.note(ship.connection, snapshot_id, _SNAPSHOT)
        return msgspec.structs.replace(ship.message, snapshot=snapshot)
