"""The connections as the desk knows them: whose key, since when, and how much a stranger may still say."""

from __future__ import annotations

from collections.abc import Iterator

from qmio_jupyter.model.ids import KeyId

#: A stranger has this long to prove itself; afterwards it is no longer answered.
PROVE_MS = 5_000
#: A stranger that has used up its time starts afresh after this long: Slurm may have been slow to confirm it.
FORGIVE_MS = 60_000
#: Messages a stranger may send at once, and per second.
STRANGER_BURST = 20
STRANGER_PER_S = 5.0
#: Strangers remembered; the oldest is forgotten beyond.
MAX_STRANGERS = 1_000


class Link:
    """One connection."""

    __slots__ = ("allowance", "is_greeted", "key", "refilled_ms", "since_ms")

    def __init__(self, key: KeyId, now_ms: int) -> None:
        self.key = key
        #: True once it has said hello to this epoch.
        self.is_greeted = False
        self.since_ms = now_ms
        self.refilled_ms = now_ms
        self.allowance = float(STRANGER_BURST)


class Links:
    """All connections, and their index by key."""

    def __init__(self) -> None:
        self._links: dict[int, Link] = {}
        self._by_key: dict[KeyId, dict[int, None]] = {}
        # Time and allowance of a stranger belong to its key, not to its connection: else reconnecting
        # would win another five seconds. Any key that is cheap to make gets one entry, bounded in number.
        self._strangers: dict[KeyId, Link] = {}

    def __len__(self) -> int:
        return len(self._links)

    def __iter__(self) -> Iterator[int]:
        return iter(self._links)

    def key(self, connection: int) -> KeyId | None:
        """Return the key of a connection, None if it is not known."""
        link = self._links.get(connection)
        return None if link is None else link.key

    def add(self, connection: int, key: KeyId, now_ms: int) -> None:
        """Note a connection of `key`."""
        self._links[connection] = Link(key, now_ms)
        self._by_key.setdefault(key, {})[connection] = None

    def greet(self, connection: int) -> None:
        """Note that a connection has said hello."""
        link = self._links.get(connection)
        if link is not None:
            link.is_greeted = True

    def is_greeted(self, connection: int) -> bool:
        """Return whether a connection has said hello to this epoch."""
        link = self._links.get(connection)
        return link is not None and link.is_greeted

    def renew(self) -> None:
        """Want hello again from everybody: there is a new epoch."""
        for link in self._links.values():
            link.is_greeted = False

    def drop(self, connection: int) -> None:
        """Forget a connection."""
        link = self._links.pop(connection, None)
        if link is None:
            return
        of_key = self._by_key[link.key]
        del of_key[connection]
        if not of_key:
            del self._by_key[link.key]

    def of_key(self, key: KeyId) -> tuple[int, ...]:
        """Return the connections of a key."""
        return tuple(self._by_key.get(key, ()))

    def admits_stranger(self, key: KeyId, now_ms: int) -> bool:
        """Return whether a message of a key without role is looked at: in time, and not too many."""
        link = self._strangers.get(key)
        if link is None:
            if len(self._strangers) >= MAX_STRANGERS:
                del self._strangers[next(iter(self._strangers))]
            link = self._strangers[key] = Link(key, now_ms)
        known_ms = now_ms - link.since_ms
        if known_ms > FORGIVE_MS:
            link.since_ms = now_ms
        elif known_ms > PROVE_MS:
            return False
        gained = (now_ms - link.refilled_ms) / 1000 * STRANGER_PER_S
        link.allowance = min(float(STRANGER_BURST), link.allowance + gained)
        link.refilled_ms = now_ms
        if link.allowance < 1:
            return False
        link.allowance -= 1
        return True

    def forget_stranger(self, key: KeyId) -> None:
        """Forget that a key had no role: it has one now."""
        self._strangers.pop(key, None)
