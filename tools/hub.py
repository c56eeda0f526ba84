"""Bring up a small centre on this machine: a Slurm cluster of several nodes, a gateway, a JupyterHub; Ctrl-C ends it.

Usage: ``make hub``, or ``python tools/hub.py [--users NAME ...]``. No systemd, nothing outside one directory below
``/tmp``. As root the users are distinct unix users, made for this and removed at the end; an ordinary user has one uid
for all, and then users are not isolated from one another.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import FrameType

from qmio_jupyter.testing import hub as hubs
from qmio_jupyter.testing import slurm
from qmio_jupyter.testing.centre import ECHO, Centre
from qmio_jupyter.testing.hub import PASSWORD, Hub
from qmio_jupyter.testing.slurm import MiniSlurm, NodeSpec

ROOT = Path(__file__).resolve().parent.parent
AGENTS = (
    """
[[gateway.agents]]
device = "fake-qmio"
driver = "emulator"
options = { calibration = "qmio" }
"""
    + ECHO
)
NODES = (NodeSpec("ilk1"), NodeSpec("ilk2"), NodeSpec("gpu1", gres="gpu:a100:2"))
PARTITIONS = (
    "PartitionName=ilk Nodes=ilk1,ilk2 Default=YES MaxTime=4:00:00 DefaultTime=30 DefMemPerCPU=500\n"
    "PartitionName=gpu Nodes=gpu1 MaxTime=2:00:00 DefaultTime=30 DefMemPerCPU=500\n"
)
PROFILES = [
    {
        "name": "class",
        "title": "Quantum class",
        "note": "One core and the emulated Qmio for an hour",
        "options": {"device": "fake-qmio", "partition": "ilk", "cores": 1, "walltime_min": 60},
    },
    {
        "name": "gpu",
        "title": "With a GPU",
        "note": "Two cores, one GPU, two hours",
        "options": {"device": "fake-qmio", "partition": "gpu", "cores": 2, "gpus": 1, "walltime_min": 120},
    },
]


def stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - as a handler is called
    """End as Ctrl-C does."""
    raise KeyboardInterrupt


def remove_empty(uid: int) -> None:
    """Remove the directories for what jobs keep on a node, where nothing is in them."""
    kept = Path(f"/tmp/qmio-{uid}")
    for path in (kept / "jobs", kept):
        with contextlib.suppress(OSError):
            path.rmdir()


def lacking() -> str:
    """Have the Debian packages, as root; return what is missing after that."""
    for part in ("slurm", "proxy"):
        subprocess.run([sys.executable, ROOT / "tools" / f"{part}.py"], check=False, stdin=subprocess.DEVNULL)
    return slurm.missing() or hubs.missing()


def main() -> int:
    """Bring it up, wait, take it down."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--users", nargs="+", default=["ana", "bob", "carme"], help="who may log in")
    wanted = parser.parse_args()
    missing = lacking()
    if missing:
        print(f"hub: {missing} is missing", file=sys.stderr)
        return 1
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
    is_root = os.geteuid() == 0
    with contextlib.ExitStack() as stack, contextlib.suppress(KeyboardInterrupt):
        root = Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="qmio-hub-", ignore_cleanup_errors=True))
        )
        root.chmod(0o755)
        for part in ("slurm", "centre", "hub", "homes"):
            (root / part).mkdir()
        if not is_root:
            # As for the users that root makes: homes that are gone at the end, and nothing of it in one's own.
            for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"):
                os.environ.pop(name, None)
            os.environ["HOME"] = str(root / "homes")
            stack.callback(remove_empty, os.getuid())
        print("hub: starting Slurm, gateway and JupyterHub ...", flush=True)
        cluster = MiniSlurm(root / "slurm", nodes=NODES, partitions=PARTITIONS)
        stack.callback(cluster.stop)
        cluster.start()
        centre = Centre(root / "centre", agents=AGENTS, more=Centre.verifier(cluster))
        stack.callback(centre.stop)
        centre.start()
        users = None
        if is_root:
            users = {name: f"qmio-{name}"[:32] for name in wanted.users}
            stack.enter_context(hubs.unix_users(list(users.values()), root / "homes"))
        hub = Hub(
            root / "hub",
            cluster,
            centre,
            python=hubs.twin_python(root / "twin"),
            users=users,
            settings={"profiles": PROFILES},
        )
        # The hub first, then what it has started: so that servers clear away what they keep on their nodes.
        stack.callback(cluster.cancel_all)
        stack.callback(hub.stop)
        hub.start()
        print(f"\nhub: {hub.url}")
        print(f"     log in as {', '.join(wanted.users)}; the password is {PASSWORD}")
        if users is None:
            print("     One uid for all: users are NOT isolated from one another (run it as root for that).")
        print(f"     logs: {root}/hub/hub.log, {root}/slurm/log; Ctrl-C ends everything.", flush=True)
        while True:
            time.sleep(3600)
    print("\nhub: nothing is left.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
