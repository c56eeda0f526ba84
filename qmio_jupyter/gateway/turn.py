"""What the desk gives to its shell: records to commit, then outputs to release in order."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from qmio_jupyter.core.records import Record
from qmio_jupyter.model.ids import DeviceName, Digest, Tenant
from qmio_jupyter.model.program import Program
from qmio_jupyter.wire.messages import (
    ClaimDispatch,
    Envelope,
    EstimateAsk,
    Message,
    Packet,
    ProgramData,
    SnapshotGet,
    TaskList,
    TaskResultGet,
    TaskShow,
    TaskWatch,
)


class Send(msgspec.Struct, frozen=True):
    """A packet for a connection."""

    connection: int
    packet: Packet


class Read(msgspec.Struct, frozen=True, kw_only=True):
    """A request answered from the store, when everything before it is on disk."""

    connection: int
    request: int
    body: TaskShow | TaskWatch | TaskList | TaskResultGet | SnapshotGet
    #: Whose tasks may be shown; None: everybody's (operators, monitors).
    tenant: Tenant | None = None
    #: Only snapshots of these devices (agents, sessions of some devices); None: any.
    devices: tuple[DeviceName, ...] | None = None
    #: True: a task is shown as the answer to its repeated submission.
    as_accepted: bool = False


class Ship(msgspec.Struct, frozen=True, kw_only=True):
    """A message with programs (and a snapshot) attached, which are fetched when it is released."""

    connection: int
    message: ClaimDispatch | ProgramData
    tenant: Tenant
    digests: tuple[Digest, ...]
    snapshot_id: Digest | None = None
    #: Number of the request this answers; 0 for a dispatch, which leaves out what was sent before.
    request: int = 0
    #: A dispatch to a device that may run it twice without harm: where allowed, it does not wait for its commit.
    is_repeatable: bool = False


class Relay(msgspec.Struct, frozen=True, kw_only=True):
    """A user's question for an agent, with its programs attached: those not here are fetched when it is released."""

    #: The asker's: who is told if it cannot be passed on.
    connection: int
    request: int
    agent: int
    message: EstimateAsk
    tenant: Tenant
    attached: tuple[Program, ...] = ()


Output = Send | Read | Ship | Relay


class Turn(msgspec.Struct, frozen=True):
    """Records of one or more inputs, and what to release once they are on disk."""

    records: tuple[Record, ...] = ()
    outputs: tuple[Output, ...] = ()


def join(turns: Iterable[Turn]) -> Turn:
    """Return one turn that commits and releases all of `turns`, in order."""
    records: list[Record] = []
    outputs: list[Output] = []
    for turn in turns:
        records += turn.records
        outputs += turn.outputs
    return Turn(tuple(records), tuple(outputs))


def request_of(output: Output) -> int:
    """Return the number of the request that `output` answers; 0 for an event or a dispatch."""
    return output.packet.envelope.re if isinstance(output, Send) else output.request


def reply(connection: int, request: int, body: Message) -> Send:
    """Return the answer to a request, without attachments."""
    return Send(connection, packet(body, re=request))


def packet(body: Message, *, re: int = 0) -> Packet:
    """Return a packet without attachments."""
    return Packet(Envelope(body=body, re=re))
