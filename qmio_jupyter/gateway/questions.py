"""Requests that the core does not decide: answered from what it knows, or later from the store."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from qmio_jupyter.core.calendar import is_holder
from qmio_jupyter.gateway import refusals
from qmio_jupyter.gateway.caller import Caller, Identity
from qmio_jupyter.gateway.metrics import Figures
from qmio_jupyter.gateway.troubles import Troubles
from qmio_jupyter.gateway.turn import Output, Read, Ship, reply
from qmio_jupyter.gateway.watchers import Watchers
from qmio_jupyter.model.access import Booking, Role
from qmio_jupyter.model.device import DeviceView
from qmio_jupyter.model.ids import DeviceName
from qmio_jupyter.wire import messages as m

if TYPE_CHECKING:
    from qmio_jupyter.core.core import Core


class Questions:
    """Answers to reads. Holds no state of its own; `core` is replaced after a failed commit.

    Parameters
    ----------
    core : Core
        Whose present state is shown. What it shows leaves only after the commit of everything before.
    identity : Identity
        What the gateway says of itself.
    watchers : Watchers
        Where `task.watch` is noted.
    figures : Figures
        Shown by `gateway.show`.
    troubles : Troubles
        Devices that cannot be started, told with the devices.
    """

    def __init__(
        self, core: Core, identity: Identity, watchers: Watchers, figures: Figures, troubles: Troubles
    ) -> None:
        self.core = core
        self.store_ok = True
        self.connections: Callable[[], int] = lambda: 0
        self._identity = identity
        self._watchers = watchers
        self._figures = figures
        self._troubles = troubles

    def ask(self, caller: Caller, body: m.Message) -> Output | None:
        """Return the answer to a request, None if it is not one of those answered here."""
        handler = _HANDLERS.get(type(body))
        return None if handler is None else handler(self, caller, body)

    def welcome(self, caller: Caller, body: m.Hello, now_ms: int) -> m.Message:
        """Return `Welcome` with the newest common major, or the refusal `wire.version`."""
        major = min(body.newest, m.MAJOR)
        if major < max(body.oldest, m.OLDEST_MAJOR):
            return refusals.failure(
                "wire.version",
                f"You speak {body.oldest} to {body.newest}, this gateway {m.OLDEST_MAJOR} to {m.MAJOR}",
                "Update the older side.",
            )
        return m.Welcome(
            major=major,
            gateway=self._identity.gateway,
            epoch=self.core.epoch,
            role=caller.role,
            limits=self._identity.limits,
            now_ms=now_ms,
            software=self._identity.software,
            session=caller.session,
        )

    # ------------------------------------------------------------ one method for each request

    def _ping(self, caller: Caller, _: m.Ping) -> Output:
        return reply(caller.connection, caller.request, m.Pong(epoch=self.core.epoch))

    def _session(self, caller: Caller, _: m.SessionShow) -> Output:
        answer = refusals.no_session() if caller.session is None else m.SessionState(session=caller.session)
        return reply(caller.connection, caller.request, answer)

    def _bookings(self, caller: Caller, body: m.BookingShow) -> Output:
        scope = _scope(caller)
        bookings = tuple(
            _as_shown_to(caller, booking)
            for booking in self.core.bookings(body.device)
            if scope is None or booking.device in scope
        )
        return reply(caller.connection, caller.request, m.BookingList(bookings=bookings))

    def _task(self, caller: Caller, body: m.TaskShow | m.TaskWatch) -> Output:
        view = self.core.view(body.task_id, caller.tenant)
        if view is None:
            return self._read(caller, body)
        if isinstance(body, m.TaskWatch) and not view.state.is_final:
            self._watchers.add(caller.connection, body.task_id)
            if body.deliver:
                self._watchers.deliver(caller.connection, body.task_id)
        return reply(caller.connection, caller.request, m.TaskShown(view=view))

    def _read(self, caller: Caller, body: Any) -> Output:
        return Read(connection=caller.connection, request=caller.request, body=body, tenant=caller.tenant)

    def _devices_of(self, caller: Caller) -> tuple[DeviceView, ...]:
        views = self._troubles.noted(self.core.devices(caller.tenant))
        scope = _scope(caller)
        return tuple(view for view in views if scope is None or view.description.name in scope)

    def _devices(self, caller: Caller, _: m.DeviceList) -> Output:
        return reply(caller.connection, caller.request, m.DevicePage(devices=self._devices_of(caller)))

    def _device(self, caller: Caller, body: m.DeviceShow) -> Output:
        found = tuple(view for view in self._devices_of(caller) if view.description.name == body.device)
        answer = m.DevicePage(devices=found) if found else refusals.unknown_device(body.device)
        return reply(caller.connection, caller.request, answer)

    def _snapshot(self, caller: Caller, body: m.SnapshotGet) -> Output:
        if body.snapshot_id is None:
            for view in self.core.devices(None):
                if view.description.name == body.device and view.snapshot_id is not None:
                    body = m.SnapshotGet(snapshot_id=view.snapshot_id)
                    break
        return Read(connection=caller.connection, request=caller.request, body=body, devices=_scope(caller))

    def _gateway(self, caller: Caller, _: m.GatewayShow) -> Output:
        state = m.GatewayState(
            gateway=self._identity.gateway,
            epoch=self.core.epoch,
            software=self._identity.software,
            started_ms=self._identity.started_ms,
            tasks_live=self.core.live_tasks,
            agents=self.core.agents_present,
            connections=self.connections(),
            store=self._identity.store,
            store_ok=self.store_ok,
            log=self._identity.log,
            figures=self._figures.pairs(),
        )
        return reply(caller.connection, caller.request, state)

    def _programs(self, caller: Caller, body: m.ProgramGet) -> Output:
        task = self.core.held(caller.key, body.ref)
        if task is None or task.contract is None:
            refusal = refusals.failure("task.stale_claim", "This claim is not yours (any more)", "Drop it.")
            return reply(caller.connection, caller.request, refusal)
        if not set(body.digests) <= set(task.contract.programs):
            refusal = refusals.failure("program.missing", "Not a program of this claim", "Drop it.")
            return reply(caller.connection, caller.request, refusal)
        return Ship(
            connection=caller.connection,
            request=caller.request,
            message=m.ProgramData(),
            tenant=task.owner.tenant,
            digests=tuple(dict.fromkeys(body.digests)),
        )


def _scope(caller: Caller) -> tuple[DeviceName, ...] | None:
    """Return the devices a caller is shown anything of; None: all."""
    if caller.role is Role.AGENT:
        own = None if caller.enrolment is None else caller.enrolment.device
        return () if own is None else (own,)
    devices = () if caller.session is None else caller.session.devices
    return devices or None


def _as_shown_to(caller: Caller, booking: Booking) -> Booking:
    """Return a booking; to a user without its note and holder if it is for somebody else."""
    tenant = caller.tenant
    if tenant is None or booking.holder is None or is_holder(booking, tenant):
        return booking
    return msgspec.structs.replace(booking, holder=None, note="")


_HANDLERS: dict[type, Callable[[Questions, Caller, Any], Output]] = {
    m.Ping: Questions._ping,
    m.SessionShow: Questions._session,
    m.BookingShow: Questions._bookings,
    m.TaskShow: Questions._task,
    m.TaskWatch: Questions._task,
    m.TaskList: Questions._read,
    m.TaskResultGet: Questions._read,
    m.DeviceList: Questions._devices,
    m.DeviceShow: Questions._device,
    m.SnapshotGet: Questions._snapshot,
    m.GatewayShow: Questions._gateway,
    m.ProgramGet: Questions._programs,
}
