"""What one user may choose from: the cluster's partitions, her associations, active reservations, devices, profiles.

Values only. The shell makes an `Offer` of what Slurm and the gateway say; the form shows it, `check` holds wishes to
it, and both see the same one.
"""

from __future__ import annotations

import msgspec

from qmio_jupyter.hub.options import Options


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """Nodes that are alike."""

    nodes: int
    cores: int
    memory_mib: int
    gpus: int = 0
    #: Other generic resources of each: (name, count).
    others: tuple[tuple[str, int], ...] = ()
    #: Nodes of them that are wholly free, and cores that are free on all of them together.
    free_nodes: int = 0
    free_cores: int = 0


class Partition(msgspec.Struct, frozen=True, kw_only=True):
    """A partition this user may submit to."""

    name: str
    shapes: tuple[Shape, ...]
    is_up: bool = True
    is_default: bool = False
    #: Longest time of a job, minutes; None: no limit.
    longest_min: int | None = None
    #: Accounts and QOS it admits; empty: all.
    accounts: tuple[str, ...] = ()
    qos: tuple[str, ...] = ()
    #: Jobs that wait in it now.
    waiting: int = 0
    #: When a small job could expect to start there, in seconds from now; None: not known.
    start_s: float | None = None


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """The most that a job may ask for; None: no limit."""

    longest_min: int | None = None
    cores: int | None = None
    memory_mib: int | None = None
    gpus: int | None = None


class Qos(msgspec.Struct, frozen=True, kw_only=True):
    """A QOS and what it allows."""

    name: str
    bounds: Bounds = Bounds()


class Association(msgspec.Struct, frozen=True, kw_only=True):
    """An account of the user's, and the QOS she may name with it."""

    account: str
    #: The partition it is for; empty: any.
    partition: str = ""
    qos: tuple[str, ...] = ()
    #: QOS of a job that names none; empty: Slurm's own rule.
    default_qos: str = ""
    is_default: bool = False
    bounds: Bounds = Bounds()


class Reservation(msgspec.Struct, frozen=True, kw_only=True):
    """A reservation that is active and hers, by name or by account."""

    name: str
    #: Partition of its nodes; empty: any.
    partition: str = ""
    #: Accounts that may use it, when it is held by accounts only; empty: whoever it is shown to.
    accounts: tuple[str, ...] = ()
    #: Minutes until it ends; None: it does not.
    left_min: int | None = None


class DeviceChoice(msgspec.Struct, frozen=True, kw_only=True):
    """A device of the gateway."""

    name: str
    title: str = ""
    #: Its state, one word.
    state: str = "idle"
    #: Tasks that wait or run.
    tasks: int = 0
    #: Slurm licence that counts its shared sessions, and how many of them there are and are free; empty: not counted.
    licence: str = ""
    sessions: int | None = None
    free_sessions: int | None = None
    #: Generic resource that a job with a session asks for, where the site uses one: (name, request, count).
    gres: tuple[str, str, int] | None = None
    note: str = ""


class Profile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A site's ready choice."""

    name: str
    title: str
    options: Options = Options()
    note: str = ""


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The hub's own limits and what is taken where nothing is asked for."""

    cores: int = 1
    memory_mib: int = 2048
    walltime_min: int = 60
    most_walltime_min: int = 24 * 60


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """Everything one user may choose from at one moment."""

    devices: tuple[DeviceChoice, ...] = ()
    partitions: tuple[Partition, ...] = ()
    #: None: the cluster keeps no accounts; no account or QOS is asked for.
    associations: tuple[Association, ...] | None = None
    #: The QOS that her associations name, with their limits.
    qos: tuple[Qos, ...] = ()
    reservations: tuple[Reservation, ...] = ()
    profiles: tuple[Profile, ...] = ()
    limits: Limits = Limits()

    def profile(self, name: str) -> Profile | None:
        """Return a profile by its name."""
        return next((one for one in self.profiles if one.name == name), None)
