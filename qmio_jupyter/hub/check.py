"""Holds a wish to what is offered, before anything is submitted: a complete request, or the reason why not."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

import msgspec

from qmio_jupyter.errors import HubError
from qmio_jupyter.hub.offer import Association, Bounds, DeviceChoice, Offer, Partition
from qmio_jupyter.hub.options import Options, filled

#: Device states in which no session is promised.
_UNUSABLE = frozenset({"offline", "maintenance", "error"})


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of Slurm and of the gateway: complete, and possible when it was checked."""

    device: str
    kind: str
    partition: str
    cores: int
    memory_mib: int
    gpus: int
    walltime_min: int
    account: str = ""
    qos: str = ""
    reservation: str = ""
    #: Slurm licence of the device; empty: none.
    licence: str = ""
    #: Generic resource of the device, as ``qpu:qmio:1``; empty: none.
    gres: str = ""


def check(options: Options, offer: Offer) -> Request:
    """Return the complete request.

    Raises
    ------
    HubError
        ``hub.option``, saying which choice cannot be had and what can.
    """
    if options.profile:
        profile = offer.profile(options.profile)
        if profile is None:
            raise _unknown("profile", options.profile, [one.name for one in offer.profiles])
        options = filled(options, profile.options)
    device = _device(options, offer)
    partition = _partition(options, offer, device)
    association = _association(options, partition, offer.associations)
    allowed = _allowed(options, association, offer)
    limits = offer.limits
    request = Request(
        device=device.name,
        kind=options.kind or "interactive",
        partition=partition.name,
        cores=options.cores or limits.cores,
        memory_mib=options.memory_mib or limits.memory_mib,
        gpus=options.gpus,
        walltime_min=options.walltime_min or _usual_walltime(partition, offer, allowed),
        # Always named: so the gateway promises the session to whom the job will be charged to.
        account="" if association is None else association.account,
        qos=options.qos,
        reservation=options.reservation,
        licence=device.licence,
        gres="" if device.gres is None else device.gres[1],
    )
    _check_size(request, partition)
    _check_gres(device, partition)
    _check_time(request, partition, offer)
    _check_allowed(request, allowed)
    _check_reservation(request, offer)
    return request


def _device(options: Options, offer: Offer) -> DeviceChoice:
    if not offer.devices:
        raise _refused("the gateway offers no device now", "Try again later, or tell the administrator.")
    usable = [one for one in offer.devices if one.state not in _UNUSABLE and one.sessions != 0]
    if not options.device:
        if not usable:
            states = (
                f"{one.name} has no sessions" if one.sessions == 0 else f"{one.name} is {one.state}"
                for one in offer.devices
            )
            raise _refused(
                f"no device can be used now ({_listed(states)})",
                "Try again later, or tell the administrator.",
            )
        return usable[0]
    for device in offer.devices:
        if device.name != options.device:
            continue
        if device.state in _UNUSABLE:
            raise _refused(
                f"device {device.name} is in state {device.state}",
                f"Usable now: {_listed(one.name for one in usable)}.",
            )
        if device.sessions == 0:
            raise _refused(
                f"device {device.name} has no sessions (Slurm licence {device.licence} is 0)",
                "Choose another device.",
            )
        return device
    raise _unknown("device", options.device, [one.name for one in offer.devices])


def _partition(options: Options, offer: Offer, device: DeviceChoice) -> Partition:
    if not offer.partitions:
        raise _refused("no partition of the cluster is open to you", "Tell the administrator.")
    if not options.partition:
        up = [one for one in offer.partitions if one.is_up] or list(offer.partitions)
        if options.reservation:
            wanted = [one.partition for one in offer.reservations if one.name == options.reservation]
            up = [one for one in up if one.name in wanted] or up
        up = [one for one in up if _has(one, device)] or up
        return next((one for one in up if one.is_default), up[0])
    for partition in offer.partitions:
        if partition.name == options.partition:
            if not partition.is_up:
                raise _refused(f"partition {partition.name} is closed", "Choose another one.")
            return partition
    raise _unknown("partition", options.partition, [one.name for one in offer.partitions])


def _has(partition: Partition, device: DeviceChoice) -> bool:
    """Return whether a node of the partition has what a session on the device asks for."""
    if device.gres is None:
        return True
    name, _, count = device.gres
    return any(dict(one.others).get(name, 0) >= count for one in partition.shapes)


def _check_gres(device: DeviceChoice, partition: Partition) -> None:
    if not _has(partition, device):
        assert device.gres is not None
        raise _refused(
            f"partition {partition.name} has no node with {device.gres[1]}, which device {device.name} needs",
            "Choose another partition, or another device.",
        )


def _usual_walltime(partition: Partition, offer: Offer, allowed: Sequence[tuple[str, Bounds]]) -> int:
    bounds = [offer.limits.walltime_min, offer.limits.most_walltime_min]
    bounds += [one.longest_min for _, one in allowed if one.longest_min is not None]
    if partition.longest_min is not None:
        bounds.append(partition.longest_min)
    return max(1, min(bounds))


def _check_size(request: Request, partition: Partition) -> None:
    def fits(cores: int, memory: int, gpus: int) -> bool:
        return any(
            one.cores >= cores and one.memory_mib >= memory and one.gpus >= gpus for one in partition.shapes
        )

    if fits(request.cores, request.memory_mib, request.gpus):
        return
    where = f"partition {partition.name}"
    for what, asked, most in (
        ("cores", request.cores, max((one.cores for one in partition.shapes), default=0)),
        ("MiB of memory", request.memory_mib, max((one.memory_mib for one in partition.shapes), default=0)),
        ("GPUs", request.gpus, max((one.gpus for one in partition.shapes), default=0)),
    ):
        if asked > most:
            raise _refused(
                f"{asked} {what} do not fit on a node of {where}",
                f"Its nodes have at most {most}; ask for less, or choose another partition.",
            )
    raise _refused(
        f"no node of {where} has {request.cores} cores, {request.memory_mib} MiB and {request.gpus} GPUs at once",
        "Ask for less, or choose another partition.",
    )


def _check_time(request: Request, partition: Partition, offer: Offer) -> None:
    most, whose = offer.limits.most_walltime_min, "the hub"
    if partition.longest_min is not None and partition.longest_min < most:
        most, whose = partition.longest_min, f"partition {partition.name}"
    if request.walltime_min > most:
        raise _refused(
            f"{request.walltime_min} minutes are more than {whose} allows", f"Ask for at most {most} minutes."
        )


def _association(
    options: Options, partition: Partition, associations: tuple[Association, ...] | None
) -> Association | None:
    """Return the association that the job will be charged to; None where the cluster keeps none."""
    if associations is None:
        if options.account or options.qos:
            raise _refused("this cluster keeps no accounts", "Leave account and QOS empty.")
        return None
    if not associations:
        raise _refused("you have no account on this cluster", "Ask the administrator for one.")
    here = [one for one in associations if one.partition in ("", partition.name)]
    if options.account:
        found = [one for one in here if one.account == options.account]
        if not found and any(one.account == options.account for one in associations):
            raise _refused(
                f"your account {options.account} is not for partition {partition.name}",
                "Choose another partition or account.",
            )
        if not found:
            raise _unknown("account", options.account, sorted({one.account for one in associations}))
    else:
        found = [one for one in here if one.is_default] or here
    if not found:
        raise _refused(f"no account of yours is for partition {partition.name}", "Choose another partition.")
    # What is for this partition alone goes before what is for all.
    association = max(found, key=lambda one: bool(one.partition))
    if partition.accounts and association.account not in partition.accounts:
        raise _refused(
            f"partition {partition.name} does not admit account {association.account}",
            f"It admits {_listed(partition.accounts)}.",
        )
    if options.qos and options.qos not in association.qos:
        raise _unknown("QOS", options.qos, list(association.qos))
    if options.qos and partition.qos and options.qos not in partition.qos:
        raise _refused(
            f"partition {partition.name} does not admit QOS {options.qos}",
            f"It admits {_listed(partition.qos)}.",
        )
    return association


def _allowed(options: Options, association: Association | None, offer: Offer) -> list[tuple[str, Bounds]]:
    """Return whose limits hold for the job: the association's, and those of its QOS where that is known."""
    if association is None:
        return []
    names = {one.name: one for one in offer.qos}
    name = options.qos or association.default_qos
    if not name:
        name = association.qos[0] if len(association.qos) == 1 else "normal"
    found = [(f"your account {association.account}", association.bounds)]
    if name in names and name in association.qos:
        found.append((f"QOS {name}", names[name].bounds))
    return found


def _check_allowed(request: Request, allowed: Sequence[tuple[str, Bounds]]) -> None:
    """Refuse what Slurm would let wait for ever: more than the association or the QOS allows at all."""
    for whose, bounds in allowed:
        for what, asked, most in (
            ("minutes", request.walltime_min, bounds.longest_min),
            ("cores", request.cores, bounds.cores),
            ("MiB of memory", request.memory_mib, bounds.memory_mib),
            ("GPUs", request.gpus, bounds.gpus),
        ):
            if most is not None and asked > most:
                raise _refused(
                    f"{asked} {what} are more than {whose} allows",
                    f"Ask for at most {most}, or choose another account or QOS.",
                )


def _check_reservation(request: Request, offer: Offer) -> None:
    if not request.reservation:
        return
    for reservation in offer.reservations:
        if reservation.name != request.reservation:
            continue
        if reservation.partition and reservation.partition != request.partition:
            raise _refused(
                f"reservation {reservation.name} is in partition {reservation.partition}, not {request.partition}",
                f"Choose partition {reservation.partition}.",
            )
        if reservation.accounts and request.account and request.account not in reservation.accounts:
            raise _refused(
                f"reservation {reservation.name} is not for account {request.account}",
                f"It is for {_listed(reservation.accounts)}.",
            )
        if reservation.left_min is not None and request.walltime_min > reservation.left_min:
            raise _refused(
                f"reservation {reservation.name} ends in {reservation.left_min} minutes, "
                f"before the {request.walltime_min} asked for",
                f"Ask for at most {reservation.left_min} minutes.",
            )
        return
    raise _unknown("reservation", request.reservation, [one.name for one in offer.reservations])


def _refused(message: str, hint: str) -> HubError:
    return HubError(message, hint=hint, code="hub.option")


def _unknown(what: str, name: str, there_are: list[str]) -> HubError:
    near = difflib.get_close_matches(name, there_are, n=1)
    if near:
        hint = f"Did you mean {near[0]}?"
    else:
        hint = f"You may choose {_listed(there_are)}." if there_are else f"There is no {what} for you now."
    return HubError(f"no {what} {name!r} is offered to you", hint=hint, code="hub.option")


def _listed(names: Iterable[str]) -> str:
    found = list(names)
    return ", ".join(found[:8]) + (", ..." if len(found) > 8 else "") if found else "none"
