"""``python -m qmio_jupyter.cli.daemon gateway|agent``: the processes behind the front doors.

Settings come from the file that the environment names, secrets from 0600 files: nothing secret is ever an
argument. The only module of `cli` that imports the daemon.
"""

from __future__ import annotations

import sys

import click
import msgspec

from qmio_jupyter.config import settings
from qmio_jupyter.config.places import places
from qmio_jupyter.errors import QmioError

#: Exit code for what a restart cannot cure (sysexits' EX_CONFIG).
EX_CONFIG = 78


@click.group()
def main() -> None:
    """Run a gateway or an agent in the foreground, until SIGTERM or SIGINT."""


@main.command()
@click.option("--embedded", is_flag=True, help="One user's: connection file, agents, stops when idle.")
def gateway(embedded: bool) -> None:
    """Run a gateway."""
    from qmio_jupyter.gateway.main import run

    wanted = settings.load().gateway
    if embedded:
        wanted = msgspec.structs.replace(wanted, embedded=True)
    sys.exit(run(wanted, places()))


@main.command()
@click.option("--device", required=True, metavar="NAME", help="The device, as the settings name it.")
def agent(device: str) -> None:
    """Run the agent of one device."""
    from qmio_jupyter.agent.main import run

    sys.exit(run(settings.load().gateway.agent(device), places()))


def _main() -> None:
    try:
        main(prog_name="qmio_jupyter.cli.daemon")
    except QmioError as error:
        click.echo(error.one_line(), err=True)
        sys.exit(EX_CONFIG)


if __name__ == "__main__":
    _main()
