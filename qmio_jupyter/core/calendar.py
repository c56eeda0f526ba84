"""Who may start a task on a device under its bookings, now and in predicted time. Pure.

A booking's window is ``from_ms <= t < until_ms``. Before it, a task that is predicted to run into it and may
not is not started (drain). During it, ``exclusive`` and ``class`` admit their holder's tenants, ``calibration``
and ``maintenance`` nobody; others may start once the holder has been idle for `idle_yield_s`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from qmio_jupyter.core.fair import nodes
from qmio_jupyter.core.queue import Admits, Entry, ReadyQueue
from qmio_jupyter.model.access import Booking, BookingKind
from qmio_jupyter.model.ids import Tenant

#: Kinds that are held for someone.
FOR_SOMEONE = frozenset({BookingKind.EXCLUSIVE, BookingKind.CLASS})


def is_holder(booking: Booking, tenant: Tenant) -> bool:
    """Return whether the booking is held for this tenant (itself, or its account)."""
    holder = booking.holder
    if holder is None or booking.kind not in FOR_SOMEONE:
        return False
    return tenant == holder or tenant.startswith(f"{holder}/")


def admits(booking: Booking, tenant: Tenant, begin_ms: int, end_ms: int, *, is_yielded: bool) -> bool:
    """Return whether a task of `tenant` may run from `begin_ms` to `end_ms` (predicted) under one booking."""
    if end_ms <= booking.from_ms or begin_ms >= booking.until_ms:
        return True
    return is_holder(booking, tenant) or (is_yielded and begin_ms >= booking.from_ms)


class Calendar:
    """The bookings of one device that are not over, with what is needed to see idle holders.

    Parameters
    ----------
    bookings : iterable of Booking
        Those of the device.
    pace : float
        Real over predicted duration, median.
    ends_ms : mapping
        When each tenant's last task ended, or is predicted to end; a copy is kept.
    """

    def __init__(self, bookings: Iterable[Booking], pace: float, ends_ms: Mapping[Tenant, int]) -> None:
        self.bookings = list(bookings)
        self.pace = pace
        self.ends_ms = dict(ends_ms)

    def ran(self, entry: Entry, end_ms: int) -> None:
        """Note that a task is predicted to end at `end_ms`."""
        self.ends_ms[entry.tenant] = max(end_ms, self.ends_ms.get(entry.tenant, 0))

    def yields_ms(self, booking: Booking, ready: ReadyQueue) -> int | None:
        """Return when others may start in the booking's window if its holder stays idle; None: not so."""
        if booking.idle_yield_s is None or booking.holder is None or _waits(booking.holder, ready):
            return None
        ended = (end for tenant, end in self.ends_ms.items() if is_holder(booking, tenant))
        idle_ms = max(booking.from_ms, max(ended, default=0))
        return idle_ms + round(booking.idle_yield_s * 1000)

    def gate(self, at_ms: int, ready: ReadyQueue) -> Admits | None:
        """Return who may start at `at_ms` if `ready` is what then waits; None: everybody."""
        current = [
            (booking, yields is not None and yields <= at_ms)
            for booking in self.bookings
            if booking.until_ms > at_ms
            for yields in (self.yields_ms(booking, ready),)
        ]
        if not current:
            return None

        def gate(entry: Entry) -> bool:
            end_ms = at_ms + entry.length_ms(self.pace)
            return all(
                admits(booking, entry.tenant, at_ms, end_ms, is_yielded=is_yielded)
                for booking, is_yielded in current
            )

        return gate

    def next_change(self, at_ms: int, ready: ReadyQueue) -> int | None:
        """Return the next instant after `at_ms` at which more may start; None if there is none."""
        instants = [booking.until_ms for booking in self.bookings]
        for booking in self.bookings:
            yields = self.yields_ms(booking, ready)
            if yields is not None and yields < booking.until_ms:
                instants.append(yields)
        return min((instant for instant in instants if instant > at_ms), default=None)


def _waits(holder: str, ready: ReadyQueue) -> bool:
    account, user = nodes(holder)
    branch = ready.accounts.get(account)
    return branch is not None and ("/" not in holder or user in branch.users)
