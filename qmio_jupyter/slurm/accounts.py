"""Who may charge what: associations and QOS of Slurm's accounting, as ``sacctmgr -P`` prints them. Pure."""

from __future__ import annotations

import msgspec

from qmio_jupyter.slurm.text import duration_s, names, number_or_none, text_or_none, unreadable

#: Columns asked of ``sacctmgr show users withassoc``; limits are shown with those of the account.
ASSOCIATION_COLUMNS = (
    "Cluster",
    "DefaultAccount",
    "Account",
    "User",
    "Partition",
    "QOS",
    "DefaultQOS",
    "MaxJobs",
    "MaxWall",
    "MaxTRES",
    "GrpTRES",
)
#: Columns asked of ``sacctmgr show qos``.
QOS_COLUMNS = ("Name", "Priority", "MaxWall", "MaxJobsPU", "MaxTRESPU", "MaxTRES", "GrpTRES", "Flags")

#: MiB in a unit of memory.
_MIB = {"K": 1 / 1024, "M": 1, "G": 1024, "T": 1024**2, "P": 1024**3}


class Association(msgspec.Struct, frozen=True, kw_only=True):
    """A user may charge an account, on one partition or on all (empty)."""

    cluster: str
    account: str
    user: str
    partition: str = ""
    qos: tuple[str, ...] = ()
    default_qos: str = ""
    #: Whether it is the user's default account on this cluster.
    is_default: bool = False
    max_jobs: int | None = None
    max_wall_s: int | None = None
    #: Most of each resource for one job, and for all jobs of the association together; memory in MiB.
    max_tres: dict[str, int] = {}
    grp_tres: dict[str, int] = {}


class Qos(msgspec.Struct, frozen=True, kw_only=True):
    """A quality of service and its limits; None for none."""

    name: str
    priority: int = 0
    max_wall_s: int | None = None
    max_jobs_per_user: int | None = None
    #: Most of each resource: of a user's jobs together, of one job, of everybody's jobs; memory in MiB.
    max_tres_per_user: dict[str, int] = {}
    max_tres: dict[str, int] = {}
    grp_tres: dict[str, int] = {}
    flags: tuple[str, ...] = ()


def _rows(output: str, columns: tuple[str, ...]) -> list[dict[str, str]]:
    found = [line.split("|") for line in output.splitlines() if line.strip()]
    if any(len(row) != len(columns) for row in found):
        raise unreadable("a row of sacctmgr with other columns than were asked for")
    return [dict(zip(columns, row, strict=True)) for row in found]


def resources(text: str) -> dict[str, int]:
    """Return the limits in a list of trackable resources; memory in MiB, -1 is no limit.

    Examples
    --------
    >>> resources("cpu=3,mem=2G,gres/gpu=1")
    {'cpu': 3, 'mem': 2048, 'gres/gpu': 1}
    """
    found: dict[str, int] = {}
    for part in text_or_none(text).split(","):
        name, _, value = part.strip().partition("=")
        factor = _MIB.get(value[-1:].upper(), 0) if name == "mem" else 0
        number = number_or_none(value[:-1] if factor else value)
        if name and number is not None and number >= 0:
            found[name] = int(number * (factor or 1))
    return found


def parse_associations(output: str) -> tuple[Association, ...]:
    """Return the users' associations (those of accounts alone are left out)."""
    return tuple(
        Association(
            cluster=row["Cluster"],
            account=row["Account"],
            user=row["User"],
            partition=text_or_none(row["Partition"]),
            qos=names(row["QOS"]) or (),
            default_qos=text_or_none(row["DefaultQOS"]),
            is_default=bool(row["Account"]) and row["Account"] == row["DefaultAccount"],
            max_jobs=number_or_none(row["MaxJobs"]),
            max_wall_s=duration_s(row["MaxWall"]),
            max_tres=resources(row["MaxTRES"]),
            grp_tres=resources(row["GrpTRES"]),
        )
        for row in _rows(output, ASSOCIATION_COLUMNS)
        if row["User"] and row["Account"]
    )


def parse_qos(output: str) -> tuple[Qos, ...]:
    """Return the QOS there are."""
    return tuple(
        Qos(
            name=row["Name"],
            priority=number_or_none(row["Priority"]) or 0,
            max_wall_s=duration_s(row["MaxWall"]),
            max_jobs_per_user=number_or_none(row["MaxJobsPU"]),
            max_tres_per_user=resources(row["MaxTRESPU"]),
            max_tres=resources(row["MaxTRES"]),
            grp_tres=resources(row["GrpTRES"]),
            flags=names(row["Flags"]) or (),
        )
        for row in _rows(output, QOS_COLUMNS)
    )
