"""Named mutants: each breaks one decision of the real code, and a named test must notice.

A mutant is a context manager; inside it the one function is replaced for the whole process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from msgspec.structs import replace

from qmio_jupyter.core import calendar, claim, queue
from qmio_jupyter.core.queue import Admits, Entry, Place, ReadyQueue
from qmio_jupyter.core.records import DeviceRow
from qmio_jupyter.gateway.release import Releases
from qmio_jupyter.gateway.turn import Output, Send
from qmio_jupyter.model.ids import TaskId
from qmio_jupyter.model.task import Contract, Task
from qmio_jupyter.wire.messages import ClaimRecorded, TaskAccepted


@contextmanager
def _swap(owner: Any, name: str, mutant: Callable[..., Any]) -> Iterator[None]:
    original = getattr(owner, name)
    setattr(owner, name, mutant)
    try:
        yield
    finally:
        setattr(owner, name, original)


def _always(*_: object, **__: object) -> bool:
    return True


def fencing_off() -> AbstractContextManager[None]:
    """Take late words about any attempt for words about the present one."""
    return _swap(claim, "same_attempt", _always)


def epoch_off() -> AbstractContextManager[None]:
    """Take words about claims of another life of the gateway for words about this one's."""
    return _swap(claim, "same_epoch", _always)


def _releases_early(body: type) -> AbstractContextManager[None]:
    def must_wait(self: Releases, output: Output) -> bool:  # noqa: ARG001
        return not (isinstance(output, Send) and isinstance(output.packet.envelope.body, body))

    return _swap(Releases, "must_wait", must_wait)


def reply_before_commit() -> AbstractContextManager[None]:
    """Tell users that their task is accepted before it is on disk."""
    return _releases_early(TaskAccepted)


def result_before_commit() -> AbstractContextManager[None]:
    """Tell agents that their result is recorded before it is on disk."""
    return _releases_early(ClaimRecorded)


def lease_flipped() -> AbstractContextManager[None]:
    """Take leases that run for lapsed, and lapsed ones for running."""
    original = claim.has_lapsed

    def has_lapsed(held: Any, now_ms: int) -> bool:
        return not original(held, now_ms)

    return _swap(claim, "has_lapsed", has_lapsed)


def fifo() -> AbstractContextManager[None]:
    """First come, first served, whoever has used how much."""

    def pick(ready: ReadyQueue, admits: Admits | None) -> Entry | None:
        admitted = (entry for entry in ready if admits is None or admits(entry))
        return min(admitted, key=lambda entry: entry.arrival, default=None)

    return _swap(queue, "pick", pick)


def booking_ignored() -> AbstractContextManager[None]:
    """Let anybody run on a booked device."""
    return _swap(calendar, "admits", _always)


def stale_snapshot() -> AbstractContextManager[None]:
    """Bind the first snapshot a device ever had, not the current one."""
    original = claim.bind_contract
    first: dict[str, str | None] = {}

    def bind_contract(row: DeviceRow, task: Task) -> Contract:
        oldest = first.setdefault(row.description.name, row.snapshot_id)
        return replace(original(row, task), snapshot_id=oldest)

    return _swap(claim, "bind_contract", bind_contract)


def position_by_arrival() -> AbstractContextManager[None]:
    """Show the place in order of arrival instead of the place in the policy's order."""

    def positions(places: list[Place]) -> dict[TaskId, int]:
        return {task_id: place for place, task_id in enumerate(sorted(p.task_id for p in places))}

    return _swap(queue, "positions", positions)


#: Every mutant by its name.
MUTANTS: dict[str, Callable[[], AbstractContextManager[None]]] = {
    "fencing off": fencing_off,
    "epoch off": epoch_off,
    "reply before commit": reply_before_commit,
    "result before commit": result_before_commit,
    "lease compare flipped": lease_flipped,
    "FIFO instead of fair": fifo,
    "booking ignored": booking_ignored,
    "stale snapshot bound": stale_snapshot,
    "position not from the policy": position_by_arrival,
}
