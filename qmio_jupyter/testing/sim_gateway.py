"""The gateway of a simulated world: the real core, desk and releases, in a mortal process.

It does what `gateway.service` does with sockets, threads and timers: turns wait until their records are on
disk, what is queued while the writer is busy goes into its next transaction, a failed commit throws the core
away and loads another from the ledger.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from qmio_jupyter.core.config import CoreConfig
from qmio_jupyter.core.core import Core
from qmio_jupyter.core.effects import Step
from qmio_jupyter.core.inputs import Input
from qmio_jupyter.core.records import LiveState, Record
from qmio_jupyter.errors import StoreError
from qmio_jupyter.gateway.caller import Identity
from qmio_jupyter.gateway.desk import Desk
from qmio_jupyter.gateway.release import Releases
from qmio_jupyter.gateway.turn import Turn
from qmio_jupyter.model.ids import mint
from qmio_jupyter.model.task import ClaimRef
from qmio_jupyter.ports import Peer
from qmio_jupyter.testing.checks import Violation
from qmio_jupyter.testing.clockwork import Appointment
from qmio_jupyter.testing.links import Link
from qmio_jupyter.wire.messages import Packet

if TYPE_CHECKING:
    from qmio_jupyter.testing.world import World

#: The gateway's own key.
GATEWAY_KEY = "f" * 64


class WatchedCore(Core):
    """The real core, with somebody looking over its shoulder after every step."""

    def __init__(self, world: World, config: CoreConfig, live: LiveState, epoch: int, now_ms: int) -> None:
        super().__init__(config, live, epoch, now_ms)
        self.world = world
        self.born_ms = now_ms
        #: When each claim's agent was last heard of, in this life.
        self.heard_ms: dict[ClaimRef, int] = {}
        #: Announcements taken in this life: a second copy of one says nothing.
        self.announced: set[tuple[str, int, int]] = set()

    def handle(self, message: Input, now_ms: int) -> Step:
        """Take one input, then check everything."""
        step = super().handle(message, now_ms)
        self.world.judge.stepped(self, message, step)
        return step

    def __deepcopy__(self, memo: dict[int, Any]) -> WatchedCore:
        """Copy the core for a fork; the world stays outside."""
        twin = WatchedCore.__new__(WatchedCore)
        memo[id(self)] = twin
        memo[id(self.world)] = self.world
        twin.__dict__.update(copy.deepcopy(self.__dict__, memo))
        return twin


class SimGateway:
    """One gateway process after another, over one disk."""

    def __init__(self, world: World, config: CoreConfig, session_lease_s: float | None) -> None:
        self.world = world
        self.config = config
        self.session_lease_s = session_lease_s
        self.desk: Desk | None = None
        #: How to end the next transaction: "" well, "fail", "torn", "before" and "after" (crashes).
        self.next_commit = ""
        #: The wall clock minus the world's time; a process's own time never goes back.
        self.offset_ms = 1_750_000_000_000
        self._last_now_ms = 0
        self._process = 0
        self._releases = Releases(outruns=world.outruns)
        self._queue: list[tuple[int, tuple[Record, ...]]] = []
        self._is_writing = False
        self._tick: Appointment | None = None

    @property
    def is_up(self) -> bool:
        """True while a process lives."""
        return self.desk is not None

    @property
    def core(self) -> Core | None:
        """The living process's core; None while it is down or waits for its store."""
        return None if self.desk is None or self.desk.is_suspended else self.desk.core

    def now_ms(self) -> int:
        """Return the process's time, as its Clock port does."""
        self._last_now_ms = max(self._last_now_ms, self.world.clock.now_ms + self.offset_ms)
        return self._last_now_ms

    # ------------------------------------------------------------ life and death

    def boot(self) -> None:
        """Start a process from what is on disk."""
        if self.desk is not None:
            return
        world = self.world
        self._last_now_ms = 0
        core = self._load()
        identity = Identity(
            gateway="sim",
            software="qmio_jupyter/sim",
            started_ms=self.now_ms(),
            key=GATEWAY_KEY,
            session_lease_s=self.session_lease_s,
        )
        desk = Desk(core, identity=identity, ids=self._mint)
        if not self._write_now(desk.start().records):
            world.clock.after(500, self.boot)
            return
        self.desk = desk
        self._process += 1
        world.network.is_listening = True
        self._plan_tick()

    def crash(self, downtime_ms: int) -> None:
        """Kill the process; another starts after `downtime_ms`."""
        if self.desk is None:
            return
        self.desk = None
        self._process += 1
        self._releases = Releases(outruns=self.world.outruns)
        self._queue = []
        self._is_writing = False
        self.next_commit = ""
        self.world.network.gateway_gone()
        self.world.clock.after(downtime_ms, self.boot)

    def _load(self) -> WatchedCore:
        disk = self.world.disk
        return WatchedCore(self.world, self.config, disk.load_live(), disk.meta["epoch"] + 1, self.now_ms())

    def _reload(self, process: int) -> None:
        """After a failed commit: throw the core away, go on from the ledger as soon as it can be written."""
        desk = self.desk
        if desk is None or process != self._process:
            return
        core = self._load()
        if not self._write_now(core.start_records()):
            self.world.clock.after(300, self._reload, process)
            return
        turn = desk.adopt(core)
        self._take(Turn((), turn.outputs))

    def _mint(self, prefix: str) -> str:
        return mint(prefix, self.now_ms(), self.world.rng.randbytes(10))

    # ------------------------------------------------------------ what comes in

    def receive(self, link: Link, packet: Packet) -> None:
        """Take a packet from a connection."""
        if self.desk is not None:
            peer = Peer(key=link.party.key, address="sim")
            self._take(self.desk.receive(link.number, peer, packet, self.now_ms()))

    def connection_gone(self, number: int) -> None:
        """Learn that a connection is gone."""
        if self.desk is not None:
            self._take(self.desk.disconnected(number, self.now_ms()))

    def wake(self) -> None:
        """Look at the clock, which may have jumped."""
        self._plan_tick()

    def _on_tick(self) -> None:
        self._tick = None
        if self.desk is not None:
            self._take(self.desk.tick(self.now_ms()))

    def _plan_tick(self) -> None:
        due_ms = None if self.desk is None else self.desk.next_deadline()
        due_s = None if due_ms is None else self.world.clock.now_s + (due_ms - self.now_ms()) / 1000
        self._tick = self.world.clock.move(self._tick, due_s, self._on_tick)

    # ------------------------------------------------------------ commit first, act after

    def _take(self, turn: Turn) -> None:
        if turn.records and self.desk is not None and self.desk.is_suspended:
            raise Violation("suspended", f"a core that was thrown away still decides: {turn.records}")
        ticket = self._releases.hold(turn)
        if turn.records:
            self._queue.append((ticket, turn.records))
            self._start_writing()
        self._release()
        self._plan_tick()

    def _start_writing(self) -> None:
        if self._queue and not self._is_writing:
            self._is_writing = True
            group, self._queue = self._queue, []
            self.world.clock.after(self.world.rng.randrange(1, 15), self._written, self._process, group)

    def _written(self, process: int, group: list[tuple[int, tuple[Record, ...]]]) -> None:
        """End the transaction of `group`, well or badly."""
        if process != self._process or self.desk is None:
            return
        self._is_writing = False
        fate, self.next_commit = self.next_commit, ""
        records = [record for _, batch in group for record in batch]
        world = self.world
        if fate == "before":
            self.crash(world.rng.randrange(200, 3_000))
            return
        if fate == "torn":
            self._tear(records)
            return
        if fate == "fail" or not self._write_now(records):
            self._failed()
            return
        if fate == "after":
            self.crash(world.rng.randrange(200, 3_000))
            return
        self._releases.committed(group[-1][0])
        self._start_writing()
        self._release()

    def _tear(self, records: list[Record]) -> None:
        """Crash in the middle of a transaction: the journal rolls back what was written of it."""
        world = self.world
        before = world.disk.image()
        try:
            world.disk.write(records[: world.rng.randrange(len(records) + 1)])
        except StoreError:
            pass
        else:
            world.disk.roll_back()
        world.judge.rolled_back(before, world.disk.image())
        self.crash(world.rng.randrange(200, 3_000))

    def _failed(self) -> None:
        """Let nothing leave that waited for a failed commit; what was asked is refused, retryably."""
        desk = self.desk
        assert desk is not None
        lost = self._releases.drop()
        self._queue = []
        desk.suspend()
        for number, packet in desk.refuse_lost(lost):
            self.world.network.send_down(number, packet)
        self.world.clock.after(self.world.rng.randrange(1, 400), self._reload, self._process)

    def _write_now(self, records: Sequence[Record]) -> bool:
        """Write one transaction; False if the disk says no."""
        try:
            self.world.disk.write(records)
        except StoreError:
            return False
        self.world.judge.committed(records)
        return True

    def _release(self) -> None:
        desk = self.desk
        if desk is None:
            return
        world = self.world
        for output in self._releases.take():
            for number, packet in desk.release(output, world.disk):
                world.judge.leaving(number, packet)
                world.network.send_down(number, packet)
