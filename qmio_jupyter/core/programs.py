"""Programs: which bytes are in the ledger for whom, and when nobody needs them any more.

The core knows digests and media types, never contents. A program belongs to a tenant: that another tenant has the
same one is not to be seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from qmio_jupyter.core import session
from qmio_jupyter.core.effects import Acknowledged, ProgramsMissing
from qmio_jupyter.core.inputs import PutPrograms, QueryPrograms
from qmio_jupyter.core.records import KnownProgram, ProgramDropped, ProgramStored
from qmio_jupyter.core.refusal import refusal
from qmio_jupyter.core.state import Draft, State
from qmio_jupyter.model.device import DeviceDescription
from qmio_jupyter.model.ids import Digest, Tenant
from qmio_jupyter.model.program import Program


def query(state: State, request: QueryPrograms, draft: Draft) -> None:
    """Tell which programs the tenant has to upload; those that are here are kept for a while."""
    tenant = session.require(state, request.origin, draft).tenant
    missing: dict[Digest, None] = {}
    for digest in request.digests:
        if (tenant, digest) not in state.programs:
            missing[digest] = None
        elif (tenant, digest) in state.unused:
            _keep_a_while(state, tenant, digest)
    draft.reply = ProgramsMissing(origin=request.origin, digests=tuple(missing))


def put(state: State, request: PutPrograms, draft: Draft) -> None:
    """Store programs for the tenant."""
    tenant = session.require(state, request.origin, draft).tenant
    check_named_alike(state, tenant, request.programs)
    check_room(state, tenant, request.programs)
    for program in request.programs:
        if (tenant, program.digest) in state.unused:
            _keep_a_while(state, tenant, program.digest)
        store(state, tenant, program, draft)
    draft.reply = Acknowledged(origin=request.origin)


def check_named_alike(state: State, tenant: Tenant, programs: Iterable[Program]) -> None:
    """Refuse bytes that are stored in another format already: a program is known by its digest alone."""
    for program in programs:
        known = state.programs.get((tenant, program.digest))
        if known is not None and known.media_type != program.media_type:
            raise refusal(
                "program.format",
                f"the same bytes are stored as {known.media_type[:100]}",
                hint="Change the text (a comment or a blank line will do), or forget the other tasks.",
            )


def check_room(state: State, tenant: Tenant, programs: Iterable[Program]) -> None:
    """Refuse programs that would exceed the tenant's bytes."""
    new = {
        program.digest: len(program.data)
        for program in programs
        if (tenant, program.digest) not in state.programs
    }
    limit = state.config.program_bytes_per_tenant
    if new and state.program_bytes[tenant] + sum(new.values()) > limit:
        raise refusal(
            "limit.size",
            f"more than {limit} bytes of programs are stored for {tenant}",
            hint="Forget old tasks with %qpu, or wait until unused programs are dropped.",
            retryable=True,
        )


def store(state: State, tenant: Tenant, program: Program, draft: Draft) -> None:
    """Store a program unless it is here already."""
    if (tenant, program.digest) in state.programs:
        return
    add(
        state,
        KnownProgram(
            tenant=tenant,
            digest=program.digest,
            media_type=program.media_type,
            size=len(program.data),
        ),
    )
    draft.records.append(ProgramStored(tenant=tenant, program=program, stored_ms=state.now_ms))


def add(state: State, program: KnownProgram) -> None:
    """Put a stored program into the index, unused until a task refers to it."""
    state.programs[program.tenant, program.digest] = program
    state.program_bytes[program.tenant] += program.size
    if not state.references[program.tenant, program.digest]:
        _keep_a_while(state, program.tenant, program.digest)


def _keep_a_while(state: State, tenant: Tenant, digest: Digest) -> None:
    state.unused.pop((tenant, digest), None)
    state.unused[tenant, digest] = state.now_ms
    state.timers.set(state.now_ms + round(state.config.program_grace_s * 1000), "programs", "")


def check_media_types(
    state: State,
    tenant: Tenant,
    digests: Iterable[Digest],
    attached: Mapping[Digest, Program],
    description: DeviceDescription,
) -> None:
    """Refuse a task whose programs are not here or in a format the device does not read."""
    missing: list[Digest] = []
    for digest in digests:
        program = attached.get(digest) or state.programs.get((tenant, digest))
        if program is None:
            missing.append(digest)
        elif description.media_types and program.media_type not in description.media_types:
            raise refusal("program.format", f"{description.name} does not read {program.media_type[:100]}")
    if missing:
        raise refusal(
            "program.missing",
            f"{len(missing)} program(s) are not here, first {missing[0][:12]}",
            retryable=True,
        )


def refer(state: State, tenant: Tenant, digests: Iterable[Digest]) -> None:
    """Count a task's references in."""
    for digest in digests:
        state.references[tenant, digest] += 1
        state.unused.pop((tenant, digest), None)


def unrefer(state: State, tenant: Tenant, digests: Iterable[Digest]) -> None:
    """Count a forgotten task's references out; what nobody refers to is dropped after a while."""
    for digest in digests:
        state.references[tenant, digest] -= 1
        if state.references[tenant, digest] <= 0:
            del state.references[tenant, digest]
            if (tenant, digest) in state.programs:
                _keep_a_while(state, tenant, digest)


def drop_unused(state: State, draft: Draft) -> None:
    """Drop programs that nobody has referred to for `program_grace_s`."""
    before_ms = state.now_ms - round(state.config.program_grace_s * 1000)
    for (tenant, digest), since_ms in list(state.unused.items()):
        if since_ms > before_ms:
            state.timers.set(since_ms + round(state.config.program_grace_s * 1000), "programs", "")
            return
        del state.unused[tenant, digest]
        known = state.programs.pop((tenant, digest))
        state.program_bytes[tenant] -= known.size
        draft.records.append(ProgramDropped(tenant=tenant, digest=digest))
