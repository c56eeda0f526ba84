"""A simulated world: the real core, desk, client and agent protocols, over fake links, disk and clocks.

Everything happens on one heap in virtual time and every choice comes from one ``Random(seed)``, so a seed
replays exactly; :attr:`World.digest` proves it. A world lives through a time of faults, in which users work
and everything breaks, and then a time of peace, in which all that was accepted must come to its end.
"""

from __future__ import annotations

import hashlib
from random import Random

import msgspec

from qmio_jupyter.core.config import CoreConfig
from qmio_jupyter.core.records import EnrolmentSaved, Record
from qmio_jupyter.model.access import Enrolment, Role
from qmio_jupyter.model.ids import TaskId, digest
from qmio_jupyter.testing.checks import Violation
from qmio_jupyter.testing.clockwork import Clockwork
from qmio_jupyter.testing.coverage import Coverage
from qmio_jupyter.testing.disk import Disk
from qmio_jupyter.testing.faults import FAULTS
from qmio_jupyter.testing.honesty import check_positions
from qmio_jupyter.testing.judge import Judge
from qmio_jupyter.testing.links import Link, Network
from qmio_jupyter.testing.sim_agent import SimAgent, SimDevice
from qmio_jupyter.testing.sim_client import SimClient
from qmio_jupyter.testing.sim_gateway import SimGateway
from qmio_jupyter.testing.sim_operator import OPERATOR_KEY, SimOperator
from qmio_jupyter.wire.messages import Packet

#: The least that must happen in every world.
MIN_INPUTS = 200
MIN_FAULTS = 3
#: Virtual time within which peace must bring everything to its end.
PEACE_MS = 400_000

_TENANTS = ("physics/ana", "physics/brais", "chemistry/carme", "biology/david")
_FAULT_NAMES = list(FAULTS)
_encoder = msgspec.msgpack.Encoder()


class World:
    """One world of one seed.

    Parameters
    ----------
    seed : int
        Decides everything.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.rng = rng = Random(seed)
        self.clock = Clockwork()
        self.coverage = Coverage()
        self.is_faulty = True
        self._hash = hashlib.blake2b(digest_size=16)
        self._faults = 0
        self._base_weather = (rng.choice((0.0, 0.0, 0.03)), rng.choice((0.0, 0.05)), rng.choice((0.0, 0.1)))

        #: Whether dispatches to the emulator may leave before their commit.
        self.outruns = rng.random() < 0.5
        self.disk = Disk()
        self.judge = Judge(self)
        self.network = Network(
            self.clock,
            rng,
            to_gateway=self._to_gateway,
            on_gone=self._connection_gone,
            note=self._note_delivery,
        )
        config = CoreConfig(
            lease_s=rng.choice((3.0, 5.0)),
            redispatch_s=0.4,
            half_life_s=rng.choice((30.0, 86_400.0)),
            session_grace_s=5.0,
            position_in_reply=rng.choice((2, 32)),
            weights=(("physics", rng.choice((1.0, 3.0))),),
            publish_hz=rng.choice((2.0, 5.0)),
        )
        self.gateway = SimGateway(self, config, rng.choice((None, 12.0)))
        self.devices = [
            SimDevice(self, "qpu", max_attempts=1, has_snapshots=True),
            SimDevice(self, "emulator", max_attempts=3, has_snapshots=rng.random() < 0.5),
        ]
        self.agents = [
            SimAgent(
                self,
                f"agent{index}",
                digest(f"agent {index}".encode()),
                self.devices[index % 2] if index < 2 else rng.choice(self.devices),
                credit=rng.choice((1, 1, 2)),
            )
            for index in range(rng.randint(2, 4))
        ]
        self.clients = [
            SimClient(self, f"client{index}", digest(f"client {index}".encode()), rng.choice(_TENANTS))
            for index in range(rng.randint(3, 6))
        ]
        self.operator = SimOperator(self)
        self._enrol()

    @property
    def digest(self) -> str:
        """Digest of every commit and every delivery so far."""
        return self._hash.hexdigest()

    # ------------------------------------------------------------ a life

    def run(self) -> Coverage:
        """Live through faults and peace; return what was seen.

        Raises
        ------
        Violation
            If a promise was broken.
        """
        clock, rng = self.clock, self.rng
        self.settle_weather()
        self.gateway.boot()
        for agent in self.agents:
            clock.after(rng.randrange(0, 300), agent.start)
        for party in (*self.clients, self.operator):
            clock.after(rng.randrange(300, 800), self.network.dial, party)
        for client in self.clients:
            clock.after(rng.randrange(800, 2_000), self._user_acts, client)
        clock.after(rng.randrange(1_500, 3_000), self._strike)
        clock.after(rng.randrange(2_000, 4_000), self._fork)
        until_ms = rng.randrange(6_000, 12_000)
        counts = self.coverage.counts
        while clock.now_ms < until_ms or counts["inputs"] < MIN_INPUTS or self._faults < MIN_FAULTS:
            clock.step()
        self._make_peace()
        self._drain()
        self.judge.final_count()
        counts["worlds"] += 1
        counts["virtual seconds"] += clock.now_ms // 1000
        counts["faults"] += self._faults
        return self.coverage

    def _drain(self) -> None:
        """Let peace bring everything to its end, and complain if it does not."""
        deadline_ms = self.clock.now_ms + PEACE_MS
        look_ms = self.clock.now_ms
        while True:
            self.clock.step()
            if self.clock.now_ms >= look_ms:
                look_ms = self.clock.now_ms + 500
                left = self.judge.unfinished(self.clients, self.agents)
                if not left and self.gateway.core is not None:
                    return
                if self.clock.now_ms > deadline_ms:
                    raise Violation("liveness", "; ".join(left[:5]) or "the gateway does not come back")

    def _make_peace(self) -> None:
        self.is_faulty = False
        self.network.weather.clear()
        self.free_disk()
        self.gateway.next_commit = ""
        for link in self.network.links():
            link.is_parted = False

    # ------------------------------------------------------------ users and faults

    def _user_acts(self, client: SimClient) -> None:
        if not self.is_faulty:
            return
        rng = self.rng
        what = rng.random()
        if what < 0.65:
            for _ in range(rng.choice((1, 1, 1, 4))):
                device = rng.choice(self.devices)
                client.submit(device.name, None if device.snapshot is None else device.snapshot.snapshot_id)
        elif what < 0.85:
            client.cancel()
        else:
            client.look_around(self._foreign_task(client))
        self.clock.after(rng.randrange(300, 4_000), self._user_acts, client)

    def _foreign_task(self, client: SimClient) -> TaskId | None:
        other = self.rng.choice(self.clients)
        return self.rng.choice(other.task_ids) if other.tenant != client.tenant and other.task_ids else None

    def _strike(self) -> None:
        if self.is_faulty:
            self.strike(self.rng.choice(_FAULT_NAMES))
            self.clock.after(self.rng.randrange(200, 2_800), self._strike)

    def strike(self, name: str) -> None:
        """Let a fault strike, and count what it hit."""
        if not self.is_faulty:
            return
        states = [task.state for task in self.disk.tasks_by_id.values()]
        if FAULTS[name](self):
            self._faults += 1
            for state in states:
                self.coverage.cells[state, name] += 1

    def _fork(self) -> None:
        """Ask at a random moment whether the positions shown would come true."""
        core = self.gateway.core
        if core is not None:
            self.coverage.counts["positions checked"] += check_positions(core, self.gateway.now_ms())
        self.clock.after(self.rng.randrange(2_000, 8_000), self._fork)

    def part(self, links: list[Link], for_ms: int) -> None:
        """Let nothing through on these links for a while."""
        for link in links:
            link.is_parted = True
        self.clock.after(for_ms, self._join, links)

    def _join(self, links: list[Link]) -> None:
        for link in links:
            link.is_parted = False

    def free_disk(self) -> None:
        """Make room on the disk."""
        self.disk.is_full = False

    def settle_weather(self) -> None:
        """Go back to this world's usual weather."""
        weather = self.network.weather
        if self.is_faulty:
            weather.drop, weather.duplicate, weather.late = self._base_weather
        else:
            weather.clear()

    # ------------------------------------------------------------ wiring

    def _enrol(self) -> None:
        enrolments = [
            Enrolment(key=agent.key, role=Role.AGENT, device=agent.device.name) for agent in self.agents
        ]
        enrolments += [
            Enrolment(key=client.key, role=Role.USER, uid=1000 + index, tenant=client.tenant)
            for index, client in enumerate(self.clients)
        ]
        enrolments.append(Enrolment(key=OPERATOR_KEY, role=Role.OPERATOR))
        self.disk.write([EnrolmentSaved(enrolment=enrolment) for enrolment in enrolments])

    def _to_gateway(self, link: Link, packet: Packet) -> None:
        self.gateway.receive(link, packet)

    def _connection_gone(self, number: int) -> None:
        self.gateway.connection_gone(number)

    def _note_delivery(self, where: str, data: bytes) -> None:
        self.coverage.counts["deliveries"] += 1
        self._hash.update(f"{self.clock.now_ms} {where} ".encode())
        self._hash.update(data)

    def note_record(self, record: Record) -> None:
        """Add a committed record to the digest."""
        self._hash.update(type(record).__name__.encode())
        self._hash.update(_encoder.encode(record))
