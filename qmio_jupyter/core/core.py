"""The core, put together: ``handle(input, now_ms) -> Step`` is the only way anything changes.

A handler checks first and refuses by raising, then changes the state and drafts records and effects. After it,
devices it touched give out work; then replies and events are made, so that they show the state after the step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from qmio_jupyter.core import (
    agents,
    booking,
    claim,
    forecast,
    grant,
    job_secrets,
    loading,
    programs,
    queue,
    reports,
    requests,
    session,
    view,
)
from qmio_jupyter.core import inputs as i
from qmio_jupyter.core.config import CoreConfig
from qmio_jupyter.core.effects import Acknowledged, CloseConnections, Publish, Refused, Step
from qmio_jupyter.core.records import EnrolmentDropped, EnrolmentSaved, LiveState, Record
from qmio_jupyter.core.refusal import info_of
from qmio_jupyter.core.state import Device, Draft, State
from qmio_jupyter.core.timers import Kind
from qmio_jupyter.errors import QmioError
from qmio_jupyter.model.access import Booking, Enrolment, Role, Session
from qmio_jupyter.model.allocation import JobRun, JobSecret
from qmio_jupyter.model.device import DeviceState, DeviceView
from qmio_jupyter.model.ids import DeviceName, KeyId, TaskId, Tenant, check_name
from qmio_jupyter.model.program import Program
from qmio_jupyter.model.task import ClaimRef, Task, TaskSpec, TaskView

Handler = Callable[[State, Any, Draft], None]


def _tick(state: State, _: i.Tick, draft: Draft) -> None:
    publish: list[Device] = []
    for kind, name in state.timers.due(state.now_ms):
        if not is_alive(state, kind, name):
            continue
        if kind == "publish":
            publish.append(state.devices[name])
        else:
            _DUE[kind](state, name, draft)
    _give_out(state, draft)
    for device in publish:
        forecast.publish(state, device, draft)


def _give_out(state: State, draft: Draft) -> None:
    while draft.devices:
        name = next(iter(draft.devices))
        del draft.devices[name]
        claim.dispatch(state, state.devices[name], draft)


def _wake(state: State, name: str, draft: Draft) -> None:
    draft.devices[name] = None
    forecast.changed(state, state.devices[name])


#: What is done when a deadline comes due, by its kind.
_DUE: dict[Kind, Callable[[State, str, Draft], None]] = {
    "lease": lambda state, name, draft: claim.lease_due(state, state.claims[name], draft),
    "redispatch": lambda state, name, draft: claim.redispatch_due(state, state.claims[name], draft),
    "session": session.due,
    "grant": lambda state, name, _: grant.due(state, name),
    "secrets": lambda state, _, draft: job_secrets.drop_old(state, draft),
    "booking": booking.due,
    "device": _wake,
    "programs": lambda state, _, draft: programs.drop_unused(state, draft),
    "retention": lambda state, _, draft: requests.drop_old(state, draft),
}


def is_alive(state: State, kind: Kind, name: str) -> bool:
    """Return whether a deadline still has a subject."""
    match kind:
        case "lease":
            return name in state.claims
        case "redispatch":
            return claim.awaits_answer(state, name)
        case "session":
            found = state.sessions.get(name)
            return found is not None and found.is_open and found.expires_ms is not None
        case "grant":
            return name in state.grants
        case "secrets":
            return bool(state.job_secrets)
        case "booking":
            return name in state.bookings
        case "device":
            return bool(state.devices[name].entries)
        case "publish":
            return bool(state.devices[name].entries)
        case "programs":
            return bool(state.unused)
        case "retention":
            return bool(state.ended or state.forgotten)


def _revoke_grant(state: State, request: i.RevokeGrant, draft: Draft) -> None:
    grant.revoke(state, request, draft)
    session.close_of_grant(state, request.grant_id, draft)
    draft.reply = Acknowledged(origin=request.origin)


def _end_allocation(state: State, request: i.EndAllocation, draft: Draft) -> None:
    job_secrets.forget(state, request, draft)
    session.end_allocation(state, request, draft)
    draft.reply = Acknowledged(origin=request.origin)


def _enrol_key(state: State, request: i.EnrolKey, draft: Draft) -> None:
    enrolment = request.enrolment
    if enrolment.device is not None:
        check_name(enrolment.device, "device")
    before = state.enrolments.get(enrolment.key)
    if before != enrolment:
        state.enrolments[enrolment.key] = enrolment
        draft.records.append(EnrolmentSaved(enrolment=enrolment))
        agents.revoke(state, enrolment.key, draft)
        agents.expect(state, enrolment, draft)
    if before is not None and _person(before) != _person(enrolment):
        # Session and watches were given to whoever this key was before.
        draft.effects.append(CloseConnections(key=enrolment.key))
        _close_session_of(state, enrolment.key, draft, "its key was enrolled anew")
    draft.reply = Acknowledged(origin=request.origin)


def _person(enrolment: Enrolment) -> tuple[Role, int | None, Tenant | None]:
    return enrolment.role, enrolment.uid, enrolment.tenant


def _close_session_of(state: State, key: KeyId, draft: Draft, cause: str) -> None:
    session_id = state.session_by_key.get(key)
    if session_id is not None:
        session.close(state, session_id, draft, cause)


def _revoke_key(state: State, request: i.RevokeKey, draft: Draft) -> None:
    key = request.key
    if state.enrolments.pop(key, None) is not None:
        draft.records.append(EnrolmentDropped(key=key))
        agents.revoke(state, key, draft)
        draft.effects.append(CloseConnections(key=key))
    _close_session_of(state, key, draft, "its key was revoked")
    draft.reply = Acknowledged(origin=request.origin)


_HANDLERS: dict[type[Any], Handler] = {
    i.Tick: _tick,
    i.OpenSession: session.open_session,
    i.CloseSession: session.close_session,
    i.EndJobSessions: session.end_job,
    i.HandSecret: job_secrets.hand,
    i.EndAllocation: _end_allocation,
    i.CreateGrant: grant.create,
    i.BindGrant: grant.bind,
    i.RevokeGrant: _revoke_grant,
    i.CreateBooking: booking.create,
    i.CancelBooking: booking.cancel,
    i.EnrolKey: _enrol_key,
    i.RevokeKey: _revoke_key,
    i.QueryPrograms: programs.query,
    i.PutPrograms: programs.put,
    i.Submit: requests.submit,
    i.Cancel: requests.cancel,
    i.Forget: requests.forget,
    i.Announce: agents.announce,
    i.Held: reports.held,
    i.Started: reports.started,
    i.Renew: reports.renew,
    i.Progress: reports.progress,
    i.Finish: reports.finish,
    i.GiveBack: reports.give_back,
    i.Disconnected: agents.disconnected,
}


class Core:
    """The gateway's decisions.

    Parameters
    ----------
    config : CoreConfig
        Settings.
    live : LiveState
        What the ledger knows.
    epoch : int
        This life's number, higher than the ledger's.
    now_ms : int
        Milliseconds since the Unix epoch.

    Notes
    -----
    Commit `start_records` before anything else. Queries change nothing but the memory of what was shown
    (`view`, `positions`): a position told by a query is a promise like any other.
    """

    def __init__(self, config: CoreConfig, live: LiveState, epoch: int, now_ms: int) -> None:
        if epoch <= live.epoch:
            raise ValueError(f"epoch {epoch} is not above the ledger's {live.epoch}")
        self.state, self._start_records = loading.load(config, live, epoch, now_ms)

    # ------------------------------------------------------------ changes

    def start_records(self) -> tuple[Record, ...]:
        """Return what opens this life: its epoch, leases and sessions re-armed."""
        return self._start_records

    def handle(self, message: i.Input, now_ms: int) -> Step:
        """Decide one input.

        Parameters
        ----------
        message : Input
            A fact or a request.
        now_ms : int
            The clock; taken as not having gone back if it has.

        Returns
        -------
        Step
            Records to commit, then effects to release, in order. A refused request has no records.
        """
        state = self.state
        state.now_ms = max(state.now_ms, now_ms)
        draft = Draft()
        try:
            _HANDLERS[type(message)](state, message, draft)
        except QmioError as error:
            if isinstance(message, i.Request):
                return Step(effects=(Refused(origin=message.origin, error=info_of(error)),))
            raise
        _give_out(state, draft)
        return Step(tuple(draft.records), (*self._reply(draft), *draft.effects, *self._events(draft)))

    def _reply(self, draft: Draft) -> tuple[Any, ...]:
        if draft.show is None:
            return () if draft.reply is None else (draft.reply,)
        kind, origin, task_id, spec = draft.show
        final = draft.final.pop(task_id, None)
        cause = draft.changed.pop(task_id, "")
        if final is not None:
            return (kind(origin=origin, view=view.of(final, cause=cause)),)
        task = self.state.tasks.get(task_id)
        if task is None:
            return (
                kind(origin=origin, view=view.of_ended(self.state.ended[task_id], spec), from_index=True),
            )
        limit = self.state.config.position_in_reply
        return (kind(origin=origin, view=forecast.of(self.state, task, cause, limit, to_all=False)),)

    def _events(self, draft: Draft) -> list[Publish]:
        limit = self.state.config.position_in_reply
        events: list[Publish] = []
        for task_id, cause in draft.changed.items():
            task = self.state.tasks.get(task_id)
            if task is not None:
                events.append(Publish(view=forecast.of(self.state, task, cause, limit, to_all=True)))
            else:
                events.append(Publish(view=view.of(draft.final[task_id], cause=cause)))
        return events

    def next_deadline(self) -> int | None:
        """Return when a `Tick` is due at the latest, ms since the Unix epoch; None: nothing will ever be."""
        return self.state.timers.next(lambda kind, name: is_alive(self.state, kind, name))

    # ------------------------------------------------------------ queries

    @property
    def epoch(self) -> int:
        """The number of this life."""
        return self.state.epoch

    def view(self, task_id: TaskId, tenant: Tenant | None) -> TaskView | None:
        """Return a live task's view; None if absent, another tenant's, or ended (ask the store).

        `tenant` None sees everybody's (operators, monitors).
        """
        task = self.state.tasks.get(task_id)
        if task is None or (tenant is not None and task.owner.tenant != tenant):
            return None
        return forecast.of(self.state, task, "", self.state.config.position_in_view, to_all=False)

    def session_of(self, key: KeyId) -> Session | None:
        """Return a key's open session."""
        return session.find(self.state, key)

    def has_session(self, key: KeyId) -> bool:
        """Return whether a key has a session that was not closed. May be called from another thread."""
        return key in self.state.session_by_key

    def job_runs(self) -> tuple[JobRun, ...]:
        """Return the runs of Slurm jobs that have open sessions."""
        return session.job_runs(self.state)

    def job_secret(self, cluster: str, job_id: str, node: str) -> JobSecret | None:
        """Return what checks the proofs of a Slurm job on a node."""
        return self.state.job_secrets.get((cluster, job_id, node))

    def held(self, key: KeyId, ref: ClaimRef) -> Task | None:
        """Return the task whose live claim is `ref` if this key's agent holds it; None otherwise."""
        return reports.held_by(self.state, key, ref)

    def enrolment(self, key: KeyId) -> Enrolment | None:
        """Return a key's role."""
        return self.state.enrolments.get(key)

    def devices(self, tenant: Tenant | None) -> tuple[DeviceView, ...]:
        """Return the devices a tenant's open sessions may use, by name; all of them for None."""
        scopes = [
            one.devices
            for session_id in self.state.session_by_key.values()
            for one in (self.state.sessions[session_id],)
            if one.tenant == tenant
        ]
        sees_all = tenant is None or any(not scope for scope in scopes)
        seen = {name for scope in scopes for name in scope}
        return tuple(
            _device_view(self.state, device)
            for name, device in sorted(self.state.devices.items())
            if sees_all or name in seen
        )

    def quote(self, key: KeyId, spec: TaskSpec, attached: Sequence[Program]) -> requests.Quote:
        """Return what a task of this key's session would cost, and who could tell more of it.

        Raises
        ------
        QmioError
            What the task would be refused with, if it were submitted with these programs.
        """
        return requests.quote(
            self.state, session.open_of(self.state, key), spec, {one.digest: one for one in attached}
        )

    def bookings(self, device: DeviceName | None) -> tuple[Booking, ...]:
        """Return the bookings that are not over, of one device or of all, by their beginning."""
        found = [one for one in self.state.bookings.values() if device is None or one.device == device]
        return tuple(sorted(found, key=lambda one: (one.from_ms, one.booking_id)))

    def positions(self, device: DeviceName) -> dict[TaskId, int]:
        """Return the position of every queued task of a device, exact."""
        found = self.state.devices.get(device)
        return {} if found is None else queue.positions(forecast.places(self.state, found))

    @property
    def live_tasks(self) -> int:
        """Number of tasks that have not ended."""
        return len(self.state.tasks)

    @property
    def agents_present(self) -> int:
        """Number of agents whose link is up."""
        return sum(len(device.present()) for device in self.state.devices.values())


def _device_view(state: State, device: Device) -> DeviceView:
    row, running = device.row, device.running
    is_busy = row.state is DeviceState.IDLE and running > 0
    return DeviceView(
        description=row.description,
        state=DeviceState.BUSY if is_busy else row.state,
        agents=len(device.present()),
        queued=len(device.entries),
        running=running,
        snapshot_id=row.snapshot_id,
        snapshot_ms=row.snapshot_ms,
        cleared=forecast.cleared(state, device),
    )
