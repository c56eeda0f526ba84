"""The ready queue of one device, the one function that picks from it, and that function run forward.

`pick` decides what is dispatched; `run_forward` calls the same `pick` on a copy, so the position shown is the
decision that will be made. Order: the best account, the best user within it, her oldest task.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from heapq import heapify, heappop, heappush, heapreplace
from typing import NamedTuple, Protocol

import msgspec

from qmio_jupyter.core.fair import Shares, Usage, nodes
from qmio_jupyter.model.ids import TaskId, Tenant
from qmio_jupyter.model.task import Ahead

#: A heap of nodes that holds this many times its nodes in outdated entries is built anew.
_WASTE = 8


class Entry(NamedTuple):
    """A ready task. `arrival` is unique and rises with submission; a task that comes back keeps it."""

    arrival: int
    task_id: TaskId
    tenant: Tenant
    submitted_ms: int
    predicted_s: float
    #: True if it keeps its device's clock: it takes what was predicted, whatever the pace of others.
    is_exact: bool = False

    def length_ms(self, pace: float) -> int:
        """Return how long it is expected to take where others take `pace` times what was predicted, ms."""
        return length_ms(self.predicted_s, 1.0 if self.is_exact else pace)


def length_ms(predicted_s: float, pace: float) -> int:
    """Return the duration of a task that takes `pace` times what was predicted, ms; at least 1."""
    return max(1, round(predicted_s * pace * 1000))


#: Says whether an entry may be dispatched now (bookings); None: everything may.
Admits = Callable[[Entry], bool]


class _Ranking:
    """A heap of nodes by key with outdated entries left in place; the stamp tells which one counts."""

    __slots__ = ("_heap", "_stamps")

    def __init__(self, keys: list[tuple[float, int, str]]) -> None:
        self._heap = [(key, arrival, node, 0) for key, arrival, node in keys]
        self._stamps = {node: 0 for _, _, node in keys}
        heapify(self._heap)

    def move(self, node: str, key: float, arrival: int) -> bool:
        """Give the node a new key; False if the heap has grown so wasteful that it should be built anew."""
        stamp = self._stamps.get(node, 0) + 1
        self._stamps[node] = stamp
        heappush(self._heap, (key, arrival, node, stamp))
        return len(self._heap) <= 16 + _WASTE * len(self._stamps)

    def drop(self, node: str) -> None:
        """Forget the node."""
        self._stamps[node] = self._stamps.get(node, 0) + 1

    def best(self) -> str:
        """Return the node with the smallest key (there must be one)."""
        heap, stamps = self._heap, self._stamps
        while heap[0][3] != stamps[heap[0][2]]:
            heappop(heap)
        return heap[0][2]


class _Account:
    """The ready tasks of one account: all by arrival, and by user."""

    __slots__ = ("entries", "ranking", "users")

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.users: dict[str, list[Entry]] = {}
        self.ranking: _Ranking | None = None


class ReadyQueue:
    """Ready tasks and usage of one device. Rankings are memos: any of them may be built anew at any time."""

    def __init__(self, shares: Shares, usage: Usage) -> None:
        self.shares = shares
        self.usage = usage
        self.accounts: dict[str, _Account] = {}
        self._ranking: _Ranking | None = None
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[Entry]:
        for account in self.accounts.values():
            yield from account.entries

    def fork(self) -> ReadyQueue:
        """Return an independent copy (entries are shared, they are values)."""
        copy = ReadyQueue(self.shares, self.usage.fork())
        copy._size = self._size
        for name, account in self.accounts.items():
            twin = copy.accounts[name] = _Account()
            twin.entries = account.entries.copy()
            twin.users = {user: entries.copy() for user, entries in account.users.items()}
        return copy

    # ------------------------------------------------------------ changes

    def add(self, entry: Entry) -> None:
        """Put a task in its place."""
        account, user = nodes(entry.tenant)
        branch = self.accounts.setdefault(account, _Account())
        insort(branch.entries, entry)
        insort(branch.users.setdefault(user, []), entry)
        self._size += 1
        self.touch(account, user)

    def remove(self, entry: Entry) -> None:
        """Take a task out (it must be in)."""
        account, user = nodes(entry.tenant)
        branch = self.accounts[account]
        own = branch.users[user]
        del branch.entries[bisect_left(branch.entries, entry)]
        del own[bisect_left(own, entry)]
        self._size -= 1
        if not own:
            del branch.users[user]
            if not branch.entries:
                del self.accounts[account]
        self.touch(account, user)

    def arrive(self, now_ms: int) -> None:
        """Decay usage because a task arrives; all keys change."""
        self.usage.arrive(now_ms)
        self.forget_rankings()

    def charge(self, entry: Entry) -> None:
        """Charge a dispatched task's prediction to its tenant."""
        account, user = nodes(entry.tenant)
        self.usage.charge(entry.task_id, account, user, entry.predicted_s)
        self.touch(account, user)

    def refund(self, task_id: TaskId) -> None:
        """Take a claim's charge back."""
        charge = self.usage.charges[task_id]
        self.usage.refund(task_id)
        self.touch(charge.account, charge.user)

    def forget_rankings(self) -> None:
        """Build all rankings anew when they are next asked for."""
        self._ranking = None
        for branch in self.accounts.values():
            branch.ranking = None

    # ------------------------------------------------------------ keys and rankings

    def account_key(self, account: str) -> float:
        """Return an account's key (it must have a ready task)."""
        return self.shares.key(self.usage, account, self.accounts[account].entries[0].submitted_ms)

    def user_key(self, account: str, user: str) -> float:
        """Return a user's key within her account (she must have a ready task)."""
        return self.shares.key(self.usage, user, self.accounts[account].users[user][0].submitted_ms)

    def touch(self, account: str, user: str) -> None:
        """Rank the two nodes anew (their usage or their tasks changed)."""
        branch = self.accounts.get(account)
        if self._ranking is not None:
            if branch is None:
                self._ranking.drop(account)
            elif not self._ranking.move(account, self.account_key(account), branch.entries[0].arrival):
                self._ranking = None
        if branch is not None and branch.ranking is not None:
            own = branch.users.get(user)
            if own is None:
                branch.ranking.drop(user)
            elif not branch.ranking.move(user, self.user_key(account, user), own[0].arrival):
                branch.ranking = None

    def best(self) -> Entry | None:
        """Return the best account's best user's oldest task; None if the queue is empty."""
        if not self._size:
            return None
        if self._ranking is None:
            self._ranking = _Ranking(self._account_keys())
        account = self._ranking.best()
        branch = self.accounts[account]
        if branch.ranking is None:
            branch.ranking = _Ranking(self._user_keys(account))
        return branch.users[branch.ranking.best()][0]

    def in_order(self) -> Iterator[Entry]:
        """Yield all tasks, account by account and user by user, best first (for a search past the best)."""
        for _, _, account in sorted(self._account_keys()):
            for _, _, user in sorted(self._user_keys(account)):
                yield from self.accounts[account].users[user]

    def _account_keys(self) -> list[tuple[float, int, str]]:
        return [
            (self.account_key(account), branch.entries[0].arrival, account)
            for account, branch in self.accounts.items()
        ]

    def _user_keys(self, account: str) -> list[tuple[float, int, str]]:
        return [
            (self.user_key(account, user), own[0].arrival, user)
            for user, own in self.accounts[account].users.items()
        ]


def pick(ready: ReadyQueue, admits: Admits | None) -> Entry | None:
    """Return the task to dispatch next, None if there is none that is admitted. Changes nothing."""
    best = ready.best()
    if best is None or admits is None or admits(best):
        return best
    return next((entry for entry in ready.in_order() if admits(entry)), None)


class Place(msgspec.Struct, frozen=True):
    """A queued task in the forward run: when it is expected to start, None if nothing can be said."""

    task_id: TaskId
    start_ms: int | None


class Outlook(Protocol):
    """What a forward run asks about bookings, in predicted time."""

    def gate(self, at_ms: int, ready: ReadyQueue) -> Admits | None:
        """Return who may start at `at_ms` if `ready` is what then waits."""
        ...

    def ran(self, entry: Entry, end_ms: int) -> None:
        """Note that a task is predicted to end at `end_ms`."""
        ...

    def next_change(self, at_ms: int, ready: ReadyQueue) -> int | None:
        """Return the next instant after `at_ms` at which more may start."""
        ...


def run_forward(
    ready: ReadyQueue, servers_ms: Sequence[int], outlook: Outlook | None, pace: float
) -> list[Place]:
    """Run the policy forward on a copy until the queue is empty.

    Parameters
    ----------
    ready : ReadyQueue
        What waits now; left as it is.
    servers_ms : sequence of int
        When each unit of the agents' credit is expected to be free; empty: no agent is there.
    outlook : Outlook or None
        Bookings; None if there are none.
    pace : float
        Real over predicted duration, median.

    Returns
    -------
    list of Place
        All queued tasks in the order in which they would be dispatched if nothing else arrived.
    """
    if len(ready) == 1 and outlook is None:
        # Whoever waits alone is next, as soon as anybody is free.
        return [Place(entry.task_id, min(servers_ms, default=None)) for entry in ready]
    copy = ready.fork()
    servers = list(servers_ms)
    heapify(servers)
    places: list[Place] = []
    while len(copy):
        at_ms = servers[0] if servers else None
        gate = outlook.gate(at_ms, copy) if outlook is not None and at_ms is not None else None
        entry = pick(copy, gate)
        if entry is None:
            assert outlook is not None
            assert at_ms is not None
            later = outlook.next_change(at_ms, copy)
            if later is None:
                servers = []
            else:
                heapreplace(servers, later)
            continue
        copy.remove(entry)
        account, user = nodes(entry.tenant)
        copy.usage.add(account, user, entry.predicted_s)
        copy.touch(account, user)
        places.append(Place(entry.task_id, at_ms))
        if at_ms is not None:
            end_ms = at_ms + entry.length_ms(pace)
            heapreplace(servers, end_ms)
            if outlook is not None:
                outlook.ran(entry, end_ms)
    return places


def positions(places: Sequence[Place]) -> dict[TaskId, int]:
    """Return each task's position: the number of tasks dispatched earlier (0 = next)."""
    return {place.task_id: position for position, place in enumerate(places)}


class Crowd:
    """Tasks that are dispatched earlier, counted by tenant and account as the places are gone through."""

    def __init__(self, tenants: Iterable[Tenant]) -> None:
        self._all = 0
        self._accounts: Counter[str] = Counter()
        self._tenants: Counter[Tenant] = Counter()
        for tenant in tenants:
            self.add(tenant)

    def add(self, tenant: Tenant) -> None:
        """Count the next task."""
        self._all += 1
        self._accounts[nodes(tenant)[0]] += 1
        self._tenants[tenant] += 1

    def before(self, tenant: Tenant) -> Ahead:
        """Return what is counted, as it is told to a user of this tenant."""
        own, account = self._tenants[tenant], self._accounts[nodes(tenant)[0]]
        return Ahead(own=own, account=account - own, others=self._all - account)
