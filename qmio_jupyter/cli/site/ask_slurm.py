"""Slurm and MUNGE as this process's user reaches them."""

from __future__ import annotations

import os
import pwd
from collections.abc import Sequence

from qmio_jupyter.auth import munge
from qmio_jupyter.cli.site.ask_paths import look_at
from qmio_jupyter.cli.site.facts import CommandFacts, MungeFacts, NodeFacts, SlurmFacts
from qmio_jupyter.errors import QmioError
from qmio_jupyter.slurm.adapter import Slurm
from qmio_jupyter.slurm.commands import SlurmCommands
from qmio_jupyter.slurm.running import ProcessRunner


def look(commands: SlurmCommands, names: Sequence[str], *, has_accounts: bool = False) -> SlurmFacts:
    """Return what Slurm says; each of the commands `names` is asked for its version, too."""
    found = tuple(_command(commands, getattr(commands, name)) for name in names)
    slurm = Slurm(commands)
    try:
        config = slurm.configuration()
        return SlurmFacts(
            commands=found,
            cluster=config.get("ClusterName", ""),
            config=config,
            licences={one.name: one.total for one in slurm.licences()},
            nodes=tuple(
                NodeFacts(name=node.name, address=node.address, is_usable=node.is_usable)
                for node in slurm.nodes()
            ),
            user=pwd.getpwuid(os.geteuid()).pw_name,
            level=_level(slurm) if "jobs" in config.get("PrivateData", "") else "",
            accounts_why=_accounts_why(slurm) if has_accounts else None,
        )
    except QmioError as error:
        return SlurmFacts(commands=found, why=error.message)


def _level(slurm: Slurm) -> str:
    try:
        return slurm.level(pwd.getpwuid(os.geteuid()).pw_name)
    except QmioError:
        return ""


def _accounts_why(slurm: Slurm) -> str:
    try:
        slurm.qos()
    except QmioError as error:
        return error.message
    return ""


def _command(commands: SlurmCommands, path: str) -> CommandFacts:
    # What is run is what the link leads to.
    seen = look_at(os.path.realpath(path), with_parents=True)
    try:
        code, out, err = ProcessRunner().run(
            [path, "--version"], timeout_s=commands.timeout_s, environ=commands.environment()
        )
    except QmioError as error:
        return CommandFacts(path=seen, why=error.message)
    if code:
        return CommandFacts(path=seen, why=" ".join(err.split())[:200] or f"it ended with status {code}")
    return CommandFacts(path=seen, version=" ".join(out.split()))


def look_at_munge(path: str) -> MungeFacts:
    """Return whether a credential that is made here can be read here."""
    payload = os.urandom(16)
    try:
        bearer = munge.decode(munge.encode(payload, only_for=os.geteuid(), path=path), path=path)
    except QmioError as error:
        return MungeFacts(why=error.message)
    if bearer.uid != os.geteuid() or bearer.payload != payload:
        return MungeFacts(why="what was read is not what was written")
    return MungeFacts(age_s=bearer.age_s)
