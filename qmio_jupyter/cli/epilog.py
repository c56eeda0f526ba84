"""``jupyter qmio epilog``: what Slurm's epilog does when a job ends, so that its session ends at once."""

from __future__ import annotations

import os
from pathlib import Path

import click

from qmio_jupyter.cli.allocating import carry_out, deadline_option, directory_option, log_option
from qmio_jupyter.client.allocations import Here, end
from qmio_jupyter.config.settings import load


@click.command()
@click.option(
    "--controller", is_flag=True, help="Run by slurmctld (EpilogSlurmctld), for all of the job's nodes."
)
@deadline_option
@directory_option
@log_option
def command(controller: bool, deadline: float, directory: Path, log: Path | None) -> None:
    """Tell the gateway that a Slurm job is over (Slurm's Epilog, as root).

    Its sessions end at once; without it they end when Slurm is next asked. The gateway and the node's key are
    those of the settings (QMIO_CONFIG). It always ends with status 0: a gateway that is down costs nothing.
    """

    def work(within_s: float) -> str:
        here = Here.of(os.environ, at_controller=controller)
        end(here, load().client, directory, within_s=within_s)
        return f"told the gateway that it is over{f' on {here.node}' if here.node else ''}"

    carry_out("epilog", work, deadline_s=deadline, log=log)
