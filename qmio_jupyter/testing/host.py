"""A host of its own on this one: what an administrator does to it is seen by nobody else, and gone when it ends.

As root, in namespaces of mounts, network, and processes: ``/etc``, ``/opt``, ``/var``, ``/root`` and ``/home`` are
overlays, ``/tmp`` and ``/run`` are empty, and the addresses of the guide's hosts are this one's. Slurm is a mini
cluster, whose configuration is ``/etc/slurm``; systemd is :mod:`systemctl`; packages are this environment's.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from qmio_jupyter.testing import hub, slurm, systemctl
from qmio_jupyter.testing.guide import Block, Instead, blocks, put
from qmio_jupyter.testing.slurm import MiniSlurm

ROOT = Path(__file__).resolve().parents[2]
GUIDE = ROOT / "docs" / "how-to" / "install-at-a-centre.md"
ADDRESSES = ("10.0.0.4", "10.0.0.5")
SHIMS = Path("/tmp/shims")  # noqa: S108 - in a /tmp of its own
#: Holds the namespace of mounts that was left.
OUTER = "QMIO_TEST_OUTER_MOUNTS"
#: Seconds for which a check that follows a start is repeated.
UP_S = 90.0

_NODES = '{ n1 = ["10.0.0.5"], n2 = ["10.0.0.5"], n3 = ["10.0.0.5"] }'

#: Everything in which the script does not do what the guide says.
INSTEAD = (
    Instead(
        "apt-get install -y ",
        "check-packages ",
        "the test installs Debian's packages: that they are there is checked",
    ),
    Instead(
        "python3 -m venv /opt/qmio",
        "python3 -m venv --without-pip /opt/qmio",
        "there is nothing to install from",
    ),
    Instead(
        "/opt/qmio/bin/pip install 'qmio_jupyter[hub,sim]'",
        "share-packages /opt/qmio",
        "there is no package index: the packages are this environment's",
    ),
    Instead(
        "/opt/qmio/bin/pip install --upgrade 'qmio_jupyter[hub,sim]'",
        "share-packages /opt/qmio",
        "the same version again",
    ),
    Instead(
        "systemctl daemon-reload\nsystemctl enable --now qmio-gateway.service",
        f"sed -i 's/^licence_required = true/&\\naddresses = {_NODES}/' /etc/qmio/config.toml\n"
        "systemctl daemon-reload\nsystemctl enable --now qmio-gateway.service",
        "all nodes are one host, whose links to the gateway come from the gateway's own address",
    ),
    Instead(
        "usermod --append --groups qmio-users ana",
        "usermod --append --groups qmio-users ana\nusermod --append --groups shadow jupyterhub",
        "PAM reads local passwords here",
    ),
)


def missing() -> str:
    """Return what this machine lacks for it; empty if nothing."""
    if os.geteuid() != 0:
        return "root, for a host of its own"
    lacking = slurm.missing() or hub.missing()
    if lacking:
        return lacking
    done = subprocess.run(entered(["/bin/true"]), check=False, capture_output=True)
    return "" if done.returncode == 0 else "the right to make namespaces (unshare)"


def entered(argv: Sequence[str]) -> list[str]:
    """Return what runs a command in namespaces that end with it, and with whoever started it."""
    unshare = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
    outer = f"{OUTER}={_namespace()}"
    return ["setpriv", "--pdeathsig", "KILL", *unshare, "env", outer, *argv]


def _namespace() -> str:
    return Path("/proc/self/ns/mnt").readlink().name


def _run(*argv: str) -> None:
    subprocess.run(argv, check=True, stdin=subprocess.DEVNULL, capture_output=True)


def furnish() -> None:
    """Make the namespaces that this process is in a host of its own.

    Raises
    ------
    RuntimeError
        If they are the machine's.
    """
    outer = os.environ.get(OUTER, "")
    if not outer or outer == _namespace():
        raise RuntimeError("this would change the machine itself: start it as `entered` has it")
    below = Path("/mnt")
    _run("mount", "-t", "tmpfs", "tmpfs", str(below))
    for name in ("etc", "opt", "var", "root", "home"):
        upper, work = below / f"{name}.upper", below / f"{name}.work"
        upper.mkdir(parents=True)
        work.mkdir(parents=True)
        options = f"lowerdir=/{name},upperdir={upper},workdir={work}"
        _run("mount", "-t", "overlay", "overlay", "-o", options, f"/{name}")
    for name, mode in (("tmp", "1777"), ("run", "0755")):
        _run("mount", "-t", "tmpfs", "-o", f"mode={mode}", "tmpfs", f"/{name}")
    _run("ip", "link", "set", "lo", "up")
    for address in ADDRESSES:
        _run("ip", "addr", "add", f"{address}/32", "dev", "lo")
    for name in ("qmio", "jupyterhub", "ana"):
        # Of another test, or of a real centre: none is on this host yet.
        subprocess.run(["userdel", "--force", name], check=False, capture_output=True)
    for rule in Path("/etc/sudoers.d").glob("[!R]*"):
        rule.unlink()
    _write_shims()


def _write_shims() -> None:
    SHIMS.mkdir()
    (SHIMS / "systemctl").write_text(f'#!/bin/sh\nexec /usr/bin/python3 -I {systemctl.__file__} "$@"\n')
    (SHIMS / "check-packages").write_text('#!/bin/sh\nexec dpkg-query --show "$@" >/dev/null\n')
    (SHIMS / "share-packages").write_text(
        f"#!/bin/sh\nexec {sys.executable} -c 'from qmio_jupyter.testing.host import share; share()'\n"
    )
    for path in SHIMS.iterdir():
        path.chmod(0o755)


def share() -> None:
    """Have this environment's packages in ``/opt/qmio``, and the commands that pip would put there."""
    where = Path("/opt/qmio")
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    own = Path(sys.prefix) / "lib" / version / "site-packages"
    (where / "lib" / version / "site-packages" / "shared.pth").write_text(f"{own}\n{ROOT}\n")
    for name in ("share", "etc"):
        if not (where / name).exists():
            (where / name).symlink_to(Path(sys.prefix) / name)
    for name, module in (
        ("jupyter-qmio", "qmio_jupyter.cli.main"),
        ("jupyterhub-singleuser", "jupyterhub.singleuser"),
    ):
        path = where / "bin" / name
        path.write_text(f"#!{where}/bin/python\nfrom {module} import main\nmain()\n")
        path.chmod(0o755)


class Host:
    """The host, with Slurm and a user, and the guide. Use it in namespaces that are :func:`furnish`-ed."""

    def __init__(self) -> None:
        self._blocks = put(blocks(GUIDE.read_text()), INSTEAD)
        # A link, not a mount: the cluster has mounts of its own from the moment it is made.
        shutil.rmtree("/etc/slurm", ignore_errors=True)
        Path("/etc/slurm").symlink_to("/tmp/slurm/etc")  # noqa: S108 - a /tmp of its own
        self.cluster = MiniSlurm(Path("/tmp/slurm"), licences={"other": 1})  # noqa: S108 - a /tmp of its own
        conf = self.cluster.conf.read_text().replace("Licenses=other:1\n", "").replace(",bf_licenses", "")
        self.cluster.conf.write_text(conf)
        Path("/run/munge").mkdir()
        Path("/run/munge/munge.socket.2").symlink_to(self.cluster.munge_socket)
        _run("useradd", "--create-home", "--shell", "/bin/bash", "ana")
        subprocess.run(["chpasswd"], input=b"ana:quantum\n", check=True)
        #: Variables of the administrator's shell.
        self._kept: dict[str, str] = {}

    def start(self) -> None:
        """Start Slurm."""
        self.cluster.start()

    def sections(self) -> list[str]:
        """Return the headings under which something is to be run."""
        return list(dict.fromkeys(block.heading for block in self._blocks))

    def follow(self, heading: str) -> str:
        """Run the blocks under one heading; return all that they wrote.

        Raises
        ------
        AssertionError
            With what a block wrote, if it fails. One that checks what was just started is run again until it is
            good, for `UP_S`.
        """
        found = [block for block in self._blocks if block.heading == heading]
        assert found, heading
        return "".join(self._followed(block) for block in found)

    def _followed(self, block: Block) -> str:
        give_up = time.monotonic() + (UP_S if "doctor --site" in block.source else 0.0)
        while True:
            code, output = self.sh(block.source)
            if code == 0:
                return output
            if time.monotonic() > give_up:
                raise AssertionError(
                    f"{GUIDE.name}, line {block.line}: status {code}\n{block.source}\n{output}\n{logs()}"
                )
            time.sleep(0.5)

    def sh(self, source: str) -> tuple[int, str]:
        """Run lines of the administrator's shell in the tree; its variables are kept for the next ones."""
        names = ("SERVER_KEY", "HUB_KEY", "NODE_KEY")
        report = "".join(f'printf "%s\\0" "${name}" >> /run/kept\n' for name in names)
        done = subprocess.run(
            [
                "/bin/bash",
                "-e",
                "-u",
                "-c",
                f": ${{SERVER_KEY=}} ${{HUB_KEY=}} ${{NODE_KEY=}}\n{source}\n: > /run/kept\n{report}",
            ],
            cwd=ROOT,
            env={"PATH": f"{SHIMS}:{systemctl.PATH}", "HOME": "/root", "LANG": "C.UTF-8"} | self._kept,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode == 0:
            self._kept = dict(zip(names, Path("/run/kept").read_text().split("\0"), strict=False))
        return done.returncode, done.stdout

    def doctor(self, *words: str) -> tuple[int, str]:
        """Return exit status and output of ``doctor --site``."""
        return self.sh(" ".join(("/opt/qmio/bin/jupyter-qmio doctor --site", *words)))


def logs() -> str:
    """Return the ends of what the services have written."""
    return "\n".join(
        f"--- {path.name}\n{path.read_text(errors='replace')[-3000:]}"
        for path in sorted(systemctl.RUN.glob("*.log"))
    )


def until(good: Callable[[], bool], what: str) -> None:
    """Wait for something."""
    slurm.until(good, what, seconds=UP_S, pause_s=0.2)
