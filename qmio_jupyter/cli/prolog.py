"""``jupyter qmio prolog``: what a node's Slurm prolog does for the jobs that prove themselves without MUNGE."""

from __future__ import annotations

import os
from pathlib import Path

import click

from qmio_jupyter.cli.allocating import carry_out, deadline_option, directory_option, log_option
from qmio_jupyter.client.allocations import Here, begin
from qmio_jupyter.config.settings import load


@click.command()
@deadline_option
@directory_option
@log_option
def command(deadline: float, directory: Path, log: Path | None) -> None:
    """Hand a Slurm job the secret that it proves itself with (Slurm's Prolog, as root).

    The gateway and the node's key are those of the settings (QMIO_CONFIG). It always ends with status 0: a
    gateway that is down costs the job its session, never the node.
    """

    def work(within_s: float) -> str:
        here = Here.of(os.environ)
        begin(here, load().client, directory, within_s=within_s)
        return f"handed a secret to uid {here.uid} on {here.node}"

    carry_out("prolog", work, deadline_s=deadline, log=log)
