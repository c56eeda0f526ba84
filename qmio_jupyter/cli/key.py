"""``jupyter qmio key``: the public half of a key file, for whoever enrols or pins it."""

from __future__ import annotations

from pathlib import Path

import click

from qmio_jupyter.auth.keys import key_id, keys_at, read_keys
from qmio_jupyter.cli.shared import emit, json_option


@click.command()
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@click.option("--make", is_flag=True, help="Make the pair, 0600, if there is none yet.")
@json_option
def command(file: Path, make: bool, as_json: bool) -> None:
    """Print the public half of a key file. The secret half is never shown.

    Run it as the user whose key it is: the hub's, for a hub's key.
    """
    keys = keys_at(file) if make else read_keys(file)
    if as_json:
        emit({"file": str(file), "public": keys.public, "id": key_id(keys.public)})
    else:
        click.echo(keys.public)
