"""The one adapter to Slurm: builds argument lists, runs them, parses the answers, raises classified errors.

Blocking, and safe from any thread; an event loop hands a call to a thread, or uses :mod:`cache`.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence

import msgspec

from qmio_jupyter.errors import SlurmError
from qmio_jupyter.ports import SlurmRunner
from qmio_jupyter.slurm import accounts, cluster, jobs
from qmio_jupyter.slurm.accounts import Association, Qos
from qmio_jupyter.slurm.cluster import ExpectedStart, Licence, Node, Partition, Reservation
from qmio_jupyter.slurm.commands import SlurmCommands
from qmio_jupyter.slurm.complaints import failure, is_unknown_job, is_unreachable
from qmio_jupyter.slurm.jobs import Ending, Job
from qmio_jupyter.slurm.requests import JobRequest, job_name
from qmio_jupyter.slurm.running import ProcessRunner
from qmio_jupyter.slurm.text import is_number, long_format, unreadable


class Submitted(msgspec.Struct, frozen=True):
    """What ``sbatch --parsable`` says. `cluster` is empty unless Slurm named one (federations)."""

    job_id: int
    cluster: str = ""


class Slurm:
    """A site's Slurm.

    Parameters
    ----------
    commands : SlurmCommands, optional
        Paths, run-as prefix, deadline.
    runner : SlurmRunner, optional
        Runs the commands; real processes when None.

    Notes
    -----
    Every method raises `SlurmError`: ``slurm.unreachable`` (retryable) where Slurm could not be asked, which says
    nothing of any job; ``slurm.unknown_job``; ``slurm.refused`` with Slurm's own reason; ``slurm.command`` where
    the command itself is missing.
    """

    def __init__(self, commands: SlurmCommands | None = None, runner: SlurmRunner | None = None) -> None:
        self.commands = commands or SlurmCommands()
        self._runner: SlurmRunner = runner or ProcessRunner()

    # ------------------------------------------------------------ jobs

    def submit(
        self,
        script: bytes,
        request: JobRequest,
        *,
        user: str | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> Submitted:
        """Submit a batch script and return its job.

        After ``slurm.unreachable`` the job may exist all the same: look for it by its name, or cancel that.

        Parameters
        ----------
        script : bytes
            Given to sbatch on its standard input; starts with ``#!``.
        request : JobRequest
            What it asks for.
        user : str, optional
            On whose behalf, through the run-as prefix.
        environ : mapping, optional
            Environment of sbatch, of which ``request.export`` names what the job gets; this process's own when None.
        """
        argv = [self.commands.sbatch, "--parsable", *request.arguments()]
        _, out, _ = self._run(argv, user=user, stdin=script, environ=environ)
        job, _, name = out.strip().rpartition("\n")[2].partition(";")
        if not is_number(job):
            raise unreadable(f"{out.strip()[:60]!r} is no job id")
        return Submitted(int(job), name)

    def expected_start(
        self, request: JobRequest, *, user: str | None = None, script: bytes = b"#!/bin/sh\n"
    ) -> ExpectedStart:
        """Return when such a job would start, as Slurm sees it now; nothing is submitted."""
        argv = [self.commands.sbatch, "--test-only", *request.arguments()]
        _, _, err = self._run(argv, user=user, stdin=script)
        return cluster.parse_test_only(err)

    def jobs(self) -> tuple[Job, ...]:
        """Return all jobs that have not ended: one query. Many callers share :class:`cache.JobCache`."""
        return self._squeue([])

    def find(self, name: str, *, user: str | None = None) -> tuple[Job, ...]:
        """Return the jobs of this name that have not ended, asked anew; of one user's only where one is given."""
        return self._squeue([f"--name={job_name(name)}", *_of_user(user)])

    def job(self, job_id: int) -> tuple[Job, ...]:
        """Return a job that has not ended, with the tasks of an array or the components of a heterogeneous job.

        Empty if Slurm knows no such job, or it has ended.
        """
        try:
            return self._squeue([f"--jobs={job_id}"])
        except SlurmError as error:
            if error.code == "slurm.unknown_job":
                return ()
            raise

    def ending(self, job_id: int, name: str) -> Ending | None:
        """Return how the job of this id and name has ended; None if it has not, or Slurm has forgotten it.

        Slurm remembers for ``MinJobAge`` seconds.
        """
        try:
            said = self._ask([self.commands.scontrol, "--oneliner", "show", "job", str(job_id)])
        except SlurmError as error:
            if error.code == "slurm.unknown_job":
                return None
            raise
        return jobs.parse_ending(said, name)

    def cancel(self, job_id: int, *, user: str | None = None) -> None:
        """Cancel a job; one that has ended is left as it is."""
        self._cancel([str(job_id)], user)

    def cancel_named(self, name: str, *, owner: str, user: str | None = None) -> None:
        """Cancel every job of this name that belongs to `owner`; none is no error.

        Parameters
        ----------
        name : str
            The job's name.
        owner : str
            Unix user whose jobs are meant: nobody else's of that name is touched, also not by root.
        user : str, optional
            On whose behalf, through the run-as prefix.
        """
        self._cancel([f"--name={job_name(name)}", *_of_user(owner)], user)

    def _cancel(self, which: Sequence[str], user: str | None) -> None:
        argv = [self.commands.scancel, *which]
        code, _, err = self._run(argv, user=user, check=False)
        if code and not is_unknown_job(err):
            raise failure("scancel", code, err)

    def _squeue(self, which: Sequence[str]) -> tuple[Job, ...]:
        separator = _separator()
        fields = long_format(jobs.FIELDS, separator)
        argv = [self.commands.squeue, "--noheader", "--all", *which, "-O", fields]
        return jobs.parse_jobs(self._ask(argv), separator)

    # ------------------------------------------------------------ cluster

    def cluster_name(self) -> str:
        """Return the cluster's name, as ``SLURM_CLUSTER_NAME`` has it in its jobs."""
        return cluster.parse_cluster_name(self._ask([self.commands.scontrol, "show", "config"]))

    def configuration(self) -> dict[str, str]:
        """Return the controller's configuration, by the keys of slurm.conf."""
        return cluster.parse_configuration(self._ask([self.commands.scontrol, "show", "config"]))

    def partitions(self) -> tuple[Partition, ...]:
        """Return the partitions, hidden ones included."""
        return cluster.parse_partitions(
            self._ask([self.commands.scontrol, "--oneliner", "--all", "show", "partitions"])
        )

    def nodes(self) -> tuple[Node, ...]:
        """Return the nodes with what is free on them."""
        separator = _separator()
        fields = long_format(cluster.NODE_FIELDS, separator)
        argv = [self.commands.sinfo, "--noheader", "--all", "--Node", "-O", fields]
        return cluster.parse_nodes(self._ask(argv), separator)

    def reservations(self) -> tuple[Reservation, ...]:
        """Return the reservations, those to come included."""
        return cluster.parse_reservations(
            self._ask([self.commands.scontrol, "--oneliner", "show", "reservations"])
        )

    def licences(self) -> tuple[Licence, ...]:
        """Return the licences and how many are free."""
        return cluster.parse_licences(self._ask([self.commands.scontrol, "--oneliner", "show", "licenses"]))

    # ------------------------------------------------------------ accounting

    def associations(self, user: str | None = None) -> tuple[Association, ...]:
        """Return who may charge what; all users' for None. Needs slurmdbd."""
        columns = f"format={','.join(accounts.ASSOCIATION_COLUMNS)}"
        where = [] if user is None else ["where", f"name={job_name(user)}"]
        argv = [self.commands.sacctmgr, "-n", "-P", "show", "users", *where, "withassoc", columns]
        return accounts.parse_associations(self._ask(argv))

    def level(self, user: str) -> str:
        """Return a user's level in the accounting: ``None``, ``Operator`` or ``Administrator``. Needs slurmdbd."""
        where = ["where", f"name={job_name(user)}", "format=AdminLevel"]
        return self._ask([self.commands.sacctmgr, "-n", "-P", "show", "user", *where]).strip()

    def qos(self) -> tuple[Qos, ...]:
        """Return the QOS there are. Needs slurmdbd."""
        columns = f"format={','.join(accounts.QOS_COLUMNS)}"
        return accounts.parse_qos(self._ask([self.commands.sacctmgr, "-n", "-P", "show", "qos", columns]))

    # ------------------------------------------------------------ running

    def _ask(self, argv: list[str]) -> str:
        """Return what a query prints.

        One that complains that it could not ask has not answered, whatever its exit status: a site's wrapper may lose
        that, and no jobs would look like all jobs gone.
        """
        code, out, err = self._run(argv, check=False)
        if code or is_unreachable(err):
            raise failure(_name(argv), code, err, is_query=True)
        return out

    def _run(
        self,
        argv: list[str],
        *,
        user: str | None = None,
        stdin: bytes = b"",
        environ: Mapping[str, str] | None = None,
        check: bool = True,
    ) -> tuple[int, str, str]:
        code, out, err = self._runner.run(
            [*self.commands.prefix(user), *argv],
            stdin=stdin,
            timeout_s=self.commands.timeout_s,
            environ=self.commands.environment(environ),
        )
        if check and code:
            raise failure(_name(argv), code, err)
        return code, out, err


def _name(argv: Sequence[str]) -> str:
    return argv[0].rpartition("/")[2]


def _of_user(user: str | None) -> list[str]:
    return [] if user is None else [f"--user={job_name(user)}"]


def _separator() -> str:
    """Return a separator that no user can have foreseen."""
    return f"~{secrets.token_hex(12)}~"
