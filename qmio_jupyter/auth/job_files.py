"""The file in which a Slurm job finds the secret that its node's prolog hands it.

It is in a directory of root's on the node (memory, not a network file system), belongs to the job's user, and has mode
0600. One node of one job has one, named by cluster, job and node; the epilog removes it.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from qmio_jupyter.errors import ConfigError
from qmio_jupyter.private_files import read_private, write_private

#: Where prologs put the files, and jobs look for them.
DIRECTORY = Path("/run/qmio/jobs")
#: What names another directory to a job.
VARIABLE = "QMIO_JOB_SECRETS"

_ODD = re.compile(r"[^A-Za-z0-9._+-]")
_VERSION = 1


class JobFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the file holds."""

    cluster: str
    #: The job's own id, also where its programs know only that of their array or heterogeneous job.
    job_id: str
    node: str
    secret: bytes
    version: int = _VERSION

    def __repr__(self) -> str:
        return f"JobFile(cluster={self.cluster!r}, job_id={self.job_id!r}, node={self.node!r})"


def path_of(directory: Path, cluster: str, job_id: str, node: str) -> Path:
    """Return where the file of a job on a node is."""
    return directory / ("-".join(_ODD.sub("_", part) for part in (cluster, job_id, node)) + ".secret")


def hand_out(directory: Path, content: JobFile, uid: int) -> Path:
    """Write the file for the job's user; an earlier one of the same job and node is replaced.

    Raises
    ------
    ConfigError
        ``config.permissions`` if somebody else could have put the directory or what is in it there;
        ``config.file`` if it cannot be written.
    """
    try:
        # Searchable by all: each finds the file of her job, and can read no other.
        directory.mkdir(mode=0o755, parents=True, exist_ok=True)
        facts = directory.lstat()
    except OSError as problem:
        raise ConfigError(
            f"{directory} cannot be made ({problem.strerror})",
            code="config.file",
            hint="Is the prolog root's?",
        ) from None
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.geteuid() or facts.st_mode & 0o022:
        raise ConfigError(
            f"{directory} is a link, another user's, or may be written by others",
            code="config.permissions",
            hint="It is to be root's, with mode 0755.",
        )
    path = path_of(directory, content.cluster, content.job_id, content.node)
    write_private(path, msgspec.json.encode(content) + b"\n", owner=uid)
    return path


def find(environ: Mapping[str, str]) -> JobFile | None:
    """Return what this process's job was handed on this node; None if nothing was.

    A component of a heterogeneous job knows the leader's id as its own, and all components' beside it.

    Raises
    ------
    ConfigError
        If the file is there, and not a file that only this user can read, or not one of ours.
    """
    directory = Path(environ.get(VARIABLE) or DIRECTORY)
    cluster, node = environ.get("SLURM_CLUSTER_NAME", ""), environ.get("SLURMD_NODENAME", "")
    for job_id in _ids(environ):
        path = path_of(directory, cluster, job_id, node)
        if not path.exists():
            continue
        try:
            found = msgspec.json.decode(read_private(path), type=JobFile)
        except (msgspec.DecodeError, UnicodeDecodeError):
            found = None
        if found is None or found.version != _VERSION:
            raise ConfigError(
                f"{path} is not the secret of a job, or of a version not known here",
                code="config.file",
                hint="The node's prolog and this software are to be of one version.",
            )
        return found
    return None


def _ids(environ: Mapping[str, str]) -> Iterable[str]:
    components = sorted(name for name in environ if name.startswith("SLURM_JOB_ID_HET_GROUP_"))
    named = (environ.get("SLURM_JOB_ID", ""), *(environ[name] for name in components))
    return dict.fromkeys(filter(None, named))
