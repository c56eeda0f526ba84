"""A munged that is down, at the gateway or on the node: what a user sees, what is left of it, and that it passes."""

from __future__ import annotations

import json
import os
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from qmio_jupyter.slurm.requests import JobRequest
from qmio_jupyter.testing.centre import Centre
from qmio_jupyter.testing.slurm import MiniSlurm, mini_slurm, missing, until
from tests.conftest import missing as fail_or_skip

#: The gateway's host, which has a munged of its own.
GATEWAY = "127.0.0.1"
#: Where the node's munged says that it is.
NODE = "127.0.0.2"
#: Says what a user sees who has no patience, and goes on for one who has; the last line is what she has in the end.
PROGRAM = """
import json, time
from qmio_jupyter.client.sync import connect
from qmio_jupyter.errors import QmioError
try:
    connect(timeout_s=4).close()
except QmioError as error:
    print(json.dumps({"code": error.code, "says": error.one_line(), "retryable": error.retryable}), flush=True)
client = connect(timeout_s=120)
print(json.dumps({"session": client.session().session_id}), flush=True)
while True:
    time.sleep(1)
    print(json.dumps({"still": client.session().session_id}), flush=True)
"""


class Site:
    """A cluster whose gateway's host has a munged of its own."""

    def __init__(self, cluster: MiniSlurm, centre: Centre, root: Path) -> None:
        self.cluster, self.centre, self.root = cluster, centre, root
        self.slurm = cluster.slurm()
        self.program = root / "program.py"
        self.program.write_text(PROGRAM)

    def submit(self) -> int:
        gateway = self.centre.address()
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("QMIO_", "SLURM_"))}
        environ = kept | self.cluster.environ | {
            "QMIO_GATEWAY": gateway.endpoint, "QMIO_GATEWAY_KEY": gateway.server_key,
            "QMIO_MUNGE_SOCKET": str(self.node_socket),
        }  # fmt: skip
        request = JobRequest(
            name="job", output=str(self.root / "%j.out"), directory=str(self.root), memory_mb=100
        )
        script = f"#!/bin/sh\nexec {sys.executable} {self.program}\n".encode()
        return self.slurm.submit(script, request, environ=environ).job_id

    @property
    def node_socket(self) -> Path:
        return self.cluster.directory / "run" / f"munged-{NODE}.sock"

    def lines(self, job_id: int) -> list[dict[str, object]]:
        out = self.root / f"{job_id}.out"
        said = out.read_text().splitlines() if out.exists() else []
        assert all(line.startswith("{") for line in said), "\n".join(said)
        return [json.loads(line) for line in said]

    def sessions(self) -> int:
        path = self.centre.root / "home" / "state" / "ledger.sqlite"
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        try:
            return int(connection.execute("SELECT count(*) FROM sessions").fetchone()[0])
        finally:
            connection.close()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    if lacking := missing():
        fail_or_skip(f"{lacking} (python tools/slurm.py)")
    with mini_slurm() as cluster:
        own = cluster.start_munge(GATEWAY)
        aliases = ", ".join(f"{name} = ['{NODE}']" for name in cluster.nodes)
        more = (
            f'verifier = "slurm"\n[gateway.slurm]\nconfig = "{cluster.conf}"\nmunge_socket = "{own}"\n'
            f"interval_s = 1.0\naddresses = {{ {aliases} }}\n"
        )
        centre = Centre(tmp_path_factory.mktemp("centre"), more=more).start()
        cluster.start_munge(NODE)
        try:
            yield Site(cluster, centre, tmp_path_factory.mktemp("user"))
        finally:
            cluster.cancel_all()
            centre.stop()


@pytest.mark.parametrize(("origin", "where"), [(GATEWAY, "the gateway's"), (NODE, "the node's")])
def test_a_munged_that_is_down_is_named_leaves_nothing_and_is_waited_for(
    site: Site, origin: str, where: str
) -> None:
    lives = site.submit()
    until(lambda: any("session" in line for line in site.lines(lives)), "one has a session", seconds=60)
    sessions = site.sessions()
    site.cluster.stop_munge(origin)
    try:
        job_id = site.submit()
        until(lambda: site.lines(job_id), "the impatient is told", seconds=60)
        (told,) = site.lines(job_id)
        assert told["code"] == "auth.munge", (where, told)
        assert told["retryable"] is True
        assert "munged could not be asked" in str(told["says"])
        assert "Is munged running" in str(told["says"])
        assert site.sessions() == sessions, "no session is half open"
        # Who has a session needs no MUNGE any more.
        count = len(site.lines(lives))
        until(lambda: len(site.lines(lives)) > count + 1, "the other one works on", seconds=20)
    finally:
        site.cluster.start_munge(origin)
    until(
        lambda: any("session" in line for line in site.lines(job_id)), "the patient one has hers", seconds=60
    )
    assert site.sessions() == sessions + 1
    assert "Traceback" not in site.centre.log()
    site.cluster.cancel_all()
