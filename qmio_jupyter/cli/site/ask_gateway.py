"""The gateway's own files, on its host, looked at as its user."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from qmio_jupyter.auth.keys import new_keys, read_keys
from qmio_jupyter.cli.site import ask_link, ask_slurm
from qmio_jupyter.cli.site.ask_paths import look_at
from qmio_jupyter.cli.site.facts import GatewayFacts
from qmio_jupyter.config import settings
from qmio_jupyter.config.settings import GatewayAddress
from qmio_jupyter.errors import QmioError
from qmio_jupyter.slurm.commands import SlurmCommands


class GatewayAsk(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be looked at: its settings file, and the directory that ``QMIO_HOME`` names for it."""

    config: str
    home: str
    #: Whether it is asked over the wire, too, as a stranger would.
    over_the_wire: bool = True


def look(ask: GatewayAsk) -> GatewayFacts:
    """Return what is found."""
    home = Path(ask.home)
    places = tuple(look_at(path) for path in (home, home / "state", home / "run") if _is_there(path))
    keys = tuple(
        look_at(path)
        for path in (home / "state" / "server.key", *sorted((home / "run" / "keys").glob("*.key")))
        if _is_there(path)
    )
    if not places:
        places = (look_at(home),)
    try:
        public = read_keys(home / "state" / "server.key").public
    except QmioError:
        public = ""
    found = GatewayFacts(home=places, keys=keys, public=public)
    try:
        read = settings.load({"HOME": str(home)}, path=Path(ask.config))
        settings.check_drivers(read)
    except QmioError as error:
        return msgspec.structs.replace(found, why=error.message)
    of = read.gateway
    commands = SlurmCommands(
        squeue=of.slurm.squeue,
        scontrol=of.slurm.scontrol,
        sinfo=of.slurm.sinfo,
        config=of.slurm.config,
        timeout_s=of.slurm.timeout_s,
    )
    asks_slurm = of.verifier == "slurm"
    slurm = ask_slurm.look(commands, ["squeue", "scontrol", "sinfo"]) if asks_slurm else None
    link = None
    if ask.over_the_wire and public and "*" not in of.endpoint:
        address = GatewayAddress(endpoint=of.endpoint, server_key=public, proof="slurm")
        cluster = slurm.cluster if slurm is not None else ""
        link = ask_link.look(address, new_keys(), munge_socket=of.slurm.munge_socket, cluster=cluster)
    return msgspec.structs.replace(
        found,
        is_embedded=of.embedded,
        verifier=of.verifier,
        proofs=of.slurm.proofs,
        endpoint=of.endpoint,
        devices=tuple(agent.device for agent in of.agents),
        licence_required=of.slurm.licence_required,
        licence_prefix=of.slurm.licence_prefix,
        issuers=tuple(key.public for key in of.keys if key.role == "issuer"),
        munge=ask_slurm.look_at_munge(of.slurm.munge_socket) if asks_slurm else None,
        slurm=slurm,
        link=link,
    )


def _is_there(path: Path) -> bool:
    return os.path.lexists(path)
