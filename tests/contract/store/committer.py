"""A process that commits and says so, until it is killed: run with the ledger's path.

Batch n inserts the two tasks 2n and 2n+1 and moves one row of usage to n; many batches are in flight at once,
so that groups are cut by the kill. A line ``n`` on stdout means that batch n was acknowledged.
"""

from __future__ import annotations

import os
import sys
from collections import deque
from concurrent.futures import Future
from pathlib import Path

from qmio_jupyter.core.records import TaskInserted, UsageRow, UsageSaved
from qmio_jupyter.store.sqlite import SqliteStore
from qmio_jupyter.testing import ledgers

IN_FLIGHT = 24


def main() -> None:
    store = SqliteStore(Path(sys.argv[1]))
    number = len(store.load_live().tasks) // 2
    flying: deque[tuple[int, Future[None]]] = deque()
    while True:
        while len(flying) < IN_FLIGHT:
            usage = UsageRow(device="echo", node="physics", seconds=float(number), as_of_ms=number)
            batch = [
                TaskInserted(task=ledgers.new_task(2 * number)),
                TaskInserted(task=ledgers.new_task(2 * number + 1)),
                UsageSaved(rows=(usage,)),
            ]
            flying.append((number, store.commit(batch)))
            number += 1
        acknowledged, future = flying.popleft()
        future.result(60)
        os.write(1, f"{acknowledged}\n".encode())


if __name__ == "__main__":
    main()
