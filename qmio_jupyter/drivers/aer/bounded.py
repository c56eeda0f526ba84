"""A mapping that forgets what was not used for longest: bounded in number and in weight."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Bounded(Generic[K, V]):
    """Keeps the values used last.

    Parameters
    ----------
    number : int
        Most values kept.
    weight : int
        Most their weights may add up to, in whatever unit the owner weighs (bytes, as a rule). A value heavier
        than a quarter of this is never kept: it would push out everything else.

    Examples
    --------
    >>> kept = Bounded(2, 100)
    >>> for key in "abc":
    ...     kept.keep(key, key.upper(), 1)
    >>> kept.get("a"), kept.get("c")
    (None, 'C')
    """

    def __init__(self, number: int, weight: int) -> None:
        self._number = number
        self._most = weight
        self._weight = 0
        self._values: OrderedDict[K, tuple[V, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._values)

    @property
    def weight(self) -> int:
        """Sum of the weights of what is kept."""
        return self._weight

    def get(self, key: K) -> V | None:
        """Return the value kept for `key`, which is thereby used, or None."""
        found = self._values.get(key)
        if found is None:
            return None
        self._values.move_to_end(key)
        return found[0]

    def keep(self, key: K, value: V, weight: int) -> None:
        """Keep a value, in place of one of the same key, if it is not too heavy."""
        before = self._values.pop(key, None)
        if before is not None:
            self._weight -= before[1]
        if weight > self._most // 4:
            return
        self._values[key] = (value, weight)
        self._weight += weight
        while len(self._values) > self._number or self._weight > self._most:
            _, (_, lost) = self._values.popitem(last=False)
            self._weight -= lost
