"""The floor of a server's start: batchspawner, in an environment of its own, on the same cluster.

It is given the best it can have: its own startup poll, a script without ``srun`` and without reading the user's login
environment, and the same versions of JupyterHub, JupyterLab and their kin as the product's.
"""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

from centre import Site, counting, noting

from qmio_jupyter.testing.hub import Hub

#: What both environments have in the same version.
SAME = (
    "jupyterhub",
    "jupyterlab",
    "jupyter-server",
    "notebook",
    "ipykernel",
    "tornado",
    "pyzmq",
    "traitlets",
)
BATCHSPAWNER = "batchspawner==1.3.0"

_CONFIG = """
import batchspawner
from traitlets import Unicode

class Rival(batchspawner.SlurmSpawner):
    ip = Unicode("127.0.0.1")
    exec_prefix = Unicode({prefix!r})

    def state_gethost(self):
        return "127.0.0.1"

c.JupyterHub.spawner_class = Rival
c.Spawner.cmd = [{single!r}]
c.BatchSpawnerBase.batchspawner_singleuser_cmd = {wrapper!r}
c.BatchSpawnerBase.batch_submit_cmd = {sbatch!r}
c.BatchSpawnerBase.batch_query_cmd = {squeue!r} + ' -h -j {{job_id}} -o "%T %B"'
c.BatchSpawnerBase.batch_script = '''#!/bin/sh
#SBATCH --output=/dev/null
#SBATCH --job-name=rival
#SBATCH --chdir={{{{homedir}}}}
#SBATCH --export={{{{keepvars}}}}
#SBATCH --time=30
#SBATCH --mem=500
#SBATCH --cpus-per-task=1
exec {{{{cmd}}}}
'''
c.Spawner.env_keep = ["PATH", "SLURM_CONF"]
c.Spawner.start_timeout = 120
"""


def environment(root: Path) -> Path:
    """Make batchspawner's environment; return its directory."""
    uv = str(Path(sys.executable).with_name("uv"))
    made = root / "rival"
    # As root the servers are other users', who cannot enter where this process's Python may be.
    python = f"/usr/bin/python3.{sys.version_info.minor}" if os.geteuid() == 0 else sys.executable
    subprocess.run([uv, "venv", "--quiet", "--python", python, made], check=True)
    pinned = [f"{name}=={version(name)}" for name in SAME]
    subprocess.run(
        [
            *(uv, "pip", "install", "--quiet", "--compile-bytecode", "--link-mode=copy"),
            *("--python", str(made / "bin" / "python"), BATCHSPAWNER, *pinned),
        ],
        check=True,
    )
    return made


class RivalHub(Hub):
    """A hub with batchspawner in place of our spawner; the rest of its configuration is the same."""

    def __init__(self, root: Path, site: Site, made: Path, **options: Any) -> None:
        super().__init__(root, site.cluster, site.centre, python=str(made / "bin" / "python"), **options)
        self.argv = [str(made / "bin" / "python"), "-m", "jupyterhub"]
        commands = site.cluster.commands()
        # Without what configures our spawner, by traits and by a loop over them.
        lines = self.config_file.read_text().splitlines()
        ours = ("c.JupyterHub.spawner_class", "for name, value", "    setattr(")
        kept = "\n".join(line for line in lines if not line.startswith(ours))
        user = next(iter(site.users or {}), "")
        text = _CONFIG.format(
            prefix=f"{commands.run_as[0]} -u {user} --" if commands.run_as else "",
            single=str(made / "bin" / "jupyterhub-singleuser"),
            wrapper=str(made / "bin" / "batchspawner-singleuser"),
            sbatch=noting(site.root, site.notes, f"{commands.sbatch} --parsable", "rival"),
            squeue=counting(site.root, site.notes, commands.squeue, "rival-squeue"),
        )
        self.config_file.write_text(kept + text)
