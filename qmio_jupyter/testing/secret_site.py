"""A centre without MUNGE for its users: the example's prolog and epilog, and a gateway that takes no other proof.

Slurm's own daemons have a MUNGE among themselves, which no job and no gateway is told of.
"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from qmio_jupyter.auth.job_files import JobFile, path_of
from qmio_jupyter.auth.keys import read_keys
from qmio_jupyter.model.access import Session
from qmio_jupyter.model.allocation import JobSecret
from qmio_jupyter.model.keys import KeyPair
from qmio_jupyter.slurm.requests import JobRequest
from qmio_jupyter.testing.centre import ECHO, Centre
from qmio_jupyter.testing.door import Door
from qmio_jupyter.testing.hub import twin_python
from qmio_jupyter.testing.node_files import NodeFiles
from qmio_jupyter.testing.slurm import MiniSlurm, mini_slurm, until

#: Prints the session, where it is and where its key is as one line of JSON, and stays.
SHOW = """
import json, os, time
from qmio_jupyter.client.sync import connect
from qmio_jupyter.client.proving import SlurmProver
from qmio_jupyter.config.places import node_local
client = connect(timeout_s=60)
one = client.session()
told = {"job": one.job_id, "id": one.session_id, "uid": one.uid, "node": os.environ["SLURMD_NODENAME"],
        "keys": str(node_local(os.environ) / "jobs" / SlurmProver(os.environ)._name / "session.key")}
print(json.dumps(told), flush=True)
time.sleep(300)
"""


class SecretSite:
    """The cluster, its nodes' files, the gateway, and what a job of this user is given. Use :func:`secret_site`."""

    def __init__(self, cluster: MiniSlurm, centre: Centre, files: NodeFiles, root: Path, user: str) -> None:
        self.cluster, self.centre, self.files, self.root, self.user = cluster, centre, files, root, user
        self.slurm = cluster.slurm()
        self.python = twin_python(root / "python")
        self.gateway = centre.address()
        self._doors: list[Door] = []

    @property
    def environ(self) -> dict[str, str]:
        """What a job is given: nothing of MUNGE's."""
        return self.cluster.environ | {
            "PATH": "/usr/bin:/bin", "HOME": str(self.root), "QMIO_GATEWAY": self.gateway.endpoint,
            "QMIO_GATEWAY_KEY": self.gateway.server_key, "QMIO_DEVICE": "echo",
            "QMIO_JOB_SECRETS": str(self.files.directory),
        }  # fmt: skip

    def submit_plain(self, *components: list[str]) -> int:
        """Submit with the real sbatch: each component's arguments, of a heterogeneous job if there are several."""
        argv = ["/usr/bin/sbatch", "--parsable", f"--output={self.root}/%j.out", f"--chdir={self.root}"]
        if os.geteuid() == 0:
            argv = ["/usr/sbin/runuser", "-u", self.user, "--", *argv]
        for number, component in enumerate(components):
            argv += [":"] if number else []
            argv += component
        done = subprocess.run(argv, env=self.environ, capture_output=True, text=True, check=True)
        return int(done.stdout.partition(";")[0])

    def submit(self, command: str, **changes: Any) -> int:
        """Submit a script as the user, who has nothing of MUNGE's."""
        request = JobRequest(
            name="job", output=str(self.root / "%j.out"), directory=str(self.root), memory_mb=100, **changes
        )
        script = f"#!/bin/sh\nunset QMIO_MUNGE_SOCKET\n{command}\n".encode()
        return self.slurm.submit(script, request, user=self.user, environ=self.environ).job_id

    def told(self, job_id: int, count: int = 1) -> list[dict[str, Any]]:
        """Return what `count` programs of a job print of their sessions."""
        out = self.root / f"{job_id}.out"

        def lines() -> list[dict[str, Any]]:
            said = out.read_text().splitlines() if out.exists() else []
            found = [json.loads(line) for line in said if line.startswith("{")]
            return found if len(found) >= count else []

        try:
            found: list[dict[str, Any]] = until(lines, f"job {job_id} tells", seconds=60)
        except AssertionError as error:
            said = out.read_text() if out.exists() else ""
            raise AssertionError(f"{error}: {said}; {self.files.lines()}; {self.centre.log()}") from None
        return found

    def stays(self, **changes: Any) -> tuple[int, dict[str, Any]]:
        """Return a job that has a session and keeps it."""
        job_id = self.submit(f"exec {self.python} - <<'PROGRAM'\n{SHOW}\nPROGRAM", **changes)
        return job_id, self.told(job_id)[0]

    def said(self, job_id: int) -> str:
        """Return what a job has written."""
        out = self.root / f"{job_id}.out"
        return out.read_text() if out.exists() else ""

    def wait_gone(self, job_id: int) -> None:
        """Wait until a job has left its nodes, and they are as they were before."""
        until(
            lambda: not any(job.nodes for job in self.slurm.job(job_id)), f"job {job_id} is gone", seconds=60
        )
        states = {node.name: (node.state, node.reason) for node in self.slurm.nodes()}
        assert all(state in {("idle", ""), ("mixed", ""), ("allocated", "")} for state in states.values()), (
            states
        )

    def door(self, node: str, keys: KeyPair | None = None) -> Door:
        """Return somebody at the gateway's door who is on a node."""
        source = self.cluster.addresses[node]
        self._doors.append(Door(self.gateway, keys, cluster=self.cluster.cluster, source=source))
        return self._doors[-1]

    def clear(self) -> None:
        """End doors and jobs: between tests."""
        while self._doors:
            self._doors.pop().close()
        self.cluster.cancel_all()

    @contextmanager
    def slurm_cannot_be_asked(self) -> Iterator[None]:
        """Have the gateway's questions to Slurm fail: what it hears meanwhile, it hears from nodes."""
        silent = self.files.root / "silent"
        silent.touch()
        try:
            yield
        finally:
            silent.unlink()

    def copy_of_keys(self, told: dict[str, Any]) -> KeyPair:
        """Return a copy of a job's key pair: what a thief who is root of its node has."""
        copied = self.files.root / "copy.key"
        copied.touch(mode=0o600)
        copied.write_bytes(Path(told["keys"]).read_bytes())
        try:
            return read_keys(copied)
        finally:
            copied.unlink()

    def secret_file(self, job_id: int, node: str) -> Path:
        """Return where a job's secret is on a node."""
        return path_of(self.files.directory, self.cluster.cluster, str(job_id), node)

    def handed(self, job_id: int, node: str) -> JobFile:
        """Return what a job was handed: only root reads it, and whoever got it from her."""
        return msgspec.json.decode(self.secret_file(job_id, node).read_bytes(), type=JobFile)

    def closed(self, session_id: str) -> str:
        """Return why the ledger says that a session was closed; empty if it was not."""
        (row,) = self._ledger("SELECT session FROM sessions WHERE session_id = ?", session_id)
        return msgspec.msgpack.decode(row, type=Session).close_cause

    def kept(self) -> dict[tuple[str, str], JobSecret]:
        """Return what the ledger keeps of secrets, by job and node: what a thief of the database has."""
        found = (
            msgspec.msgpack.decode(row, type=JobSecret)
            for row in self._ledger("SELECT data FROM job_secrets")
        )
        return {(secret.job_id, secret.node): secret for secret in found}

    def _ledger(self, statement: str, *values: str) -> list[bytes]:
        path = self.centre.root / "home" / "state" / "ledger.sqlite"
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        try:
            return [blob for (blob,) in connection.execute(statement, values)]
        finally:
            connection.close()


@contextmanager
def secret_site(user: str, *, interval_s: float = 1.0, **options: Any) -> Iterator[SecretSite]:
    """Run one for the jobs of a user; `options` are a cluster's."""
    with tempfile.TemporaryDirectory(prefix="qmio-node-") as name:
        root = Path(name)
        root.chmod(0o755)
        for part in ("files", "user", "centre"):
            (root / part).mkdir()
        (root / "user").chmod(0o777)
        files = NodeFiles(root / "files")
        extra = files.slurm_conf + options.pop("extra", "")
        with mini_slurm(own_addresses=True, extra=extra, **options) as cluster:
            squeue = root / "files" / "squeue"
            squeue.write_text(
                f'#!/bin/sh\n[ ! -e {root}/files/silent ] || exit 1\nexec /usr/bin/squeue "$@"\n'
            )
            squeue.chmod(0o755)
            more = (
                f'log_level = "debug"\nverifier = "slurm"\n[gateway.slurm]\nconfig = "{cluster.conf}"\n'
                f'munge_socket = "/nowhere/munge.sock"\nproofs = ["secret"]\ninterval_s = {interval_s}\n'
                f'squeue = "{squeue}"\ncontrollers = ["127.0.0.1"]\n'
            )
            centre = Centre(root / "centre", agents=ECHO + files.gateway_keys, more=more).start()
            files.aim(centre.address(), {**cluster.addresses, "controller": "127.0.0.1"})
            site = SecretSite(cluster, centre, files, root / "user", user)
            try:
                yield site
            finally:
                site.clear()
                centre.stop()
