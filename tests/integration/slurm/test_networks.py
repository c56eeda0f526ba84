"""Control and compute side on networks of their own, with a firewall before the nodes: jobs have their sessions."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from qmio_jupyter.auth.keys import read_keys
from qmio_jupyter.config.places import node_local
from qmio_jupyter.model.access import Role
from qmio_jupyter.slurm.requests import JobRequest
from qmio_jupyter.testing import networks as nets
from qmio_jupyter.testing.centre import Centre
from qmio_jupyter.testing.door import Door
from qmio_jupyter.testing.slurm import MiniSlurm, NodeSpec, mini_slurm, missing, until
from qmio_jupyter.wire import messages as m
from tests.conftest import missing as fail_or_skip
from tests.integration.slurm.apart import firewall, see_the_firewall

#: Prints the session as one line of JSON, and stays.
SHOW = """
import json, os, time
from qmio_jupyter.client.sync import connect
client = connect(timeout_s=60)
one = client.session()
told = {"addresses": one.addresses, "node": os.environ["SLURMD_NODENAME"], "gateway": os.environ["QMIO_GATEWAY"]}
print(json.dumps(told), flush=True)
time.sleep(300)
"""


def role_of(centre: Centre, key_file: Path, source: str = "") -> Role:
    door = Door(centre.address(), read_keys(key_file), source=source)
    try:
        welcome = door.ask(m.Hello())
        assert isinstance(welcome, m.Welcome)
        return welcome.role
    finally:
        door.close()


def batch(cluster: MiniSlurm, centre: Centre, root: Path) -> None:
    """See that a batch job behind the firewall runs a program and has a session good on its node alone."""
    program = root / "bell.qasm"
    program.write_text("OPENQASM 3.0;\nbit[2] c;\n")
    show = root / "show.py"
    show.write_text(SHOW)
    gateway = centre.address()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("QMIO_", "SLURM_"))}
    environ = kept | cluster.environ | {
        "QMIO_GATEWAY": gateway.endpoint, "QMIO_GATEWAY_KEY": gateway.server_key, "QMIO_DEVICE": "echo",
    }  # fmt: skip
    python = sys.executable
    script = f"#!/bin/sh\n{python} -m qmio_jupyter.cli.main run {program} && echo ran\nexec {python} {show}\n"
    request = JobRequest(name="batch", output=str(root / "%j.out"), directory=str(root), memory_mb=100)
    job_id = cluster.slurm().submit(script.encode(), request, environ=environ).job_id

    def lines() -> list[str]:
        out = root / f"{job_id}.out"
        return out.read_text().splitlines() if out.exists() else []

    until(lambda: [line for line in lines() if line.startswith("{")], f"job {job_id} tells", seconds=60)
    assert "ran" in lines()
    told = json.loads(lines()[-1])
    here = cluster.addresses[told["node"]]
    assert here in told["addresses"]
    assert f"//{here}:0;" in told["gateway"]
    jobs = node_local() / "jobs"
    key_file = jobs / f"{cluster.cluster}-{job_id}-0-{told['node']}" / "session.key"
    # The gateway sees where a link comes from: the key opens nothing from the control side.
    assert role_of(centre, key_file) is Role.NONE
    cluster.slurm().cancel(job_id)


@pytest.mark.root
def test_a_batch_job_behind_a_firewall(tmp_path: Path) -> None:
    if lacking := missing() or nets.missing():
        fail_or_skip(f"{lacking} (python tools/slurm.py)")
    (tmp_path / "centre").mkdir()
    nodes = (NodeSpec("n1"), NodeSpec("n2"))
    with (
        nets.two_networks([node.name for node in nodes]) as networks,
        networks.inside(),
        mini_slurm(nodes=nodes, networks=networks) as cluster,
    ):
        networks.guard(firewall(networks, cluster))
        centre = Centre(tmp_path / "centre", more=Centre.verifier(cluster), address=networks.control)
        centre.start()
        try:
            batch(cluster, centre, tmp_path)
            see_the_firewall(networks)
        finally:
            centre.stop()
