"""Jobs that prove themselves without MUNGE: every hole, and gateways that are away when jobs begin and end."""

from __future__ import annotations

import base64
import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from qmio_jupyter.auth.keys import read_keys
from qmio_jupyter.testing.door import refusal
from qmio_jupyter.testing.secret_site import SHOW, SecretSite, secret_site
from qmio_jupyter.testing.slurm import missing
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
