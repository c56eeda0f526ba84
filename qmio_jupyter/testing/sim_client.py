"""Clients of a simulated world: the real `ClientProtocol`, and a user who does what users do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qmio_jupyter.client.events import Answered, ClientEvent, Refused, TaskChanged
from qmio_jupyter.client.protocol import ClientProtocol
from qmio_jupyter.model.ids import KeyId, TaskId, Tenant, digest, mint
from qmio_jupyter.model.program import OCTETS
from qmio_jupyter.model.task import Item, TaskOptions, TaskSpec, TaskState
from qmio_jupyter.testing.clockwork import Appointment
from qmio_jupyter.wire.messages import (
    Message,
    Packet,
    ProgramMissing,
    ProgramPut,
    ProgramQuery,
    TaskAccepted,
    TaskCancel,
    TaskForget,
    TaskList,
    TaskResultData,
    TaskResultGet,
    TaskShow,
    TaskShown,
    TaskSubmit,
    TaskWatch,
)

if TYPE_CHECKING:
    from qmio_jupyter.testing.world import World

#: No request of a simulated user waits for ever, and none gives up while the faults last.
PATIENCE_S = 600.0


class SimClient:
    """One user's process after another, under one key."""

    def __init__(self, world: World, name: str, key: KeyId, tenant: Tenant) -> None:
        self.world = world
        self.name = name
        self.key = key
        self.tenant = tenant
        #: What a new process would find in its notebook: all that survives a crash.
        self.task_ids: list[TaskId] = []
        #: Tasks known to be in the ledger: their submission was answered, or a view was shown.
        self.accepted: dict[TaskId, None] = {}
        self.finals: dict[TaskId, TaskState] = {}
        self.process = 0
        #: What to do with a request's answer, by ticket.
        self._asked: dict[int, Message] = {}
        self._blobs: dict[int, list[tuple[str, bytes]]] = {}
        self._waiting: dict[int, tuple[TaskId, TaskSpec]] = {}
        self._timer: Appointment | None = None
        self.protocol = ClientProtocol(software="sim")

    @property
    def _now_s(self) -> float:
        return self.world.clock.now_s

    # ------------------------------------------------------------ link

    def link_up(self) -> None:
        """Greet: the link works."""
        self.protocol.link_up(self._now_s)
        self._pump()

    def link_down(self) -> None:
        """Hear that the link is gone."""
        self._hear(self.protocol.link_down(self._now_s))
        self._pump()

    def receive(self, packet: Packet) -> None:
        """Take a packet that has arrived."""
        self._hear(self.protocol.receive(packet, self._now_s))
        self._pump()

    def _pump(self) -> None:
        """Let the protocol do what is due, send what it has to say, and be back in time."""
        self._hear(self.protocol.tick(self._now_s))
        for packet in self.protocol.outgoing():
            self.world.network.send_up(self, packet)
        self._timer = self.world.clock.move(self._timer, self.protocol.next_deadline(), self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._pump()

    # ------------------------------------------------------------ what a user does

    def submit(self, device: str, snapshot: str | None) -> None:
        """Submit a new task, its program with it or uploaded before; a few insist on today's snapshot."""
        rng = self.world.rng
        program = f"program {rng.randrange(6)} of {self.tenant}".encode()
        spec = TaskSpec(
            device=device,
            items=(Item(program=digest(program), shots=rng.choice((1, 100, 1000))),),
            options=TaskOptions(
                seed=rng.randrange(1000) if rng.random() < 0.3 else None,
                snapshot=snapshot if rng.random() < 0.15 else None,
                max_attempts=rng.choice((1, 2, 5)) if rng.random() < 0.2 else None,
                pace="real" if len(self.task_ids) % 3 == 1 else "fast",
            ),
            label=f"{self.name}/{len(self.task_ids)}",
        )
        task_id = mint("t", self.world.clock.now_ms + 1_750_000_000_000, rng.randbytes(10))
        self.task_ids.append(task_id)
        if rng.random() < 0.7:
            deliver = len(self.task_ids) % 2 == 0
            self._ask(TaskSubmit(task_id=task_id, spec=spec, deliver=deliver), [(OCTETS, program)])
        else:
            ticket = self._ask(ProgramQuery(digests=(digest(program),)), [(OCTETS, program)], attach=False)
            self._waiting[ticket] = (task_id, spec)
        self._pump()

    def cancel(self) -> None:
        """Cancel one of the user's tasks, one that still waits or runs if there is any."""
        live = [task_id for task_id in self.accepted if task_id not in self.finals]
        if self.accepted:
            self._ask(TaskCancel(task_id=self.world.rng.choice(live or list(self.accepted))))
            self._pump()

    def look_around(self, foreign: TaskId | None) -> None:
        """Ask for one task, for a page, or for somebody else's task, which must look like none at all."""
        rng = self.world.rng
        match rng.randrange(4):
            case 0:
                self._ask(TaskList(limit=5))
            case 1 if foreign is not None:
                self._ask(rng.choice((TaskShow, TaskCancel, TaskWatch))(task_id=foreign))
            case 2 if self.finals and rng.random() < 0.3:
                self._ask(TaskForget(task_id=rng.choice(list(self.finals))))
            case _ if self.accepted:
                self._ask(TaskShow(task_id=rng.choice(list(self.accepted))))
            case _:
                pass
        self._pump()

    def crash(self) -> None:
        """Forget everything but the task ids; a new process attaches to them."""
        self.world.network.hang_up(self)
        if self._timer is not None:
            self._timer.call_off()
            self._timer = None
        self.process += 1
        self.protocol = ClientProtocol(software="sim")
        self._asked.clear()
        self._blobs.clear()
        self._waiting.clear()
        self.world.clock.after(self.world.rng.randrange(100, 3_000), self._restart)

    def _restart(self) -> None:
        self.world.network.dial(self)
        for task_id in self.task_ids:
            if task_id not in self.finals:
                self._ask(TaskWatch(task_id=task_id))

    def _ask(
        self, body: Message, blobs: list[tuple[str, bytes]] | None = None, *, attach: bool = True
    ) -> int:
        ticket = self.protocol.request(
            body, (blobs or []) if attach else [], deadline_s=PATIENCE_S, now_s=self._now_s
        )
        self._asked[ticket] = body
        if blobs:
            self._blobs[ticket] = blobs
        return ticket

    # ------------------------------------------------------------ what the user hears

    def _hear(self, events: list[ClientEvent]) -> None:
        for event in events:
            match event:
                case Answered(ticket=ticket, body=body):
                    self._answered(ticket, body)
                case Refused(ticket=ticket):
                    self._refused(event)
                case TaskChanged(view=view, result=result):
                    if view.task_id in self.task_ids:
                        self.accepted.setdefault(view.task_id)
                    self.world.judge.seen(self, view)
                    if result is not None:
                        self.world.judge.result_read(view.task_id, result)
                    if (
                        view.state.is_final
                        and view.task_id in self.accepted
                        and view.task_id not in self.finals
                    ):
                        self.finals[view.task_id] = view.state
                        self._ask(TaskResultGet(task_id=view.task_id))
                case _:
                    pass

    def _answered(self, ticket: int, body: Message) -> None:
        asked = self._asked.pop(ticket)
        blobs = self._blobs.pop(ticket, [])
        match asked:
            case TaskSubmit(task_id=task_id) if task_id in self.task_ids:
                assert isinstance(body, TaskAccepted | TaskShown)
                if body.view.state.is_final:
                    self.finals.setdefault(task_id, body.view.state)
                self.accepted.setdefault(task_id)
                self.world.judge.accepted(task_id)
            case ProgramQuery():
                assert isinstance(body, ProgramMissing)
                if body.digests:
                    put = self._ask(ProgramPut(), blobs)
                    self._waiting[put] = self._waiting.pop(ticket)
                else:
                    self._submit_waiting(ticket, blobs)
            case ProgramPut():
                self._submit_waiting(ticket, blobs)
            case TaskShow() | TaskWatch() | TaskCancel():
                assert isinstance(body, TaskShown)
                self.world.judge.answered(self, body.view)
                if body.view.task_id in self.task_ids:
                    self.accepted.setdefault(body.view.task_id)
                    if body.view.state.is_final:
                        self.finals.setdefault(body.view.task_id, body.view.state)
            case TaskResultGet(task_id=task_id):
                assert isinstance(body, TaskResultData)
                self.world.judge.result_read(task_id, body.result)
            case TaskForget(task_id=task_id):
                self._forget(task_id)
            case _:
                pass

    def _forget(self, task_id: TaskId) -> None:
        self.accepted.pop(task_id, None)
        self.finals.pop(task_id, None)
        if task_id in self.task_ids:
            self.task_ids.remove(task_id)
        self.protocol.unwatch(task_id)

    def _submit_waiting(self, ticket: int, blobs: list[tuple[str, bytes]]) -> None:
        task_id, spec = self._waiting.pop(ticket)
        submit = self._ask(TaskSubmit(task_id=task_id, spec=spec))
        self._blobs[submit] = blobs

    def _again(
        self,
        process: int,
        body: Message,
        blobs: list[tuple[str, bytes]],
        waiting: tuple[TaskId, TaskSpec] | None,
    ) -> None:
        if process == self.process:
            ticket = self._ask(body, blobs, attach=not isinstance(body, ProgramQuery))
            if waiting is not None:
                self._waiting[ticket] = waiting
            self._pump()

    def _refused(self, event: Refused) -> None:
        asked = self._asked.pop(event.ticket)
        blobs = self._blobs.pop(event.ticket, [])
        waiting = self._waiting.pop(event.ticket, None)
        code = event.error.code
        self.world.judge.refused(self, asked, event.error)
        if event.error.retryable and code != "task.not_finished":
            delay_ms = self.world.rng.randrange(100, 600)
            self.world.clock.after(delay_ms, self._again, self.process, asked, blobs, waiting)
        elif code == "program.missing" and isinstance(asked, TaskSubmit):
            self._ask(asked, blobs)
        elif isinstance(asked, TaskSubmit | TaskWatch):
            self._forget(asked.task_id)
