"""What ``%qpu tasks``, ``status``, ``devices``, ``device``, ``calibration`` and ``session`` show: text, and HTML."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from qmio_jupyter.display import html, table
from qmio_jupyter.display.result_page import Bundle
from qmio_jupyter.display.table import Facts, Grid
from qmio_jupyter.display.text import age, facts
from qmio_jupyter.drawing import chip
from qmio_jupyter.drawing.chip_values import quantity_of
from qmio_jupyter.drawing.html import figure
from qmio_jupyter.drawing.timeline import timeline
from qmio_jupyter.errors import UsageError
from qmio_jupyter.model.access import Session
from qmio_jupyter.model.device import DeviceView, Snapshot
from qmio_jupyter.model.task import TaskView

if TYPE_CHECKING:
    from qmio_jupyter.wire.messages import GatewayState

#: What a chip map is coloured by unless somebody asks for something else.
QUANTITY = "t1"


def tasks_bundle(views: Sequence[TaskView]) -> Bundle:
    """Return tasks, in the order given."""
    return _grid_bundle(table.tasks_grid(views))


def devices_bundle(views: Sequence[DeviceView]) -> Bundle:
    """Return devices, one per row."""
    return _grid_bundle(table.devices_grid(views))


def task_bundle(view: TaskView, *, now_ms: int) -> Bundle:
    """Return everything a user may know of a task, with its stages as a picture."""
    drawn = (
        figure(timeline(view.timeline, now_ms=None if view.state.is_final else now_ms))
        if view.timeline
        else ""
    )
    return {
        "text/plain": table.task_text(view),
        "text/html": html.page(html.facts(table.task_facts(view)), drawn),
    }


def gateway_bundle(state: GatewayState, live: Sequence[TaskView]) -> Bundle:
    """Return the gateway's health, and the tasks that are under way."""
    text = table.gateway_text(state)
    grid = table.tasks_grid(live)
    return {
        "text/plain": f"{text}\n\n{grid.text()}" if live else text,
        "text/html": html.page(html.facts(table.gateway_facts(state)), _grid(grid) if live else ""),
    }


def session_bundle(session: Session) -> Bundle:
    """Return who the user is to the gateway."""
    return _facts_bundle(table.session_facts(session))


def device_bundle(
    view: DeviceView, snapshot: Snapshot | None, *, quantity: str | None = None, now_ms: int
) -> Bundle:
    """Return everything a user may know of a device, with a map of its chip where there is a calibration.

    Raises
    ------
    UsageError
        For a `quantity` that is asked for and that chips do not have.
    """
    found = table.device_facts(view)
    aged = "" if view.snapshot_ms is None else html.line(html.soft(_aged(view.snapshot_ms, now_ms)))
    return {
        "text/plain": table.device_text(view),
        "text/html": html.page(html.facts(found), aged, *_chip(snapshot, quantity)),
    }


def calibration_bundle(snapshot: Snapshot, *, quantity: str | None = None, now_ms: int) -> Bundle:
    """Return a snapshot: a map of its chip, and the same as a table.

    Raises
    ------
    UsageError
        For a `quantity` that is asked for and that chips do not have.
    """
    head = html.line(
        f"<b>{html.esc(snapshot.device)}</b>",
        html.esc(f"snapshot {snapshot.snapshot_id[:12]}"),
        html.soft(_aged(snapshot.taken_ms, now_ms)),
        kind="head",
    )
    return {
        "text/plain": table.calibration_text(snapshot),
        "text/html": html.page(
            head,
            *_chip(snapshot, quantity),
            html.details("Snapshot", html.facts(table.calibration_facts(snapshot))),
        ),
    }


def _chip(snapshot: Snapshot | None, quantity: str | None) -> list[str]:
    """Return the map of a snapshot's chip and its table; nothing where the snapshot has none."""
    if quantity is not None:
        quantity_of(quantity)
    if snapshot is None:
        return []
    try:
        found = chip.chip_of(snapshot)
        drawn = chip.chip_map(found, quantity or QUANTITY)
    except UsageError as problem:
        return [html.line(html.soft(f"No map: {problem.message}"))]
    header, *rows = chip.table(found)
    return [figure(drawn, focus=True), html.details("All values as a table", html.table(header, rows))]


def _aged(taken_ms: int, now_ms: int) -> str:
    return f"calibrated {age((now_ms - taken_ms) / 1000)} ago"


def _grid_bundle(grid: Grid) -> Bundle:
    return {"text/plain": grid.text(), "text/html": html.page(_grid(grid))}


def _grid(grid: Grid) -> str:
    if not grid.rows:
        return html.line(html.esc(grid.empty))
    return html.table(grid.header, grid.rows, right=grid.right)


def _facts_bundle(found: Facts) -> Bundle:
    return {"text/plain": facts(found), "text/html": html.page(html.facts(found))}
