"""The first seconds of a gateway's life: users are greeted when the devices they were promised are there.

On the very first start nobody knows what the devices can do, and the agents need a moment to announce them. A
greeting answered before would lead straight to "no such device" or "no such option". Later starts know their
devices from the ledger, and a task for one whose agent is still on its way queues.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from qmio_jupyter.model.ids import DeviceName, KeyId
from qmio_jupyter.transport.zeromq_router import Malformed, Received
from qmio_jupyter.wire.messages import Hello

#: An agent that has not announced its device by then keeps nobody waiting any longer.
OPENING_MS = 8_000


class Opening:
    """Keeps greetings back until every promised device is known.

    Parameters
    ----------
    devices : iterable of str
        Devices whose agents are being started.
    is_known : callable
        Whether a device has been announced, now or in an earlier life.
    is_user : callable
        Whether a key is a user's: agents are greeted at once.
    now_ms : int
        When the gateway opened.
    """

    def __init__(
        self,
        devices: Iterable[DeviceName],
        is_known: Callable[[DeviceName], bool],
        is_user: Callable[[KeyId], bool],
        now_ms: int,
    ) -> None:
        self._missing = set(devices)
        self._is_known = is_known
        self._is_user = is_user
        self._until_ms = now_ms + OPENING_MS
        self._kept: list[Received | Malformed] = []

    def is_over(self, now_ms: int) -> bool:
        """Return whether nothing is waited for any more."""
        self._missing = {device for device in self._missing if not self._is_known(device)}
        return not self._missing or now_ms >= self._until_ms

    def give_up(self, device: DeviceName) -> None:
        """Wait for this device no longer: its agent cannot be started."""
        self._missing.discard(device)

    def sift(self, messages: list[Received | Malformed]) -> list[Received | Malformed]:
        """Return the messages without users' greetings, which are kept."""
        passed: list[Received | Malformed] = []
        for message in messages:
            is_greeting = isinstance(message, Received) and isinstance(message.packet.envelope.body, Hello)
            (self._kept if is_greeting and self._is_user(message.peer.key) else passed).append(message)
        return passed

    def take(self) -> list[Received | Malformed]:
        """Return what was kept, in order of arrival."""
        kept, self._kept = self._kept, []
        return kept
