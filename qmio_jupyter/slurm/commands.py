"""How Slurm's commands are called at a site: absolute paths, whose environment, on whose behalf, for how long."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import PurePosixPath

import msgspec

from qmio_jupyter.errors import ConfigError

#: What `run_as` holds where the unix user's name goes.
USER = "{user}"
#: Variables that would change what a command prints, or add options to it.
_MEDDLING = ("SLURM_", "SQUEUE_", "SBATCH_", "SCANCEL_", "SINFO_", "SCONTROL_")
#: Those of them that say which Slurm is meant.
_MEANT = ("SLURM_CONF", "SLURM_CONF_SERVER")


class SlurmCommands(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the commands are and how they are run.

    Raises
    ------
    ConfigError
        If a path is not absolute: what stands first in somebody's ``PATH`` is not run.
    """

    sbatch: str = "/usr/bin/sbatch"
    squeue: str = "/usr/bin/squeue"
    scancel: str = "/usr/bin/scancel"
    scontrol: str = "/usr/bin/scontrol"
    sinfo: str = "/usr/bin/sinfo"
    sacctmgr: str = "/usr/bin/sacctmgr"
    #: Argument list put before commands that act for a user; ``{user}`` alone in an argument is her unix name.
    #: Empty: they run as whoever runs this process.
    run_as: tuple[str, ...] = ()
    #: Path of slurm.conf for ``SLURM_CONF``; empty: as Slurm finds it.
    config: str = ""
    #: Seconds any one command may take.
    timeout_s: float = 15.0

    def __post_init__(self) -> None:
        paths = [
            getattr(self, name) for name in ("sbatch", "squeue", "scancel", "scontrol", "sinfo", "sacctmgr")
        ]
        for path in (*paths, *self.run_as[:1]):
            if not PurePosixPath(path).is_absolute():
                raise ConfigError(
                    f"slurm: {path!r} is not an absolute path", hint="Give the command's whole path."
                )

    def prefix(self, user: str | None) -> list[str]:
        """Return the argument list that comes before a command run for `user`; empty for None.

        Raises
        ------
        ConfigError
            If `user` could be taken for an option or for several words.
        """
        if user is None or not self.run_as:
            return []
        if not user or user.startswith("-") or any(sign.isspace() or sign in "\0:/," for sign in user):
            raise ConfigError(f"{user!r} is no unix user's name", hint="Map the name to a unix account.")
        return [user if word == USER else word for word in self.run_as]

    def environment(self, environ: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return a command's environment: `environ`, without what would change its output, in UTC and English."""
        given = os.environ if environ is None else environ
        made = {
            name: value for name, value in given.items() if not name.startswith(_MEDDLING) or name in _MEANT
        }
        if self.config:
            made["SLURM_CONF"] = self.config
        return made | {"TZ": "UTC", "LC_ALL": "C.UTF-8", "SLURM_TIME_FORMAT": "standard"}
