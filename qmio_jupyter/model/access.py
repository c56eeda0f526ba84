"""Who may do what, and for how long: roles, sessions, grants, bookings."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from qmio_jupyter.model.ids import BookingId, DeviceName, GrantId, KeyId, SessionId, Tenant
from qmio_jupyter.model.numbers import Whole


class Role(StrEnum):
    """What a key may be used for."""

    #: An unknown key: may only say hello and prove who it is.
    NONE = "none"
    USER = "user"
    #: The hub: creates, binds and revokes grants.
    ISSUER = "issuer"
    #: An agent of one device.
    AGENT = "agent"
    OPERATOR = "operator"
    #: Reads, changes nothing.
    MONITOR = "monitor"
    #: Root of a node: its prolog hands secrets to Slurm jobs, its epilog says that they have ended.
    NODE = "node"


class Enrolment(msgspec.Struct, frozen=True, kw_only=True):
    """A key the gateway knows, and its role. `device` is set for agents; `uid`, `tenant` for users."""

    key: KeyId
    role: Role
    device: DeviceName | None = None
    uid: Whole | None = None
    tenant: Tenant | None = None
    note: str = ""


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """A user's authenticated, expiring identity at the gateway, bound to a key; nothing else."""

    session_id: SessionId
    key: KeyId
    uid: Whole
    tenant: Tenant
    opened_ms: Whole
    #: Lease: moved by activity; None never expires by itself.
    expires_ms: Whole | None
    cluster: str = ""
    job_id: str = ""
    grant_id: GrantId | None = None
    #: Devices it may use; empty: all.
    devices: tuple[DeviceName, ...] = ()
    #: With the job's id, what tells its runs apart: when it was (re)submitted, and how often it was put back.
    submit_ms: Whole | None = None
    restarts: Whole = 0
    #: Where its key may be used from: the addresses of the job's nodes; empty: from anywhere.
    addresses: tuple[str, ...] = ()
    closed_ms: Whole | None = None
    close_cause: str = ""

    @property
    def is_open(self) -> bool:
        """True until closed or expired (expiry is decided by the core's tick)."""
        return self.closed_ms is None


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """What the hub promises a user before her Slurm job runs. Useless without that uid's proof."""

    grant_id: GrantId
    issuer: KeyId
    uid: Whole
    tenant: Tenant
    devices: tuple[DeviceName, ...]
    #: ``batch`` or ``interactive``.
    kind: str
    #: Device-seconds; None: unlimited.
    budget_s: float | None
    created_ms: Whole
    expires_ms: Whole
    cluster: str = ""
    job_id: str = ""
    used_s: float = 0.0
    revoked_ms: Whole | None = None


class BookingKind(StrEnum):
    """What a booking is for."""

    EXCLUSIVE = "exclusive"
    CLASS = "class"
    CALIBRATION = "calibration"
    MAINTENANCE = "maintenance"


class Booking(msgspec.Struct, frozen=True, kw_only=True):
    """A device held for someone or something, ``from_ms <= t < until_ms``."""

    booking_id: BookingId
    device: DeviceName
    kind: BookingKind
    #: Tenant or account (prefix before the slash) that may use it; None for calibration and maintenance.
    holder: str | None
    from_ms: Whole
    until_ms: Whole
    #: Others may run after the holder has queued and run nothing for this long; None: never.
    idle_yield_s: float | None = None
    note: str = ""
    cancelled_ms: Whole | None = None
