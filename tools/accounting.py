"""Have slurmdbd and MariaDB for the long suite with a cluster that keeps accounts: Debian's packages.

Usage: ``python tools/accounting.py``. As root on a Debian machine it installs what is missing, and no service is
started; anybody else is told how. Exit code 1 if something is missing after that.
"""

from __future__ import annotations

import sys

from debian import install

from qmio_jupyter.testing.accounting import missing

PACKAGES = ["slurmdbd", "mariadb-server-core", "mariadb-client-core"]


def main() -> int:
    """Find or install them; return the exit code."""
    lacking = missing()
    if lacking and install("accounting", PACKAGES):
        lacking = missing()
    if lacking:
        print(
            f"accounting: {lacking} is missing, so the suite with accounts cannot run. As root: apt-get install -y "
            f"--no-install-recommends {' '.join(PACKAGES)}",
            file=sys.stderr,
        )
        return 1
    print("accounting: slurmdbd, mariadbd")
    return 0


if __name__ == "__main__":
    sys.exit(main())
