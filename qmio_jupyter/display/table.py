"""Results, tasks and devices as plain text. Pure: values in, text out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from qmio_jupyter.display.text import align, duration, facts, moment, plain
from qmio_jupyter.model.access import Session
from qmio_jupyter.model.device import DeviceDescription, DeviceView
from qmio_jupyter.model.result import ItemResult, TaskResult, outcomes
from qmio_jupyter.model.task import TaskView

if TYPE_CHECKING:
    from qmio_jupyter.wire.messages import GatewayState

#: Outcomes of one binding that a cell shows; the rest is summed up in a line.
MOST_OUTCOMES = 16
#: Blocks (one item and one binding) that a cell shows.
MOST_BLOCKS = 8
_BAR = 30


def result_text(view: TaskView, result: TaskResult) -> str:
    """Return what a cell shows of a result: one head line, then a table of counts per item and binding."""
    measured = sum(seconds for _, seconds in result.durations)
    head = [
        view.task_id,
        *([view.label] if view.label else []),
        f"on {result.device}",
        str(view.state) if result.is_final else f"{view.state}, partial",
        f"{result.shots_done} shots" if result.is_final else f"{result.shots_done} of {result.shots} shots",
        f"seed {result.seed}",
        *([duration(measured)] if measured else []),
    ]
    blocks = [", ".join(map(plain, head))]
    wanted = [(i, b) for i, item in enumerate(result.items) for b in range(len(item.bindings))]
    for i, b in wanted[:MOST_BLOCKS]:
        item = result.items[i]
        title = []
        if len(result.items) > 1:
            title.append(f"circuit {i + 1} of {len(result.items)}")
        if len(item.bindings) > 1:
            title.append(f"binding {b + 1} of {len(item.bindings)}")
        lines = [f"{', '.join(title)}:"] if title else []
        if b == 0:
            lines += [f"{plain(key)}: {plain(value)}" for key, value in item.notes if key == "warning"]
        blocks.append("\n".join([*lines, counts_text(item, b)]))
    if len(wanted) > MOST_BLOCKS:
        blocks.append(f"... and {len(wanted) - MOST_BLOCKS} more: see .counts(item, binding) of the handle.")
    return "\n\n".join(blocks)


def counts_text(item: ItemResult, binding: int = 0) -> str:
    """Return the counts of one binding: bitstring, count, percentage and a bar, most frequent ones kept."""
    pairs = outcomes(item, binding)
    shots = sum(count for _, count in pairs)
    if not item.n_bits:
        return f"{shots} shots, and the program measures nothing."
    if not shots:
        return "no shots yet"
    kept = set(sorted(pairs, key=lambda pair: (-pair[1], pair[0]))[:MOST_OUTCOMES])
    top = max(count for _, count in pairs)
    rows = [
        (bits, str(count), f"{100 * count / shots:.1f} %", "█" * max(1, round(_BAR * count / top)))
        for bits, count in pairs
        if (bits, count) in kept
    ]
    text = align(("outcome", "count", "", ""), rows, right=(1, 2))
    if len(pairs) > len(rows):
        rest = shots - sum(count for _, count in kept)
        text += f"\n... and {len(pairs) - len(rows)} more outcomes with {rest} shots"
    return text


def compare_text(views: Sequence[TaskView], results: Sequence[TaskResult]) -> str:
    """Return the shares of the outcomes of several tasks side by side, and the distances from the first."""
    columns = [_shares(result) for result in results]
    keys = sorted({key for column in columns for key in column})
    most = sorted(keys, key=lambda key: -max(column.get(key, 0.0) for column in columns))[:MOST_OUTCOMES]
    rows = [
        [
            *_place(key, results),
            *(f"{100 * column[key]:.1f} %" if key in column else "-" for column in columns),
        ]
        for key in keys
        if key in most
    ]
    header = ("item", "outcome", *(chr(ord("A") + i % 26) for i in range(len(views))))
    legend = align(
        ("", "task", "device", "shots", "distance from A"),
        [
            (
                chr(ord("A") + i % 26),
                view.task_id,
                view.device,
                str(result.shots_done),
                f"{_distance(columns[0], columns[i]):.4f}",
            )
            for i, (view, result) in enumerate(zip(views, results, strict=True))
        ],
        right=(3, 4),
    )
    text = align(header, rows, right=tuple(range(2, len(header))))
    if len(keys) > len(rows):
        text += f"\n... and {len(keys) - len(rows)} more outcomes"
    return f"{legend}\n\n{text}"


#: Item, binding, bitstring.
_Key = tuple[int, int, str]


def _shares(result: TaskResult) -> dict[_Key, float]:
    found: dict[_Key, float] = {}
    for i, item in enumerate(result.items):
        for b in range(len(item.bindings)):
            pairs = outcomes(item, b)
            shots = sum(count for _, count in pairs) or 1
            found.update({(i, b, bits): count / shots for bits, count in pairs})
    return found


def _place(key: _Key, results: Sequence[TaskResult]) -> tuple[str, str]:
    item, binding, bits = key
    many = any(len(one.items) > 1 or any(len(i.bindings) > 1 for i in one.items) for one in results)
    return (f"{item}/{binding}" if many else "", bits)


def _distance(first: dict[_Key, float], second: dict[_Key, float]) -> float:
    """Return the total variation distance, averaged over items and bindings."""
    blocks = len({key[:2] for key in (*first, *second)}) or 1
    return sum(abs(first.get(key, 0.0) - second.get(key, 0.0)) for key in {*first, *second}) / 2 / blocks


# ---------------------------------------------------------------- tasks, devices, gateway


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
