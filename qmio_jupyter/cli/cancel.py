"""``jupyter qmio cancel``: cancel tasks."""

from __future__ import annotations

import click

from qmio_jupyter.cli.shared import client_for, emit, json_option, task_document, timeout_option
from qmio_jupyter.client.sync import Client
from qmio_jupyter.model.task import TaskState, TaskView

_LIVE = tuple(state for state in TaskState if not state.is_final)
#: Most tasks that ``--all`` cancels at once.
_MOST = 10_000


@click.command()
@click.argument("tasks", metavar="ID...|all", nargs=-1)
@click.option("--all", "every", is_flag=True, help="Cancel all your tasks that have not ended.")
@timeout_option
@json_option
def command(tasks: tuple[str, ...], every: bool, timeout: float | None, as_json: bool) -> None:
    """Cancel tasks. Those that have ended stay as they are.

    ID may be 'last', or part of an id; the word 'all' is --all.
    """
    named = tuple(task for task in tasks if task != "all")
    every = every or len(named) < len(tasks)
    if every == bool(named):
        raise click.UsageError("Give either task ids, or --all.", click.get_current_context())
    with client_for(timeout_s=timeout) as client:
        views = [client.cancel(task_id, timeout) for task_id in _wanted(client, named, timeout)]
    if as_json:
        emit([task_document(view) for view in views])
        return
    for view in views:
        click.echo(_line(view))
    if not views:
        click.echo("nothing to cancel")


def _wanted(client: Client, tasks: tuple[str, ...], timeout: float | None) -> list[str]:
    if tasks:
        return [client.resolve(task, timeout) for task in tasks]
    return [view.task_id for view in client.tasks(_MOST, states=_LIVE, timeout_s=timeout)]


def _line(view: TaskView) -> str:
    return f"{view.task_id}  {view.state}"
