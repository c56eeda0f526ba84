"""``jupyter qmio result``: the result of a task."""

from __future__ import annotations

import click

from qmio_jupyter.cli.documents import result_documents
from qmio_jupyter.cli.shared import SECONDS, client_for, emit, json_option
from qmio_jupyter.display.result_text import result_text


@click.command()
@click.argument("task", metavar="ID")
@click.option("--partial", is_flag=True, help="The counts so far, without waiting for the end.")
@click.option(
    "--timeout",
    type=SECONDS,
    default=None,
    metavar="SECONDS",
    help="Wait at most so long for the task (default: as long as it takes).",
)
@json_option
def command(task: str, partial: bool, timeout: float | None, as_json: bool) -> None:
    """Print the result of a task, waiting for its end. ID may be 'last', or part of an id."""
    with client_for() as client:
        task_id = client.resolve(task)
        if partial:
            view, found = client.show(task_id), client.result(task_id, partial=True)
        else:
            handle = client.attach(task_id)
            found = handle.result(timeout)
            view = handle.view
    if as_json:
        emit(result_documents(view, found))
    else:
        click.echo(result_text(view, found))
