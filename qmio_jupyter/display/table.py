"""Tasks, devices, the gateway as tables and facts, and these as plain text; `table_page` shows the same as HTML."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from qmio_jupyter.display.place import place_words
from qmio_jupyter.display.text import align, duration, facts, moment
from qmio_jupyter.errors import sentences
from qmio_jupyter.model.access import Session
from qmio_jupyter.model.device import DeviceDescription, DeviceView, Snapshot
from qmio_jupyter.model.task import TaskView

if TYPE_CHECKING:
    from qmio_jupyter.wire.messages import GatewayState


#: Names and values; those without a value are not shown.
Facts = list[tuple[str, str]]


class Grid(msgspec.Struct, frozen=True):
    """A table: what its columns are called, its rows, and the columns that end flush."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    right: tuple[int, ...] = ()
    #: What is said in place of a table without rows.
    empty: str = ""

    def text(self) -> str:
        """Return it with one line per row."""
        return align(self.header, self.rows, right=self.right) if self.rows else self.empty


def tasks_text(views: Sequence[TaskView]) -> str:
    """Return tasks one per line, in the order given."""
    return tasks_grid(views).text()


def tasks_grid(views: Sequence[TaskView]) -> Grid:
    """Return tasks, one per row, in the order given."""
    rows = tuple(
        (
            view.task_id,
            view.device,
            _state(view),
            f"{view.shots_done}/{view.shots}",
            moment(view.submitted_ms),
            view.label,
        )
        for view in views
    )
    return Grid(("task", "device", "state", "shots", "submitted", "label"), rows, (3,), empty="no tasks")


def _state(view: TaskView) -> str:
    if view.error is not None:
        return f"{view.state} [{view.error.code}]"
    if place := place_words(view):
        return f"{view.state}, {place}"
    return f"{view.state} ({view.stage})" if view.stage else str(view.state)


def task_text(view: TaskView) -> str:
    """Return everything a user may know of a task."""
    text = facts(task_facts(view))
    stages = stages_grid(view)
    return f"{text}\n\n{stages.text()}" if stages.rows else text


def task_facts(view: TaskView) -> Facts:
    """Return what a user may know of a task, but for its stages."""
    return [
        ("task", view.task_id),
        ("label", view.label),
        ("device", view.device),
        ("state", _state(view)),
        ("cause", view.cause),
        ("shots", f"{view.shots_done} of {view.shots}"),
        ("submitted", moment(view.submitted_ms)),
        ("updated", moment(view.updated_ms)),
        ("attempt", str(view.attempt) if view.attempt else ""),
        ("seed", "" if view.seed is None else str(view.seed)),
        ("snapshot", view.snapshot_id or ""),
        ("starts in", "" if view.start is None else duration(view.start.p50_s)),
        ("ends in", "" if view.end is None else duration(view.end.p50_s)),
        ("error", "" if view.error is None else sentences(view.error.message, view.error.hint)),
    ]


def stages_grid(view: TaskView) -> Grid:
    """Return the stages of a task."""
    rows = tuple(
        (stamp.stage, moment(stamp.at_ms), "" if stamp.seconds is None else duration(stamp.seconds))
        for stamp in view.timeline
    )
    return Grid(("stage", "at", "took"), rows, (2,))


def devices_text(views: Sequence[DeviceView]) -> str:
    """Return devices one per line."""
    return devices_grid(views).text()


def devices_grid(views: Sequence[DeviceView]) -> Grid:
    """Return devices, one per row."""
    rows = tuple(
        (
            view.description.name,
            str(view.state),
            _qubits(view.description),
            str(view.queued),
            str(view.running),
            view.description.title,
            view.note,
        )
        for view in views
    )
    header = ("device", "state", "qubits", "queued", "running", "what", "")
    return Grid(header, rows, (2, 3, 4), empty="no devices")


def device_text(view: DeviceView) -> str:
    """Return everything a user may know of a device."""
    return facts(device_facts(view))


def device_facts(view: DeviceView) -> Facts:
    """Return everything a user may know of a device."""
    about = view.description
    oldest, newest = about.qpy_versions
    return [
        ("device", about.name),
        ("what", about.title),
        ("state", str(view.state)),
        ("note", view.note),
        ("kind", "simulator" if about.is_simulator else "quantum computer"),
        ("qubits", _qubits(about)),
        ("queued", str(view.queued)),
        ("running", str(view.running)),
        ("agents", str(view.agents)),
        ("most shots", str(about.max_shots)),
        ("reads", ", ".join(about.media_types)),
        ("QPY", f"{oldest} to {newest}" if newest else ""),
        ("native gates", ", ".join(about.native_gates)),
        ("couplings", "all to all" if not about.couplings else str(len(about.couplings))),
        ("device options", ", ".join(about.options)),
        ("snapshot", view.snapshot_id or "none"),
        ("taken", "" if view.snapshot_ms is None else moment(view.snapshot_ms)),
    ]


def session_text(session: Session) -> str:
    """Return who the user is to the gateway."""
    return facts(session_facts(session))


def session_facts(session: Session) -> Facts:
    """Return who the user is to the gateway."""
    return [
        ("session", session.session_id),
        ("tenant", session.tenant),
        ("uid", str(session.uid)),
        ("opened", moment(session.opened_ms)),
        ("expires", "never by itself" if session.expires_ms is None else moment(session.expires_ms)),
        ("Slurm job", f"{session.job_id} on {session.cluster}" if session.job_id else ""),
        ("devices", ", ".join(session.devices) or "all"),
    ]


def gateway_text(state: GatewayState) -> str:
    """Return the gateway's health in a few lines."""
    return facts(gateway_facts(state))


def gateway_facts(state: GatewayState) -> Facts:
    """Return the gateway's health."""
    return [
        ("gateway", state.gateway),
        ("software", state.software),
        ("started", moment(state.started_ms)),
        ("epoch", str(state.epoch)),
        ("ledger", f"{state.store} ({'sound' if state.store_ok else 'refusing writes'})"),
        ("live tasks", str(state.tasks_live)),
        ("agents", str(state.agents)),
        ("log", state.log),
    ]


def settings_text(settings: Sequence[tuple[str, str]]) -> str:
    """Return ``name  value`` lines."""
    return facts(settings)


def calibration_facts(snapshot: Snapshot) -> Facts:
    """Return what a snapshot is."""
    return [
        ("device", snapshot.device),
        ("snapshot", snapshot.snapshot_id),
        ("taken", moment(snapshot.taken_ms)),
        ("size", f"{len(snapshot.data)} bytes"),
        ("in Python", f"qmio_jupyter.snapshot({snapshot.device!r}).data"),
    ]


def calibration_text(snapshot: Snapshot) -> str:
    """Return what a snapshot is."""
    return facts(calibration_facts(snapshot))


def _qubits(about: DeviceDescription) -> str:
    return "any" if about.n_qubits is None else str(about.n_qubits)
