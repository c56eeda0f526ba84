"""Makes what one user is offered of what Slurm and the gateway say. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from qmio_jupyter.hub import offer as o
from qmio_jupyter.hub.cluster import Picture
from qmio_jupyter.model.device import DeviceView
from qmio_jupyter.slurm.accounts import Association, Qos
from qmio_jupyter.slurm.cluster import Node, Partition, Reservation
from qmio_jupyter.slurm.jobs import Job

#: What nodes that are alike have in common: cores, MiB, GPUs, other generic resources.
_Shape = tuple[int, int, int, tuple[tuple[str, int], ...]]


def offer_of(
    picture: Picture,
    jobs: Iterable[Job],
    devices: Iterable[DeviceView],
    *,
    user: str,
    groups: Sequence[str],
    associations: Sequence[Association] | None,
    licence_prefix: str,
    qos: Sequence[Qos] = (),
    gres: Mapping[str, str] | None = None,
    profiles: Sequence[o.Profile],
    limits: o.Limits,
    shown: Sequence[str],
    now_ms: int,
) -> o.Offer:
    """Return what `user` may choose from.

    Parameters
    ----------
    groups : sequence of str
        Her unix groups, for partitions and reservations held by groups.
    associations : sequence of Association, optional
        Hers; None where the cluster keeps none.
    licence_prefix : str
        A device's licence is called so, followed by the device's name.
    qos : sequence of Qos
        All there are, with their limits.
    gres : mapping, optional
        Device to the generic resource that a job with a session on it asks for, as ``qpu:qmio:1``.
    shown : sequence of str
        Names of the partitions that are offered; empty: all she may use.
    """
    accounts = None if associations is None else [one.account for one in associations]
    running = list(jobs)
    partitions = tuple(
        _partition(one, picture.nodes, running, now_ms)
        for one in picture.partitions
        if _is_open(one, groups, accounts) and (not shown or one.name in shown)
    )
    return o.Offer(
        devices=_devices(devices, picture, licence_prefix, gres or {}),
        partitions=partitions,
        associations=None if associations is None else _associations(associations),
        qos=tuple(
            o.Qos(
                name=one.name,
                bounds=_bounds(one.max_wall_s, one.max_tres, one.max_tres_per_user, one.grp_tres),
            )
            for one in qos
        ),
        reservations=tuple(
            _reservation(one, now_ms)
            for one in picture.reservations
            if _is_hers(one, user, groups, accounts or [])
        ),
        profiles=tuple(profiles),
        limits=limits,
    )


def _is_open(one: Partition, groups: Sequence[str], accounts: Sequence[str] | None) -> bool:
    if one.is_hidden or one.root_only or one.needs_reservation:
        return False
    if one.allow_groups is not None and not set(groups) & set(one.allow_groups):
        return False
    if accounts is None or one.allow_accounts is None:
        return True
    return bool(set(accounts) & set(one.allow_accounts))


def _partition(one: Partition, nodes: Sequence[Node], jobs: Sequence[Job], now_ms: int) -> o.Partition:
    shapes: Counter[_Shape] = Counter()
    free_nodes: Counter[_Shape] = Counter()
    free_cores: Counter[_Shape] = Counter()
    for node in nodes:
        if one.name not in node.partitions:
            continue
        others = tuple(sorted((name, count) for name, count in node.gres.items() if name != "gpu"))
        shape = (node.cpus, node.memory_mb, node.gres.get("gpu", 0), others)
        # A node that is down now may be repaired while a job waits: it counts, but nothing of it is free.
        shapes[shape] += 1
        if not node.is_usable:
            continue
        free_nodes[shape] += node.state == "idle"
        free_cores[shape] += node.cpus_idle
    waiting = [job for job in jobs if job.is_waiting and job.partition == one.name]
    return o.Partition(
        name=one.name,
        shapes=tuple(
            o.Shape(
                nodes=count,
                cores=shape[0],
                memory_mib=shape[1],
                gpus=shape[2],
                others=shape[3],
                free_nodes=free_nodes[shape],
                free_cores=free_cores[shape],
            )
            for shape, count in sorted(shapes.items())
        ),
        is_up=one.is_up,
        is_default=one.is_default,
        longest_min=None if one.max_time_s is None else one.max_time_s // 60,
        accounts=one.allow_accounts or (),
        qos=one.allow_qos or (),
        waiting=len(waiting),
        start_s=_start_s(waiting, jobs, one, has_room=sum(free_cores.values()) > 0, now_ms=now_ms),
    )


def _start_s(
    waiting: Sequence[Job], jobs: Sequence[Job], one: Partition, *, has_room: bool, now_ms: int
) -> float | None:
    """Return when a small job could expect to start: at once, after the planned ones, or when the first one ends."""
    if has_room and not waiting:
        return 0.0
    planned = [job.start_ms for job in waiting if job.start_ms is not None]
    if waiting:
        return max(0.0, (max(planned) - now_ms) / 1000) if len(planned) == len(waiting) else None
    ends = [
        job.end_ms for job in jobs if job.is_running and job.partition == one.name and job.end_ms is not None
    ]
    return max(0.0, (min(ends) - now_ms) / 1000) if ends else None


def _devices(
    devices: Iterable[DeviceView], picture: Picture, licence_prefix: str, gres: Mapping[str, str]
) -> tuple[o.DeviceChoice, ...]:
    licences = {one.name: one for one in picture.licences}
    found = []
    for view in devices:
        name = view.description.name
        licence = licences.get(licence_prefix + name)
        found.append(
            o.DeviceChoice(
                name=name,
                title=view.description.title,
                state=str(view.state.value),
                tasks=view.queued + view.running,
                licence="" if licence is None else licence.name,
                sessions=None if licence is None else licence.total,
                free_sessions=None if licence is None else licence.free,
                gres=_gres(gres[name]) if gres.get(name) else None,
                note=view.note,
            )
        )
    return tuple(found)


def _gres(text: str) -> tuple[str, str, int]:
    """Return what ``name[:type][:count]`` asks for: (name, the text, count)."""
    name, *more = text.split(":")
    return name, text, int(more[-1]) if more and more[-1].isascii() and more[-1].isdigit() else 1


def _associations(associations: Sequence[Association]) -> tuple[o.Association, ...]:
    return tuple(
        o.Association(
            account=one.account,
            partition=one.partition,
            qos=one.qos,
            default_qos=one.default_qos,
            is_default=one.is_default,
            bounds=_bounds(one.max_wall_s, one.max_tres, one.grp_tres),
        )
        for one in associations
    )


def _bounds(max_wall_s: int | None, *limits: Mapping[str, int]) -> o.Bounds:
    def least(name: str) -> int | None:
        return min((one[name] for one in limits if name in one), default=None)

    return o.Bounds(
        longest_min=None if max_wall_s is None else max_wall_s // 60,
        cores=least("cpu"),
        memory_mib=least("mem"),
        gpus=least("gres/gpu"),
    )


def _is_hers(one: Reservation, user: str, groups: Sequence[str], accounts: Sequence[str]) -> bool:
    if not one.is_active:
        return False
    return user in one.users or bool(set(groups) & set(one.groups)) or bool(set(accounts) & set(one.accounts))


def _reservation(one: Reservation, now_ms: int) -> o.Reservation:
    return o.Reservation(
        name=one.name,
        partition=one.partition,
        accounts=() if one.users or one.groups else one.accounts,
        left_min=max(0, (one.end_ms - now_ms) // 60_000),
    )
