"""An offer as the mini cluster and a gateway would make it."""

from __future__ import annotations

from qmio_jupyter.hub.offer import (
    Association,
    DeviceChoice,
    Limits,
    Offer,
    Partition,
    Profile,
    Reservation,
    Shape,
)
from qmio_jupyter.hub.options import Options

ODD = """<'"&>`, espacio ñ"""

OFFER = Offer(
    devices=(
        DeviceChoice(
            name="fake-qmio",
            title="Qmio's emulator",
            tasks=2,
            licence="qpu_fake-qmio",
            sessions=4,
            free_sessions=3,
        ),
        DeviceChoice(name="echo", state="maintenance"),
        DeviceChoice(name="taken", licence="qpu_taken", sessions=0, free_sessions=0),
    ),
    partitions=(
        Partition(
            name="ilk",
            shapes=(Shape(nodes=2, cores=4, memory_mib=4000, free_nodes=1, free_cores=5),),
            is_default=True,
            longest_min=240,
            start_s=0.0,
        ),
        Partition(
            name="gpu",
            shapes=(
                Shape(nodes=1, cores=4, memory_mib=4000, gpus=2),
                Shape(nodes=1, cores=16, memory_mib=2000),
            ),
            accounts=("physics",),
            qos=("normal",),
            waiting=3,
            start_s=600.0,
        ),
        Partition(name="old", shapes=(Shape(nodes=1, cores=4, memory_mib=4000),), is_up=False),
    ),
    associations=(
        Association(account="class", qos=("normal", "long"), is_default=True),
        Association(account="physics", qos=("normal", "long")),
    ),
    reservations=(Reservation(name="lesson", partition="ilk", accounts=("class",), left_min=90),),
    profiles=(
        Profile(
            name="small", title="One core", options=Options(device="fake-qmio", cores=1, walltime_min=30)
        ),
    ),
    limits=Limits(cores=1, memory_mib=1000, walltime_min=60, most_walltime_min=480),
)
