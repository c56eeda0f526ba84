"""Have the proxy that JupyterHub needs, for the suites with a real hub: Debian's configurable-http-proxy.

Usage: ``python tools/proxy.py``. As root on a Debian machine it installs what is missing; anybody else is told how.
Exit code 1 if it is missing after that.
"""

from __future__ import annotations

import sys

from debian import install

from qmio_jupyter.testing.hub import missing

PACKAGES = ["node-configurable-http-proxy"]


def main() -> int:
    """Find or install it; return the exit code."""
    lacking = missing()
    if lacking and install("proxy", PACKAGES):
        lacking = missing()
    if lacking:
        print(
            f"proxy: {lacking} is missing, so the suites with a hub cannot run. As root: apt-get install -y "
            f"--no-install-recommends {' '.join(PACKAGES)}",
            file=sys.stderr,
        )
        return 1
    print("proxy: configurable-http-proxy")
    return 0


if __name__ == "__main__":
    sys.exit(main())
