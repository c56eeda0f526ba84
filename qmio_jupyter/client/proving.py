"""How a program in a Slurm job proves itself: a key of this job and node, and what says that it runs there.

That is a credential from the node's MUNGE, or a proof with the secret that the node's prolog has handed to the job.
There is no secret to manage: the key pair is made on first use, node-local and 0700, shared by all programs of the job
on this node, and worth nothing when the job has ended.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import time
from collections.abc import Mapping
from pathlib import Path

from qmio_jupyter.auth import job_files, munge
from qmio_jupyter.auth.job_files import JobFile
from qmio_jupyter.auth.job_secrets import prove
from qmio_jupyter.auth.keys import keys_at, raw_key
from qmio_jupyter.auth.transcript import digest
from qmio_jupyter.config.places import node_local, private_directory
from qmio_jupyter.errors import AuthError, ConfigError
from qmio_jupyter.model.ids import digest as sha256
from qmio_jupyter.model.keys import KeyPair
from qmio_jupyter.wire.messages import SessionNonce, SessionOpen

#: Directories of jobs' keys that nobody has used for so long are removed.
FORGET_S = 8 * 86_400.0
#: Name of the directory that holds them.
JOBS = "jobs"

_ODD = re.compile(r"[^A-Za-z0-9._-]")


class SlurmProver:
    """Proves that this process runs in its Slurm job.

    Parameters
    ----------
    environ : mapping
        ``SLURM_JOB_ID``, ``SLURM_CLUSTER_NAME`` and ``QMIO_GRANT`` are looked at.

    Raises
    ------
    ConfigError
        ``config.no_job`` outside of a job.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.job_id = environ.get("SLURM_JOB_ID", "")
        self.cluster = environ.get("SLURM_CLUSTER_NAME", "")
        self.grant_id = environ.get("QMIO_GRANT") or None
        if not self.job_id:
            raise ConfigError(
                "this gateway opens sessions for Slurm jobs, and this is none",
                code="config.no_job",
                hint="Use sbatch or srun, or salloc and srun in it.",
            )
        restarts = environ.get("SLURM_RESTART_COUNT", "")
        self.restarts = int(restarts) if restarts.isascii() and restarts.isdigit() else 0
        run = (self.cluster, self.job_id, str(self.restarts))
        node = environ.get("SLURMD_NODENAME", "")
        self._name = "-".join(_ODD.sub("_", part) for part in (*run, node))
        self._environ = environ
        self._keys: KeyPair | None = None

    @property
    def directory(self) -> Path:
        """Where this job's key is on this node: 0700, made on first use; worth nothing when the job has ended.

        Raises
        ------
        ConfigError
            If there is no place for it.
        """
        return private_directory(node_local(self._environ) / JOBS) / self._name

    @property
    def keys(self) -> KeyPair:
        """The key pair of this job on this node, made on first use.

        Raises
        ------
        ConfigError, AuthError
            If there is no place for it, or it is not what it should be.
        """
        if self._keys is None:
            directory = self.directory
            forget_old(directory.parent)
            self._keys = keys_at(private_directory(directory) / "session.key")
        return self._keys

    def answer(self, nonce: SessionNonce, server_key: str) -> SessionOpen:
        """Return the proof that answers a gateway's question.

        Parameters
        ----------
        nonce : SessionNonce
            The question.
        server_key : str
            The key that the link was made with, Z85: what the other end says of itself does not matter.

        Raises
        ------
        AuthError
            ``auth.munge`` (retryable) if the node's munged cannot be asked; ``auth.credential`` if the gateway takes
            only proofs with a secret, and the job has none here.
        ConfigError
            If libmunge is missing, or the secret's file is not what it should be.
        """
        handed = job_files.find(self._environ) if "secret" in nonce.proofs else None
        if handed is not None:
            return self._with_secret(nonce, server_key, handed)
        if "munge" not in nonce.proofs:
            raise AuthError(
                f"job {self.job_id} was handed no secret on this node, and the gateway takes no other proof",
                code="auth.credential",
                hint="The administrator of the node: is the prolog of qmio run, and does its log say anything?",
            )
        if nonce.uid is None:
            raise AuthError("the gateway does not say who may read a proof", hint="Update the gateway.")
        path = self._environ.get(munge.SOCKET_VARIABLE, "")
        payload = self._transcript(nonce, server_key, self.job_id)
        return SessionOpen(
            cluster=self.cluster,
            job_id=self.job_id,
            grant_id=self.grant_id,
            restarts=self.restarts,
            credential=munge.encode(payload, only_for=nonce.uid, path=path),
        )

    def _with_secret(self, nonce: SessionNonce, server_key: str, handed: JobFile) -> SessionOpen:
        return SessionOpen(
            cluster=self.cluster,
            job_id=handed.job_id,
            grant_id=self.grant_id,
            restarts=self.restarts,
            node=handed.node,
            credential=prove(handed.secret, self._transcript(nonce, server_key, handed.job_id)),
        )

    def _transcript(self, nonce: SessionNonce, server_key: str, job_id: str) -> bytes:
        return digest(
            server_key=server_key,
            client_key=bytes.fromhex(sha256(raw_key(self.keys.public))),
            nonce=nonce.nonce,
            cluster=self.cluster,
            job_id=job_id,
            grant_id=self.grant_id,
        )


def forget_old(jobs: Path, now_s: float | None = None) -> None:
    """Remove what jobs of long ago have left: their keys open nothing any more."""
    now_s = time.time_ns() / 1e9 if now_s is None else now_s
    with contextlib.suppress(OSError):
        for directory in jobs.iterdir():
            if now_s - directory.lstat().st_mtime > FORGET_S:
                shutil.rmtree(directory, ignore_errors=True)
