"""What `AgentProtocol` tells its shell."""

from __future__ import annotations

import msgspec

from qmio_jupyter.errors import QmioError
from qmio_jupyter.model.ids import TaskId
from qmio_jupyter.model.task import ClaimRef
from qmio_jupyter.ports import Run


class StartRun(msgspec.Struct, frozen=True):
    """Run this. Answer with `started`, `progress`, and `finished` (once) or `give_back`."""

    run: Run
    ref: ClaimRef


class AbortRun(msgspec.Struct, frozen=True):
    """Stop this run now, then call `finished` for it with whatever came of it."""

    ref: ClaimRef


class StartEstimate(msgspec.Struct, frozen=True):
    """Make a dry run of this within so many seconds, then call `estimated`, once."""

    run: Run
    number: int
    within_s: float


class StopEstimate(msgspec.Struct, frozen=True):
    """Stop making the dry run of this name; nobody waits for it."""

    task_id: TaskId


class LeaseLapsed(msgspec.Struct, frozen=True):
    """For the log: the gateway has surely taken this claim for lost. The run goes on."""

    ref: ClaimRef


class Announced(msgspec.Struct, frozen=True):
    """For the log: the gateway knows this agent, under this epoch."""

    epoch: int
    lease_s: float


class Refused(msgspec.Struct, frozen=True):
    """The gateway refused this agent's hello or announcement; it goes on trying, slowly."""

    error: QmioError


Event = StartRun | AbortRun | StartEstimate | StopEstimate | LeaseLapsed | Announced | Refused
