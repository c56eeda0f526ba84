"""Have sudo for the suite that tries the example's rules: Debian's package, installed by the tests themselves.

Usage: ``python tools/sudo.py``. As root on a Debian machine it installs what is missing; anybody else is told how.
Exit code 1 if it is missing after that.
"""

from __future__ import annotations

import shutil
import sys

from debian import install

PACKAGES = ["sudo"]


def main() -> int:
    """Find or install it; return the exit code."""
    found = shutil.which("sudo")
    if found is None and install("sudo", PACKAGES):
        found = shutil.which("sudo")
    if found is None:
        print(
            "sudo: it is missing, so its rules cannot be tried. As root: apt-get install -y "
            f"--no-install-recommends {' '.join(PACKAGES)}",
            file=sys.stderr,
        )
        return 1
    print(f"sudo: {found}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
