"""Hub, proxy, gateway and slurmctld on one network; nodes, servers and the agent on another, behind a firewall."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from qmio_jupyter.testing import hub as hubs
from qmio_jupyter.testing import networks as nets
from qmio_jupyter.testing import slurm
from qmio_jupyter.testing.centre import ECHO, Centre
from qmio_jupyter.testing.home import wait_until
from qmio_jupyter.testing.hub import Hub
from qmio_jupyter.testing.networks import Networks
from qmio_jupyter.testing.slurm import NodeSpec, mini_slurm
from tests.conftest import missing as fail_or_skip
from tests.integration.hub.test_start_and_stop import BELL
from tests.integration.slurm.apart import SERVERS, firewall, see_the_firewall
from tests.integration.slurm.test_networks import batch

NAME = "ana <'\"&> garcía"


@contextmanager
def agent_on_compute_side(networks: Networks, centre: Centre) -> Iterator[None]:
    """Have the device's agent where nothing can connect to it: it dials out."""
    argv = [
        *networks.entering("compute"), sys.executable, "-m", "qmio_jupyter.cli.daemon", "agent", "--device",
        "echo",
    ]  # fmt: skip
    with (centre.root / "agent.log").open("ab") as log:
        process = subprocess.Popen(
            argv, env=centre.environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    try:
        yield
    finally:
        process.terminate()
        process.wait(20)


def listeners(networks: Networks) -> set[int]:
    """Return the ports at which anybody listens on the nodes' own addresses."""
    found = set()
    for line in networks.look(
        "compute", "ss", "--no-header", "--listening", "--tcp", "--numeric"
    ).splitlines():
        address, _, port = line.split()[3].rpartition(":")
        if not address.startswith(("127.", "[::1]")):
            found.add(int(port))
    return found


@pytest.mark.root
@pytest.mark.timeout(300)
def test_a_server_behind_a_firewall(
    site: Path, tmp_path: Path, python: str, users: dict[str, str] | None
) -> None:
    if lacking := slurm.missing() or hubs.missing() or nets.missing():
        fail_or_skip(lacking)
    for name in ("centre", "hub"):
        (tmp_path / name).mkdir()
    nodes = (NodeSpec("n1"), NodeSpec("n2"))
    with (
        nets.two_networks([node.name for node in nodes]) as networks,
        networks.inside(),
        mini_slurm(nodes=nodes, networks=networks) as cluster,
    ):
        networks.guard(firewall(networks, cluster))
        centre = Centre(
            tmp_path / "centre",
            agents=f"{ECHO}start = false\n",
            more=Centre.verifier(cluster),
            address=networks.control,
        )
        hub: Hub | None = None
        try:
            centre.start(devices=False)
            with agent_on_compute_side(networks, centre):
                centre.wait_for_devices()
                hub = Hub(
                    tmp_path / "hub",
                    cluster,
                    centre,
                    python=python,
                    users=users,
                    address=networks.control,
                    settings={"server_ports": f"{SERVERS[0]}-{SERVERS[-1]}"},
                ).start()
                serve(hub, networks)
                hub.stop()
                hub = refuse(tmp_path, hub)
                see_the_firewall(networks)
                batch(cluster, centre, tmp_path)
        finally:
            if hub is not None:
                hub.stop()
            centre.stop()


def refuse(tmp_path: Path, before: Hub) -> Hub:
    """See what a user is told where the firewall does not know of the servers' ports; return that hub."""
    (tmp_path / "closed").mkdir()
    hub = Hub(
        tmp_path / "closed",
        before.cluster,
        before.centre,
        python=before.python,
        users=before.users,
        address=before.address,
        settings={"server_ports": "51000-51099", "http_timeout": 8},
    ).start()
    why = hub.ask_for_server(hub.user(NAME), device="echo")
    assert "does not answer at" in why, why
    assert "firewall" in why
    wait_until(lambda: not hub.journal(), "nothing is left to undo", 60)
    assert hub.cluster.slurm().jobs() == ()
    return hub


def serve(hub: Hub, networks: Networks) -> None:
    """See a server from the click to its end."""
    user = hub.user(NAME)
    assert hub.ask_for_server(user, device="echo") == ""
    (saga,) = hub.journal()
    assert saga["port"] in SERVERS
    assert saga["address"] == networks.nodes[saga["node"]]
    with hub.kernel(user) as kernel:
        assert "100" in kernel.run(f"%%qpu --shots 100\n{BELL}")
        shown = kernel.run(
            "import os\nfrom qmio_jupyter.client.sync import connect\n"
            "print(os.environ['SLURMD_NODENAME'], connect().session().addresses)"
        )
        assert saga["node"] in shown
        assert saga["address"] in shown
    # All that listens to the network on the nodes is Slurm and the server: the agent and the kernels do not.
    assert listeners(networks) == {*hub.cluster.node_ports.values(), saga["port"]}
    hub.api(f"users/{user}/server", "DELETE")
    wait_until(lambda: not hub.journal(), "nothing is left to undo", 60)
    assert hub.cluster.slurm().jobs() == ()
    assert {one.used for one in hub.cluster.slurm().licences()} == {0}
