"""Hierarchical weighted fair share: who has used how much of a device, and the order that follows from it.

Nodes of the tree are accounts and ``account/user``. A node's key is::

    usage / weight + ageing * (submission of its oldest ready task, in seconds)

and the smaller key goes first. Two things keep the order free of the clock, so that a position shown is a
promise: usage decays only when a task arrives (never on ticks), and ageing is linear, so that differences
between waiting tasks are constant in time. Usage is charged as *predicted* seconds at dispatch; what a run
really took corrects later predictions, never the order of what already waits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from qmio_jupyter.core.records import UsageRow
from qmio_jupyter.model.ids import DeviceName, TaskId, Tenant

#: Stored figures are rescaled when they have grown by this many half-lives.
_RESCALE = 64.0


def nodes(tenant: Tenant) -> tuple[str, str]:
    """Return the nodes ``(account, account/user)`` of a tenant; the user may be empty.

    Examples
    --------
    >>> nodes("physics/ana"), nodes("physics")
    (('physics', 'physics/ana'), ('physics', 'physics/'))
    """
    account, _, user = tenant.partition("/")
    return account, f"{account}/{user}"


class Charge(msgspec.Struct, frozen=True):
    """What a live claim was charged, in the usage's own (inflated) unit."""

    account: str
    user: str
    amount: float


class Usage:
    """Decayed device-seconds of one device, by node.

    Figures are kept inflated by ``2 ** age`` (forward decay): to decay all of them only the age moves.
    """

    def __init__(self, half_life_s: float) -> None:
        self.half_life_ms = max(1.0, half_life_s * 1000.0)
        #: The instant up to which everything is decayed: the last arrival's.
        self.as_of_ms = 0
        #: Half-lives since the figures were last rescaled.
        self.age = 0.0
        self.inflated: dict[str, float] = {}
        #: Charges of live claims: returned if the claim lapses or is given back, settled when it ends.
        self.charges: dict[TaskId, Charge] = {}
        #: What ended claims were charged, by node.
        self.settled: dict[str, float] = {}

    def load(self, rows: Iterable[UsageRow], as_of_ms: int) -> None:
        """Take over what the ledger knows, decayed to the newest instant named."""
        rows = list(rows)
        self.as_of_ms = max([as_of_ms, *(row.as_of_ms for row in rows)])
        for row in rows:
            seconds = row.seconds * self._decay(row.as_of_ms)
            self.inflated[row.node] = self.settled[row.node] = max(0.0, seconds)

    def _decay(self, since_ms: int) -> float:
        return float(2.0 ** (-max(0, self.as_of_ms - since_ms) / self.half_life_ms))

    def arrive(self, now_ms: int) -> None:
        """Decay everything to `now_ms`: called for arrivals only."""
        if now_ms <= self.as_of_ms:
            return
        if self.inflated:
            self.age += (now_ms - self.as_of_ms) / self.half_life_ms
        self.as_of_ms = now_ms
        if self.age > _RESCALE:
            shrink = 2.0**-self.age if self.age < 1000 else 0.0
            self.inflated = {node: amount * shrink for node, amount in self.inflated.items()}
            self.settled = {node: amount * shrink for node, amount in self.settled.items()}
            self.charges = {
                task_id: msgspec.structs.replace(charge, amount=charge.amount * shrink)
                for task_id, charge in self.charges.items()
            }
            self.age = 0.0

    def of(self, node: str) -> float:
        """Return the node's usage in device-seconds, decayed to the last arrival."""
        return float(self.inflated.get(node, 0.0) * 2.0**-self.age)

    def add(self, account: str, user: str, seconds: float) -> float:
        """Charge both nodes and return the amount in the inflated unit."""
        amount: float = seconds * 2.0**self.age
        self.inflated[account] = self.inflated.get(account, 0.0) + amount
        self.inflated[user] = self.inflated.get(user, 0.0) + amount
        return amount

    def charge(self, task_id: TaskId, account: str, user: str, seconds: float) -> None:
        """Charge a claim at its dispatch."""
        self.charges[task_id] = Charge(account, user, self.add(account, user, seconds))

    def adopt(self, task_id: TaskId, account: str, user: str, seconds: float, since_ms: int) -> None:
        """After a restart: say how much of the usage is the charge of a live claim made at `since_ms`."""
        amount = seconds * self._decay(since_ms) * 2.0**self.age
        for node in (account, user):
            amount = min(amount, self.settled.get(node, 0.0))
        for node in (account, user):
            self.settled[node] = self.settled.get(node, 0.0) - amount
        self.charges[task_id] = Charge(account, user, amount)

    def refund(self, task_id: TaskId) -> None:
        """Take a claim's charge back (it lapsed or was given back)."""
        charge = self.charges.pop(task_id)
        for node in (charge.account, charge.user):
            self.inflated[node] = max(0.0, self.inflated.get(node, 0.0) - charge.amount)

    def settle(self, task_id: TaskId) -> None:
        """Keep a claim's charge for good (it ended)."""
        charge = self.charges.pop(task_id)
        for node in (charge.account, charge.user):
            self.settled[node] = self.settled.get(node, 0.0) + charge.amount

    def rows(self, device: DeviceName, tenant: Tenant) -> tuple[UsageRow, ...]:
        """Return the ledger rows of a tenant's nodes."""
        return tuple(
            UsageRow(device=device, node=node, seconds=self.of(node), as_of_ms=self.as_of_ms)
            for node in nodes(tenant)
        )

    def fork(self) -> Usage:
        """Return a copy to run forward on; charges of live claims stay behind."""
        copy = Usage.__new__(Usage)
        copy.half_life_ms, copy.as_of_ms, copy.age = self.half_life_ms, self.as_of_ms, self.age
        copy.inflated, copy.charges, copy.settled = dict(self.inflated), {}, {}
        return copy


class Shares:
    """Weights and ageing: turns usage into keys."""

    def __init__(self, weights: Mapping[str, float], ageing: float) -> None:
        self.ageing_ms = ageing / 1000.0
        self.weights = {node: weight for node, weight in weights.items() if weight > 0}

    def key(self, usage: Usage, node: str, submitted_ms: int) -> float:
        """Return the node's key if its oldest ready task was submitted at `submitted_ms`; smaller goes first."""
        return usage.of(node) / self.weights.get(node, 1.0) + self.ageing_ms * submitted_ms
