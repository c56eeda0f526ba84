"""The simulated ledger is whole or nothing, and tells what must never happen from what may."""

import msgspec
import pytest

from qmio_jupyter.core.records import (
    BookingSaved,
    DeviceRow,
    DeviceSaved,
    EpochSaved,
    ProgramDropped,
    ProgramStored,
    TaskForgotten,
    TaskInserted,
)
from qmio_jupyter.errors import StoreError
from qmio_jupyter.model.access import Booking, BookingKind
from qmio_jupyter.model.device import DeviceState
from qmio_jupyter.model.task import Stamp, TaskState
from qmio_jupyter.testing import ledgers
from qmio_jupyter.testing.checks import Violation
from qmio_jupyter.testing.disk import Disk

replace = msgspec.structs.replace
QUEUED, CLAIMED, COMPLETED = TaskState.QUEUED, TaskState.CLAIMED, TaskState.COMPLETED


def claim(task, *, at_ms=1_000, epoch=1):
    stamp = Stamp(stage="claimed", at_ms=at_ms)
    moved = ledgers.moved(task, CLAIMED, epoch=epoch)
    return replace(moved, lease_until_ms=at_ms + 1, timeline=(*task.timeline, stamp))


@pytest.fixture
def queued():
    return ledgers.new_task(1)


@pytest.fixture
def disk(queued):
    disk = Disk()
    row = DeviceRow(description=ledgers.device().description, state=DeviceState.IDLE)
    disk.write([EpochSaved(epoch=1), DeviceSaved(device=row), TaskInserted(task=queued)])
    return disk


@pytest.fixture
def claimed(disk, queued):
    claimed = claim(queued)
    disk.write([ledgers.update(queued, claimed)])
    return claimed


def refuses(disk, rule, *records):
    before = disk.image()
    with pytest.raises(Violation) as caught:
        disk.write(records)
    assert caught.value.rule == rule
    assert disk.image() == before


def test_a_full_disk_changes_nothing(disk):
    before = disk.image()
    disk.is_full = True
    with pytest.raises(StoreError):
        disk.write([EpochSaved(epoch=2)])
    assert disk.image() == before


def test_a_torn_transaction_leaves_nothing_behind(disk, queued):
    program = ledgers.program("one")
    disk.write([ProgramStored(tenant="a/b", program=program, stored_ms=1)])
    before = disk.image()
    claimed = claim(queued)
    disk.write([ledgers.update(queued, claimed), ProgramDropped(tenant="a/b", digest=program.digest)])
    assert disk.image() != before
    disk.roll_back()
    assert disk.image() == before


def test_a_task_is_inserted_once(disk, queued):
    refuses(disk, "ledger", TaskInserted(task=queued))


def test_an_epoch_rises(disk):
    refuses(disk, "epoch", EpochSaved(epoch=1))


def test_a_claim_names_the_epoch_of_the_ledger(disk, queued):
    refuses(disk, "epoch", ledgers.update(queued, claim(queued, epoch=2)))


def test_a_claim_counts_attempts_one_by_one(disk, queued):
    refuses(disk, "claim", ledgers.update(queued, replace(claim(queued), attempt=2)))


def test_a_claim_binds_the_current_snapshot(disk, queued):
    claimed = claim(queued)
    other = replace(claimed, contract=replace(claimed.contract, snapshot_id="0" * 64))
    refuses(disk, "contract", ledgers.update(queued, other))


def test_an_update_expects_what_is_there(disk, queued, claimed):
    again = replace(claim(queued), revision=3)
    refuses(disk, "fence", ledgers.update(queued, again))


def test_a_final_task_never_changes(disk, claimed):
    done = replace(ledgers.moved(claimed, COMPLETED), lease_until_ms=None)
    disk.write([ledgers.result_of(claimed), ledgers.update(claimed, done)])
    refuses(disk, "final", ledgers.update(done, ledgers.moved(done, QUEUED)))


def test_a_result_is_recorded_once(disk, claimed):
    disk.write([ledgers.result_of(claimed)])
    refuses(disk, "result", ledgers.result_of(claimed))


def test_a_result_is_its_claims(disk, claimed):
    refuses(disk, "result", replace(ledgers.result_of(claimed), attempt=2))
    refuses(disk, "result", replace(ledgers.result_of(claimed), epoch=2))


def test_a_live_task_is_not_forgotten(disk, queued):
    refuses(disk, "ledger", TaskForgotten(task_id=queued.task_id))


def test_a_forgotten_task_never_comes_back(disk, queued, claimed):
    done = replace(ledgers.moved(claimed, COMPLETED), lease_until_ms=None)
    disk.write(
        [ledgers.result_of(claimed), ledgers.update(claimed, done), TaskForgotten(task_id=done.task_id)]
    )
    refuses(disk, "forgotten", TaskInserted(task=queued))


@pytest.mark.parametrize(
    ("holder", "from_ms", "idle_yield_s", "is_allowed"),
    [
        ("chemistry", 500, None, False),
        ("chemistry", 500, 1.0, True),
        ("physics", 500, None, True),
        ("physics/ana", 500, None, True),
        ("chemistry", 1_001, None, True),
    ],
)
def test_a_booked_device_is_its_holders(disk, queued, holder, from_ms, idle_yield_s, is_allowed):
    booking = Booking(
        booking_id="b",
        device="echo",
        kind=BookingKind.EXCLUSIVE,
        holder=holder,
        from_ms=from_ms,
        until_ms=2_000,
        idle_yield_s=idle_yield_s,
    )
    disk.write([BookingSaved(booking=booking)])
    if is_allowed:
        disk.write([ledgers.update(queued, claim(queued))])
    else:
        refuses(disk, "booking", ledgers.update(queued, claim(queued)))
