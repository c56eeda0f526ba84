"""What is done once a step's records are on disk: replies, dispatches, events. Dumb by design."""

from __future__ import annotations

import msgspec

from qmio_jupyter.core.inputs import Origin
from qmio_jupyter.core.records import Record
from qmio_jupyter.model.access import Booking, Grant, Session
from qmio_jupyter.model.ids import Digest, KeyId, Tenant
from qmio_jupyter.model.result import TaskResult
from qmio_jupyter.model.task import ClaimRef, Contract, ErrorInfo, TaskSpec, TaskView


class _Effect(msgspec.Struct, frozen=True, kw_only=True):
    pass


class _Reply(_Effect, frozen=True, kw_only=True):
    origin: Origin


class Refused(_Reply, frozen=True, kw_only=True):
    """The request was refused; nothing changed."""

    error: ErrorInfo


class Acknowledged(_Reply, frozen=True, kw_only=True):
    """Done, nothing more to say."""


class Accepted(_Reply, frozen=True, kw_only=True):
    """The task is in the ledger (also for a repeated submit: `view` is its present state)."""

    view: TaskView
    #: True for an ended task: only id, state and revision are sure, the shell reads the rest from the store.
    from_index: bool = False


class TaskShown(_Reply, frozen=True, kw_only=True):
    """Reply to `Cancel`."""

    view: TaskView
    #: As in `Accepted`.
    from_index: bool = False


class SessionShown(_Reply, frozen=True, kw_only=True):
    """Reply to `OpenSession`."""

    session: Session


class GrantShown(_Reply, frozen=True, kw_only=True):
    """Reply to `CreateGrant` and `BindGrant`."""

    grant: Grant


class BookingShown(_Reply, frozen=True, kw_only=True):
    """Reply to `CreateBooking`."""

    booking: Booking


class ProgramsMissing(_Reply, frozen=True, kw_only=True):
    """Reply to `QueryPrograms`."""

    digests: tuple[Digest, ...]


class AgentWelcomed(_Reply, frozen=True, kw_only=True):
    """Reply to `Announce`."""

    lease_s: float
    abort: tuple[ClaimRef, ...] = ()


class Renewed(_Reply, frozen=True, kw_only=True):
    """Reply to `Renew`."""

    abort: tuple[ClaimRef, ...] = ()


class ClaimRecorded(_Reply, frozen=True, kw_only=True):
    """Reply to `Finish` and `GiveBack`: on disk (also for a repeated one that is already recorded)."""

    ref: ClaimRef


class Dispatch(_Effect, frozen=True, kw_only=True):
    """Send this claim to its agent's connection."""

    connection: int
    agent: str
    ref: ClaimRef
    spec: TaskSpec
    contract: Contract
    #: Whose programs to attach.
    tenant: Tenant
    lease_s: float
    #: The device may run a task twice without harm or charge.
    is_repeatable: bool = False


class AbortClaim(_Effect, frozen=True, kw_only=True):
    """Tell the agent to stop this claim."""

    connection: int
    ref: ClaimRef


class Publish(_Effect, frozen=True, kw_only=True):
    """A task changed, or what is shown of it: to its watchers."""

    view: TaskView


class PublishPartial(_Effect, frozen=True, kw_only=True):
    """New partial counts: to the task's watchers."""

    tenant: Tenant
    result: TaskResult


class CloseConnections(_Effect, frozen=True, kw_only=True):
    """A key lost its session or its role: drop its connections' watches."""

    key: KeyId


#: Every effect that answers a request.
Reply = (
    Refused
    | Acknowledged
    | Accepted
    | TaskShown
    | SessionShown
    | GrantShown
    | BookingShown
    | ProgramsMissing
    | AgentWelcomed
    | Renewed
    | ClaimRecorded
)

Effect = Reply | Dispatch | AbortClaim | Publish | PublishPartial | CloseConnections


class Step(msgspec.Struct, frozen=True):
    """What one input led to: records to commit, then effects to release, in order."""

    records: tuple[Record, ...] = ()
    effects: tuple[Effect, ...] = ()
