"""A server's start as steps with compensations, sans-I/O: all of it comes about, or none of it is left.

The order is: promise the session (grant), submit the Slurm job whose name carries the grant's id, bind the grant to
the job, wait until the job runs, wait until the server on the node reports that its session is open. A shell asks
`next_step`, writes `begun` down, acts, writes `done` down, and so on; whatever fails, or whoever dies, `undo_step`
names what must still be undone, from what is written down alone. A step that has begun may have happened: that is
what the mark `MAYBE` says, and undoing treats it as if it had. Every compensation may be repeated.

A step's effect and the note of it cannot be one, so each effect can be found again by the grant's id: the gateway
answers the same `grant.create` alike, and Slurm finds a job by its name.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

#: Beginning of the name of every job of ours; the grant's id follows.
JOB_NAME = "qmio-"


class Mark(StrEnum):
    """How far a step's effect is known."""

    NO = "no"
    #: Begun: it may have happened.
    MAYBE = "maybe"
    YES = "yes"
    #: It is undone, or can no longer have an effect.
    UNDONE = "undone"


class Step(StrEnum):
    """What the shell is to do."""

    GRANT = "grant"
    SUBMIT = "submit"
    #: Look for the job by name: whether sbatch has submitted it is unknown.
    FIND = "find"
    BIND = "bind"
    AWAIT_RUNNING = "await_running"
    AWAIT_SERVER = "await_server"
    #: Nothing more: the server is there.
    READY = "ready"
    #: Cancel the job by its id, where it is known, and by its name.
    CANCEL = "cancel"
    REVOKE = "revoke"
    #: Nothing more: nothing is left.
    CLEAN = "clean"


class Saga(msgspec.Struct, frozen=True, kw_only=True):
    """Where one start stands; what `Spawner.get_state` keeps."""

    grant_id: str
    cluster: str = ""
    grant: Mark = Mark.NO
    job: Mark = Mark.NO
    job_id: str = ""
    bound: Mark = Mark.NO
    node: str = ""
    #: Where the server listens, once it has reported.
    address: str = ""
    port: int = 0
    is_running: bool = False
    #: When sbatch was begun, ms; until some time after it, a job that was not found may still appear.
    submitted_ms: int = 0
    #: True once it is being undone; nothing goes forward any more.
    is_undoing: bool = False

    @property
    def job_name(self) -> str:
        """The name that the Slurm job carries."""
        return JOB_NAME + self.grant_id


def next_step(saga: Saga) -> Step:
    """Return what brings the start forward."""
    if saga.is_undoing:
        return undo_step(saga)
    if saga.grant is not Mark.YES:
        return Step.GRANT
    if saga.job is Mark.NO:
        return Step.SUBMIT
    if saga.job is Mark.MAYBE:
        return Step.FIND
    if saga.bound is not Mark.YES:
        return Step.BIND
    if not saga.is_running:
        return Step.AWAIT_RUNNING
    return Step.READY if saga.port else Step.AWAIT_SERVER


def undo_step(saga: Saga) -> Step:
    """Return what must be undone next. The grant goes first: a job that starts meanwhile opens nothing with it."""
    if saga.grant in (Mark.MAYBE, Mark.YES):
        return Step.REVOKE
    if saga.job in (Mark.MAYBE, Mark.YES):
        return Step.CANCEL
    return Step.CLEAN


def undo_meanwhile(saga: Saga) -> Step:
    """Return what can be undone although `undo_step` cannot be done now; `Step.CLEAN` if nothing else is left.

    A gateway that is away keeps no job on its node: it can open nothing meanwhile either.
    """
    is_job_left = undo_step(saga) is Step.REVOKE and saga.job in (Mark.MAYBE, Mark.YES)
    return Step.CANCEL if is_job_left else Step.CLEAN


def begun(saga: Saga, step: Step, now_ms: int = 0) -> Saga:
    """Return the saga as it must be on disk before the shell acts."""
    if step is Step.GRANT:
        return msgspec.structs.replace(saga, grant=Mark.MAYBE)
    if step is Step.SUBMIT:
        return msgspec.structs.replace(saga, job=Mark.MAYBE, submitted_ms=now_ms)
    if step is Step.BIND:
        return msgspec.structs.replace(saga, bound=Mark.MAYBE)
    return saga


def granted(saga: Saga) -> Saga:
    """Return the saga once the gateway has promised the session."""
    return msgspec.structs.replace(saga, grant=Mark.YES)


def submitted(saga: Saga, job_id: str, cluster: str = "") -> Saga:
    """Return the saga once the job's id is known, from sbatch or by its name."""
    return msgspec.structs.replace(saga, job=Mark.YES, job_id=job_id, cluster=cluster or saga.cluster)


def refused(saga: Saga) -> Saga:
    """Return the saga once it is certain that Slurm has taken no job: sbatch said no."""
    return msgspec.structs.replace(saga, job=Mark.UNDONE)


def bound(saga: Saga) -> Saga:
    """Return the saga once the grant belongs to the job."""
    return msgspec.structs.replace(saga, bound=Mark.YES)


def running(saga: Saga, node: str) -> Saga:
    """Return the saga once Slurm says that the job runs."""
    return msgspec.structs.replace(saga, is_running=True, node=node)


def reported(saga: Saga, address: str, port: int) -> Saga:
    """Return the saga once the server has said, from the node, where it listens and that its session is open."""
    return msgspec.structs.replace(saga, address=address, port=port)


def undoing(saga: Saga) -> Saga:
    """Return the saga turned round: from now on everything is undone."""
    return msgspec.structs.replace(saga, is_undoing=True)


def revoked(saga: Saga) -> Saga:
    """Return the saga once the gateway has ended the grant and its sessions, or has none of it."""
    return msgspec.structs.replace(saga, grant=Mark.UNDONE, bound=Mark.UNDONE)


def cancelled(saga: Saga) -> Saga:
    """Return the saga once no job of this name is left, nor can one still come."""
    return msgspec.structs.replace(saga, job=Mark.UNDONE)


def encode(saga: Saga) -> dict[str, object]:
    """Return the saga as plain values, for the hub's database."""
    found: dict[str, object] = msgspec.to_builtins(saga)
    return found


def decode(values: object) -> Saga | None:
    """Return the saga that `encode` wrote, None where there is none that can be read."""
    try:
        return msgspec.convert(values, type=Saga)
    except msgspec.ValidationError:
        return None
