"""A real Slurm cluster of several nodes on one machine: Debian's slurmctld, slurmd and munged, started and stopped.

Everything lives in one directory and one PID namespace: when whoever started it ends, however that comes about, no
daemon, job or notebook is left. As root the jobs of distinct unix users run as those users; an ordinary user has one
uid for all. There is no slurmdbd: see :mod:`accounting` for what needs accounts (associations, QOS limits, sacct).
"""

from __future__ import annotations

import getpass
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from secrets import randbelow, token_bytes
from typing import Any, NamedTuple

from qmio_jupyter.errors import SlurmError
from qmio_jupyter.slurm.adapter import Slurm
from qmio_jupyter.slurm.commands import SlurmCommands
from qmio_jupyter.testing.keeping import PATIENCE_S, Keeping, namespace, path_of, which
from qmio_jupyter.testing.networks import Networks

#: Beginnings of the names of the daemons on the nodes; the others are the controller's.
_ON_NODES = ("slurmd-", "munged-")
#: What stands for a gpu's device file.
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random")
#: Ports below those that the kernel gives to outgoing connections.
_PORTS = (21_000, 31_000)


class NodeSpec(NamedTuple):
    """A node that the cluster pretends to have."""

    name: str
    cpus: int = 4
    memory_mb: int = 4000
    #: As ``gpu:a100:2``.
    gres: str = ""


NODES = (NodeSpec("n1"), NodeSpec("n2"), NodeSpec("n3"))
LICENCES: Mapping[str, int] = {"qpu_fake-qmio": 2, "qpu_echo": 8}

_CONF = """\
ClusterName={cluster}
SlurmctldHost={host}({controller})
SlurmctldPort={port}
{listening}SlurmUser={slurm_user}
SlurmdUser={me}
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={directory}/run/munge.sock
StateSaveLocation={directory}/state
SlurmdSpoolDir={directory}/spool/%n
SlurmctldPidFile={directory}/state/slurmctld.pid
SlurmdPidFile={directory}/run/slurmd-%n.pid
SlurmctldLogFile={directory}/log/slurmctld.log
SlurmdLogFile={directory}/log/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=1,bf_interval=1,sched_min_interval=0,bf_licenses
PriorityType=priority/basic
KillWait=2
UnkillableStepTimeout=60
MinJobAge=10
InactiveLimit=0
SlurmctldTimeout=30
SlurmdTimeout={slurmd_timeout}
MessageTimeout=10
JobRequeue=1
GresTypes={gres_types}
Licenses={licences}
"""


def missing() -> str:
    """Return what the machine lacks for a mini cluster, as Debian's packages or a sentence; empty if nothing."""
    wanted = {"slurmctld": "slurmctld", "slurmd": "slurmd", "squeue": "slurm-client", "munged": "munge"}
    packages = sorted({package for program, package in wanted.items() if which(program) is None})
    if packages:
        return f"Debian's {', '.join(packages)}"
    done = subprocess.run(  # noqa: PLW1510 - its status is looked at
        [*namespace(), "/bin/true"], stdin=subprocess.DEVNULL, capture_output=True
    )
    return "" if done.returncode == 0 else "the right to make a PID namespace (unshare)"


def until(true: Callable[[], Any], what: str, *, seconds: float = PATIENCE_S, pause_s: float = 0.02) -> Any:
    """Return `true()` once it is; `AssertionError` naming `what` if it is not in time."""
    give_up = time.monotonic() + seconds
    while True:
        found = true()
        if found:
            return found
        if time.monotonic() > give_up:
            raise AssertionError(f"not within {seconds:g} s: {what}")
        time.sleep(pause_s)


class MiniSlurm:
    """The cluster. Use :func:`mini_slurm`.

    Parameters
    ----------
    directory : Path
        Empty, on a local disk; every user must be able to enter it.
    nodes : sequence of NodeSpec
        The nodes there are.
    licences : mapping
        Licences by name.
    partitions : str
        Lines of slurm.conf; one partition ``all`` when empty.
    extra : str
        More lines of slurm.conf.
    own_addresses : bool
        Every node has an address of its own, 127.0.1.1 and up: its credentials are made there (by a munged of its
        own), and its jobs' links to a gateway come from there. The daemons then listen on every interface.
    networks : Networks, optional
        The nodes, with addresses and PIDs of their own, are on its compute side, all else on its control side, which
        is where this thread is to be.
    cluster : str
        The cluster's name; one that no other has when empty.
    slurmd_timeout_s : int
        Seconds after which a node that does not answer is down.
    """

    def __init__(
        self,
        directory: Path,
        *,
        nodes: Sequence[NodeSpec] = NODES,
        licences: Mapping[str, int] = LICENCES,
        partitions: str = "",
        extra: str = "",
        own_addresses: bool = False,
        networks: Networks | None = None,
        slurmd_timeout_s: int = 30,
        cluster: str = "",
    ) -> None:
        self.directory = directory
        # Two clusters on one machine count their jobs from 1, and users keep things by cluster and job.
        self.cluster = cluster or f"mini{randbelow(10**9)}"
        self.nodes = tuple(node.name for node in nodes)
        self.conf = directory / "etc" / "slurm.conf"
        #: Socket of the cluster's munged; for ``MUNGE_SOCKET`` and ``munge --socket``.
        self.munge_socket = directory / "run" / "munge.sock"
        self._controller = networks.control if networks else "127.0.0.1"
        self.addresses = (
            networks.nodes
            if networks
            else {
                name: f"127.0.1.{number}" if own_addresses else "127.0.0.1"
                for number, name in enumerate(self.nodes, 1)
            }
        )
        #: Ports of the nodes' slurmd.
        self.node_ports: dict[str, int] = {}
        self._own_addresses = own_addresses or networks is not None
        self._is_open = networks is not None
        self._is_root = os.geteuid() == 0
        self.slurm_user = _slurm_user()
        self.host = socket.gethostname().partition(".")[0]
        self._lay_out(nodes, licences, partitions, extra, slurmd_timeout_s)
        self._keeper = Keeping()
        self._node_keeper = Keeping(networks.entering("compute")) if networks else self._keeper

    # ------------------------------------------------------------ for tests

    @property
    def environ(self) -> dict[str, str]:
        """What makes Slurm's and MUNGE's commands talk to this cluster, for an environment."""
        return {"SLURM_CONF": str(self.conf)}

    def commands(self, **changes: Any) -> SlurmCommands:
        """Return how this cluster's commands are called; as root with a run-as prefix for other users."""
        options: dict[str, Any] = {"config": str(self.conf)}
        if self._is_root:
            options["run_as"] = (path_of("runuser"), "-u", "{user}", "--")
        return SlurmCommands(**(options | changes))

    def slurm(self, **changes: Any) -> Slurm:
        """Return an adapter to this cluster."""
        return Slurm(self.commands(**changes))

    def output_of(self, name: str) -> str:
        """Return what one of the cluster's daemons has written."""
        return (self.directory / "log" / f"{name}.out").read_text(errors="replace")

    # ------------------------------------------------------------ life

    def start(self) -> None:
        """Start the daemons and wait until every node is idle."""
        self.start_munge()
        for address in self.addresses.values() if self._own_addresses else ():
            self.start_munge(address)
        self.start_controller(is_new=True)
        for name in self.nodes:
            self.start_node(name)
        self.wait_idle()

    def start_munge(self, origin: str = "") -> Path:
        """Start a munged with the cluster's key, wait until it encodes, and return its socket.

        With `origin` it is another one beside the cluster's own: that of a host at this address.
        """
        name = f"munged-{origin}" if origin else "munged"
        run = self.directory / "run"
        path = run / f"{name}.sock" if origin else self.munge_socket
        argv = [
            path_of("munged"), "--foreground", "--force", "--num-threads=4",
            f"--key-file={self.directory / 'etc' / 'munge.key'}", f"--socket={path}",
            f"--log-file={self.directory / 'log' / f'{name}.log'}", f"--pid-file={run / f'{name}.pid'}",
            f"--seed-file={run / f'{name}.seed'}",
        ]  # fmt: skip
        at = origin or (self._controller if self._is_open else "")
        self._start(name, [*argv, *([f"--origin={at}"] if at else [])])
        until(lambda: self._encodes(path), f"{name} encodes")
        return path

    def _encodes(self, path: Path) -> bool:
        done = subprocess.run(  # noqa: PLW1510 - its status is looked at
            [path_of("munge"), f"--socket={path}", "--no-input"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
        )
        return done.returncode == 0

    def start_controller(self, *, is_new: bool = False) -> None:
        """Start slurmctld and wait until it answers; it remembers its jobs unless `is_new`."""
        new = ["-c"] if is_new else []
        self._start("slurmctld", [path_of("slurmctld"), "-D", *new, "-f", str(self.conf)])
        until(self._answers, "slurmctld answers")

    def _answers(self) -> bool:
        try:
            self.slurm(timeout_s=2.0).licences()
        except SlurmError:
            if not self._order(do="alive", name="slurmctld")["alive"]:
                raise AssertionError(f"slurmctld ended: {self.output_of('slurmctld')[-2000:]}") from None
            return False
        return True

    def stop_controller(self, number: int = signal.SIGTERM) -> None:
        """End slurmctld by a signal."""
        self._order(do="stop", name="slurmctld", signal=int(number))

    def start_node(self, name: str) -> None:
        """Start one node's slurmd."""
        self._start(f"slurmd-{name}", [path_of("slurmd"), "-D", "-c", "-N", name, "-f", str(self.conf)])

    def stop_node(self, name: str, number: int = signal.SIGKILL) -> None:
        """End one node's slurmd by a signal; the processes of its jobs live on."""
        self._order(do="stop", name=f"slurmd-{name}", signal=int(number))

    def stop_munge(self, origin: str = "") -> None:
        """End munged; with `origin` the one that was started for a host at this address."""
        self._order(do="stop", name=f"munged-{origin}" if origin else "munged")

    def wait_idle(self) -> None:
        """Wait until every node is idle."""
        slurm = self.slurm(timeout_s=5.0)

        def all_idle() -> bool:
            try:
                found = slurm.nodes()
            except SlurmError:
                return False
            return {node.name for node in found if node.state == "idle"} == set(self.nodes)

        try:
            until(all_idle, "all nodes are idle", pause_s=0.05)
        except AssertionError as error:
            said = {name: self.output_of(f"slurmd-{name}")[-500:] for name in self.nodes}
            raise AssertionError(f"{error}: {said}") from None

    def cancel_all(self) -> None:
        """Cancel every job there is and wait until none is left: between tests that share the cluster."""
        slurm = self.slurm()

        def none_left() -> bool:
            jobs = slurm.jobs()
            for job in jobs:
                if job.state != "COMPLETING":
                    slurm.cancel(job.job_id)
            return not jobs

        until(none_left, "all jobs are gone", pause_s=0.1)

    def stop(self) -> None:
        """End everything. Idempotent."""
        self._node_keeper.stop()
        self._keeper.stop()

    # ------------------------------------------------------------ the keeper

    def _start(self, name: str, argv: Sequence[str]) -> None:
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("SLURM_", "QMIO_"))}
        environ = kept | self.environ | {"TZ": "UTC", "LC_ALL": "C.UTF-8"}
        self._order(
            do="start",
            name=name,
            argv=list(argv),
            environ=environ,
            log=str(self.directory / "log" / f"{name}.out"),
        )

    def _order(self, **order: Any) -> dict[str, Any]:
        """Have the keeper of the daemon's side do something."""
        is_far = str(order.get("name", "")).startswith(_ON_NODES)
        return (self._node_keeper if is_far else self._keeper).order(**order)

    # ------------------------------------------------------------ files

    def _lay_out(
        self,
        nodes: Sequence[NodeSpec],
        licences: Mapping[str, int],
        partitions: str,
        extra: str,
        slurmd_timeout_s: int,
    ) -> None:
        for name in ("etc", "run", "log", "state", "spool"):
            (self.directory / name).mkdir(mode=0o755, parents=True)
        ports = iter(free_ports(len(nodes) + 1))
        # Daemons bind what the host's name resolves to, unless they are left to bind everything.
        listening = "NoCtldInAddrAny" if self._own_addresses else "NoCtldInAddrAny,NoInAddrAny"
        if self._is_open:
            listening = ""
        text = _CONF.format(
            cluster=self.cluster,
            listening=f"CommunicationParameters={listening}\n" if listening else "",
            host=self.host,
            controller=self._controller,
            port=next(ports),
            slurm_user=self.slurm_user,
            me=getpass.getuser(),
            directory=self.directory,
            slurmd_timeout=slurmd_timeout_s,
            gres_types=",".join(sorted({"gpu", *_gres_types(nodes)})),
            licences=",".join(f"{name}:{count}" for name, count in licences.items()),
        )
        gres = ""
        for node in nodes:
            has = f" Gres={node.gres}" if node.gres else ""
            self.node_ports[node.name] = next(ports)
            text += (
                f"NodeName={node.name} NodeHostname={self.host} NodeAddr={self.addresses[node.name]} "
                f"Port={self.node_ports[node.name]} CPUs={node.cpus} RealMemory={node.memory_mb}{has}\n"
            )
            gres += "".join(_gres_lines(node))
        text += partitions or (
            "PartitionName=all Nodes=ALL Default=YES MaxTime=1-0 DefaultTime=10 DefMemPerCPU=100 OverSubscribe=NO\n"
        )
        if self._own_addresses:
            text += f"TaskProlog={self._write_task_prolog()}\n"
        text += extra
        self.conf.write_text(text)
        (self.directory / "etc" / "gres.conf").write_text(gres)
        (self.directory / "etc" / "cgroup.conf").write_text("CgroupAutomount=no\n")
        key = self.directory / "etc" / "munge.key"
        key.touch(mode=0o600)
        key.write_bytes(token_bytes(128))
        for node in nodes:
            (self.directory / "spool" / node.name).mkdir(mode=0o755)
        if self._is_root:
            account = pwd.getpwnam(self.slurm_user)
            for name in ("state", "log"):
                os.chown(self.directory / name, account.pw_uid, account.pw_gid)

    def _write_task_prolog(self) -> Path:
        """Write what gives every task its node's munged, and its links to the gateway its node's address."""
        cases = "".join(f"{name}) address={address} ;;\n" for name, address in self.addresses.items())
        script = self.directory / "etc" / "task_prolog"
        script.write_text(
            f"#!/bin/sh\ncase $SLURMD_NODENAME in\n{cases}esac\n"
            f'echo "export QMIO_MUNGE_SOCKET={self.directory}/run/munged-$address.sock"\n'
            '[ -z "$QMIO_GATEWAY" ] || echo "export QMIO_GATEWAY=tcp://$address:0;${QMIO_GATEWAY##*[/;]}"\n'
        )
        script.chmod(0o755)
        return script


def _gres_types(nodes: Sequence[NodeSpec]) -> set[str]:
    """Return the kinds of generic resources there are."""
    return {one.partition(":")[0] for node in nodes for one in node.gres.split(",") if one}


def _gres_lines(node: NodeSpec) -> Iterator[str]:
    """Yield the lines of gres.conf: Slurm wants a device file for each gpu, any will do."""
    for one in filter(None, node.gres.split(",")):
        kind, _, rest = one.partition(":")
        sort, _, count = rest.rpartition(":")
        head = f"NodeName={node.name} Name={kind}{f' Type={sort}' if sort else ''}"
        if kind == "gpu":
            yield from (f"{head} File={_DEVICES[index]}\n" for index in range(int(count)))
        else:
            yield f"{head} Count={count}\n"


def _slurm_user() -> str:
    """Return who slurmctld runs as: Debian's own user as root, else the caller."""
    if os.geteuid() == 0 and any(account.pw_name == "slurm" for account in pwd.getpwall()):
        return "slurm"
    return getpass.getuser()


def free_ports(count: int) -> list[int]:
    """Return ports that nobody uses, outside the range from which outgoing connections are given theirs."""
    found: list[int] = []
    low, high = _PORTS
    while len(found) < count:
        port = low + randbelow(high - low)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in found:
            found.append(port)
    return found


@contextmanager
def mini_slurm(directory: Path | None = None, **options: Any) -> Iterator[MiniSlurm]:
    """Run a cluster whose every node is idle; see :class:`MiniSlurm` for the options.

    Without `directory` it lives in a temporary one that every user can enter, and that is removed at the end.
    """
    made = directory or Path(tempfile.mkdtemp(prefix="mini-slurm-"))
    try:
        if directory is None:
            made.chmod(0o755)
        cluster = MiniSlurm(made, **options)
        try:
            cluster.start()
            yield cluster
        finally:
            cluster.stop()
    finally:
        if directory is None:
            shutil.rmtree(made, ignore_errors=True)
