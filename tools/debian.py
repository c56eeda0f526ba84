"""Install Debian's packages for a suite, where we may; see `chromium`, `slurm` and `proxy`, which say what and why."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence


def install(name: str, packages: Sequence[str]) -> bool:
    """Install packages with apt-get, as root on a Debian machine; return whether that was tried and went well."""
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return False
    print(f"{name}: installing Debian's {', '.join(packages)}", flush=True)
    environ = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    steps = [["update"], ["install", "-y", "--no-install-recommends", *packages]]
    return all(
        subprocess.run(
            ["apt-get", "-qq", *step], env=environ, stdin=subprocess.DEVNULL, check=False
        ).returncode
        == 0
        for step in steps
    )
