"""An offer is made of what Slurm and the gateway say: only what this user may choose, with what is free."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from qmio_jupyter.hub.cluster import Picture
from qmio_jupyter.hub.offer import Bounds, Limits, Offer
from qmio_jupyter.hub.offering import offer_of
from qmio_jupyter.hub.office import device_now, places_of
from qmio_jupyter.model.access import Booking, BookingKind
from qmio_jupyter.model.device import DeviceDescription, DeviceState, DeviceView
from qmio_jupyter.slurm.accounts import Association
from qmio_jupyter.slurm.cluster import Licence, Node, Partition, Reservation
from qmio_jupyter.slurm.jobs import Job

NOW_MS = 1_800_000_000_000


def node(name: str, state: str, partition: str, idle: int, *, gpus: int = 0) -> Node:
    return Node(
        name=name,
        address="10.0.0.1",
        hostname=name,
        partitions=(partition,),
        state=state,
        cpus=4,
        cpus_idle=idle,
        memory_mb=4000,
        memory_used_mb=0,
        gres={"gpu": gpus} if gpus else {},
    )


def job(
    number: int, state: str, partition: str, *, start_s: int | None = None, end_s: int | None = None
) -> Job:
    return Job(
        job_id=number,
        uid=1,
        user="bob",
        state=state,
        submit_ms=NOW_MS,
        partition=partition,
        start_ms=None if start_s is None else NOW_MS + start_s * 1000,
        end_ms=None if end_s is None else NOW_MS + end_s * 1000,
    )


PICTURE = Picture(
    partitions=(
        Partition(name="ilk", is_up=True, is_default=True, max_time_s=7200),
        Partition(name="gpu", is_up=True, is_default=False, allow_accounts=("physics",)),
        Partition(name="staff", is_up=True, is_default=False, allow_groups=("staff",)),
        Partition(name="secret", is_up=True, is_default=False, is_hidden=True),
        Partition(name="lesson", is_up=True, is_default=False, needs_reservation=True),
    ),
    nodes=(
        node("i1", "idle", "ilk", 4),
        node("i2", "mixed", "ilk", 1),
        node("i3", "down", "ilk", 4),
        node("g1", "allocated", "gpu", 0, gpus=2),
    ),
    reservations=(
        Reservation(name="hers", is_active=True, start_ms=0, end_ms=NOW_MS + 600_000, users=("alice",)),
        Reservation(name="later", is_active=False, start_ms=NOW_MS + 1, end_ms=NOW_MS + 2, users=("alice",)),
        Reservation(name="class", is_active=True, start_ms=0, end_ms=NOW_MS + 60_000, accounts=("class",)),
        Reservation(name="others", is_active=True, start_ms=0, end_ms=NOW_MS + 60_000, users=("bob",)),
    ),
    licences=(Licence(name="qpu_qmio", total=4, used=1, free=3),),
)
DEVICES = (
    DeviceView(
        description=DeviceDescription(name="qmio", title="Qmio", n_qubits=32, driver="qat"),
        state=DeviceState.BUSY,
        agents=1,
        queued=2,
        running=1,
    ),
)


def made(
    jobs: tuple[Job, ...] = (), *, accounts: tuple[str, ...] | None = ("class",), shown: tuple[str, ...] = ()
) -> Offer:
    associations = (
        None
        if accounts is None
        else [
            Association(
                cluster="mini",
                account=one,
                user="alice",
                qos=("normal",),
                is_default=one == accounts[-1],
                max_wall_s=3600,
                max_tres={"cpu": 8, "mem": 4000},
                grp_tres={"cpu": 4, "gres/gpu": 1},
            )
            for one in accounts
        ]
    )
    return offer_of(
        PICTURE,
        jobs,
        DEVICES,
        user="alice",
        groups=["users"],
        associations=associations,
        licence_prefix="qpu_",
        profiles=[],
        limits=Limits(),
        shown=shown,
        now_ms=NOW_MS,
    )


def names(offer: Offer) -> list[str]:
    return [one.name for one in offer.partitions]


def test_only_partitions_that_are_hers() -> None:
    assert names(made()) == ["ilk"]
    assert names(made(accounts=("physics",))) == ["ilk", "gpu"]
    assert names(made(accounts=None)) == ["ilk", "gpu"]
    assert names(made(accounts=None, shown=("gpu", "secret"))) == ["gpu"]


def test_what_is_free() -> None:
    ilk = made().partitions[0]
    assert [(one.nodes, one.free_nodes, one.free_cores, one.cores) for one in ilk.shapes] == [(3, 1, 5, 4)]
    assert (ilk.longest_min, ilk.start_s, ilk.waiting) == (120, 0.0, 0)


def test_expected_starts() -> None:
    def gpu(*jobs: Job) -> float | None:
        return made(jobs, accounts=("physics",)).partitions[1].start_s

    assert gpu() is None
    assert gpu(job(1, "RUNNING", "gpu", end_s=90), job(2, "RUNNING", "gpu", end_s=300)) == 90.0
    assert gpu(job(3, "PENDING", "gpu", start_s=600), job(1, "RUNNING", "gpu", end_s=90)) == 600.0
    assert gpu(job(3, "PENDING", "gpu"), job(4, "PENDING", "gpu", start_s=9)) is None


def test_reservations_by_name_and_account_that_are_active() -> None:
    assert [(one.name, one.left_min) for one in made().reservations] == [("hers", 10), ("class", 1)]


def test_devices_with_their_licences() -> None:
    device = made().devices[0]
    assert (device.state, device.tasks, device.licence) == ("busy", 3, "qpu_qmio")
    assert (device.sessions, device.free_sessions) == (4, 3)


def test_a_cluster_without_accounts_offers_none() -> None:
    assert made(accounts=None).associations is None
    associations = made(accounts=("a", "b")).associations
    assert associations is not None
    assert [(one.account, one.is_default) for one in associations] == [("a", False), ("b", True)]
    assert associations[0].bounds == Bounds(longest_min=60, cores=4, memory_mib=4000, gpus=1)


def test_bookings_that_keep_her_away() -> None:
    booking = Booking(
        booking_id="b-1",
        device="qmio",
        kind=BookingKind.CLASS,
        holder="physics",
        from_ms=NOW_MS - 1000,
        until_ms=NOW_MS + 60_000,
    )
    later = replace(booking, from_ms=NOW_MS + 30_000)
    away = device_now(DEVICES[0], [booking], "class/alice", NOW_MS)
    assert (away.booked_s, away.booked_for, away.tasks) == (60.0, "class", 3)
    assert device_now(DEVICES[0], [later], "class/alice", NOW_MS).next_booking_s == 30.0
    for mine in (booking, replace(booking, holder="physics/alice"), replace(booking, cancelled_ms=1)):
        assert device_now(DEVICES[0], [mine], "physics/alice", NOW_MS).booked_s is None
    assert device_now(DEVICES[0], [replace(booking, device="other")], "class/alice", NOW_MS).booked_for == ""


def test_a_place_in_the_queue_counts_those_who_wait_before_in_the_same_partition() -> None:
    def job(number: int, **changes: Any) -> Job:
        return Job(
            **({"job_id": number, "uid": 1, "user": "a", "state": "PENDING", "submit_ms": number} | changes)
        )

    jobs = [
        job(1, partition="ilk", state="RUNNING"),
        job(2, partition="ilk"),
        job(3, partition="ilk", priority=9),
        job(4, partition="gpu"),
        job(5, partition="ilk", submit_ms=2),
    ]
    assert places_of(jobs) == {3: 0, 2: 1, 5: 2, 4: 0}
