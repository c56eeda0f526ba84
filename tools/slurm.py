"""Have Slurm and MUNGE for the suites with a real cluster: Debian's packages, run by the tests themselves.

Usage: ``python tools/slurm.py``. As root on a Debian machine it installs what is missing, and no service is started;
anybody else is told how. Exit code 1 if something is missing after that.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

from qmio_jupyter.testing.slurm import missing

PACKAGES = ["slurmctld", "slurmd", "slurm-client", "munge"]


def installed() -> bool:
    """Install the packages with apt-get, if we may; return whether that was tried and went well."""
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return False
    print(f"slurm: installing Debian's {', '.join(PACKAGES)}", flush=True)
    environ = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    steps = [["update"], ["install", "-y", "--no-install-recommends", *PACKAGES]]
    return all(
        subprocess.run(
            ["apt-get", "-qq", *step], env=environ, stdin=subprocess.DEVNULL, check=False
        ).returncode
        == 0
        for step in steps
    )


def main() -> int:
    """Find or install them; return the exit code."""
    lacking = missing()
    if lacking and installed():
        lacking = missing()
    if lacking:
        print(
            f"slurm: {lacking} is missing, so the suites with a cluster cannot run. As root: apt-get install -y "
            f"--no-install-recommends {' '.join(PACKAGES)}",
            file=sys.stderr,
        )
        return 1
    print("slurm: slurmctld, slurmd, munged")
    return 0


if __name__ == "__main__":
    sys.exit(main())
