"""Devices and snapshots: what a user sees of them and what the queue needs to know."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta

from qmio_jupyter.model.ids import DeviceName, Digest
from qmio_jupyter.model.numbers import Seconds, Whole
from qmio_jupyter.model.task import Estimate


class DeviceState(StrEnum):
    """QDMI's states, plus ``degraded`` (works, but worse than it should)."""

    OFFLINE = "offline"
    IDLE = "idle"
    BUSY = "busy"
    CALIBRATING = "calibrating"
    MAINTENANCE = "maintenance"
    DEGRADED = "degraded"
    ERROR = "error"

    @property
    def takes_tasks(self) -> bool:
        """True where queued tasks may be dispatched."""
        return self in _WORKING


_WORKING = frozenset({DeviceState.IDLE, DeviceState.BUSY, DeviceState.DEGRADED})


class CostModel(msgspec.Struct, frozen=True, kw_only=True):
    """Driver's figures for ``T0 + shots * alpha`` per binding, in seconds; the gateway fits them online."""

    t0_s: Seconds = 0.0
    per_shot_s: Seconds = 0.0


class DeviceDescription(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent announces."""

    name: DeviceName
    title: str
    #: Qubits a program may use; None: no fixed number (the driver refuses by cost).
    n_qubits: Whole | None
    driver: str
    is_simulator: bool = True
    #: True if a task may run twice without harm or charge (emulators); allows more attempts.
    repeatable: bool = True
    #: Attempts allowed unless the user asks otherwise; 1 on a real QPU.
    max_attempts: Annotated[int, Meta(ge=1, le=100)] = 3
    max_shots: Annotated[int, Meta(ge=1, le=2**53)] = 10_000_000
    #: Shots per batch; partial counts come at batch boundaries.
    batch_shots: Annotated[int, Meta(ge=1, le=2**53)] = 1_000_000
    media_types: tuple[str, ...] = ()
    #: Oldest and newest QPY versions read; (0, 0): none.
    qpy_versions: tuple[int, int] = (0, 0)
    #: Names of the device options it knows.
    options: tuple[str, ...] = ()
    cost: CostModel = CostModel()
    #: An emulated device's clock: what a task takes that keeps it (``pace real``), exactly. None: it has none.
    clock: CostModel | None = None
    #: ``real``: the device keeps its clock whatever a task asks; ``fast``: as the task asks.
    pace: str = "fast"
    #: Tasks of one agent that really run at once; what it holds beyond them waits its turn.
    parallel: Annotated[int, Meta(ge=1, le=1000)] = 1
    native_gates: tuple[str, ...] = ()
    #: Programs of more qubits, or of a width that cannot be told, may be refused by cost: clients ask for a dry run
    #: before they queue them. None: they need not.
    checked_above: Whole | None = None
    #: Directed couplings; empty: all to all.
    couplings: tuple[tuple[int, int], ...] = ()


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """An immutable, dated record of a device; `snapshot_id` is the SHA-256 of `data`."""

    snapshot_id: Digest
    device: DeviceName
    taken_ms: Whole
    #: Canonical JSON (RFC 8785), UTF-8: topology, native gates, calibration.
    data: bytes


class DeviceView(msgspec.Struct, frozen=True, kw_only=True):
    """What a user is shown of a device."""

    description: DeviceDescription
    state: DeviceState
    agents: Whole
    queued: Whole
    running: Whole
    snapshot_id: Digest | None = None
    snapshot_ms: Whole | None = None
    note: str = ""
    #: When all tasks that it holds now have run, if nothing else arrives; None where that cannot be told.
    cleared: Estimate | None = None
