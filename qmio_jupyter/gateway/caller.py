"""Who asks: what the desk has found out of a frame's key, and what the gateway says of itself."""

from __future__ import annotations

import msgspec

from qmio_jupyter.core.inputs import Origin
from qmio_jupyter.model.access import Enrolment, Role, Session
from qmio_jupyter.model.ids import KeyId, Tenant
from qmio_jupyter.wire.messages import Limits


class Caller(msgspec.Struct, frozen=True):
    """The sender of one request."""

    connection: int
    request: int
    key: KeyId
    role: Role
    enrolment: Enrolment | None = None
    #: Open session of a user's key.
    session: Session | None = None
    #: The key has a session, which may not be used from where this came.
    is_misplaced: bool = False
    #: Where it came from, as the transport has it.
    address: str = ""

    @property
    def origin(self) -> Origin:
        """What the core gets to see of it."""
        return Origin(self.connection, self.request, self.key)

    @property
    def tenant(self) -> Tenant | None:
        """Whose tasks it may see: a user her tenant's; None, of the other roles that may ask, everybody's."""
        return self.session.tenant if self.session is not None else None


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """What the gateway says of itself; constant while the process lives."""

    #: Its name.
    gateway: str
    software: str
    started_ms: int
    #: Its own key: origin of what the shell itself asks of the core.
    key: KeyId
    #: Its public key, Z85, as proofs name it.
    server_key: str = ""
    #: The uid it runs as: who alone is to read credentials.
    uid: int = 0
    #: Kind of store, for `gateway.show`.
    store: str = ""
    #: Where its log is, for `gateway.show`.
    log: str = ""
    #: Embedded mode: the uid that owns this gateway and may stop it; None otherwise.
    owner_uid: int | None = None
    #: Lease of sessions that hello opens; None: they never expire by themselves (embedded mode).
    session_lease_s: float | None = None
    limits: Limits = Limits()
    #: What sessions are opened with: ``munge``, ``secret``.
    proofs: tuple[str, ...] = ("munge",)
    #: Addresses from which a node's key speaks for jobs on every node: Slurm's controllers.
    controllers: tuple[str, ...] = ()
