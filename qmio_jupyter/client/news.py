"""How the thread that does the I/O tells those that wait; an interrupt of theirs leaves nothing locked.

`threading.Condition`, and with it `Event`, `Future` and `queue.Queue`, is Python code around its lock: an interrupt
that comes when the lock is taken and its block is not entered yet leaves it locked, and who tells would wait for ever.
A lock of C in a ``with`` statement has no such moment, nor has `queue.SimpleQueue`.
"""

from __future__ import annotations

import threading
from queue import SimpleQueue
from weakref import WeakValueDictionary


class News:
    """That something has changed: told by one thread, waited for by any number."""

    def __init__(self) -> None:
        #: Held, for a moment, while what changes is read or written.
        self.lock = threading.RLock()
        self._listening: WeakValueDictionary[int, SimpleQueue[None]] = WeakValueDictionary()

    def tell(self) -> None:
        """Wake everybody who listens; never blocks."""
        for found in self._listening.valuerefs():
            one = found()
            if one is not None and one.empty():
                one.put(None)

    def listen(self) -> SimpleQueue[None]:
        """Return a queue that has an entry once something was told since the last one was taken.

        Whoever lets go of it listens no more: there is nothing to undo that an interrupt could prevent.
        """
        mine: SimpleQueue[None] = SimpleQueue()
        self._listening[id(mine)] = mine
        return mine
