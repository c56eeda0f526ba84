"""Slurm's reasons in plain words. A reason nobody has translated is shown as Slurm gives it, never hidden."""

from __future__ import annotations

import re

#: Reason -> (what it means, what the user may do; may be empty).
REASONS: dict[str, tuple[str, str]] = {
    "None": ("Slurm is about to look at it", ""),
    "Resources": ("no node of this size is free yet", "A smaller request would start sooner."),
    "Priority": ("others are ahead of you in the queue", ""),
    "Licenses": ("all shared sessions of the device are taken", "It starts when somebody ends one."),
    "Reservation": ("it waits for its reservation to begin", ""),
    "ReqNodeNotAvail": ("the nodes are reserved for others or down", ""),
    "ReservationDeleted": ("its reservation is no more", "Stop it and start again without."),
    "BeginTime": ("its earliest start time has not come", ""),
    "Dependency": ("it waits for another job", ""),
    "Nodes required for job are DOWN": ("the nodes it could run on are down, or kept for others", ""),
    "NodeDown": ("a node it needs is down", "The operators have to repair it."),
    "PartitionDown": ("the partition is closed to new jobs", "The operators have to open it."),
    "PartitionInactive": ("the partition is switched off", "The operators have to open it."),
    "PartitionNodeLimit": ("it asks for more nodes than the partition allows", "Stop it and ask for less."),
    "PartitionTimeLimit": ("it asks for more time than the partition allows", "Stop it and ask for less."),
    "PartitionConfig": ("the partition cannot give what it asks for", "Stop it and ask for something else."),
    "BadConstraints": ("no node can ever give what it asks for", "Stop it and ask for something else."),
    "InvalidAccount": ("the account is not valid", "Stop it and choose another account."),
    "InvalidQOS": ("the QOS is not valid", "Stop it and choose another QOS."),
    "AccountNotAllowed": ("the account may not use this partition", "Stop it and choose another one."),
    "QOSNotAllowed": ("the QOS may not use this partition", "Stop it and choose another one."),
    "QOSMaxJobsPerUserLimit": (
        "you have as many jobs as your QOS allows at once",
        "It starts when one of them ends.",
    ),
    "QOSMaxCpuPerUserLimit": (
        "your jobs use all the cores your QOS allows",
        "It starts when one of them ends.",
    ),
    "QOSMaxWallDurationPerJobLimit": (
        "it asks for more time than your QOS allows",
        "Stop it and ask for less.",
    ),
    "QOSGrpCpuLimit": ("everybody's jobs of this QOS use all its cores", ""),
    "QOSGrpJobsLimit": ("this QOS has as many jobs as it may", ""),
    "AssocMaxJobsLimit": (
        "you have as many jobs as your account allows at once",
        "It starts when one of them ends.",
    ),
    "AssocGrpCpuLimit": ("your account uses all the cores it may", ""),
    "AssocGrpCPUMinutesLimit": ("your account has used up its core time", "Ask the administrator for more."),
    "AssocMaxWallDurationPerJobLimit": (
        "it asks for more time than your account allows",
        "Stop it and ask for less.",
    ),
    "JobArrayTaskLimit": ("other parts of the same array run", ""),
    "JobHeldAdmin": ("the operators hold it back", "Ask them why."),
    "JobHeldUser": ("it is held", "Release it, or stop it and start again."),
    "launch failed requeued held": ("it could not be started and is held", "Tell the administrator."),
    "Cleaning": ("an earlier run of it is being cleaned up", ""),
    "Prolog": ("the node is being prepared", ""),
    "FrontEndDown": ("the node that starts jobs is down", "The operators have to repair it."),
    "SystemFailure": ("Slurm had an internal failure", "Tell the administrator."),
    "JobLaunchFailure": ("it could not be started on the node", "Tell the administrator."),
    "NonZeroExitCode": ("it ended with an error", ""),
    "TimeLimit": ("its time was up", ""),
    "OutOfMemory": ("it used more memory than it asked for", "Start again with more memory."),
    "MaxMemPerLimit": ("it asks for more memory per core than allowed", "Stop it and ask for less."),
}

#: What a final state says of a job that should run on.
ENDS: dict[str, str] = {
    "CANCELLED": "the Slurm job was cancelled",
    "TIMEOUT": "the Slurm job's time was up",
    "DEADLINE": "the Slurm job's deadline passed",
    "NODE_FAIL": "the node failed",
    "BOOT_FAIL": "the node could not be started",
    "OUT_OF_MEMORY": "the Slurm job used more memory than it asked for",
    "PREEMPTED": "the Slurm job gave way to one of a higher priority",
    "FAILED": "the program on the node failed to start",
    "COMPLETED": "the program on the node ended at once",
    "REVOKED": "the Slurm job was taken away",
}

#: Reasons after which waiting is of no use: nothing but a change by somebody lets the job start.
HOPELESS = frozenset(
    {
        "BadConstraints",
        "ReservationDeleted",
        "PartitionNodeLimit",
        "PartitionTimeLimit",
        "PartitionConfig",
        "InvalidAccount",
        "InvalidQOS",
        "AccountNotAllowed",
        "QOSNotAllowed",
        "QOSMaxWallDurationPerJobLimit",
        "AssocMaxWallDurationPerJobLimit",
        "MaxMemPerLimit",
    }
)

#: A limit of an association or a QOS: whose, of what kind, of what, of its time, for whom.
_LIMIT = re.compile(
    r"(QOS|Assoc)(Grp|Max|Min)([A-Z][A-Za-z]*?)((?:Run)?Minutes)?(PerJob|PerNode|PerUser|NotSatisfied)?(?:Limit)?"
)
_RESOURCES = {
    "Cpu": "cores",
    "CPU": "cores",
    "Mem": "memory",
    "Memory": "memory",
    "Node": "nodes",
    "GRES": "GPUs or other generic resources",
    "License": "licences",
    "Jobs": "jobs",
    "SubmitJobs": "jobs",
    "Wall": "time",
}


def _of_limit(key: str) -> tuple[str, str, bool] | None:
    """Return what a limit's name means, what to do, and whether waiting is of no use; None if it is no limit."""
    found = _LIMIT.fullmatch(key)
    if found is None:
        return None
    owner, kind, resource, minutes, scope = found.groups()
    whose = "your QOS" if owner == "QOS" else "your account"
    what = _RESOURCES.get(resource, "resources")
    if kind == "Min":
        return f"it asks for fewer {what} than {whose} wants", "Stop it and ask for more.", True
    if scope in ("PerJob", "PerNode"):
        time = "time with " if minutes else ""
        return f"it asks for more {time}{what} than {whose} allows", "Stop it and ask for less.", True
    if minutes:
        return f"{whose} has used up its time with {what}", "Ask the administrator for more.", False
    if kind == "Max":
        return f"your jobs use all the {what} {whose} allows", "It starts when one of them ends.", False
    return f"the jobs of {whose} use all the {what} they may", "", False


def why(reason: str) -> tuple[str, str]:
    """Return what a pending job's reason means, and what the user may do (may be empty)."""
    key = reason.strip().strip("()")
    found = REASONS.get(key) or REASONS.get(key.partition(",")[0].strip())
    if found is None and key.partition(":")[0] in REASONS:
        found = REASONS[key.partition(":")[0]]
    limit = _of_limit(key)
    if found is None and limit is not None:
        found = limit[:2]
    return found or (f"Slurm says {key[:60] or 'nothing'}", "")


def is_hopeless(reason: str) -> bool:
    """Return whether a job that waits for this reason will not start by itself."""
    key = reason.strip().strip("()").partition(",")[0]
    limit = _of_limit(key)
    return key in HOPELESS or (key not in REASONS and limit is not None and limit[2])


def ending(state: str, reason: str = "") -> str:
    """Return why a job that has ended has ended, in words."""
    words = ENDS.get(state.partition(" ")[0].rstrip("+"), f"the Slurm job ended ({state})")
    return words if reason in ("", "None") or reason == state.title() else f"{words}: {why(reason)[0]}"
