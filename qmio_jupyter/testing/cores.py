"""A core on a bench: users, agents and operators by name, a clock that is set, a ledger in memory.

Every step is committed to the ledger (its guards are on), followed by `invariants.Watch`, and the core is checked
by `invariants.check`; a fault raises at once. `restart` builds a new core from the ledger.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from qmio_jupyter.core import invariants
from qmio_jupyter.core.config import CoreConfig
from qmio_jupyter.core.core import Core
from qmio_jupyter.core.effects import AgentWelcomed, Dispatch, Effect, Refused, Step
from qmio_jupyter.core.inputs import (
    Announce,
    Cancel,
    EnrolKey,
    Finish,
    Held,
    Input,
    OpenSession,
    Origin,
    Progress,
    Request,
    Started,
    Submit,
    Tick,
)
from qmio_jupyter.core.records import TaskForgotten
from qmio_jupyter.model.access import Enrolment, Role
from qmio_jupyter.model.device import CostModel, DeviceDescription, DeviceState, Snapshot
from qmio_jupyter.model.ids import TaskId, digest, mint
from qmio_jupyter.model.program import QASM3, Program
from qmio_jupyter.model.result import Outcome, TaskResult
from qmio_jupyter.model.task import ClaimRef, Item, TaskOptions, TaskSpec, TaskState
from qmio_jupyter.store.memory import MemoryStore

#: When a bench starts, ms.
START_MS = 1_750_000_000_000

E = TypeVar("E", bound=Effect)


def program(text: str = "one") -> Program:
    """Return a program whose bytes are `text`."""
    return Program(digest=digest(text.encode()), media_type=QASM3, data=text.encode())


def snapshot(device: str, number: int = 1) -> Snapshot:
    """Return snapshot `number` of a device; a higher number is newer."""
    data = f'{{"device":"{device}","number":{number}}}'.encode()
    return Snapshot(snapshot_id=digest(data), device=device, taken_ms=START_MS + number, data=data)


def result(ref: ClaimRef, *, revision: int = 1, done: int = 100, is_final: bool = True) -> TaskResult:
    """Return a result of a claim, without items."""
    return TaskResult(
        task_id=ref.task_id,
        device="dev",
        items=(),
        shots=100,
        shots_done=done,
        revision=revision,
        is_final=is_final,
        seed=1,
        durations=(("compiled", 0.25), ("on_device", 0.5), ("measured", 0.125), ("other", 1.0)),
    )


class Bench:
    """A core with a clock and a ledger.

    Parameters
    ----------
    config : CoreConfig, optional
        Settings of the core.
    """

    def __init__(self, config: CoreConfig | None = None) -> None:
        self.config = CoreConfig() if config is None else config
        self.now_ms = START_MS
        self.ledger = MemoryStore()
        self.watch = invariants.Watch()
        #: Tasks the ledger was told to forget, by their users or by retention.
        self.forgotten: set[TaskId] = set()
        self.connections: dict[str, int] = {}
        self.sequences: dict[str, int] = {}
        self.numbers = 0
        self.core = self._new_core()

    def _new_core(self) -> Core:
        live = self.ledger.load_live()
        core = Core(self.config, live, live.epoch + 1, self.now_ms)
        self.commit(Step(core.start_records()))
        return core

    def restart(self, after_ms: int = 0) -> None:
        """Let the gateway die and live again, from what is in the ledger."""
        self.now_ms += after_ms
        self.connections.clear()
        self.core = self._new_core()
        self.check()

    def commit(self, step: Step) -> None:
        """Put a step's records into the ledger; raises if its guards or the watch object."""
        self.ledger.commit(step.records).result()
        self.forgotten.update(record.task_id for record in step.records if isinstance(record, TaskForgotten))
        faults = self.watch.see(step)
        assert not faults, faults

    def check(self) -> None:
        """Raise if the core is not sound."""
        faults = invariants.check(self.core)
        assert not faults, faults

    # ------------------------------------------------------------ giving inputs

    def do(self, message: Input, *, after_ms: int = 0) -> Step:
        """Give an input after some time; commit, watch and check."""
        self.now_ms += after_ms
        step = self.core.handle(message, self.now_ms)
        refused = [effect for effect in step.effects if isinstance(effect, Refused)]
        assert not refused or (not step.records and len(step.effects) == 1), "a refusal that did something"
        assert not refused or isinstance(message, Request)
        self.commit(step)
        self.check()
        return step

    def tick(self, after_ms: int = 0) -> Step:
        """Let time pass."""
        return self.do(Tick(), after_ms=after_ms)

    def tick_to_deadline(self) -> Step:
        """Let time pass until the core wants to be told so."""
        deadline = self.core.next_deadline()
        assert deadline is not None, "the core waits for nothing"
        return self.tick(max(0, deadline - self.now_ms))

    def origin(self, name: str) -> Origin:
        """Return where `name` (also the key) sends from; a new request number each time."""
        connection = self.connections.setdefault(name, len(self.connections) + 1)
        self.numbers += 1
        return Origin(connection, self.numbers, name)

    # ------------------------------------------------------------ people and agents

    def user(self, name: str, tenant: str | None = None, *, lease_s: float | None = None) -> Step:
        """Open a session for `name`, whose tenant is ``physics/NAME`` unless given."""
        return self.do(
            OpenSession(
                origin=self.origin(name),
                session_id=f"s-{name}-{self.numbers}",
                uid=1000,
                tenant=f"physics/{name}" if tenant is None else tenant,
                lease_s=lease_s,
            )
        )

    def enrol(self, key: str, device: str = "dev") -> Step:
        """Enrol a key as an agent's."""
        enrolment = Enrolment(key=key, role=Role.AGENT, device=device)
        return self.do(EnrolKey(origin=self.origin("operator"), enrolment=enrolment))

    def agent(
        self,
        name: str = "agent",
        *,
        device: str = "dev",
        credit: int = 1,
        incarnation: int = 1,
        holding: tuple[ClaimRef, ...] = (),
        state: DeviceState = DeviceState.IDLE,
        snapshot: Snapshot | None = None,
        description: DeviceDescription | None = None,
        **about: object,
    ) -> Step:
        """Enrol and announce an agent (again); `about` changes the device's description."""
        known = self.core.enrolment(name)
        if known is None or known.device != device:
            self.enrol(name, device)
        self.sequences[name] = self.sequences.get(name, 0) + 1
        made = DeviceDescription(
            name=device, title=device, n_qubits=5, driver="echo", cost=CostModel(t0_s=1.0), max_attempts=2
        )
        return self.do(
            Announce(
                origin=self.origin(name),
                agent=name,
                incarnation=incarnation,
                sequence=self.sequences[name],
                description=msgspec.structs.replace(made if description is None else description, **about),
                state=state,
                credit=credit,
                holding=holding,
                snapshot=snapshot,
            )
        )

    # ------------------------------------------------------------ tasks

    def task_id(self) -> TaskId:
        """Return a new task id."""
        self.numbers += 1
        return mint("t", self.now_ms, self.numbers.to_bytes(10, "big"))

    def submission(
        self,
        user: str,
        *,
        device: str = "dev",
        shots: int = 100,
        options: TaskOptions | None = None,
        text: str = "one",
        task_id: TaskId | None = None,
        attach: bool = True,
    ) -> Submit:
        """Return a request that submits a task of one item."""
        one = program(text)
        spec = TaskSpec(
            device=device,
            items=(Item(program=one.digest, shots=shots),),
            options=TaskOptions() if options is None else options,
        )
        return Submit(
            origin=self.origin(user),
            task_id=self.task_id() if task_id is None else task_id,
            spec=spec,
            spec_digest=digest(msgspec.msgpack.encode(spec)),
            programs=(one,) if attach else (),
        )

    def submit(self, user: str, *, shots: int = 100, options: TaskOptions | None = None) -> TaskId:
        """Submit a task of a user and return its id; raises if it was refused."""
        request = self.submission(user, shots=shots, options=options)
        step = self.do(request)
        assert not isinstance(step.effects[0], Refused), step.effects
        return request.task_id

    def cancel(self, user: str, task_id: TaskId) -> Step:
        """Cancel a task."""
        return self.do(Cancel(origin=self.origin(user), task_id=task_id))

    def ref(self, task_id: TaskId) -> ClaimRef:
        """Return the numbers of a live task's last claim."""
        return self.core.state.tasks[task_id].ref

    def held(self, ref: ClaimRef, agent: str = "agent") -> Step:
        """Let an agent acknowledge a dispatch."""
        return self.do(Held(origin=self.origin(agent), ref=ref))

    def started(self, ref: ClaimRef, agent: str = "agent") -> Step:
        """Let an agent start a claim."""
        return self.do(Started(origin=self.origin(agent), ref=ref))

    def progress(self, ref: ClaimRef, agent: str = "agent", *, revision: int = 1, done: int = 50) -> Step:
        """Let an agent send partial counts."""
        partial = result(ref, revision=revision, done=done, is_final=False)
        return self.do(Progress(origin=self.origin(agent), ref=ref, result=partial))

    def finish(
        self,
        ref: ClaimRef,
        agent: str = "agent",
        *,
        state: TaskState = TaskState.COMPLETED,
        device_s: float = 1.0,
    ) -> Step:
        """Let an agent end a claim."""
        outcome = Outcome(
            state=state,
            result=result(ref) if state is TaskState.COMPLETED else None,
            error_code="program" if state is TaskState.FAILED else "",
            error_message="it is wrong" if state is TaskState.FAILED else "",
            device_s=device_s,
        )
        return self.do(Finish(origin=self.origin(agent), ref=ref, outcome=outcome))

    def state_of(self, task_id: TaskId) -> TaskState:
        """Return the state of a task, as the ledger knows it."""
        task = self.ledger.task(task_id, None)
        assert task is not None
        return task.state


def only(step: Step, kind: type[E]) -> E:
    """Return the one effect of a kind in a step."""
    found = every(step, kind)
    assert len(found) == 1, f"{len(found)} of {kind.__name__} in {step.effects}"
    return found[0]


def every(step: Step, kind: type[E]) -> list[E]:
    """Return the effects of a kind in a step."""
    return [effect for effect in step.effects if isinstance(effect, kind)]


def code(step: Step) -> str:
    """Return the code of a step that is a refusal and nothing else."""
    assert len(step.effects) == 1
    assert not step.records
    refused = step.effects[0]
    assert isinstance(refused, Refused)
    return refused.error.code


def dispatched(step: Step) -> list[TaskId]:
    """Return the tasks that a step dispatches, in order."""
    return [effect.ref.task_id for effect in step.effects if isinstance(effect, Dispatch)]


def aborts(step: Step) -> tuple[ClaimRef, ...]:
    """Return the claims that an announcing agent is told to drop."""
    return only(step, AgentWelcomed).abort
