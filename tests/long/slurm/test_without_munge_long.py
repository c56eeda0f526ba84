"""Jobs that prove themselves without MUNGE: every hole, and gateways that are away when jobs begin and end."""

from __future__ import annotations

import base64
import os
import pwd
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from qmio_jupyter.auth.keys import read_keys
from qmio_jupyter.testing.door import refusal
from qmio_jupyter.testing.secret_site import SHOW, SecretSite, secret_site
from qmio_jupyter.testing.slurm import missing, until
from qmio_jupyter.wire import messages as m
from tests.conftest import missing as fail_or_skip

USER = "nobody" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name


@pytest.fixture(scope="module")
def running() -> Iterator[SecretSite]:
    if lacking := missing():
        fail_or_skip(f"{lacking} (python tools/slurm.py)")
    with secret_site(USER) as site:
        yield site


@pytest.fixture
def site(running: SecretSite) -> Iterator[SecretSite]:
    yield running
    running.clear()


def test_each_node_of_a_job_has_a_secret_of_its_own_and_no_other_node_has_use_for_it(
    site: SecretSite,
) -> None:
    srun = shutil.which("srun")
    show = site.root / "show.py"
    show.write_text(SHOW)
    job_id = site.submit(f"exec {srun} -N2 -n2 --mem=100 {site.python} {show}", nodes=2)
    told = {one["node"]: one for one in site.told(job_id, 2)}
    assert {one["job"] for one in told.values()} == {str(job_id)}
    (first, second) = told
    (third,) = set(site.cluster.nodes) - set(told)
    handed = {node: site.handed(job_id, node) for node in told}
    assert handed[first].secret != handed[second].secret
    code, message = refusal(site.door(third).prove_with(handed[first]))
    assert (code, f"made on {site.cluster.addresses[third]}, no node of job" in message) == (
        "auth.credential",
        True,
    )
    # Under another node's name, under another job's, under another key: nothing.
    for changed in (
        msgspec.structs.replace(handed[first], node=second),
        msgspec.structs.replace(handed[first], job_id=str(job_id + 1)),
    ):
        assert "not made with the secret" in refusal(site.door(first).prove_with(changed))[1]
    assert "not made" in refusal(site.door(first).prove_with(handed[first], client_key=b"x" * 32))[1]
    # What the gateway keeps of it is on disk, and is no secret.
    stolen = msgspec.structs.replace(handed[first], secret=site.kept()[str(job_id), first].check)
    assert "not made with the secret" in refusal(site.door(first).prove_with(stolen))[1]
    assert isinstance(site.door(first).prove_with(handed[first]), m.SessionState), (
        "and the secret itself is good"
    )


@pytest.mark.root
def test_nobody_else_reads_it_and_it_is_nowhere_else(site: SecretSite) -> None:
    job_id, told = site.stays()
    path = site.secret_file(job_id, told["node"])
    if os.geteuid() == 0:
        argv = ["/usr/sbin/runuser", "-u", "daemon", "--", "cat", str(path)]
        assert subprocess.run(argv, capture_output=True, check=False).returncode != 0
    secret = site.handed(job_id, told["node"]).secret
    node_key = read_keys(site.files.root / "node.key").secret.encode()
    commands = site.cluster.commands()
    looked = {
        " ".join(argv): subprocess.run(
            argv, env=commands.environment(), capture_output=True, check=True
        ).stdout
        for argv in (
            [commands.scontrol, "show", "job", str(job_id)],
            [commands.squeue, "-a", "-o", "%all"],
            [commands.scontrol, "write", "batch_script", str(job_id), "-"],
        )
    }
    mine = {path, site.files.root / "node.key"}
    for place in (site.root, site.cluster.directory, site.centre.root, site.files.root):
        looked |= {
            str(one): one.read_bytes() for one in place.rglob("*") if one.is_file() and one not in mine
        }
    for process in Path("/proc").glob("[0-9]*"):
        for name in ("environ", "cmdline"):
            try:
                looked[f"{process}/{name}"] = (process / name).read_bytes()
            except OSError:
                continue
    assert any("ledger.sqlite" in name for name in looked)
    assert any("gateway.jsonl" in name and b"allocation.admit" in text for name, text in looked.items())
    for planted in (secret, base64.b64encode(secret), secret.hex().encode(), node_key):
        assert [name for name, text in looked.items() if planted in text] == []


# ---------------------------------------------------------------- other kinds of jobs


def test_a_requeued_job_is_handed_another_secret_and_the_first_is_worth_nothing(site: SecretSite) -> None:
    job_id, told = site.stays(requeue=True)
    first = site.handed(job_id, told["node"])
    commands = site.cluster.commands()

    def control(*argv: str) -> None:
        subprocess.run(
            [commands.scontrol, *argv], env=commands.environment(), capture_output=True, check=False
        )

    def again() -> bool:
        waiting = [job for job in site.slurm.job(job_id) if job.is_waiting]
        if waiting and time.time_ns() > (waiting[0].submit_ms + 3_000) * 10**6:
            # Slurm would give it two minutes' pause.
            control("update", f"JobId={job_id}", "StartTime=now")
        return any(job.restarts == 1 and job.is_running for job in site.slurm.job(job_id))

    control("requeue", str(job_id))
    until(again, "it runs again", seconds=60, pause_s=0.2)
    until(lambda: site.told(job_id)[-1]["id"] != told["id"], "it tells again", seconds=60)
    second = site.told(job_id)[-1]
    assert site.closed(told["id"]), "the first run's session is over"
    assert not site.closed(second["id"])
    now = site.handed(job_id, second["node"])
    assert now.secret != first.secret
    assert "not made with the secret" in refusal(site.door(told["node"]).prove_with(first))[1]
    assert isinstance(site.door(second["node"]).prove_with(now), m.SessionState)


def test_tasks_of_an_array_and_components_of_a_heterogeneous_job_are_handed_their_own(
    site: SecretSite,
) -> None:
    show = site.root / "show.py"
    show.write_text(SHOW)
    leader = site.submit_plain(
        [
            "--mem=100",
            "-n1",
            f"--wrap=unset QMIO_MUNGE_SOCKET; exec srun --het-group=0-1 {site.python} {show}",
        ],
        ["--mem=4000", "-n1"],
    )
    told = {one["node"]: one for one in site.told(leader, 2)}
    assert len(told) == 2, "the components are on nodes of their own"
    assert {int(one["job"]) for one in told.values()} == {leader, leader + 1}
    assert len({one["id"] for one in told.values()}) == 2
    site.cluster.cancel_all()
    site.submit_plain(
        ["--mem=100", "--array=0-1", f"--wrap=unset QMIO_MUNGE_SOCKET; exec {site.python} {show}"]
    )

    def own() -> set[int]:
        outs = {int(path.stem) for path in site.root.glob("*.out") if int(path.stem) > leader + 1}
        return {number for number in outs if "{" in site.said(number)}

    until(lambda: len(own()) == 2, "both tasks tell", seconds=60)
    for number in own():
        (one,) = site.told(number)
        assert int(one["job"]) == number


# ---------------------------------------------------------------- gateways that are away


@pytest.mark.parametrize("how", ["hangs", "is dead"])
def test_a_gateway_that_is_away_when_a_job_begins_costs_its_session_and_no_node(
    site: SecretSite, how: str
) -> None:
    if how == "hangs":
        site.centre.pause()
    else:
        site.centre.kill()
    began_s = time.monotonic()
    try:
        job_id = site.submit(f"echo begun; exec {site.python} - <<'PROGRAM'\n{SHOW}\nPROGRAM")
        until(lambda: "begun" in site.said(job_id), "the job begins all the same", seconds=30)
        assert time.monotonic() - began_s < 12
        (line,) = site.files.lines(job_id)
        assert "prolog" in line
        assert not list(site.files.directory.glob(f"*-{job_id}-*")), "what nobody can check is not left"
    finally:
        if how == "hangs":
            site.centre.resume()
        else:
            site.centre.start()
    until(lambda: "was handed no secret on this node" in site.said(job_id), "she is told why", seconds=90)
    assert "prolog" in site.said(job_id)
    site.wait_gone(job_id)
    again, told = site.stays()
    assert told["job"] == str(again), "the next job is as if nothing had been"


@pytest.mark.parametrize("how", ["hangs", "is dead"])
def test_a_gateway_that_is_away_when_a_job_ends_drains_no_node_and_ends_the_session_when_it_is_back(
    site: SecretSite, how: str
) -> None:
    job_id, told = site.stays()
    keys = site.copy_of_keys(told)
    if how == "hangs":
        site.centre.pause()
    else:
        site.centre.kill()
    try:
        site.slurm.cancel(job_id)
        ended_s = time.monotonic()
        until(lambda: len(site.files.lines(job_id)) == 2, "the epilog gives up", seconds=30)
        assert "epilog" in site.files.lines(job_id)[1]
        assert "told the gateway" not in site.files.lines(job_id)[1]
        site.wait_gone(job_id)
        assert time.monotonic() - ended_s < 20
        assert not site.secret_file(job_id, told["node"]).exists()
    finally:
        if how == "hangs":
            site.centre.resume()
        else:
            site.centre.start()
    back_s = time.monotonic()
    until(lambda: site.closed(told["id"]), "the session ends", seconds=20)
    assert time.monotonic() - back_s < 10
    late = site.door(told["node"], keys).ask(m.Hello())
    assert isinstance(late, m.Welcome)
    assert late.session is None


def test_the_controllers_epilog_ends_sessions_on_every_node(site: SecretSite) -> None:
    job_id, told = site.stays()
    environ = {
        "PATH": "/usr/bin:/bin", "SLURM_JOB_ID": str(job_id), "SLURM_JOB_UID": str(told["uid"]),
        "SLURM_CLUSTER_NAME": site.cluster.cluster,
    }  # fmt: skip

    def epilog(name: str, *more: str) -> str:
        log = site.files.root / f"{name}.log"
        argv = [str(Path(sys.prefix) / "bin" / "jupyter-qmio"), "epilog", "--log", str(log), *more]
        own = environ | {"QMIO_CONFIG": str(site.files.root / f"{name}.toml"), "SLURMD_NODENAME": name}
        assert subprocess.run(argv, env=own, check=False, timeout=30).returncode == 0
        return log.read_text()

    (other, *_) = set(site.cluster.nodes) - {told["node"]}
    assert "told the gateway" in epilog(other)
    assert not site.closed(told["id"]), "a node that is none of the job's speaks in vain"
    with site.slurm_cannot_be_asked():
        assert "told the gateway" in epilog("controller", "--controller")
        until(lambda: site.closed(told["id"]), "the session ends")
    assert site.closed(told["id"]) == "its Slurm job's epilog ran"
    assert not [key for key in site.kept() if key[0] == str(job_id)]
