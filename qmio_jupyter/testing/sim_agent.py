"""Agents and devices of a simulated world: the real `AgentProtocol`, a driver that only takes its time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from qmio_jupyter.agent.events import AbortRun, Event, StartRun
from qmio_jupyter.agent.protocol import AgentProtocol
from qmio_jupyter.model.device import CostModel, DeviceDescription, DeviceState, Snapshot
from qmio_jupyter.model.ids import KeyId, digest
from qmio_jupyter.model.program import OCTETS
from qmio_jupyter.model.result import BindingCounts, ItemResult, Outcome, Register, TaskResult, pack_counts
from qmio_jupyter.model.task import ClaimRef, Task, TaskState
from qmio_jupyter.ports import Run
from qmio_jupyter.testing.clockwork import Appointment
from qmio_jupyter.wire.codec import attach
from qmio_jupyter.wire.messages import ClaimFinish, Packet

if TYPE_CHECKING:
    from qmio_jupyter.testing.world import World


#: Marks the results of forged reports, which must never be recorded.
FORGED = (("forged", "1"),)


class SimDevice:
    """What is true of a device; its agents learn of changes a little later, each at its own time."""

    def __init__(self, world: World, name: str, *, max_attempts: int, has_snapshots: bool) -> None:
        self.world = world
        self.description = DeviceDescription(
            name=name,
            title=name,
            n_qubits=32,
            driver="sim",
            repeatable=max_attempts > 1,
            max_attempts=max_attempts,
            batch_shots=100,
            media_types=(OCTETS,),
            cost=CostModel(t0_s=0.4, per_shot_s=0.001),
            clock=CostModel(t0_s=0.6, per_shot_s=0.002),
        )
        self.state = DeviceState.IDLE
        self.snapshot: Snapshot | None = None
        self.agents: list[SimAgent] = []
        self._has_snapshots = has_snapshots
        self.calibrate()

    @property
    def name(self) -> str:
        """The device's name."""
        return self.description.name

    def calibrate(self) -> None:
        """Take a new snapshot, if the device has any."""
        if self._has_snapshots:
            taken_ms = self.world.clock.now_ms
            data = f'{{"device":"{self.name}","taken_ms":{taken_ms}}}'.encode()
            self.snapshot = Snapshot(snapshot_id=digest(data), device=self.name, taken_ms=taken_ms, data=data)
            self._tell()

    def become(self, state: DeviceState) -> None:
        """Change state."""
        self.state = state
        self._tell()

    def _tell(self) -> None:
        for agent in self.agents:
            self.world.clock.after(self.world.rng.randrange(1, 500), agent.device_changed)


class SimAgent:
    """One agent process after another, under one name and key."""

    def __init__(self, world: World, name: str, key: KeyId, device: SimDevice, credit: int) -> None:
        self.world = world
        self.name = name
        self.key = key
        self.device = device
        self.credit = credit
        self.process = 0
        #: Its clock minus the world's.
        self._skew_ms = world.rng.randrange(-3_000, 3_000)
        self.protocol: AgentProtocol | None = None
        self._runs: dict[ClaimRef, list[Appointment]] = {}
        self._timer: Appointment | None = None
        device.agents.append(self)

    # ------------------------------------------------------------ life and death

    def start(self) -> None:
        """Start a process: a new incarnation that holds nothing."""
        if self.protocol is not None:
            return
        self.process += 1
        self.protocol = AgentProtocol(
            self.name,
            self.world.clock.now_ms + 1_750_000_000_000 + self._skew_ms,
            self._description(),
            self.device.state,
            self.device.snapshot,
            self.credit,
            software="sim",
        )
        # A link that broke just before the crash may have been dialled anew in the dead process's name.
        self.world.network.hang_up(self)
        self.world.network.dial(self)

    def _description(self) -> DeviceDescription:
        """Return the device's description; every third process has been configured without its clock."""
        description = self.device.description
        return msgspec.structs.replace(description, clock=None) if self.process % 3 == 2 else description

    def crash(self, downtime_ms: int) -> None:
        """Kill the process and every run in it; another starts after `downtime_ms`."""
        if self.protocol is None:
            return
        self.world.network.hang_up(self)
        self.protocol = None
        for ref in list(self._runs):
            self._end(ref)
        if self._timer is not None:
            self._timer.call_off()
            self._timer = None
        self.world.clock.after(downtime_ms, self.start)

    def crash_worker(self) -> bool:
        """Kill the worker of one run, which the agent reports as failed; False if nothing runs."""
        if self.protocol is None or not self._runs:
            return False
        ref = self.world.rng.choice(list(self._runs))
        self._end(ref)
        failed = Outcome(
            state=TaskState.FAILED, error_code="agent.worker", error_message="the worker process died"
        )
        self._do(self.protocol.finished(ref, failed))
        return True

    def device_changed(self) -> None:
        """Look at the device again."""
        if self.protocol is not None:
            self.protocol.device_changed(self.device.state, self.device.snapshot)
            self._pump()

    def forge(self, task: Task, epoch_off: int, attempt_off: int) -> bool:
        """Report that a claim completed, under numbers that were never given; must change nothing."""
        if self.protocol is None or task.contract is None:
            return False
        ref = ClaimRef(task_id=task.task_id, epoch=task.epoch + epoch_off, attempt=task.attempt + attempt_off)
        run = Run(task_id=task.task_id, spec=task.spec, contract=task.contract, programs={})
        result = msgspec.structs.replace(result_of(run, 3), software=FORGED)
        body = ClaimFinish(ref=ref, outcome=Outcome(state=TaskState.COMPLETED, result=result))
        self.world.network.send_up(self, attach(body, id=2**40 + task.revision))
        return True

    # ------------------------------------------------------------ link

    def link_up(self) -> None:
        """Greet and announce: the link works."""
        if self.protocol is not None:
            self.protocol.link_up(self.world.clock.now_s)
            self._pump()

    def link_down(self) -> None:
        """Hear that the link is gone; runs go on."""
        if self.protocol is not None:
            self.protocol.link_down(self.world.clock.now_s)
            self._pump()

    def receive(self, packet: Packet) -> None:
        """Take a packet that has arrived."""
        if self.protocol is not None:
            self._do(self.protocol.receive(packet, self.world.clock.now_s))

    def _pump(self) -> None:
        protocol = self.protocol
        if protocol is None:
            return
        for packet in protocol.outgoing():
            self.world.network.send_up(self, packet)
        self._timer = self.world.clock.move(self._timer, protocol.next_deadline(), self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        if self.protocol is not None:
            self._do(self.protocol.tick(self.world.clock.now_s))

    # ------------------------------------------------------------ runs

    def _do(self, events: list[Event]) -> None:
        assert self.protocol is not None
        for event in events:
            match event:
                case StartRun(run=run, ref=ref):
                    self._start(run, ref)
                case AbortRun(ref=ref):
                    self._abort(ref)
                case _:
                    pass
        self.world.judge.agent_stepped(self)
        self._pump()

    def _start(self, run: Run, ref: ClaimRef) -> None:
        """Plan the whole run: its start, two partial results, its end."""
        self.world.judge.run_started(self, run, ref)
        rng = self.world.rng
        clock = self.world.clock
        shots = run.spec.total_shots
        cost = self.device.description.cost
        off = rng.uniform(0.5, 1.5)
        if run.spec.options.pace == "real" and (kept := self.device.description.clock) is not None:
            cost, off = kept, 1.0
        length_ms = round(1000 * (cost.t0_s + shots * cost.per_shot_s) * off)
        fate = rng.random() if self.world.is_faulty else 1.0
        if fate < 0.04:
            length_ms = rng.randrange(8_000, 25_000)
        begin_ms = rng.randrange(1, 120)
        plan = [
            clock.after(begin_ms, self._begin, ref),
            clock.after(begin_ms + length_ms // 3, self._progress, ref, run, 1),
            clock.after(begin_ms + 2 * length_ms // 3, self._progress, ref, run, 2),
        ]
        end_ms = begin_ms + length_ms
        if 0.04 <= fate < 0.09:
            plan.append(clock.after(end_ms, self._give_back, ref))
        elif 0.09 <= fate < 0.14:
            failed = Outcome(
                state=TaskState.FAILED, error_code="program.syntax", error_message="line 1: no program"
            )
            plan.append(clock.after(end_ms, self._finish, ref, failed))
        else:
            done = Outcome(state=TaskState.COMPLETED, result=result_of(run, 3), device_s=length_ms / 1000)
            plan.append(clock.after(end_ms, self._finish, ref, done))
        self._runs[ref] = plan

    def _begin(self, ref: ClaimRef) -> None:
        if self.protocol is not None:
            self.protocol.started(ref)
            self._pump()

    def _progress(self, ref: ClaimRef, run: Run, part: int) -> None:
        if self.protocol is not None:
            self.protocol.progress(ref, result_of(run, part))
            self._pump()

    def _finish(self, ref: ClaimRef, outcome: Outcome) -> None:
        self._end(ref)
        if self.protocol is not None:
            self._do(self.protocol.finished(ref, outcome))

    def _give_back(self, ref: ClaimRef) -> None:
        self._end(ref)
        if self.protocol is not None:
            self._do(self.protocol.give_back(ref, "the driver is busy"))

    def _abort(self, ref: ClaimRef) -> None:
        """Kill the run's worker; now and then it is done before the signal comes."""
        if ref not in self._runs or self.world.rng.random() < 0.1:
            return
        self._end(ref)
        self.world.clock.after(self.world.rng.randrange(1, 900), self._aborted, self.process, ref)

    def _aborted(self, process: int, ref: ClaimRef) -> None:
        if process == self.process:
            self._finish(ref, Outcome(state=TaskState.CANCELLED))

    def _end(self, ref: ClaimRef) -> None:
        for appointment in self._runs.pop(ref, ()):
            appointment.call_off()


def result_of(run: Run, part: int) -> TaskResult:
    """Return the cumulative result of a run after `part` of its three parts; the third is final."""
    bit = Register(name="c", bits=(0,))
    shots = [item.shots * part // 3 for item in run.spec.items]
    items = []
    for item, done in zip(run.spec.items, shots, strict=True):
        ones = (done * (run.contract.seed % 7)) // 7
        keys, counts = pack_counts([(0, done - ones), (1, ones)], 1)
        binding = BindingCounts(shots=done, keys=keys, counts=counts)
        items.append(ItemResult(n_bits=1, registers=(bit,), bindings=(binding,) * item.bindings))
    return TaskResult(
        task_id=run.task_id,
        device=run.spec.device,
        items=tuple(items),
        shots=run.spec.total_shots,
        shots_done=sum(shots),
        revision=part,
        is_final=part == 3,
        seed=run.contract.seed,
        snapshot_id=run.contract.snapshot_id,
    )
