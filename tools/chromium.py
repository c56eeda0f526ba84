"""Have a browser for the browser suites: Debian's chromium, which is never Playwright's own download.

Usage: ``python tools/chromium.py``. Prints its path. As root on a Debian machine it installs what is missing;
anybody else is told how. Exit code 1 if there is none after that.
"""

from __future__ import annotations

import sys

from debian import install

from qmio_jupyter.testing.browser import chromium

#: The browser and one family of letters; no sound, no printing, no desktop.
PACKAGES = ["chromium", "fonts-dejavu-core"]


def main() -> int:
    """Find or install it; return the exit code."""
    found = chromium() or (chromium() if install("chromium", PACKAGES) else None)
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
