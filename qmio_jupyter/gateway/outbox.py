"""What waits to be sent: in order per connection, and in bounded pieces.

A connection whose queue in the transport is full keeps its packets here; an event that a newer one of the
same task makes pointless is dropped, and its client, which sees the gap in revisions, asks.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from enum import Enum

import msgspec

from qmio_jupyter.gateway.metrics import Figures
from qmio_jupyter.model.result import TaskResult
from qmio_jupyter.wire.codec import encode
from qmio_jupyter.wire.messages import Packet, SnapshotData, TaskEvent, TaskPartial, TaskResultData

#: Packets, and bytes, kept for a connection that does not take them; it is given up beyond.
MAX_STUCK = 5_000
MAX_STUCK_BYTES = 128 * 2**20
#: What a packet takes in memory at least, about.
_LEAST_BYTES = 512


class Sent(Enum):
    """What became of a send."""

    YES = "yes"
    #: The connection takes nothing more now.
    FULL = "full"
    #: There is no such connection (any more).
    GONE = "gone"


class _Stuck:
    """Packets of one connection that the transport does not take now."""

    __slots__ = ("packets", "serial", "size")

    def __init__(self) -> None:
        self.packets: OrderedDict[tuple[str, str | int], tuple[Packet, int]] = OrderedDict()
        self.size = 0
        self.serial = 0

    def put(self, packet: Packet, size: int) -> bool:
        """Add a packet; return True if it took the place of an older event."""
        body = packet.envelope.body
        key: tuple[str, str | int]
        match body:
            case TaskEvent(view=view):
                key = ("event", view.task_id)
            case TaskPartial(result=result):
                key = ("partial", result.task_id)
            case _:
                self.serial += 1
                key = ("reply", self.serial)
        old = self.packets.pop(key, None)
        if old is not None:
            self.size -= old[1]
            packet = _merged(old[0], packet)
        self.packets[key] = (packet, size)
        self.size += size
        return old is not None


class Outbox:
    """Packets on their way to the transport.

    Parameters
    ----------
    send : callable
        Hands encoded frames to the transport, never waiting.
    give_up : callable
        Called with a connection that has let too much pile up.
    figures : Figures
        Counters.
    """

    def __init__(
        self,
        send: Callable[[int, list[bytes]], Sent],
        give_up: Callable[[int], None],
        figures: Figures,
    ) -> None:
        self._send = send
        self._give_up = give_up
        self._figures = figures
        self._queue: deque[tuple[int, Packet, int]] = deque()
        # Bytes in `_queue`, about, by connection.
        self._bytes: Counter[int] = Counter()
        self._total = 0
        self._stuck: dict[int, _Stuck] = {}
        # An event goes to several watchers in a row: one encoding for all.
        self._last: tuple[Packet | None, list[bytes]] = (None, [])

    def put(self, connection: int, packet: Packet) -> None:
        """Queue a packet."""
        size = weight(packet)
        self._queue.append((connection, packet, size))
        self._bytes[connection] += size
        self._total += size

    def queued_bytes(self, connection: int) -> int:
        """Return about how many bytes wait for a connection."""
        stuck = self._stuck.get(connection)
        return self._bytes[connection] + (0 if stuck is None else stuck.size)

    @property
    def total_bytes(self) -> int:
        """About how many bytes wait in all."""
        return self._total + sum(stuck.size for stuck in self._stuck.values())

    def __len__(self) -> int:
        return len(self._queue)

    @property
    def has_stuck(self) -> bool:
        """True while a connection does not take what is meant for it: call `retry` in a moment."""
        return bool(self._stuck)

    def flush(self, at_most: int) -> int:
        """Send up to `at_most` packets; return how many left the queue."""
        count = 0
        while self._queue and count < at_most:
            connection, packet, size = self._queue.popleft()
            count += 1
            self._total -= size
            self._bytes[connection] -= size
            if not self._bytes[connection]:
                del self._bytes[connection]
            if connection in self._stuck:
                self._keep(connection, packet)
            elif self._try(connection, packet) is Sent.FULL:
                self._stuck[connection] = _Stuck()
                self._keep(connection, packet)
        return count

    def retry(self, at_most: int) -> None:
        """Try again what did not go before."""
        for connection in list(self._stuck):
            stuck = self._stuck[connection]
            while stuck.packets and at_most > 0:
                key, (packet, size) = next(iter(stuck.packets.items()))
                at_most -= 1
                if self._try(connection, packet) is Sent.FULL:
                    break
                del stuck.packets[key]
                stuck.size -= size
            if not stuck.packets:
                del self._stuck[connection]

    def drop(self, connection: int) -> None:
        """Forget what waits for a connection that is gone."""
        self._stuck.pop(connection, None)

    def _try(self, connection: int, packet: Packet) -> Sent:
        return self._send(connection, self._frames(packet))

    def _keep(self, connection: int, packet: Packet) -> None:
        stuck = self._stuck[connection]
        size = sum(len(frame) for frame in self._frames(packet))
        if stuck.put(packet, size):
            self._figures.dropped_events += 1
        if len(stuck.packets) > MAX_STUCK or stuck.size > MAX_STUCK_BYTES:
            del self._stuck[connection]
            self._give_up(connection)

    def _frames(self, packet: Packet) -> list[bytes]:
        if self._last[0] is not packet:
            self._last = (packet, encode(packet))
        return self._last[1]


def weight(packet: Packet) -> int:
    """Return about how many bytes a packet holds, without encoding it."""
    size = _LEAST_BYTES + sum(map(len, packet.attachments))
    match packet.envelope.body:
        case TaskResultData(result=result) | TaskPartial(result=result):
            size += _columns(result)
        case SnapshotData(snapshot=snapshot):
            size += len(snapshot.data)
        case _:
            pass
    return size


def _columns(result: TaskResult) -> int:
    return sum(
        len(entry.keys) + len(entry.counts) + len(entry.memory or b"")
        for item in result.items
        for entry in item.bindings
    )


def _merged(old: Packet, new: Packet) -> Packet:
    """Return `new`, with the cause of `old` if it names none: a position gets worse only with a cause."""
    match old.envelope.body, new.envelope.body:
        case TaskEvent(view=before), TaskEvent(view=after) if (
            before.cause and not after.cause and before.state is after.state
        ):
            body = TaskEvent(view=msgspec.structs.replace(after, cause=before.cause))
            return Packet(msgspec.structs.replace(new.envelope, body=body), new.attachments)
    return new
