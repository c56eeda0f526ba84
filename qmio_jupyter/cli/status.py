"""``jupyter qmio status``: how the gateway is."""

from __future__ import annotations

import click

from qmio_jupyter.cli.shared import client_for, emit, json_option, plain, timeout_option
from qmio_jupyter.cli.stopping import running
from qmio_jupyter.config import settings
from qmio_jupyter.config.places import places
from qmio_jupyter.display.table import devices_text, gateway_text
from qmio_jupyter.errors import GatewayError


@click.command()
@timeout_option
@json_option
def command(timeout: float | None, as_json: bool) -> None:
    """Show the gateway's health and its devices. Starts nothing; exit code 6 if none runs."""
    if not settings.load().client.gateways and running(places()) is None:
        if as_json:
            emit({"running": False})
        raise GatewayError("no gateway of yours runs on this host", hint="Start one: jupyter qmio up")
    with client_for(start=False, timeout_s=timeout) as client:
        state = client.gateway(timeout)
        devices = client.devices(timeout)
    if as_json:
        emit({"running": True, **plain(state), "devices": [plain(view) for view in devices]})
        return
    click.echo(gateway_text(state))
    click.echo()
    click.echo(devices_text(devices))
