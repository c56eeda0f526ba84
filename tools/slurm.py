"""Have Slurm and MUNGE for the suites with a real cluster: Debian's packages, run by the tests themselves.

Usage: ``python tools/slurm.py``. As root on a Debian machine it installs what is missing, and no service is started;
anybody else is told how. Exit code 1 if something is missing after that.
"""

from __future__ import annotations

import sys

from debian import install

from qmio_jupyter.testing import networks, slurm
from qmio_jupyter.testing.keeping import which

PACKAGES = ["slurmctld", "slurmd", "slurm-client", "munge", *networks.PROGRAMS]


def missing() -> str:
    """Return what is missing, empty if nothing."""
    firewall = [package for package, program in networks.PROGRAMS.items() if which(program) is None]
    return slurm.missing() or (f"Debian's {', '.join(firewall)}" if firewall else "")


def main() -> int:
    """Find or install them; return the exit code."""
    lacking = missing()
    if lacking and install("slurm", PACKAGES):
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
