"""Tasks, devices, the gateway as plain text; results are in `result_text`, comparisons in `compare`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from qmio_jupyter.display.text import align, duration, facts, moment
from qmio_jupyter.model.access import Session
from qmio_jupyter.model.device import DeviceDescription, DeviceView
from qmio_jupyter.model.task import TaskView

if TYPE_CHECKING:
    from qmio_jupyter.wire.messages import GatewayState


def tasks_text(views: Sequence[TaskView]) -> str:
    """Return tasks one per line, in the order given."""
    if not views:
        return "no tasks"
    rows = [
        (
            view.task_id,
            view.device,
            _state(view),
            f"{view.shots_done}/{view.shots}",
            moment(view.submitted_ms),
            view.label,
        )
        for view in views
    ]
    return align(("task", "device", "state", "shots", "submitted", "label"), rows, right=(3,))


def _state(view: TaskView) -> str:
    if view.error is not None:
        return f"{view.state} [{view.error.code}]"
    if view.position is not None:
        return f"{view.state} ({'next' if view.position == 0 else f'{view.position} before it'})"
    return f"{view.state} ({view.stage})" if view.stage else str(view.state)


def task_text(view: TaskView) -> str:
    """Return everything a user may know of a task."""
    known = [
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
        ("error", "" if view.error is None else f"{view.error.message} {view.error.hint}".strip()),
    ]
    text = facts(known)
    if view.timeline:
        rows = [
            (stamp.stage, moment(stamp.at_ms), "" if stamp.seconds is None else duration(stamp.seconds))
            for stamp in view.timeline
        ]
        text += "\n\n" + align(("stage", "at", "took"), rows, right=(2,))
    return text


def devices_text(views: Sequence[DeviceView]) -> str:
    """Return devices one per line."""
    if not views:
        return "no devices"
    rows = [
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
    ]
    return align(("device", "state", "qubits", "queued", "running", "what", ""), rows, right=(2, 3, 4))


def device_text(view: DeviceView) -> str:
    """Return everything a user may know of a device."""
    about = view.description
    oldest, newest = about.qpy_versions
    return facts(
        [
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
    )


def session_text(session: Session) -> str:
    """Return who the user is to the gateway."""
    return facts(
        [
            ("session", session.session_id),
            ("tenant", session.tenant),
            ("uid", str(session.uid)),
            ("opened", moment(session.opened_ms)),
            ("expires", "never by itself" if session.expires_ms is None else moment(session.expires_ms)),
            ("Slurm job", f"{session.job_id} on {session.cluster}" if session.job_id else ""),
            ("devices", ", ".join(session.devices) or "all"),
        ]
    )


def gateway_text(state: GatewayState) -> str:
    """Return the gateway's health in a few lines."""
    return facts(
        [
            ("gateway", state.gateway),
            ("software", state.software),
            ("started", moment(state.started_ms)),
            ("epoch", str(state.epoch)),
            ("ledger", f"{state.store} ({'sound' if state.store_ok else 'refusing writes'})"),
            ("live tasks", str(state.tasks_live)),
            ("agents", str(state.agents)),
            ("log", state.log),
        ]
    )


def settings_text(settings: Sequence[tuple[str, str]]) -> str:
    """Return ``name  value`` lines."""
    return facts(settings)


def _qubits(about: DeviceDescription) -> str:
    return "any" if about.n_qubits is None else str(about.n_qubits)
