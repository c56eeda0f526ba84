"""Who may charge what: associations and QOS of Slurm's accounting, as ``sacctmgr -P`` prints them. Pure."""

from __future__ import annotations

import msgspec

from qmio_jupyter.slurm.text import counts, duration_s, names, number_or_none, text_or_none, unreadable

#: Columns asked of ``sacctmgr show associations``.
ASSOCIATION_COLUMNS = ("Cluster", "Account", "User", "Partition", "QOS", "DefaultQOS", "MaxJobs", "MaxWall")
#: Columns asked of ``sacctmgr show qos``.
QOS_COLUMNS = ("Name", "Priority", "MaxWall", "MaxJobsPU", "MaxTRESPU", "Flags")


class Association(msgspec.Struct, frozen=True, kw_only=True):
    """A user may charge an account, on one partition or on all (empty)."""

    cluster: str
    account: str
    user: str
    partition: str = ""
    qos: tuple[str, ...] = ()
    default_qos: str = ""
    max_jobs: int | None = None
    max_wall_s: int | None = None


class Qos(msgspec.Struct, frozen=True, kw_only=True):
    """A quality of service and its limits; None for none."""

    name: str
    priority: int = 0
    max_wall_s: int | None = None
    max_jobs_per_user: int | None = None
    max_tres_per_user: dict[str, int] = {}
    flags: tuple[str, ...] = ()


def _rows(output: str, columns: tuple[str, ...]) -> list[dict[str, str]]:
    found = [line.split("|") for line in output.splitlines() if line.strip()]
    if any(len(row) != len(columns) for row in found):
        raise unreadable("a row of sacctmgr with other columns than were asked for")
    return [dict(zip(columns, row, strict=True)) for row in found]


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
            max_jobs=number_or_none(row["MaxJobs"]),
            max_wall_s=duration_s(row["MaxWall"]),
        )
        for row in _rows(output, ASSOCIATION_COLUMNS)
        if row["User"]
    )


def parse_qos(output: str) -> tuple[Qos, ...]:
    """Return the QOS there are."""
    return tuple(
        Qos(
            name=row["Name"],
            priority=number_or_none(row["Priority"]) or 0,
            max_wall_s=duration_s(row["MaxWall"]),
            max_jobs_per_user=number_or_none(row["MaxJobsPU"]),
            max_tres_per_user=counts(row["MaxTRESPU"]),
            flags=names(row["Flags"]) or (),
        )
        for row in _rows(output, QOS_COLUMNS)
    )
