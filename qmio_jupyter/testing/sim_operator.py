"""The operator of a simulated world: books devices and gives them back, over the same client protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qmio_jupyter.model.access import Booking, BookingKind
from qmio_jupyter.model.ids import mint
from qmio_jupyter.testing.sim_client import SimClient
from qmio_jupyter.wire.messages import BookingCancel, BookingCreate

if TYPE_CHECKING:
    from qmio_jupyter.testing.world import World

#: The operator's key.
OPERATOR_KEY = "e" * 64


class SimOperator(SimClient):
    """Holds devices for a few seconds at a time."""

    def __init__(self, world: World) -> None:
        super().__init__(world, "operator", OPERATOR_KEY, "operators/one")
        self._booked: list[str] = []

    def book(self) -> bool:
        """Hold a device, now or soon, for a tenant, an account, or nobody at all."""
        rng = self.world.rng
        kind = rng.choice(list(BookingKind))
        for_somebody = kind in (BookingKind.EXCLUSIVE, BookingKind.CLASS)
        tenant = rng.choice(self.world.clients).tenant
        holder = rng.choice((tenant, tenant.partition("/")[0])) if for_somebody else None
        from_ms = self.world.gateway.now_ms() + rng.randrange(-500, 4_000)
        booking = Booking(
            booking_id=mint("b", from_ms, rng.randbytes(10)),
            device=rng.choice(self.world.devices).name,
            kind=kind,
            holder=holder,
            from_ms=from_ms,
            until_ms=from_ms + rng.randrange(1_500, 8_000),
            idle_yield_s=rng.choice((None, 1.0)) if for_somebody else None,
        )
        self._booked.append(booking.booking_id)
        self._ask(BookingCreate(booking=booking))
        self._pump()
        return True

    def cancel_booking(self) -> bool:
        """Give one of the bookings back; False if there was none."""
        if not self._booked:
            return False
        booking_id = self._booked.pop(self.world.rng.randrange(len(self._booked)))
        self._ask(BookingCancel(booking_id=booking_id))
        self._pump()
        return True
