"""Have the proxy that JupyterHub needs, for the suites with a real hub: Debian's configurable-http-proxy.

Usage: ``python tools/proxy.py``. As root on a Debian machine it installs what is missing; anybody else is told how.
Exit code 1 if it is missing after that.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

from qmio_jupyter.testing.hub import missing

PACKAGES = ["node-configurable-http-proxy"]


def installed() -> bool:
    """Install the package with apt-get, if we may; return whether that was tried and went well."""
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return False
    print(f"proxy: installing Debian's {', '.join(PACKAGES)}", flush=True)
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
    lacking = missing()
    if lacking and installed():
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
