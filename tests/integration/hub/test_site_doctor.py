"""What the site's doctor asks, asked of a real cluster, a real gateway and a real job; what it says to a few faults.

All the faults there can be, on an installation as the guide makes it: ``tests/long/site``.
"""

from __future__ import annotations

import getpass

from msgspec.structs import replace

from qmio_jupyter._version import __version__
from qmio_jupyter.auth.keys import new_keys, read_keys
from qmio_jupyter.cli.site import ask_link, ask_slurm, judge_gateway, judge_node, judge_slurm, probe_job
from qmio_jupyter.cli.site.ask_node import NodeAsk
from qmio_jupyter.cli.site.facts import HubFacts, LinkFacts
from qmio_jupyter.cli.site.probe_job import JobAsk
from qmio_jupyter.testing.centre import Centre
from qmio_jupyter.testing.slurm import MiniSlurm


def bad(link: LinkFacts) -> dict[str, str]:
    """Return what is not good at a gateway."""
    found = judge_gateway.link(link, HubFacts(), None)
    return {one.code: one.verdict.value for one in found if one.verdict != "ok"}


def test_a_centre_that_is_good_and_its_faults(
    cluster: MiniSlurm, centre: Centre, python: str, users: dict[str, str] | None
) -> None:
    slurm = ask_slurm.look(cluster.commands(), ["squeue", "scontrol", "sinfo"])
    found = judge_slurm.slurm(slurm, ["echo", "other"], prefix="qpu_", required=True, seal=True)
    (one,) = [finding for finding in found if finding.verdict != "ok"]
    assert (one.code, "qpu_other" in one.found) == ("site.slurm.licence", True)

    address, keys = centre.address(), read_keys(centre.hub_key_file)
    socket = str(cluster.munge_socket)
    link = ask_link.look(address, keys, munge_socket=socket, cluster=cluster.cluster)
    assert bad(link) == {}
    assert [device.name for device in link.devices or ()] == ["echo"]
    stranger = ask_link.look(address, new_keys(), munge_socket=socket, cluster=cluster.cluster)
    assert bad(stranger) == {
        "site.gateway.issuer": "wrong",
        "site.gateway.device": "could not ask",
    }

    question = NodeAsk(
        hub_url="http://127.0.0.1:9/hub/api",
        endpoint=address.endpoint,
        server_key=address.server_key,
        munge_socket=socket,
        command=python,
        addresses={node.name: node.address for node in slurm.nodes},
    )
    user = getpass.getuser() if users is None else users["bob"]
    asked = JobAsk(
        user=user, sbatch="/usr/bin/sbatch", python=python, slurm_config=str(cluster.conf), licence="qpu_echo"
    )
    findings = list(judge_node.job(probe_job.run(asked, question), python=python, version=__version__))
    assert [finding.code for finding in findings if finding.verdict != "ok"] == ["site.node.hub"]
    assert {"site.node.session", "site.node.listens"} <= {finding.code for finding in findings}

    absent = probe_job.run(replace(asked, python="/opt/none/python"), question)
    codes = [
        one.code for one in judge_node.job(absent, python="/opt/none/python", version=__version__) if one.todo
    ]
    assert codes == ["site.node.python"]

    centre.kill()
    gone = ask_link.look(address, keys, munge_socket=socket, cluster=cluster.cluster)
    assert bad(gone) == {"site.gateway.reach": "could not ask"}
