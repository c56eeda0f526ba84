"""A cluster whose nodes are on a network of their own, behind the firewall that a centre is told to have there."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from qmio_jupyter.testing.networks import Networks
from qmio_jupyter.testing.slurm import MiniSlurm, until

RULES = Path(__file__).parents[3] / "jupyterhub_config" / "nftables" / "nodes.nft"
#: What `c.QmioSpawner.server_ports` is there.
SERVERS = range(50_000, 50_100)
_LISTEN = """
import socket, sys
server = socket.create_server((sys.argv[1], int(sys.argv[2])))
print("listens", flush=True)
while True:
    server.accept()[0].close()
"""


def firewall(networks: Networks, cluster: MiniSlurm) -> str:
    """Return the example's rules with this site's addresses and ports."""
    here = {
        "CONTROL": networks.control,
        "NODES": ", ".join(networks.nodes.values()),
        "SLURMD": ", ".join(str(port) for port in cluster.node_ports.values()),
        "SERVERS": f"{SERVERS[0]}-{SERVERS[-1]}",
    }
    return _defined(RULES.read_text(), here)


def _defined(rules: str, here: Mapping[str, str]) -> str:
    for name, value in here.items():
        rules, count = re.subn(rf"(?m)^define {name} = .*$", f"define {name} = {{ {value} }}", rules)
        assert count == 1, name
    return rules


def accepts(address: str, port: int) -> bool:
    """Return whether a connection from this side is accepted within a second; refused at once is an error."""
    try:
        socket.create_connection((address, port), 1).close()
    except TimeoutError:
        return False
    return True


@contextmanager
def listening(networks: Networks, address: str, port: int) -> Iterator[None]:
    """Have somebody listen on the compute side."""
    argv = [*networks.entering("compute"), sys.executable, "-I", "-S", "-c", _LISTEN, address, str(port)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            until(lambda: server.stdout.readline() == "listens\n", "somebody listens")  # type: ignore[union-attr]
            yield
        finally:
            server.kill()


def see_the_firewall(networks: Networks) -> None:
    """See that only the servers' ports of a node are open to the control side, and that what is not is dropped."""
    node = next(iter(networks.nodes.values()))
    with listening(networks, node, 40_000), listening(networks, node, SERVERS[-1]):
        assert accepts(node, SERVERS[-1])
        dropped = networks.dropped()
        assert not accepts(node, 40_000)
        assert networks.dropped() > dropped
        with networks.inside("compute"):
            assert accepts(node, 40_000), "somebody does listen there"
