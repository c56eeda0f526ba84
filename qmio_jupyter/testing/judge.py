"""The judge of a simulated world: looks at every step, commit, packet and run, and believes nobody's memory.

The ledger's own rules (guards, final tasks, claims' numbers, contracts) are in `testing.disk`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from qmio_jupyter.core import invariants
from qmio_jupyter.core.effects import Accepted, Publish, Step, TaskShown
from qmio_jupyter.core.inputs import Announce, Held, Input, Progress, Renew, Started, Tick
from qmio_jupyter.core.records import Record, ResultStored, TaskInserted, TaskUpdated
from qmio_jupyter.errors import QmioError
from qmio_jupyter.model.ids import TaskId
from qmio_jupyter.model.result import TaskResult
from qmio_jupyter.model.task import ClaimRef, TaskState, TaskView
from qmio_jupyter.ports import Run
from qmio_jupyter.testing.checks import Violation
from qmio_jupyter.wire import messages as m

if TYPE_CHECKING:
    from qmio_jupyter.testing.sim_agent import SimAgent
    from qmio_jupyter.testing.sim_client import SimClient
    from qmio_jupyter.testing.sim_gateway import WatchedCore
    from qmio_jupyter.testing.world import World

#: Counting all ended tasks is done once in this many steps: it costs as much as everything else.
_THOROUGH = 10
_LIVE_CLAIM = (TaskState.CLAIMED, TaskState.RUNNING, TaskState.CANCELLING)
#: What a user of a healthy gateway may be refused with; anything else is a defect. Reading a result may be
#: refused with the task's own error, whatever that is.
_HONEST_REFUSALS = (
    "auth.session",
    "device.snapshot",
    "device.unknown",
    "gateway",
    "limit.queue",
    "program.missing",
    "store",
    "task.not_finished",
    "task.unknown",
)


#: Tables of a disk by name.
Image = dict[str, dict[Any, Any]]


class Judge:
    """Raises `Violation` where something has happened that must never happen."""

    def __init__(self, world: World) -> None:
        self.world = world
        #: Which process of which agent ran a claim.
        self.runs: dict[ClaimRef, tuple[str, int]] = {}
        #: What a process of a client has seen of a task: highest revision, and its state.
        self._seen: dict[tuple[str, int, TaskId], tuple[int, TaskState]] = {}
        #: Position last told of a task by reply or event, and by which epoch.
        self._told: dict[TaskId, tuple[int, int]] = {}
        self.acknowledged: dict[TaskId, None] = {}

    # ------------------------------------------------------------ the core and the ledger

    def stepped(self, core: WatchedCore, given: Input, step: Step) -> None:
        """Check leases, positions told, and the core's own invariants after a step."""
        coverage = self.world.coverage
        coverage.counts["inputs"] += 1
        coverage.inputs[type(given).__name__] += 1
        self._leases(core, given, step)
        for effect in step.effects:
            if isinstance(effect, Accepted | Publish | TaskShown):
                self._told_position(core.epoch, effect.view)
        broken = invariants.check(core, thorough=coverage.counts["inputs"] % _THOROUGH == 0)
        if broken:
            raise Violation("invariant", f"after {type(given).__name__}: {'; '.join(broken)}")

    def _leases(self, core: WatchedCore, given: Input, step: Step) -> None:
        """Check that a lease runs out when its agent has been silent for its length, neither before nor after."""
        now_ms = core.state.now_ms
        lease_ms = round(core.state.config.lease_s * 1000)
        for record in step.records:
            if isinstance(record, TaskUpdated) and record.cause == "the lease ran out":
                ref = record.task.ref
                silent_ms = now_ms - max(core.heard_ms.get(ref, 0), core.born_ms)
                if silent_ms < lease_ms:
                    raise Violation("lease", f"{ref} lapsed, its agent spoke {silent_ms} ms ago")
        if isinstance(given, Held | Started | Progress):
            core.heard_ms[given.ref] = now_ms
        elif isinstance(given, Renew):
            core.heard_ms.update(dict.fromkeys(given.refs, now_ms))
        elif isinstance(given, Announce):
            # One that was overtaken by a later announcement, or doubled on its way, says nothing any more.
            device = core.state.devices.get(given.description.name)
            known = None if device is None else device.agents.get(given.agent)
            numbers = (given.agent, given.incarnation, given.sequence)
            is_new = known is not None and (known.name, known.incarnation, known.sequence) == numbers
            if is_new and numbers not in core.announced:
                core.announced.add(numbers)
                core.heard_ms.update(dict.fromkeys(given.holding, now_ms))
        elif isinstance(given, Tick):
            late = [claim.ref for claim in core.state.claims.values() if claim.lease_until_ms <= now_ms]
            if late:
                raise Violation("lease", f"{late} should have lapsed")

    def _told_position(self, epoch: int, view: TaskView) -> None:
        """Check that a position gets worse only with a word on why."""
        if view.position is None:
            if view.state is not TaskState.QUEUED:
                self._told.pop(view.task_id, None)
            return
        before = self._told.get(view.task_id)
        if before is not None and before[0] == epoch and view.position > before[1] and not view.cause:
            raise Violation(
                "position", f"{view.task_id} goes from {before[1]} to {view.position}, and no cause is named"
            )
        self._told[view.task_id] = (epoch, view.position)

    def committed(self, records: Sequence[Record]) -> None:
        """Look at a transaction that is on disk."""
        coverage = self.world.coverage
        coverage.counts["commits"] += 1
        disk = self.world.disk
        for record in records:
            self.world.note_record(record)
            if isinstance(record, TaskUpdated):
                if record.task.state is not record.expect_state:
                    coverage.edges[record.expect_state, record.task.state] += 1
                if record.task.state.is_final:
                    self._ended(record)
                # One whose dispatch outran this commit may be running already: only at its own agent.
                ran = self.runs.get(record.task.ref)
                if ran is not None and ran[0] != record.task.agent:
                    raise Violation("claim", f"{ran} ran {record.task.ref}, which is {record.task.agent}'s")
            elif isinstance(record, TaskInserted):
                coverage.counts["tasks"] += 1
            elif isinstance(record, ResultStored) and record.result.is_final:
                task = disk.task(record.task_id, None)
                if task is not None and task.state is not TaskState.COMPLETED:
                    raise Violation("result", f"{record.task_id} is {task.state} and has a final result")

    def _ended(self, record: TaskUpdated) -> None:
        task = record.task
        stored = self.world.disk.final_results.get(task.task_id)
        if (task.state is TaskState.COMPLETED) != (stored is not None):
            raise Violation(
                "result", f"{task.task_id} is {task.state}, its result {'is' if stored else 'is not'} stored"
            )
        if stored is not None and (stored.epoch, stored.attempt) != (task.epoch, task.attempt):
            raise Violation("result", f"{task.task_id}: the result's claim is not the task's")
        if task.state is TaskState.FAILED and task.error is None:
            raise Violation("result", f"{task.task_id} failed without saying why")

    def rolled_back(self, before: Image, after: Image) -> None:
        """Check that a torn transaction left nothing behind."""
        if before != after:
            raise Violation("torn", "half a transaction is on disk")

    # ------------------------------------------------------------ what leaves the gateway

    def leaving(self, number: int, packet: m.Packet) -> None:  # noqa: ARG002
        """Check that whatever a packet tells is on disk."""
        disk = self.world.disk
        body = packet.envelope.body
        match body:
            case m.TaskEvent(view=view) | m.TaskAccepted(view=view) | m.TaskShown(view=view):
                self._on_disk(view)
                ahead = view.ahead
                if ahead is not None and ahead.own + ahead.account + ahead.others != view.position:
                    raise Violation("ahead", f"{view.task_id} is at {view.position}, but told of {ahead}")
                if isinstance(body, m.TaskEvent) and body.result is not None:
                    self._result_leaves(body.result)
            case m.TaskPage(views=views):
                for view in views:
                    self._on_disk(view)
            case m.ClaimDispatch():
                self._dispatch_leaves(body)
            case m.ClaimRecorded(ref=ref):
                task = disk.task(ref.task_id, None)
                if task is not None and task.ref == ref and task.state in _LIVE_CLAIM:
                    raise Violation("commit first", f"{ref} is said to be recorded, but it is {task.state}")
            case m.TaskPartial(result=result):
                self._partial_leaves(result)
            case m.Welcome(session=session) if (
                session is not None and session.session_id not in disk.sessions
            ):
                raise Violation("commit first", f"session {session.session_id} is shown, but not on disk")
            case m.BookingList(bookings=found) if any(b.booking_id not in disk.bookings for b in found):
                raise Violation("commit first", "a booking is shown, but not on disk")
            case m.AgentWelcome(epoch=n) | m.Pong(epoch=n) | m.Restarted(epoch=n) if n > disk.meta["epoch"]:
                raise Violation("commit first", f"epoch {n} is told, but not on disk")
            case _:
                pass

    def _dispatch_leaves(self, body: m.ClaimDispatch) -> None:
        disk = self.world.disk
        ref = body.ref
        if (ref.task_id, ref.epoch, ref.attempt) not in disk.claims and not self._outruns(body.spec.device):
            raise Violation("commit first", f"{ref} is dispatched, but not on disk")
        task = disk.task(ref.task_id, None)
        if task is not None and task.ref == ref and task.contract != body.contract:
            raise Violation("contract", f"{ref} is dispatched with another contract")

    def _outruns(self, device: str) -> bool:
        """Return whether a dispatch to a device may leave before its commit, in this world."""
        return self.world.outruns and any(
            d.name == device and d.description.repeatable for d in self.world.devices
        )

    def _on_disk(self, view: TaskView) -> None:
        state = self.world.disk.history.get((view.task_id, view.revision))
        if state is not view.state:
            raise Violation(
                "commit first",
                f"{view.task_id} is shown {view.state} at revision {view.revision}, on disk it is {state}",
            )

    def _result_leaves(self, result: TaskResult) -> None:
        stored = self.world.disk.final_results.get(result.task_id)
        if stored is None and result.task_id in self.world.disk.tasks_by_id:
            raise Violation("commit first", f"the result of {result.task_id} is delivered, but not on disk")

    def _partial_leaves(self, result: TaskResult) -> None:
        disk = self.world.disk
        stored = disk.partial_results.get(result.task_id)
        is_stored = stored is not None and stored.result.revision >= result.revision
        if not is_stored and result.task_id not in disk.final_results and result.task_id in disk.tasks_by_id:
            raise Violation("commit first", f"partial counts of {result.task_id} are shown, but not on disk")

    # ------------------------------------------------------------ what clients see

    def accepted(self, task_id: TaskId) -> None:
        """Note that a user was told that her task is in the ledger: it must never be lost from there."""
        disk = self.world.disk
        if task_id not in disk.tasks_by_id and task_id not in disk.forgotten:
            raise Violation("lost", f"{task_id} was accepted and is not on disk")
        self.acknowledged[task_id] = None

    def seen(self, client: SimClient, view: TaskView) -> None:
        """Check that what a user sees of a task never goes back."""
        self.answered(client, view)
        key = (client.name, client.process, view.task_id)
        revision, state = self._seen.get(key, (0, view.state))
        if view.revision < revision:
            raise Violation("revision", f"{client.name} sees {view.task_id} go back to {view.revision}")
        if state.is_final and view.state is not state:
            raise Violation("final", f"{client.name} saw {view.task_id} {state}, then {view.state}")
        self._seen[key] = (view.revision, view.state)

    def answered(self, client: SimClient, view: TaskView) -> None:
        """Check a view that reached a user, by event or reply."""
        self._on_disk(view)
        if view.tenant != client.tenant:
            raise Violation("tenant", f"{client.name} sees {view.task_id} of {view.tenant}")

    def result_read(self, task_id: TaskId, result: TaskResult) -> None:
        """Check a result that reached a user against the only one recorded."""
        stored = self.world.disk.final_results.get(task_id)
        if stored is not None and stored.result != result:
            raise Violation("result", f"{task_id} gave its user another result than the recorded one")

    def refused(self, client: SimClient, asked: m.Message, error: QmioError) -> None:
        """Check that a refusal is one that a healthy gateway may give."""
        if isinstance(asked, m.TaskResultGet):
            return
        if isinstance(asked, m.TaskForget) and error.code.startswith("task"):
            return
        if client is self.world.operator and error.code.startswith(("booking", "device.booked")):
            return
        if not error.code.startswith(_HONEST_REFUSALS):
            raise Violation("refusal", f"{client.name}: {type(asked).__name__} got {error.one_line()}")

    # ------------------------------------------------------------ what agents do

    def run_started(self, agent: SimAgent, run: Run, ref: ClaimRef) -> None:
        """Check that a claim is on disk, is this agent's, and runs nowhere else."""
        self.world.coverage.counts["runs"] += 1
        disk = self.world.disk
        owner = disk.claims.get((ref.task_id, ref.epoch, ref.attempt))
        if owner != agent.name and not (owner is None and self._outruns(run.spec.device)):
            raise Violation("claim", f"{agent.name} runs {ref}, which is {owner}'s")
        before = self.runs.get(ref)
        if before is not None:
            raise Violation("claim", f"{agent.name}/{agent.process} runs {ref}, which {before} has run")
        self.runs[ref] = (agent.name, agent.process)
        if run.contract.snapshot_id != (None if run.snapshot is None else run.snapshot.snapshot_id):
            raise Violation("contract", f"{agent.name} runs {ref} with another snapshot than the bound one")
        if set(run.programs) != set(run.contract.programs):
            raise Violation("contract", f"{agent.name} runs {ref} without all of its programs")

    def agent_stepped(self, agent: SimAgent) -> None:
        """Check that an agent runs no more than its credit."""
        protocol = agent.protocol
        if protocol is not None and len(protocol.running) > agent.credit:
            raise Violation(
                "credit", f"{agent.name} runs {len(protocol.running)}, its credit is {agent.credit}"
            )

    # ------------------------------------------------------------ at the end

    def unfinished(self, clients: Iterable[SimClient], agents: Iterable[SimAgent]) -> list[str]:
        """Return what has not come to its end: nothing, once faults have stopped for long enough."""
        disk = self.world.disk
        left = [f"{t.task_id} is {t.state}" for t in disk.tasks_by_id.values() if not t.state.is_final]
        if left:
            return left
        left += [
            f"{client.name} has not seen the end of {task_id}"
            for client in clients
            for task_id in client.accepted
            if task_id not in client.finals
        ]
        left += [f"{client.name} still asks" for client in clients if client.protocol.busy]
        left += [
            f"{agent.name} still holds {agent.protocol.holding}"
            for agent in agents
            if agent.protocol is not None and not agent.protocol.is_quiet
        ]
        return left

    def final_count(self) -> None:
        """Check at the end that nothing acknowledged is gone and that all clients agree with the ledger."""
        disk = self.world.disk
        for task_id in self.acknowledged:
            if task_id not in disk.tasks_by_id and task_id not in disk.forgotten:
                raise Violation("lost", f"{task_id} was accepted and is gone")
        for client in self.world.clients:
            for task_id, state in client.finals.items():
                task = disk.task(task_id, None)
                if task is not None and task.state is not state:
                    raise Violation(
                        "final", f"{client.name} saw {task_id} {state}, on disk it is {task.state}"
                    )
