"""What a cluster offers: partitions, nodes, reservations, licences. Parsers of what Slurm prints; pure."""

from __future__ import annotations

import re

import msgspec

from qmio_jupyter.slurm.text import (
    counts,
    duration_s,
    hosts,
    is_number,
    names,
    number_or_none,
    pairs,
    records,
    text_or_none,
    time_ms,
    unreadable,
)

#: Fields of ``sinfo -N -O`` in the order of `parse_nodes`.
NODE_FIELDS = (
    "NodeList",
    "NodeAddr",
    "NodeHost",
    "Partition",
    "StateLong",
    "CPUsState",
    "Memory",
    "AllocMem",
    "Gres",
    "GresUsed",
    "Reason",
)
#: Node states in which new jobs may start, now or as running ones end.
_USABLE = frozenset({"idle", "mixed", "allocated", "completing", "planned"})
_FLAGS = re.compile(r"[*~#!%$@^+\-]+$")


class Partition(msgspec.Struct, frozen=True, kw_only=True):
    """One partition. None in an allow-list is everybody; None in a limit is no limit."""

    name: str
    is_up: bool
    is_default: bool
    is_hidden: bool = False
    root_only: bool = False
    nodes: tuple[str, ...] = ()
    max_time_s: int | None = None
    default_time_s: int | None = None
    min_nodes: int = 0
    max_nodes: int | None = None
    allow_accounts: tuple[str, ...] | None = None
    deny_accounts: tuple[str, ...] = ()
    allow_qos: tuple[str, ...] | None = None
    deny_qos: tuple[str, ...] = ()
    allow_groups: tuple[str, ...] | None = None
    #: It takes only jobs of a reservation.
    needs_reservation: bool = False
    total_cpus: int = 0
    total_nodes: int = 0
    priority_tier: int = 1


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """One node. Memory in MiB."""

    name: str
    #: Address Slurm reaches it at.
    address: str
    hostname: str
    partitions: tuple[str, ...]
    #: Slurm's word without its flags, as ``mixed``.
    state: str
    cpus: int
    cpus_idle: int
    memory_mb: int
    memory_used_mb: int
    #: Generic resources and their counts, as ``gpu`` and ``gpu:a100``.
    gres: dict[str, int] = {}
    gres_used: dict[str, int] = {}
    #: Why an administrator took it out; empty if none did.
    reason: str = ""

    @property
    def is_usable(self) -> bool:
        """True if jobs may start on it, now or as running ones end."""
        return self.state in _USABLE


class Reservation(msgspec.Struct, frozen=True, kw_only=True):
    """One reservation; times in ms since the Unix epoch."""

    name: str
    is_active: bool
    start_ms: int
    end_ms: int
    nodes: tuple[str, ...] = ()
    partition: str = ""
    users: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    licences: dict[str, int] = {}
    flags: tuple[str, ...] = ()


class Licence(msgspec.Struct, frozen=True, kw_only=True):
    """One licence of the cluster, and how many of it are in use."""

    name: str
    total: int
    used: int
    free: int
    reserved: int = 0


class ExpectedStart(msgspec.Struct, frozen=True, kw_only=True):
    """What ``sbatch --test-only`` says: when a job would start, and on what."""

    start_ms: int
    processors: int
    nodes: tuple[str, ...]
    partition: str


def _lines(output: str) -> list[str]:
    return [line for line in output.splitlines() if line.strip() and not line.startswith("No ")]


def parse_partitions(output: str) -> tuple[Partition, ...]:
    """Return the partitions of ``scontrol --oneliner show partitions``."""
    return tuple(_partition(pairs(line)) for line in _lines(output))


def _partition(of: dict[str, str]) -> Partition:
    if "PartitionName" not in of:
        raise unreadable("a partition without a name")
    return Partition(
        name=of["PartitionName"],
        is_up=of.get("State") == "UP",
        is_default=of.get("Default") == "YES",
        is_hidden=of.get("Hidden") == "YES",
        root_only=of.get("RootOnly") == "YES",
        nodes=hosts(of.get("Nodes", "")),
        max_time_s=duration_s(of.get("MaxTime", "")),
        default_time_s=duration_s(of.get("DefaultTime", "")),
        min_nodes=number_or_none(of.get("MinNodes", "0")) or 0,
        max_nodes=number_or_none(of.get("MaxNodes", "")),
        allow_accounts=names(of.get("AllowAccounts", "ALL")),
        deny_accounts=names(of.get("DenyAccounts", "")) or (),
        allow_qos=names(of.get("AllowQos", "ALL")),
        deny_qos=names(of.get("DenyQos", "")) or (),
        allow_groups=names(of.get("AllowGroups", "ALL")),
        needs_reservation=of.get("ReqResv") == "YES",
        total_cpus=number_or_none(of.get("TotalCPUs", "0")) or 0,
        total_nodes=number_or_none(of.get("TotalNodes", "0")) or 0,
        priority_tier=number_or_none(of.get("PriorityTier", "1")) or 0,
    )


def parse_nodes(output: str, separator: str) -> tuple[Node, ...]:
    """Return the nodes of ``sinfo -N -O`` with `NODE_FIELDS`, each once with all its partitions."""
    found: dict[str, Node] = {}
    for record in records(output, len(NODE_FIELDS), separator):
        node = _node(dict(zip(NODE_FIELDS, record, strict=True)))
        known = found.get(node.name)
        if known is not None:
            node = msgspec.structs.replace(known, partitions=known.partitions + node.partitions)
        found[node.name] = node
    return tuple(found.values())


def _node(of: dict[str, str]) -> Node:
    cpus = of["CPUsState"].split("/")
    if len(cpus) != 4 or not all(is_number(number) for number in cpus):
        raise unreadable(f"processors {of['CPUsState'][:40]!r} of a node")
    return Node(
        name=of["NodeList"],
        address=of["NodeAddr"],
        hostname=of["NodeHost"],
        partitions=(of["Partition"].rstrip("*"),),
        state=_FLAGS.sub("", of["StateLong"]).lower(),
        cpus=int(cpus[3]),
        cpus_idle=int(cpus[1]),
        memory_mb=number_or_none(of["Memory"]) or 0,
        memory_used_mb=number_or_none(of["AllocMem"]) or 0,
        gres=gres(of["Gres"]),
        gres_used=gres(of["GresUsed"]),
        reason=text_or_none("" if of["Reason"] == "none" else of["Reason"]),
    )


def gres(text: str) -> dict[str, int]:
    """Return what ``gpu:a100:2(S:0),qpu:1`` counts: each name, and each name with its type."""
    found: dict[str, int] = {}
    for part in re.sub(r"\([^)]*\)", "", text_or_none(text)).split(","):
        words = part.strip().split(":")
        if not words[0]:
            continue
        count = int(words.pop()) if len(words) > 1 and is_number(words[-1]) else 1
        for name in dict.fromkeys((words[0], ":".join(words))):
            found[name] = found.get(name, 0) + count
    return found


def parse_reservations(output: str) -> tuple[Reservation, ...]:
    """Return the reservations of ``scontrol --oneliner show reservations``."""
    return tuple(_reservation(pairs(line)) for line in _lines(output))


def _reservation(of: dict[str, str]) -> Reservation:
    start_ms, end_ms = time_ms(of.get("StartTime", "")), time_ms(of.get("EndTime", ""))
    if "ReservationName" not in of or start_ms is None or end_ms is None:
        raise unreadable("a reservation without name or times")
    return Reservation(
        name=of["ReservationName"],
        is_active=of.get("State") == "ACTIVE",
        start_ms=start_ms,
        end_ms=end_ms,
        nodes=hosts(of.get("Nodes", "")),
        partition=text_or_none(of.get("PartitionName", "")),
        users=names(of.get("Users", "")) or (),
        groups=names(of.get("Groups", "")) or (),
        accounts=names(of.get("Accounts", "")) or (),
        licences=counts(of.get("Licenses", "")),
        flags=names(of.get("Flags", "")) or (),
    )


def parse_licences(output: str) -> tuple[Licence, ...]:
    """Return the licences of ``scontrol --oneliner show licenses``."""
    found: list[Licence] = []
    for line in _lines(output):
        of = pairs(line)
        if "LicenseName" not in of:
            raise unreadable("a licence without a name")
        total, used, reserved = (
            number_or_none(of.get(name, "0")) or 0 for name in ("Total", "Used", "Reserved")
        )
        free = number_or_none(of.get("Free", "")) if "Free" in of else total - used
        found.append(
            Licence(name=of["LicenseName"], total=total, used=used, free=free or 0, reserved=reserved)
        )
    return tuple(found)


_TEST_ONLY = re.compile(
    r"Job \d+ to start at (\S+) using (\d+) processors(?: on(?: nodes)? (\S+))?(?: in partition (\S+))?"
)


def parse_test_only(stderr: str) -> ExpectedStart:
    """Return what ``sbatch --test-only`` wrote to its standard error."""
    match = _TEST_ONLY.search(stderr)
    start_ms = None if match is None else time_ms(match[1])
    if match is None or start_ms is None:
        raise unreadable(f"{stderr.strip()[:80]!r} is no expected start")
    return ExpectedStart(
        start_ms=start_ms,
        processors=int(match[2]),
        nodes=hosts(match[3] or ""),
        partition=match[4] or "",
    )


def parse_cluster_name(config: str) -> str:
    """Return ``ClusterName`` of ``scontrol show config``."""
    match = re.search(r"^ClusterName\s*=\s*(\S+)\s*$", config, re.MULTILINE)
    if match is None:
        raise unreadable("a configuration without ClusterName")
    return match[1]


def parse_configuration(output: str) -> dict[str, str]:
    """Return the keys of ``scontrol show config`` and their values; empty for what is not set."""
    found = {}
    for line in output.splitlines():
        name, sign, value = line.partition("=")
        if sign and name.strip() and not name.startswith((" ", "\t")):
            found[name.strip()] = text_or_none(value.strip())
    return found
