"""``jupyter qmio up``: start the embedded gateway, or find that it runs."""

from __future__ import annotations

import time

import click

from qmio_jupyter.cli.exits import Exit
from qmio_jupyter.cli.shared import SECONDS, client_for, emit, json_option, note, plain
from qmio_jupyter.client.sync import Client
from qmio_jupyter.config import connection, settings
from qmio_jupyter.config.places import places
from qmio_jupyter.errors import ConfigError
from qmio_jupyter.model.device import DeviceState, DeviceView

#: Pause between two looks at the devices while their agents start.
_LOOK_S = 0.1


@click.command()
@click.option(
    "--timeout",
    type=SECONDS,
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="How long gateway and agents may take.",
)
@json_option
def command(timeout: float, as_json: bool) -> int:
    """Start your gateway on this host, and wait for its devices.

    It is detached, shared by all your notebooks and terminals here, and stops when idle. If it runs already,
    that is said and nothing else happens.
    """
    configured = settings.load()
    found = places()
    ran_before = _pid() is not None
    deadline = time.monotonic() + timeout
    with client_for(start=True, timeout_s=timeout) as client:
        state = client.gateway()
        wanted = {agent.device for agent in configured.gateway.agents if agent.is_started}
        devices = _wait_for_devices(client, wanted, deadline)
    late = sorted(wanted - {view.description.name for view in devices if _is_there(view)})
    document = {
        "gateway": state.gateway,
        "epoch": state.epoch,
        "pid": _pid(),
        "started": not ran_before,
        "connection_file": str(found.connection_file),
        "log": state.log or str(found.gateway_log),
        "devices": [plain(view) for view in devices],
        "notes": list(found.notes),
    }
    if as_json:
        emit(document)
    else:
        verb = "runs already" if ran_before else "is up"
        names = ", ".join(f"{view.description.name} ({view.state})" for view in devices) or "none yet"
        click.echo(f"gateway {state.gateway} {verb}; devices: {names}")
    if late:
        note(f"not there yet: {', '.join(late)}. See {document['log']}")
        return Exit.ERROR
    return Exit.OK


def _wait_for_devices(client: Client, wanted: set[str], deadline: float) -> tuple[DeviceView, ...]:
    while True:
        devices = client.devices()
        there = {view.description.name for view in devices if _is_there(view)}
        if wanted <= there or time.monotonic() >= deadline:
            return devices
        time.sleep(_LOOK_S)


def _is_there(view: DeviceView) -> bool:
    return view.state is not DeviceState.OFFLINE and view.agents > 0


def _pid() -> int | None:
    try:
        written = connection.read(places().connection_file)
    except ConfigError:
        return None
    return written.pid if connection.is_alive(written) else None
