"""``jupyter qmio tasks``: list tasks."""

from __future__ import annotations

import click

from qmio_jupyter.cli.shared import client_for, emit, json_option, task_document, timeout_option
from qmio_jupyter.display.table import tasks_text
from qmio_jupyter.model.task import TaskState


@click.command()
@click.option("-n", "--limit", type=click.IntRange(1, 100_000), default=20, show_default=True, metavar="N")
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice([state.value for state in TaskState]),
    help="Only tasks in this state; may be given more than once.",
)
@click.option("-d", "--device", default=None, metavar="NAME", help="Only tasks of this device.")
@click.option("--label", default="", metavar="TEXT", help="Only tasks whose label holds this text.")
@timeout_option
@json_option
def command(
    limit: int, states: tuple[str, ...], device: str | None, label: str, timeout: float | None, as_json: bool
) -> None:
    """List your tasks, newest first."""
    with client_for(timeout_s=timeout) as client:
        views = client.tasks(
            limit,
            states=[TaskState(state) for state in states],
            device=device,
            label=label,
            timeout_s=timeout,
        )
    if as_json:
        emit([task_document(view) for view in views])
    else:
        click.echo(tasks_text(views))
