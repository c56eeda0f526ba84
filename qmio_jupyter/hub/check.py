"""Holds a wish to what is offered, before anything is submitted: a complete request, or the reason why not."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

import msgspec

from qmio_jupyter.errors import HubError
from qmio_jupyter.hub.offer import Association, DeviceChoice, Offer, Partition
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
    partition = _partition(options, offer)
    limits = offer.limits
    request = Request(
        device=device.name,
        kind=options.kind or "interactive",
        partition=partition.name,
        cores=options.cores or limits.cores,
        memory_mib=options.memory_mib or limits.memory_mib,
        gpus=options.gpus,
        walltime_min=options.walltime_min or _usual_walltime(partition, offer),
        account=options.account,
        qos=options.qos,
        reservation=options.reservation,
        licence=device.licence,
    )
    _check_size(request, partition)
    _check_time(request, partition, offer)
    _check_account(request, partition, offer.associations)
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


def _partition(options: Options, offer: Offer) -> Partition:
    if not offer.partitions:
        raise _refused("no partition of the cluster is open to you", "Tell the administrator.")
    if not options.partition:
        up = [one for one in offer.partitions if one.is_up] or list(offer.partitions)
        if options.reservation:
            wanted = [one.partition for one in offer.reservations if one.name == options.reservation]
            up = [one for one in up if one.name in wanted] or up
        return next((one for one in up if one.is_default), up[0])
    for partition in offer.partitions:
        if partition.name == options.partition:
            if not partition.is_up:
                raise _refused(f"partition {partition.name} is closed", "Choose another one.")
            return partition
    raise _unknown("partition", options.partition, [one.name for one in offer.partitions])


def _usual_walltime(partition: Partition, offer: Offer) -> int:
    bounds = [offer.limits.walltime_min, offer.limits.most_walltime_min]
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


def _check_account(
    request: Request, partition: Partition, associations: tuple[Association, ...] | None
) -> None:
    if associations is None:
        if request.account or request.qos:
            raise _refused("this cluster keeps no accounts", "Leave account and QOS empty.")
        return
    if not associations:
        raise _refused("you have no account on this cluster", "Ask the administrator for one.")
    if request.account:
        found = [one for one in associations if one.account == request.account]
        if not found:
            raise _unknown("account", request.account, [one.account for one in associations])
    else:
        found = [one for one in associations if one.is_default] or list(associations[:1])
    association = found[0]
    if partition.accounts and association.account not in partition.accounts:
        raise _refused(
            f"partition {partition.name} does not admit account {association.account}",
            f"It admits {_listed(partition.accounts)}.",
        )
    if not request.qos:
        return
    qos = tuple(dict.fromkeys(name for one in found for name in one.qos))
    if request.qos not in qos:
        raise _unknown("QOS", request.qos, list(qos))
    if partition.qos and request.qos not in partition.qos:
        raise _refused(
            f"partition {partition.name} does not admit QOS {request.qos}",
            f"It admits {_listed(partition.qos)}.",
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
