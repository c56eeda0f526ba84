"""A cluster that keeps accounts, with limits: what is offered and refused is what Slurm would, and who is charged."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from qmio_jupyter.config.places import places
from qmio_jupyter.slurm.requests import JobRequest
from qmio_jupyter.testing import accounting
from qmio_jupyter.testing.accounting import AccountingSlurm
from qmio_jupyter.testing.centre import Centre
from qmio_jupyter.testing.home import wait_until
from qmio_jupyter.testing.hub import Hub
from qmio_jupyter.testing.slurm import NodeSpec
from tests.conftest import missing
from tests.integration.hub.test_both_or_neither import nothing_is_left
from tests.integration.hub.test_start_and_stop import NAME

pytestmark = [pytest.mark.timeout(400), pytest.mark.root]
NODES = (NodeSpec("n1"), NodeSpec("n2"), NodeSpec("q1", gres="qpu:qmio:2"))
PARTITIONS = (
    "PartitionName=ilk Nodes=n1,n2 Default=YES MaxTime=4:00:00 DefMemPerCPU=100\n"
    "PartitionName=qpu Nodes=q1 MaxTime=4:00:00 DefMemPerCPU=100\n"
    "PartitionName=closed Nodes=n2 MaxTime=4:00:00 DefMemPerCPU=100 AllowAccounts=physics\n"
)


@pytest.fixture(scope="module")
def cluster(site: Path, users: dict[str, str] | None) -> Iterator[AccountingSlurm]:
    """A cluster on which `ana` has two accounts with limits, and `bob` none."""
    if users is None:
        pytest.skip("associations of distinct users need root")
    lacking = accounting.missing()
    if lacking:
        missing(lacking)
    (site / "accounting").mkdir()
    made = AccountingSlurm(site / "accounting", nodes=NODES, partitions=PARTITIONS)
    try:
        made.start()
        her = users[NAME]
        for account in ("chemistry", "physics"):
            made.manage("add", "account", account)
        made.manage("add", "qos", "short")
        made.manage("modify", "qos", "short", "set", "MaxWall=00:30:00", "MaxJobsPU=1", "MaxTRES=cpu=2")
        made.manage("add", "user", her, "account=physics", "qos=normal,short", "defaultqos=normal")
        made.manage("add", "user", her, "account=chemistry", "maxwall=00:20:00", "grptres=cpu=3")
        made.manage("modify", "user", her, "set", "defaultaccount=chemistry")
        made.reserve("lesson", users=her, nodes="q1", minutes=60)
        made.reserve("theirs", users="root", nodes="n1", minutes=60)
        yield made
    finally:
        made.stop()


@pytest.fixture
def hub(make_hub: Callable[..., Hub], cluster: AccountingSlurm, here: Path) -> Hub:
    """A hub that notes when it submits."""
    sbatch = here / "sbatch"
    sbatch.write_text(f'#!/bin/sh\necho >> {here}/submitted\nexec /usr/bin/sbatch "$@"\n')
    sbatch.chmod(0o755)
    (here / "submitted").touch()
    (here / "submitted").chmod(0o666)
    return make_hub(
        has_accounts=True,
        device_gres={"echo": "qpu:qmio:1"},
        slurm={"config": cluster.commands().config, "sbatch": str(sbatch)},
        limits={"cores": 1, "memory_mib": 300, "walltime_min": 60, "most_walltime_min": 600},
    )


def submissions(here: Path) -> int:
    return len((here / "submitted").read_text().splitlines())


def charged(centre: Centre) -> list[str]:
    """Return what the gateway's ledger says of the grants' tenants."""
    with closing(sqlite3.connect(f"file:{places(centre.environ).ledger}?mode=ro", uri=True)) as ledger:
        return [str(data) for (data,) in ledger.execute("SELECT data FROM grants ORDER BY grant_id")]


def test_what_cannot_be_had_is_refused_before_sbatch(
    hub: Hub, cluster: AccountingSlurm, here: Path, users: dict[str, str] | None
) -> None:
    user = hub.user(NAME)
    refused: list[tuple[dict[str, Any], str]] = [
        ({"account": "biology"}, "o account 'biology'"),
        ({"account": "physics", "qos": "shrt"}, "Did you mean short?"),
        ({"qos": "short"}, "o QOS 'short'"),
        ({"walltime_min": 60}, "60 minutes are more than your account chemistry allows. Ask for at most 20"),
        ({"cores": 4}, "4 cores are more than your account chemistry allows"),
        ({"account": "physics", "qos": "short", "walltime_min": 60}, "60 minutes are more than QOS short"),
        ({"account": "physics", "qos": "short", "cores": 4}, "4 cores are more than QOS short allows"),
        ({"account": "physics", "walltime_min": 300}, "partition qpu allows"),
        ({"partition": "closed"}, "does not admit account chemistry"),
        ({"partition": "ilk"}, "artition ilk has no node with qpu:qmio:1"),
        ({"reservation": "theirs"}, "o reservation 'theirs'"),
        ({"reservation": "lesson", "account": "physics", "walltime_min": 120}, "lesson ends in"),
    ]
    for options, says in refused:
        why = hub.ask_for_server(user, device="echo", **options)
        assert says in why, (options, why)
    assert "ou have no account on this cluster" in hub.ask_for_server(hub.user("bob"), device="echo")
    assert submissions(here) == 0
    nothing_is_left(hub, cluster)


def test_what_is_offered_can_be_had(
    hub: Hub, cluster: AccountingSlurm, centre: Centre, here: Path, users: dict[str, str] | None
) -> None:
    assert users is not None
    user, her = hub.user(NAME), users[NAME]
    slurm = cluster.slurm()
    # No wish but the device: her default account, the time it allows, the partition that has the resource.
    assert hub.ask_for_server(user, device="echo", reservation="lesson") == ""
    (job,) = slurm.jobs()
    assert (job.user, job.account, job.qos, job.limit_s) == (her, "chemistry", "normal", 1200)
    assert (job.partition, job.reservation, job.licences) == ("qpu", "lesson", {"qpu_echo": 1})
    node = next(one for one in slurm.nodes() if one.name == "q1")
    assert node.gres_used["qpu"] == 1
    with hub.kernel(user) as kernel:
        proved = kernel.run("from qmio_jupyter.client.sync import connect\nprint(connect().session().tenant)")
    # The hub has promised the session to whom Slurm charges the job to.
    assert proved.strip() == f"chemistry/{her}"
    assert [f"chemistry/{her}" in one for one in charged(centre)] == [True]
    hub.api(f"users/{user}/server", "DELETE")
    nothing_is_left(hub, cluster)

    # As many jobs as the QOS allows: she waits, is told why, and starts when the other ends.
    wanted = JobRequest(
        name="other", partition="ilk", account="physics", qos="short", limit_min=10, output="/dev/null",
        directory="/",
    )  # fmt: skip
    other = slurm.submit(b"#!/bin/sh\nexec sleep 600\n", wanted, user=her).job_id
    wait_until(lambda: slurm.job(other)[0].is_running, "the other job runs")
    answers: list[str] = []
    asking = threading.Thread(
        target=lambda: answers.append(
            hub.ask_for_server(user, device="echo", account="physics", qos="short", reservation="lesson")
        ),
        daemon=True,
    )
    asking.start()
    told: list[dict[str, Any]] = []
    wait_until(lambda: [one for one in hub.journal() if one["bound"] == "yes"], "the job waits", 60)
    watching = threading.Thread(target=hub.progress, args=(user, 90.0, told), daemon=True)
    watching.start()
    wait_until(
        lambda: any("as many jobs as your QOS allows" in one["message"] for one in told), "she is told", 60
    )
    slurm.cancel(other)
    asking.join(90)
    watching.join(10)
    assert answers == [""]
    (job,) = [one for one in slurm.jobs() if one.job_id != other]
    assert (job.account, job.qos, job.limit_s) == ("physics", "short", 1800)
    hub.api(f"users/{user}/server", "DELETE")
    nothing_is_left(hub, cluster)
    assert submissions(here) == 2
