"""What Slurm says of a job, as far as a session depends on it; and what a credential says of who made it."""

from __future__ import annotations

import msgspec

from qmio_jupyter.model.ids import Tenant
from qmio_jupyter.model.numbers import Whole


class AllocationFacts(msgspec.Struct, frozen=True, kw_only=True):
    """One job, array task or component of a heterogeneous job, under its own id."""

    cluster: str
    #: Its own id, decimal, also of array tasks and components.
    job_id: str
    uid: Whole
    #: Who is charged: ``account/user``.
    tenant: Tenant
    #: Slurm's word, as ``RUNNING``.
    state: str
    #: True while it holds its nodes and its processes may run.
    running: bool
    #: Names of its nodes.
    nodes: tuple[str, ...] = ()
    #: Addresses of its nodes: where its processes make credentials and connections.
    addresses: tuple[str, ...] = ()
    #: Licences it holds.
    licences: tuple[str, ...] = ()
    #: When it was submitted or put back into the queue, and how often: with the id, what tells its runs apart.
    submit_ms: Whole = 0
    restarts: Whole = 0
    #: When its time limit ends it, ms since the Unix epoch; None for no limit.
    ends_ms: Whole | None = None


class JobRun(msgspec.Struct, frozen=True):
    """One run of a job: a requeued job, or another one under the same id, is another run."""

    cluster: str
    job_id: str
    submit_ms: int
    restarts: int


class JobSecret(msgspec.Struct, frozen=True, kw_only=True):
    """What the gateway knows of the secret that a node's prolog handed to a Slurm job: enough to check a proof."""

    cluster: str
    #: The job's own id, as the prolog has it: also of array tasks and components.
    job_id: str
    #: The node's name.
    node: str
    uid: Whole
    #: A hash of the secret; no proof can be made of it (`auth.secrets`).
    check: bytes
    #: Where it was told from: this has to be an address of the job's nodes.
    address: str
    handed_ms: Whole

    @property
    def name(self) -> tuple[str, str, str]:
        """Of which job on which node it is: there is one for each."""
        return self.cluster, self.job_id, self.node


class Bearer(msgspec.Struct, frozen=True, kw_only=True):
    """Who made a credential, as MUNGE or a secret of the job vouches for it."""

    uid: Whole
    #: Address of the host it was made on.
    address: str
    #: Seconds from its making to its reading, by the clocks of the two hosts.
    age_s: float
    #: The only uid that could read it; None: anybody's.
    only_for: int | None
    #: What it carries.
    payload: bytes
