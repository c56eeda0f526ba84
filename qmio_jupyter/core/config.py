"""What an administrator may tune of the decisions. Everything has a default; units are in the names."""

from __future__ import annotations

import msgspec


class CoreConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of the core.

    Relations that must hold: an agent renews every ``lease_s / 3``, so `lease_s` bounds how long a dead
    agent blocks a task; `redispatch_s` is several round trips and far below `lease_s`.
    """

    #: A claim lapses when it has not been renewed for this long.
    lease_s: float = 15.0
    #: A dispatch that was not acknowledged is sent again after this long.
    redispatch_s: float = 1.0
    #: An agent that gave a claim back gets no other for this long.
    give_back_pause_s: float = 1.0
    #: Length of a session's lease where none is known (after a restart).
    session_lease_s: float = 3600.0
    #: Sessions that ran out while the gateway was down stay open this long after a restart.
    session_grace_s: float = 60.0

    #: Usage counts half after this long.
    half_life_s: float = 86_400.0
    #: Device-seconds (of weight 1) that one second of waiting makes up for.
    ageing: float = 0.1
    #: Shares as (node, weight); a node is an account or ``account/user``; others weigh 1.
    weights: tuple[tuple[str, float], ...] = ()
    #: The least a task is predicted, and charged.
    least_s: float = 0.001

    #: Positions and estimates are published at most this often.
    publish_hz: float = 5.0
    #: Estimates of a queue in which nothing changes are looked at again after this long.
    refresh_s: float = 5.0
    #: A reply to a submit tells the position if no more than this many are queued.
    position_in_reply: int = 32
    #: A view that is asked for tells the exact position if no more than this many are queued.
    position_in_view: int = 256

    #: Open sessions of one Slurm job: one for each key, so one for each of its nodes, and some to spare.
    sessions_per_job: int = 1_000
    #: What checks the proofs of a job without MUNGE is kept this long if no epilog says that the job has ended, and no
    #: more than this many of them.
    job_secret_s: float = 30 * 86_400.0
    job_secrets: int = 100_000
    #: Live tasks of one session, and of one tenant.
    live_per_session: int = 10_000
    live_per_tenant: int = 20_000
    #: Bytes of the specs of one tenant's live tasks (nearly all of it parameter values): they are in memory.
    live_bytes_per_tenant: int = 256 * 2**20
    #: The longest task that is accepted, by its predicted device-seconds.
    longest_task_s: float = 86_400.0
    #: Bytes of programs kept per tenant.
    program_bytes_per_tenant: int = 2**30
    #: A program that no task refers to is kept this long.
    program_grace_s: float = 3600.0
    #: Ended tasks are kept this long, and no more than this many of them.
    retention_s: float = 90 * 86_400.0
    retained_tasks: int = 200_000
