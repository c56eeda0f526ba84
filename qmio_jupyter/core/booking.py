"""Bookings as the operator makes them, and their beginning and end as time passes."""

from __future__ import annotations

from msgspec.structs import replace

from qmio_jupyter.core import forecast
from qmio_jupyter.core.calendar import FOR_SOMEONE
from qmio_jupyter.core.effects import Acknowledged, BookingShown
from qmio_jupyter.core.inputs import CancelBooking, CreateBooking
from qmio_jupyter.core.records import BookingSaved
from qmio_jupyter.core.refusal import refusal
from qmio_jupyter.core.state import Device, Draft, State
from qmio_jupyter.model.access import Booking
from qmio_jupyter.model.ids import BookingId

#: No booking is longer than this (a year): a slip of the pen must not close a device for good.
_LONGEST_MS = 366 * 86_400_000


def create(state: State, request: CreateBooking, draft: Draft) -> None:
    """Make a booking. The same one again is answered alike; another of the same id is refused."""
    booking = request.booking
    known = state.bookings.get(booking.booking_id)
    if known is not None and replace(known, cancelled_ms=None) != replace(booking, cancelled_ms=None):
        raise refusal("booking", f"booking {booking.booking_id} exists with other content")
    if known is not None:
        draft.reply = BookingShown(origin=request.origin, booking=known)
        return
    _check(state, booking)
    add(state, booking)
    device = state.devices[booking.device]
    draft.records.append(BookingSaved(booking=booking))
    draft.reply = BookingShown(origin=request.origin, booking=booking)
    draft.devices[device.name] = None
    forecast.changed(state, device, f"a {booking.kind} booking was made")


def _check(state: State, booking: Booking) -> None:
    device = state.devices.get(booking.device)
    if device is None:
        raise refusal("device.unknown", f"no device {booking.device!r}")
    if not booking.booking_id or booking.cancelled_ms is not None:
        raise refusal("booking", "a new booking needs an id and cannot be cancelled already")
    if not state.now_ms < booking.until_ms or not 0 < booking.until_ms - booking.from_ms <= _LONGEST_MS:
        raise refusal("booking", "a booking must end after it begins, in the future, and within a year")
    if (booking.kind in FOR_SOMEONE) != bool(booking.holder):
        raise refusal("booking", f"a {booking.kind} booking needs a holder, the other kinds have none")
    if booking.idle_yield_s is not None and not 0 <= booking.idle_yield_s <= _LONGEST_MS / 1000:
        raise refusal("booking", "idle_yield_s must be a number of seconds from 0 up to a year")
    for other in device.bookings.values():
        if booking.from_ms < other.until_ms and other.from_ms < booking.until_ms:
            raise refusal("device.booked", f"device {booking.device} is booked then ({other.kind})")


def add(state: State, booking: Booking) -> None:
    """Put a booking that is not over into the calendar, and its edges into the timers."""
    device = state.devices.get(booking.device)
    if device is None:
        return
    state.bookings[booking.booking_id] = booking
    device.bookings[booking.booking_id] = booking
    has_begun = booking.from_ms <= state.now_ms
    if has_begun:
        device.begun.add(booking.booking_id)
    state.timers.set(booking.until_ms if has_begun else booking.from_ms, "booking", booking.booking_id)


def cancel(state: State, request: CancelBooking, draft: Draft) -> None:
    """Give a booking back."""
    booking = state.bookings.get(request.booking_id)
    if booking is None:
        raise refusal("booking", f"no booking {request.booking_id!r}")
    draft.reply = Acknowledged(origin=request.origin)
    draft.records.append(BookingSaved(booking=replace(booking, cancelled_ms=state.now_ms)))
    device = state.devices[booking.device]
    _drop(state, device, booking)
    draft.devices[device.name] = None
    forecast.changed(state, device, f"a {booking.kind} booking was cancelled")


def _drop(state: State, device: Device, booking: Booking) -> None:
    del state.bookings[booking.booking_id]
    del device.bookings[booking.booking_id]
    device.begun.discard(booking.booking_id)


def due(state: State, booking_id: BookingId, draft: Draft) -> None:
    """Let a booking begin or end if its time has come."""
    booking = state.bookings[booking_id]
    device = state.devices[booking.device]
    if state.now_ms >= booking.until_ms:
        _drop(state, device, booking)
        draft.devices[device.name] = None
        forecast.changed(state, device, f"a {booking.kind} booking ended")
    else:
        state.timers.set(booking.until_ms, "booking", booking_id)
        device.begun.add(booking_id)
        draft.devices[device.name] = None
        forecast.changed(state, device, f"a {booking.kind} booking began")
