"""What root of a node does and says when a Slurm job begins and ends there: for prologs and epilogs.

The secret is made here, written for the job's user and for nobody else, and never sent: the gateway is told its hash.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from qmio_jupyter.auth import job_files
from qmio_jupyter.auth.job_files import JobFile
from qmio_jupyter.auth.job_secrets import check_of, new_secret
from qmio_jupyter.client import flows
from qmio_jupyter.client.sync import Client
from qmio_jupyter.config.settings import ClientSettings
from qmio_jupyter.errors import ConfigError
from qmio_jupyter.wire.messages import AllocationAdmit, AllocationEnd, Done


class Here(msgspec.Struct, frozen=True, kw_only=True):
    """The job that a prolog or epilog is run for, as slurmd's (or slurmctld's) environment says."""

    cluster: str
    job_id: str
    #: The node's name; empty at the controller.
    node: str
    uid: int

    @classmethod
    def of(cls, environ: Mapping[str, str], *, at_controller: bool = False) -> Here:
        """Return it.

        Raises
        ------
        ConfigError
            ``config.no_job`` where a variable is missing: this is not run by Slurm.
        """
        names = ["SLURM_CLUSTER_NAME", "SLURM_JOB_ID", "SLURM_JOB_UID"]
        missing = [name for name in names if not environ.get(name)]
        node = "" if at_controller else environ.get("SLURMD_NODENAME", "")
        if not node and not at_controller:
            missing.append("SLURMD_NODENAME")
        if missing or not environ["SLURM_JOB_UID"].isdecimal():
            raise ConfigError(
                f"{', '.join(missing) or 'SLURM_JOB_UID'} is not in the environment as Slurm puts it there",
                code="config.no_job",
                hint="Slurm runs this, as its Prolog or Epilog.",
            )
        return cls(
            cluster=environ["SLURM_CLUSTER_NAME"],
            job_id=environ["SLURM_JOB_ID"],
            node=node,
            uid=int(environ["SLURM_JOB_UID"]),
        )


def begin(here: Here, settings: ClientSettings, directory: Path, *, within_s: float) -> None:
    """Hand the job a secret, and tell the gateway what checks it.

    Raises
    ------
    ConfigError
        If the file cannot be written; then nothing is told.
    QmioError
        If the gateway did not take it in time: the job cannot prove itself.
    """
    secret = new_secret()
    handed = JobFile(cluster=here.cluster, job_id=here.job_id, node=here.node, secret=secret)
    path = job_files.hand_out(directory, handed, here.uid)
    body = AllocationAdmit(
        cluster=here.cluster, job_id=here.job_id, node=here.node, uid=here.uid, check=check_of(secret)
    )
    # What nobody can check is better not there: who looks for it hears the reason.
    _tell(body, settings, within_s, if_not=lambda: path.unlink(missing_ok=True))


def end(here: Here, settings: ClientSettings, directory: Path, *, within_s: float) -> None:
    """Take the job's secret away, and tell the gateway that the job is over.

    Raises
    ------
    QmioError
        If the gateway did not take it in time: Slurm will tell it.
    """
    if here.node:
        job_files.path_of(directory, here.cluster, here.job_id, here.node).unlink(missing_ok=True)
    _tell(AllocationEnd(cluster=here.cluster, job_id=here.job_id, node=here.node), settings, within_s)


def _tell(
    body: AllocationAdmit | AllocationEnd,
    settings: ClientSettings,
    within_s: float,
    *,
    if_not: Callable[[], None] = lambda: None,
) -> None:
    client = Client(settings=settings, start=False)
    try:
        client.run(flows.one(body, Done), within_s)
    except BaseException:
        # Before the link is closed, which takes its time where nobody is at the other end.
        if_not()
        raise
    finally:
        client.close()
