"""Have a browser for the browser suites: Debian's chromium, which is never Playwright's own download.

Usage: ``python tools/chromium.py``. Prints its path. As root on a Debian machine it installs what is missing;
anybody else is told how. Exit code 1 if there is none after that.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

from qmio_jupyter.testing.browser import chromium

#: The browser and one family of letters; no sound, no printing, no desktop.
PACKAGES = ["chromium", "fonts-dejavu-core"]


def installed() -> bool:
    """Install the packages with apt-get, if we may; return whether that was tried and went well."""
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return False
    print(f"chromium: installing Debian's {', '.join(PACKAGES)}", flush=True)
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
    """Find or install it; return the exit code."""
    found = chromium() or (chromium() if installed() else None)
    if found is None:
        print(
            f"chromium: no browser, so the browser suites cannot run. As root: apt-get install -y "
            f"--no-install-recommends {' '.join(PACKAGES)}; or set QMIO_CHROMIUM to a Chromium.",
            file=sys.stderr,
        )
        return 1
    print(f"chromium: {found}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
