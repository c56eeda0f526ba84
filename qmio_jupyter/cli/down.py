"""``jupyter qmio down``: stop the embedded gateway."""

from __future__ import annotations

import click

from qmio_jupyter.cli.shared import SECONDS, emit, json_option
from qmio_jupyter.cli.stopping import stop
from qmio_jupyter.config.places import places


@click.command()
@click.option(
    "--timeout",
    type=SECONDS,
    default=20.0,
    show_default=True,
    metavar="SECONDS",
    help="How long it may take.",
)
@click.option("--force", is_flag=True, help="Kill it if it does not end in time.")
@json_option
def command(timeout: float, force: bool, as_json: bool) -> None:
    """Stop your gateway on this host and its agents.

    Queued tasks stay in the ledger and go on when it is started again; running ones are given back.
    """
    stopped = stop(places(), timeout, force=force)
    if as_json:
        emit({"stopped": stopped is not None, "pid": stopped.pid if stopped else None})
    elif stopped is None:
        click.echo("no gateway of yours runs here")
    else:
        click.echo(f"gateway {stopped.gateway} is stopped")
