"""Two network namespaces joined by a wire: a control side, and a compute side behind a firewall. Needs root.

Nothing of it touches the machine's own network, and it is gone with the process that made it, however that ends.
"""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from qmio_jupyter.testing.keeping import path_of, which

#: Debian's packages that it needs, and the program of each.
PROGRAMS: Mapping[str, str] = {"iproute2": "ip", "nftables": "nft"}
_PREFIX = "10.88.0."
_CLONE_NEWNET = 0x4000_0000
_PATIENCE_S = 10.0


def missing() -> str:
    """Return what the machine lacks for it, as Debian's packages or a sentence; empty if nothing."""
    lacking = [package for package, program in PROGRAMS.items() if which(program) is None]
    if lacking:
        return f"Debian's {', '.join(lacking)}"
    if os.geteuid() != 0:
        return "root (for network namespaces)"
    try:
        with two_networks(()) as networks:
            networks.guard(
                "table inet trial {\n chain input {\n type filter hook input priority 0\n ct state new counter\n }\n}\n"
            )
    except (OSError, subprocess.CalledProcessError) as problem:
        said = getattr(problem, "stderr", "") or str(problem)
        return f"the right to make network namespaces with a firewall ({said.strip()})"
    return ""


class Networks:
    """The two sides. Use :func:`two_networks`.

    Parameters
    ----------
    names : sequence of str
        Nodes of the compute side; each gets an address.
    """

    def __init__(self, names: Sequence[str]) -> None:
        #: Address of the control side.
        self.control = f"{_PREFIX}1"
        #: Addresses of the nodes, all of the compute side.
        self.nodes: Mapping[str, str] = {name: f"{_PREFIX}{number}" for number, name in enumerate(names, 11)}
        self._holders: dict[str, subprocess.Popen[bytes]] = {}

    def start(self) -> None:
        """Make the namespaces and the wire."""
        for side in ("control", "compute"):
            holder = subprocess.Popen(
                [path_of("setpriv"), "--pdeathsig", "KILL", path_of("unshare"), "--net", "sleep", "infinity"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
            )
            self._holders[side] = holder
            give_up = time.monotonic() + _PATIENCE_S
            while self._inode(holder.pid) in ("", self._inode(os.getpid())):
                if holder.poll() is not None or time.monotonic() > give_up:
                    raise PermissionError("unshare --net")
                time.sleep(0.005)
        far = str(self._holders["compute"].pid)
        self._run(
            "control", "ip", "link", "add", "wire", "type", "veth", "peer", "name", "wire", "netns", far
        )
        for side, addresses in (("control", [self.control]), ("compute", [*self.nodes.values()])):
            self._run(side, "ip", "link", "set", "lo", "up")
            for address in addresses:
                self._run(side, "ip", "address", "add", f"{address}/24", "dev", "wire")
            self._run(side, "ip", "link", "set", "wire", "up")

    def stop(self) -> None:
        """Let go of them. Idempotent."""
        for holder in self._holders.values():
            holder.kill()
            holder.wait(_PATIENCE_S)

    @staticmethod
    def _inode(pid: int) -> str:
        try:
            return str(Path(f"/proc/{pid}/ns/net").readlink())
        except OSError:
            return ""

    def _place(self, side: str) -> str:
        return f"/proc/{self._holders[side].pid}/ns/net"

    def entering(self, side: str) -> list[str]:
        """Return the argument list to be put before a command that is to run on a side."""
        return [path_of("nsenter"), f"--net={self._place(side)}", "--"]

    def look(self, side: str, *argv: str) -> str:
        """Return what a command prints that runs on a side."""
        return self._run(side, *argv)

    def _run(self, side: str, *argv: str, stdin: str = "") -> str:
        done = subprocess.run(
            [*self.entering(side), path_of(argv[0]), *argv[1:]],
            input=stdin, capture_output=True, text=True, check=True,
        )  # fmt: skip
        return done.stdout

    @contextmanager
    def inside(self, side: str = "control") -> Iterator[None]:
        """Have this thread, and all it starts meanwhile, on a side."""
        libc = ctypes.CDLL(None, use_errno=True)
        back = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        there = os.open(self._place(side), os.O_RDONLY | os.O_CLOEXEC)

        def go(descriptor: int) -> None:
            if libc.setns(descriptor, _CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")

        try:
            go(there)
            try:
                yield
            finally:
                go(back)
        finally:
            os.close(there)
            os.close(back)

    def guard(self, rules: str) -> None:
        """Give the compute side a firewall: a file of ``nft``."""
        self._run("compute", "nft", "-f", "-", stdin=rules)

    def dropped(self) -> int:
        """Return how many packets the firewall's counters have seen."""
        found: list[dict[str, Any]] = json.loads(self._run("compute", "nft", "--json", "list", "ruleset"))[
            "nftables"
        ]
        rules = [one["rule"]["expr"] for one in found if "rule" in one]
        return sum(part["counter"]["packets"] for rule in rules for part in rule if "counter" in part)


@contextmanager
def two_networks(names: Sequence[str]) -> Iterator[Networks]:
    """Have the two sides for a while; see :class:`Networks`."""
    made = Networks(names)
    try:
        made.start()
        yield made
    finally:
        made.stop()
