"""What must hold after every step. `check` looks at everything; tests and the simulator call it after each input.

That a final task never changes, and that no result is recorded twice, is a statement about histories: use `Watch`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from qmio_jupyter.core import claim, forecast, life, queue
from qmio_jupyter.core.core import Core
from qmio_jupyter.core.effects import Step
from qmio_jupyter.core.records import (
    ForgottenIdDropped,
    ForgottenIdSaved,
    ResultStored,
    TaskForgotten,
    TaskInserted,
    TaskUpdated,
)
from qmio_jupyter.core.state import Device, State
from qmio_jupyter.core.task import EDGES
from qmio_jupyter.model.ids import TaskId
from qmio_jupyter.model.task import Task, TaskState


def check(core: Core, *, thorough: bool = True) -> list[str]:
    """Return what is wrong with a core, in words; empty if it is sound.

    Parameters
    ----------
    thorough : bool
        Also count anew what is kept incrementally (usage, references, live tasks, budgets) and run the
        policy forward; False looks at live tasks, claims and who may start only, ten times faster.
    """
    state = core.state
    faults = [*_tasks(state), *_claims(state)]
    if thorough:
        faults += [*_counts(state), *_access(state), *_ended(state)]
    if faults:
        # Only of a core whose containers agree may the policies be asked.
        return faults
    deadline_ms = core.next_deadline()
    is_tick_due = deadline_ms is not None and deadline_ms <= state.now_ms
    for device in state.devices.values():
        faults += _device(device)
        # What only the passing of time allows (a pause, a booking ends) is decided by the tick that is due.
        if not is_tick_due:
            faults += _idle(state, device)
        if thorough:
            faults += [*_queue(state, device), *_usage(device)]
    return faults


def _tasks(state: State) -> list[str]:
    # Called after every step of every simulated world: kept to what must be looked at in each live task.
    faults: list[str] = []
    devices, claims, live_claim, is_queued = state.devices, state.claims, life.LIVE_CLAIM, TaskState.QUEUED
    queued = 0
    for task_id, task in state.tasks.items():
        now_in = task.state
        name = task.spec.device
        device = devices.get(name)
        if device is None:
            faults.append(f"{task_id} is for an unknown device")
        elif now_in is is_queued:
            queued += 1
            if task_id not in device.entries or task_id in claims:
                faults.append(f"{task_id} is queued, entry: {task_id in device.entries}")
        elif now_in in live_claim:
            held = claims.get(task_id)
            if held is None or task_id in device.entries:
                faults.append(f"{task_id} is {now_in}, claim: {held is not None}")
            elif held.agent != task.agent or held.device != name or held.ref != task.ref:
                faults.append(f"claim of {task_id} disagrees with its task")
            if task.contract is None or task.attempt < 1:
                faults.append(f"{task_id} is {now_in} without contract or attempt")
        else:
            faults.append(f"{task_id} is {now_in} and still live")
    if not state.ended.keys().isdisjoint(state.tasks):
        faults.append("a task is both live and ended")
    if queued != sum([len(device.entries) for device in devices.values()]):
        faults.append("tasks that do not wait are in a queue")
    if state.arrivals.keys() != state.tasks.keys():
        faults.append("arrival numbers and live tasks disagree")
    return faults


def _claims(state: State) -> Iterator[str]:
    if not state.claims.keys() <= state.tasks.keys():
        yield "there is a claim of a task that is not live"
    listed = 0
    for device in state.devices.values():
        for held in device.claims.values():
            listed += len(held)
            if not held <= state.claims.keys():
                yield f"{device.name}: an agent's list names a task that nobody has claimed"
    if listed != len(state.claims):
        yield "agents' lists and claims disagree: a task is claimed twice, or not at all"


def _device(device: Device) -> Iterator[str]:
    for text in device.unexplained:
        yield f"{device.name}: position got worse without a cause: {text}"
    for agent in device.agents.values():
        held = len(device.claims.get(agent.name, ()))
        if held > max(agent.credit, agent.held_before):
            yield f"{device.name}: agent {agent.name} holds {held}, its credit is {agent.credit}"
    if not device.shown.keys() <= device.entries.keys():
        yield f"{device.name}: positions are remembered of tasks that do not wait"
    if len(device.ready) != len(device.entries):
        yield f"{device.name}: queue and entries disagree"


def _idle(state: State, device: Device) -> Iterator[str]:
    if device.entries and claim.choose_agent(device, state.now_ms) is not None:
        calendar = forecast.calendar(state, device)
        gate = None if calendar is None else calendar.gate(state.now_ms, device.ready)
        if queue.pick(device.ready, gate) is not None:
            yield f"{device.name}: idle, though a task may start"


def _queue(state: State, device: Device) -> Iterator[str]:
    if sorted(device.ready) != sorted(device.entries.values()):
        yield f"{device.name}: queue and entries differ"
    placed = queue.positions(forecast.places(state, device))
    if sorted(placed.values()) != list(range(len(device.entries))) or placed.keys() != device.entries.keys():
        yield f"{device.name}: positions are not 0..{len(device.entries) - 1}, one each"


def _usage(device: Device) -> Iterator[str]:
    usage = device.ready.usage
    charged: dict[str, float] = dict(usage.settled)
    for charge in usage.charges.values():
        for node in (charge.account, charge.user):
            charged[node] = charged.get(node, 0.0) + charge.amount
    claimed = {task_id for held in device.claims.values() for task_id in held}
    if set(usage.charges) != claimed:
        yield f"{device.name}: charges and claims disagree"
    for node in charged.keys() | usage.inflated.keys():
        have, want = usage.inflated.get(node, 0.0), charged.get(node, 0.0)
        if have < 0 or want < -1e-6 * max(1.0, have) or abs(have - want) > 1e-6 * max(1.0, have):
            yield f"{device.name}: usage of {node} is {have}, charged were {want}"


def _counts(state: State) -> Iterator[str]:
    tasks: Iterable[Task] = state.tasks.values()
    for task in tasks:
        if task.shots_done > task.spec.total_shots:
            yield f"{task.task_id} has done more shots than asked for"
    if Counter(task.owner.session_id for task in tasks) != state.live_by_session:
        yield "live tasks by session are miscounted"
    if Counter(task.owner.tenant for task in tasks) != state.live_by_tenant:
        yield "live tasks by tenant are miscounted"
    sizes: Counter[str] = Counter()
    for task in tasks:
        sizes[task.owner.tenant] += life.spec_bytes(task.spec)
    if sizes != state.live_bytes:
        yield "bytes of live specs are miscounted"
    for device in state.devices.values():
        own = Counter(task.owner.tenant for task in tasks if task.spec.device == device.name)
        if own != device.live:
            yield f"{device.name}: live tasks by tenant are miscounted"


def _access(state: State) -> Iterator[str]:
    for key, session_id in state.session_by_key.items():
        session = state.sessions.get(session_id)
        if session is None or session.key != key or not session.is_open:
            yield f"session {session_id} is listed as open, and is not"
    for session in state.sessions.values():
        if session.is_open and state.session_by_key.get(session.key) != session.session_id:
            yield f"session {session.session_id} is open and not listed"
        grant = None if session.grant_id is None else state.grants.get(session.grant_id)
        if grant is None or not session.is_open:
            continue
        if (
            grant.uid != session.uid
            or _user(grant.tenant) != _user(session.tenant)
            or grant.revoked_ms is not None
        ):
            yield f"session {session.session_id} is open on a grant that does not allow it"
    if any(secret.name != name for name, secret in state.job_secrets.items()):
        yield "a job's secret is kept under another one's name"
    handed = [secret.handed_ms for secret in state.job_secrets.values()]
    if handed != sorted(handed) or len(handed) > state.config.job_secrets:
        yield "secrets of jobs are out of order, or too many"
    reserved: dict[str, float] = {}
    for task in state.tasks.values():
        owner = state.sessions.get(task.owner.session_id)
        if owner is not None and owner.grant_id is not None:
            reserved[owner.grant_id] = reserved.get(owner.grant_id, 0.0) + task.predicted_s
    for grant_id in reserved.keys() | state.reserved_s.keys():
        have, want = state.reserved_s.get(grant_id, 0.0), reserved.get(grant_id, 0.0)
        if abs(have - want) > 1e-6 * max(1.0, want):
            yield f"grant {grant_id}: {have} s are reserved, live tasks are predicted {want} s"


def _ended(state: State) -> Iterator[str]:
    if not state.forgotten.keys().isdisjoint([*state.tasks, *state.ended]):
        yield "a task is there though it was forgotten"
    for task_id, ended in state.ended.items():
        if not ended.state.is_final:
            yield f"{task_id} ended as {ended.state}"
    wanted: dict[tuple[str, str], int] = {}
    referring = [(task.owner.tenant, life.programs_of(task)) for task in state.tasks.values()]
    referring += [(ended.tenant, ended.programs) for ended in state.ended.values()]
    for tenant, digests in referring:
        for digest in digests:
            wanted[tenant, digest] = wanted.get((tenant, digest), 0) + 1
    if wanted != state.references:
        yield "references to programs are miscounted"
    if set(state.unused) != set(state.programs) - set(wanted):
        yield "unused programs and references disagree"
    for tenant in {tenant for tenant, _ in state.programs}:
        size = sum(program.size for program in state.programs.values() if program.tenant == tenant)
        if size != state.program_bytes[tenant]:
            yield f"bytes of programs of {tenant} are miscounted"


class Watch:
    """Follows the records of a ledger (through restarts, too) and says what no history may hold."""

    def __init__(self) -> None:
        self.tasks: dict[TaskId, Task] = {}
        self.results: Counter[TaskId] = Counter()
        self.edges: Counter[tuple[TaskState, TaskState]] = Counter()
        #: Ids of forgotten tasks that are still taken.
        self.forgotten: set[TaskId] = set()

    def see(self, step: Step) -> list[str]:
        """Take in a committed step; return what is wrong with it."""
        faults: list[str] = []
        for record in step.records:
            match record:
                case TaskInserted(task=task):
                    if task.task_id in self.tasks:
                        faults.append(f"{task.task_id} inserted twice")
                    if task.task_id in self.forgotten:
                        faults.append(f"{task.task_id} inserted though it was forgotten")
                    self.tasks[task.task_id] = task
                case TaskUpdated():
                    faults.extend(self._update(record))
                case TaskForgotten(task_id=task_id):
                    self.tasks.pop(task_id, None)
                    self.results.pop(task_id, None)
                case ForgottenIdSaved(forgotten=forgotten):
                    self.forgotten.add(forgotten.task_id)
                case ForgottenIdDropped(task_id=task_id):
                    self.forgotten.discard(task_id)
                case ResultStored(task_id=task_id, result=result) if result.is_final:
                    self.results[task_id] += 1
                    known = self.tasks.get(task_id)
                    if self.results[task_id] > 1:
                        faults.append(f"{task_id} has two final results")
                    if known is None or (known.epoch, known.attempt) != (record.epoch, record.attempt):
                        faults.append(f"{task_id}: a result of a claim that is not its last")
                case _:
                    pass
        return faults

    def _update(self, record: TaskUpdated) -> Iterator[str]:
        new, old = record.task, self.tasks.get(record.task.task_id)
        if old is None:
            yield f"{new.task_id} updated before it was inserted"
            return
        self.tasks[new.task_id] = new
        if old.state.is_final:
            yield f"{new.task_id} changed after it was {old.state}"
        found = (old.state, old.revision, old.epoch, old.attempt)
        if found != (record.expect_state, record.expect_revision, record.expect_epoch, record.expect_attempt):
            yield f"{new.task_id}: the record expects what is not there"
        if new.revision != old.revision + 1:
            yield f"{new.task_id}: revision {old.revision} -> {new.revision}"
        if new.attempt not in (old.attempt, old.attempt + 1) or new.epoch < old.epoch:
            yield f"{new.task_id}: attempt {old.attempt} -> {new.attempt}, epoch {old.epoch} -> {new.epoch}"
        if old.state is not new.state:
            self.edges[old.state, new.state] += 1
            if (old.state, new.state) not in EDGES:
                yield f"{new.task_id}: {old.state} -> {new.state} is no edge"


def _user(tenant: str) -> str:
    return tenant.partition("/")[2]
