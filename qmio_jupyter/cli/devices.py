"""``jupyter qmio devices``: what programs can run on."""

from __future__ import annotations

import click

from qmio_jupyter.cli.shared import client_for, emit, json_option, plain, timeout_option
from qmio_jupyter.display.table import device_text, devices_text


@click.command()
@click.argument("name", required=False)
@timeout_option
@json_option
def command(name: str | None, timeout: float | None, as_json: bool) -> None:
    """List the devices, or show one."""
    with client_for(timeout_s=timeout) as client:
        if name is not None:
            view = client.device(name, timeout)
            if as_json:
                emit(plain(view))
            else:
                click.echo(device_text(view))
            return
        views = client.devices(timeout)
    if as_json:
        emit([plain(view) for view in views])
    else:
        click.echo(devices_text(views))
