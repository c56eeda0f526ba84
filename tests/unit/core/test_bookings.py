"""Bookings: who may start before, in and after the window; idle holders yield; made, refused, cancelled."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from qmio_jupyter.core.calendar import Calendar, admits, is_holder
from qmio_jupyter.core.effects import Acknowledged, BookingShown, Publish
from qmio_jupyter.core.inputs import CancelBooking, CreateBooking
from qmio_jupyter.core.records import BookingSaved
from qmio_jupyter.model.access import Booking, BookingKind
from qmio_jupyter.model.task import TaskState
from qmio_jupyter.testing.cores import START_MS, Bench, code, dispatched, every, only

EXCLUSIVE, CLASS = BookingKind.EXCLUSIVE, BookingKind.CLASS
CALIBRATION, MAINTENANCE = BookingKind.CALIBRATION, BookingKind.MAINTENANCE


def booking(**changes) -> Booking:
    """A booking of chemistry, from 10 s to 20 s after the start."""
    made = Booking(
        booking_id="k",
        device="dev",
        kind=CLASS,
        holder="chemistry",
        from_ms=START_MS + 10_000,
        until_ms=START_MS + 20_000,
    )
    return replace(made, **changes)


def book(bench: Bench, **changes):
    return bench.do(CreateBooking(origin=bench.origin("operator"), booking=booking(**changes)))


def at(bench: Bench, second: float):
    """Let time come to so many seconds after the start."""
    return bench.tick(START_MS + round(second * 1000) - bench.now_ms)


@pytest.mark.parametrize(
    ("kind", "holder", "tenant", "expected"),
    [
        (CLASS, "chemistry", "chemistry/bea", True),
        (EXCLUSIVE, "chemistry/bea", "chemistry/bea", True),
        (EXCLUSIVE, "chemistry/bea", "chemistry/bert", False),
        (EXCLUSIVE, "chem", "chemistry/bea", False),
        (CLASS, "chemistry", "chemistry", True),
        (CALIBRATION, None, "chemistry/bea", False),
        (CALIBRATION, "chemistry", "chemistry/bea", False),
    ],
)
def test_who_holds_it(kind, holder, tenant, expected):
    assert is_holder(booking(kind=kind, holder=holder), tenant) is expected


@pytest.mark.parametrize(
    ("begin", "end", "is_yielded", "expected"),
    [
        (0, 10_000, False, True),
        (0, 10_001, False, False),
        (9_999, 10_001, True, False),
        (10_000, 10_001, False, False),
        (10_000, 30_000, True, True),
        (19_999, 20_001, False, False),
        (20_000, 20_001, False, True),
    ],
)
def test_who_may_run_when(begin, end, is_yielded, expected):
    one = booking()
    span = (START_MS + begin, START_MS + end)
    assert admits(one, "physics/ana", *span, is_yielded=is_yielded) is expected
    assert admits(one, "chemistry/bea", *span, is_yielded=is_yielded)


def test_a_booking_is_made_once_and_cancelled(busy: Bench):
    step = book(busy)
    assert step.records == (BookingSaved(booking=booking()),)
    assert only(step, BookingShown).booking == booking()
    again = book(busy)
    assert (again.records, only(again, BookingShown).booking) == ((), booking())
    assert code(book(busy, note="other")) == "booking"
    assert busy.core.bookings(None) == busy.core.bookings("dev") == (booking(),)
    assert busy.core.bookings("other") == ()
    cancel = CancelBooking(origin=busy.origin("operator"), booking_id="k")
    step = busy.do(cancel)
    assert only(step, Acknowledged)
    assert step.records[0].booking.cancelled_ms == busy.now_ms
    assert code(busy.do(cancel)) == "booking"
    busy.restart()
    assert busy.core.bookings(None) == ()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"device": "none"}, "device.unknown"),
        ({"booking_id": ""}, "booking"),
        ({"cancelled_ms": 5}, "booking"),
        ({"until_ms": START_MS}, "booking"),
        ({"until_ms": START_MS + 10_000}, "booking"),
        ({"from_ms": 0}, "booking"),
        ({"until_ms": START_MS + 10**12}, "booking"),
        ({"holder": None}, "booking"),
        ({"holder": ""}, "booking"),
        ({"kind": MAINTENANCE}, "booking"),
        ({"idle_yield_s": -1.0}, "booking"),
        ({"idle_yield_s": float("nan")}, "booking"),
        ({"idle_yield_s": float("inf")}, "booking"),
    ],
    ids=str,
)
def test_a_booking_must_make_sense(busy: Bench, changes, expected):
    assert code(book(busy, **changes)) == expected
    assert busy.core.bookings(None) == ()


def test_a_device_is_booked_once_at_a_time(busy: Bench):
    book(busy)
    assert code(book(busy, booking_id="l", from_ms=START_MS + 19_999, until_ms=START_MS + 30_000)) == (
        "device.booked"
    )
    book(busy, booking_id="l", from_ms=START_MS + 20_000, until_ms=START_MS + 30_000)
    assert [one.booking_id for one in busy.core.bookings("dev")] == ["k", "l"]


def test_only_the_holder_starts_in_the_window(busy: Bench):
    book(busy)
    at(busy, 10)
    ana = busy.submit("ana")
    assert busy.state_of(ana) is TaskState.QUEUED
    view = busy.core.view(ana, None)
    assert (view.position, view.start.p50_s) == (0, 10.0)
    bea = busy.submit("bea")
    assert busy.state_of(bea) is TaskState.CLAIMED
    busy.finish(busy.ref(bea))
    assert busy.state_of(ana) is TaskState.QUEUED
    assert dispatched(at(busy, 19.999)) == []
    assert busy.core.next_deadline() == START_MS + 20_000
    assert dispatched(at(busy, 20)) == [ana]
    assert busy.core.bookings(None) == ()


@pytest.mark.parametrize("kind", [CALIBRATION, MAINTENANCE])
def test_nobody_starts_while_the_device_is_looked_after(busy: Bench, kind):
    book(busy, kind=kind, holder=None)
    at(busy, 10)
    tasks = [busy.submit("ana"), busy.submit("bea")]
    assert {busy.state_of(task_id) for task_id in tasks} == {TaskState.QUEUED}
    at(busy, 20)
    assert len(busy.core.state.claims) == 1


def test_a_task_that_would_overrun_the_beginning_waits(busy: Bench):
    book(busy)
    at(busy, 9.001)
    long = busy.submit("ana")
    assert busy.state_of(long) is TaskState.QUEUED
    bea = busy.submit("bea")
    assert busy.state_of(bea) is TaskState.CLAIMED


def test_a_task_that_fits_before_the_beginning_runs(busy: Bench):
    book(busy)
    at(busy, 9)
    assert busy.state_of(busy.submit("ana")) is TaskState.CLAIMED


def test_running_tasks_are_left_alone(busy: Bench):
    book(busy)
    ana = busy.submit("ana")
    busy.started(busy.ref(ana))
    at(busy, 10)
    assert busy.state_of(ana) is TaskState.RUNNING
    busy.finish(busy.ref(ana))


def test_an_idle_holder_yields_and_comes_back(busy: Bench):
    book(busy, idle_yield_s=2.0)
    at(busy, 10)
    first = busy.submit("ana")
    assert busy.core.view(first, None).start.p50_s == 2.0
    assert dispatched(at(busy, 11.999)) == []
    assert dispatched(at(busy, 12)) == [first]
    second = busy.submit("ana")
    busy.submit("bea")
    # The holder waits: she is first, and the others wait until she has been idle again.
    assert busy.core.positions("dev")[second] == 1
    busy.finish(busy.ref(first))
    bea = next(iter(busy.core.state.claims))
    at(busy, 13)
    busy.finish(busy.ref(bea))
    assert dispatched(at(busy, 14.999)) == []
    assert dispatched(at(busy, 15)) == [second]


def test_a_running_holder_is_not_idle(bench: Bench):
    bench.user("ana")
    bench.user("bea", "chemistry/bea")
    bench.agent(credit=2)
    book(bench, idle_yield_s=2.0)
    at(bench, 10)
    bea = bench.submit("bea")
    bench.held(bench.ref(bea))
    ana = bench.submit("ana")
    at(bench, 15)
    assert bench.state_of(ana) is TaskState.QUEUED
    bench.finish(bench.ref(bea))
    assert dispatched(at(bench, 17)) == [ana]


def test_a_yield_without_a_holder_is_none():
    one = booking(kind=MAINTENANCE, holder=None, idle_yield_s=1.0)
    assert Calendar([one], 1.0, {}).yields_ms(one, None) is None


def test_what_a_booking_does_to_positions_is_named(busy: Bench):
    busy.started(busy.ref(busy.submit("bea")))
    ana, bea = busy.submit("ana"), busy.submit("bea")
    busy.tick()
    assert busy.core.positions("dev") == {ana: 0, bea: 1}
    book(busy, from_ms=START_MS + 500)
    step = busy.tick(200)
    causes = {effect.view.task_id: effect.view.cause for effect in every(step, Publish)}
    assert causes[ana] == "a class booking was made"
    assert busy.core.positions("dev") == {bea: 0, ana: 1}
    busy.do(CancelBooking(origin=busy.origin("operator"), booking_id="k"))
    step = busy.tick(200)
    causes = {effect.view.task_id: effect.view.cause for effect in every(step, Publish)}
    assert causes == {ana: "", bea: "a class booking was cancelled"}


def test_beginning_and_end_are_named(busy: Bench):
    busy.agent(credit=0)
    busy.submit("ana")
    book(busy)
    at(busy, 9.9)
    at(busy, 10)
    assert busy.core.state.devices["dev"].causes == ["a class booking began"]
    at(busy, 19.9)
    at(busy, 20)
    assert busy.core.state.devices["dev"].causes == ["a class booking ended"]


def test_time_alone_may_worsen_a_position_under_a_booking(busy: Bench):
    """Nothing happens but that the running task overruns: the one behind it no longer fits before the window."""
    busy.started(busy.ref(busy.submit("bea")))
    ana, bea = busy.submit("ana"), busy.submit("bea")
    book(busy, from_ms=START_MS + 2_100)
    busy.tick()
    at(busy, 1)
    assert busy.core.positions("dev") == {ana: 0, bea: 1}
    at(busy, 1.2)
    view = busy.core.view(ana, None)
    assert (view.position, view.cause) == (1, "a class booking holds the device")


def test_bookings_survive_a_restart(busy: Bench):
    book(busy)
    book(busy, booking_id="l", from_ms=START_MS + 30_000, until_ms=START_MS + 31_000)
    busy.restart(after_ms=12_000)
    assert [one.booking_id for one in busy.core.bookings(None)] == ["k", "l"]
    assert busy.core.next_deadline() == START_MS + 20_000
    busy.restart(after_ms=10_000)
    assert [one.booking_id for one in busy.core.bookings(None)] == ["l"]


def test_a_booking_of_a_device_that_is_gone_is_left_out(busy: Bench):
    book(busy)
    del busy.ledger.tables.devices["dev"]
    busy.restart()
    assert busy.core.bookings(None) == ()
