"""A job as ``squeue`` tells of it, and how one is found by what its own processes call it. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from qmio_jupyter.slurm.text import (
    counts,
    duration_s,
    hosts,
    is_number,
    number_or_none,
    records,
    text_or_none,
    time_ms,
    unreadable,
)

#: Fields of ``squeue -O`` in the order of `parse_jobs`.
FIELDS = (
    "JobID",
    "ArrayJobID",
    "ArrayTaskID",
    "HetJobID",
    "HetJobOffset",
    "UserID",
    "UserName",
    "State",
    "Reason",
    "RestartCnt",
    "SubmitTime",
    "StartTime",
    "EndTime",
    "TimeLimit",
    "NodeList",
    "Licenses",
    "Account",
    "Partition",
    "QOS",
    "Reservation",
    "PriorityLong",
    "Name",
)

#: Name, state and reason; all three stand before what a user can write, but for the name, which is compared.
_ENDING = re.compile(r"JobId=[0-9]+ .*?JobName=(\S+) UserId=.*? JobState=([A-Z_]+) Reason=(\S+) ")
_CALLED = re.compile(r"([0-9]{1,10})(?:([_+])([0-9]{1,10}))?")

#: States in which a job holds its nodes and its processes may run.
RUNNING = frozenset({"RUNNING"})
#: States in which it waits to start.
WAITING = frozenset({"PENDING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT", "CONFIGURING"})
#: States that are neither the one nor the other, and not the end.
BETWEEN = frozenset(
    {"SUSPENDED", "STOPPED", "SIGNALING", "RESIZING", "STAGE_OUT", "COMPLETING", "RESV_DEL_HOLD"}
)


#: States after which nothing of a job is left to come.
ENDED = frozenset(
    {
        "BOOT_FAIL",
        "CANCELLED",
        "COMPLETED",
        "DEADLINE",
        "FAILED",
        "NODE_FAIL",
        "OUT_OF_MEMORY",
        "PREEMPTED",
        "REVOKED",
        "TIMEOUT",
    }
)


class Ending(NamedTuple):
    """How a job ended, in Slurm's words."""

    #: As ``NODE_FAIL``.
    state: str
    #: Empty where Slurm names none.
    reason: str


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One job, array task or component of a heterogeneous job. Times in ms since the Unix epoch."""

    #: Its own id, also of array tasks and components.
    job_id: int
    #: Id of the array it belongs to, None if to none.
    array_job_id: int | None = None
    #: Index in the array; None while the array is not split up, or if there is none.
    array_task_id: int | None = None
    #: Id of the heterogeneous job's leader, None if it is no component.
    het_job_id: int | None = None
    #: Its place among the components, from 0.
    het_offset: int | None = None
    uid: int
    user: str
    #: Slurm's word, as ``RUNNING``.
    state: str
    #: Why it waits, in Slurm's word; empty if for nothing.
    reason: str = ""
    #: How often it was put back into the queue.
    restarts: int = 0
    #: When it was submitted, or put back into the queue.
    submit_ms: int
    #: When it started; of a job that waits: when Slurm expects to start it, None if it does not know.
    start_ms: int | None = None
    #: When it will be ended for its time limit.
    end_ms: int | None = None
    #: Time limit in seconds, None for none.
    limit_s: int | None = None
    #: Nodes it holds; empty before it starts.
    nodes: tuple[str, ...] = ()
    #: Licences it asked for, with their counts.
    licences: dict[str, int] = {}
    account: str = ""
    partition: str = ""
    qos: str = ""
    reservation: str = ""
    priority: int = 0
    name: str = ""

    @property
    def is_running(self) -> bool:
        """True while it holds its nodes and its processes run."""
        return self.state in RUNNING

    @property
    def is_waiting(self) -> bool:
        """True before it starts."""
        return self.state in WAITING

    @property
    def incarnation(self) -> tuple[int, int, int]:
        """Its id, submit time (ms) and restarts: what tells repeated ids and requeued jobs apart."""
        return self.job_id, self.submit_ms, self.restarts


def parse_jobs(output: str, separator: str) -> tuple[Job, ...]:
    """Return the jobs of ``squeue -h -a -O`` with `FIELDS` and this separator.

    Raises
    ------
    SlurmError
        If it is not understood; no job is then taken to be there or gone.
    """
    return tuple(_job(record) for record in records(output, len(FIELDS), separator))


def parse_ending(output: str, name: str) -> Ending | None:
    """Return how the job of this name has ended, by ``scontrol --oneliner show job``; None if it has not.

    Of what the line holds only the state and the reason are taken, which are Slurm's own words.
    """
    match = _ENDING.match(output)
    if match is None or match[1] != name or match[2] not in ENDED:
        return None
    return Ending(match[2], text_or_none(match[3]))


def _job(record: list[str]) -> Job:
    of = dict(zip(FIELDS, record, strict=True))
    submit_ms = time_ms(of["SubmitTime"])
    if submit_ms is None or not is_number(of["JobID"]) or not is_number(of["UserID"]):
        raise unreadable(f"job {of['JobID'][:20]!r} of uid {of['UserID'][:20]!r}")
    job_id = int(of["JobID"])
    array_task = text_or_none(of["ArrayTaskID"])
    array = number_or_none(of["ArrayJobID"])
    return Job(
        job_id=job_id,
        array_job_id=array if array_task else None,
        array_task_id=int(array_task) if is_number(array_task) else None,
        het_job_id=_positive(of["HetJobID"]),
        het_offset=number_or_none(of["HetJobOffset"]) if _positive(of["HetJobID"]) else None,
        uid=int(of["UserID"]),
        user=of["UserName"],
        state=of["State"],
        reason=text_or_none(of["Reason"]),
        restarts=number_or_none(of["RestartCnt"]) or 0,
        submit_ms=submit_ms,
        start_ms=time_ms(of["StartTime"]),
        end_ms=time_ms(of["EndTime"]),
        limit_s=duration_s(of["TimeLimit"]),
        nodes=hosts(of["NodeList"]),
        licences=counts(of["Licenses"]),
        account=text_or_none(of["Account"]),
        partition=text_or_none(of["Partition"]),
        qos=text_or_none(of["QOS"]),
        reservation=text_or_none(of["Reservation"]),
        priority=number_or_none(of["PriorityLong"]) or 0,
        name=of["Name"],
    )


def _positive(text: str) -> int | None:
    return number_or_none(text) or None


def called(jobs: Iterable[Job], name: str) -> tuple[Job, ...]:
    """Return the jobs that `name` may mean, as their own processes or Slurm's output call them.

    ``7`` is job 7, and, if that leads a heterogeneous job, its components too, for ``SLURM_JOB_ID`` is the
    leader's in all of them. ``7_3`` is task 3 of array 7, ``7+1`` component 1 of job 7.
    """
    match = _CALLED.fullmatch(name)
    if match is None:
        return ()
    number = int(match[1])
    if match[2] == "_":
        return tuple(job for job in jobs if job.array_job_id == number and job.array_task_id == int(match[3]))
    if match[2] == "+":
        return tuple(job for job in jobs if job.het_job_id == number and job.het_offset == int(match[3]))
    own = [job for job in jobs if job.job_id == number]
    others = [job for job in jobs if job.het_job_id == number and job.job_id != number]
    return (*own, *others)
