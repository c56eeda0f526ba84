"""``jupyter qmio show``: one task."""

from __future__ import annotations

import click

from qmio_jupyter.cli.shared import client_for, emit, json_option, task_document, timeout_option
from qmio_jupyter.display.table import task_text


@click.command()
@click.argument("task", metavar="ID")
@timeout_option
@json_option
def command(task: str, timeout: float | None, as_json: bool) -> None:
    """Show one task: state, position, estimates, timeline. ID may be 'last', or part of an id."""
    with client_for(timeout_s=timeout) as client:
        view = client.show(client.resolve(task, timeout), timeout)
    if as_json:
        emit(task_document(view))
    else:
        click.echo(task_text(view))
