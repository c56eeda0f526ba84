"""Jobs of a real Slurm at a real gateway with a real MUNGE: what just works, and every way of getting in without."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from qmio_jupyter.auth.keys import read_keys
from qmio_jupyter.client.sync import connect
from qmio_jupyter.config.places import node_local
from qmio_jupyter.errors import ConfigError
from qmio_jupyter.model.access import Role
from qmio_jupyter.slurm.requests import JobRequest
from qmio_jupyter.testing.centre import Centre
from qmio_jupyter.testing.door import Door, credential, refusal
from qmio_jupyter.testing.hub import twin_python
from qmio_jupyter.testing.slurm import MiniSlurm, until
from qmio_jupyter.wire import messages as m

SLEEP = b"#!/bin/sh\nsleep 300\n"
#: Prints the session as one line of JSON, and stays.
SHOW = """
import json, os, sys, time
from qmio_jupyter.client.sync import connect
client = connect(timeout_s=60)
one = client.session()
told = {"job": one.job_id, "key": one.key, "uid": one.uid, "restarts": one.restarts, "id": one.session_id,
        "slurm": os.environ["SLURM_JOB_ID"], "node": os.environ.get("SLURMD_NODENAME")}
print(json.dumps(told), flush=True)
if "stay" in sys.argv:
    time.sleep(300)
"""


class Site:
    """A cluster, its gateway, and what a job of this user is given."""

    def __init__(self, cluster: MiniSlurm, centre: Centre, root: Path) -> None:
        self.cluster = cluster
        self.centre = centre
        self.root = root
        self.show = root / "show.py"
        self.show.write_text(SHOW)
        self.slurm = cluster.slurm()

    @property
    def gateway(self) -> Any:
        return self.centre.address()

    @property
    def environ(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("QMIO_", "SLURM_"))}
        return kept | self.cluster.environ | {
            "QMIO_GATEWAY": self.gateway.endpoint,
            "QMIO_GATEWAY_KEY": self.gateway.server_key,
            "QMIO_MUNGE_SOCKET": str(self.cluster.munge_socket),
            "QMIO_DEVICE": "echo",
        }  # fmt: skip

    def submit(self, script: str, name: str = "job", **changes: Any) -> int:
        request = JobRequest(
            name=name, output=str(self.root / "%j.out"), directory=str(self.root), memory_mb=100, **changes
        )
        return self.slurm.submit(f"#!/bin/sh\n{script}\n".encode(), request, environ=self.environ).job_id

    def said(self, job_id: int) -> list[str]:
        path = self.root / f"{job_id}.out"
        return path.read_text().splitlines() if path.exists() else []

    def told(self, job_id: int, count: int = 1) -> list[dict[str, Any]]:
        """Return what `count` programs of a job have printed of their sessions."""

        def lines() -> list[dict[str, Any]]:
            found = [json.loads(line) for line in self.said(job_id) if line.startswith("{")]
            return found if len(found) >= count else []

        try:
            return until(lines, f"job {job_id} tells", seconds=60)
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.said(job_id)}; {self.centre.log()}") from None

    def stays(self, name: str = "job", **changes: Any) -> tuple[int, dict[str, Any]]:
        """Return a job that has a session and keeps it."""
        job_id = self.submit(f"exec {sys.executable} {self.show} stay", name, **changes)
        return job_id, self.told(job_id)[0]

    def key_file(self, job_id: int, restarts: int = 0) -> Path:
        (found,) = (node_local() / "jobs").glob(f"{self.cluster.cluster}-{job_id}-{restarts}-*/session.key")
        return found

    def idle_job(self, user: str | None = None, **changes: Any) -> int:
        """Return a running job in which nothing has asked for a session."""
        request = JobRequest(name="idle", output="/dev/null", directory="/tmp", memory_mb=100, **changes)
        job_id = self.slurm.submit(SLEEP, request, user=user).job_id
        until(lambda: any(job.is_running for job in self.slurm.job(job_id)), "it runs")
        return job_id


@pytest.fixture(scope="module")
def centre(running: MiniSlurm, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Centre]:
    more = (
        f'log_level = "debug"\nverifier = "slurm"\n[gateway.slurm]\nconfig = "{running.conf}"\n'
        f'munge_socket = "{running.munge_socket}"\ninterval_s = 1.0\ntimeout_s = 3.0\n'
    )
    made = Centre(tmp_path_factory.mktemp("centre"), more=more)
    yield made.start()
    made.stop()


@pytest.fixture
def site(cluster: MiniSlurm, centre: Centre, tmp_path: Path) -> Site:
    return Site(cluster, centre, tmp_path)


@pytest.fixture
def door(site: Site) -> Iterator[Callable[..., Door]]:
    opened: list[Door] = []

    def at(keys: Any = None, **options: Any) -> Door:
        opened.append(Door(site.gateway, keys, cluster=site.cluster.cluster, **options))
        return opened[-1]

    yield at
    for one in opened:
        one.close()


# ---------------------------------------------------------------- what just works


def test_a_batch_job_runs_programs_with_no_secret_to_manage_and_its_key_dies_with_it(
    site: Site, door: Callable[..., Door]
) -> None:
    program = site.root / "bell.qasm"
    program.write_text("OPENQASM 3.0;\nbit[2] c;\n")
    job_id = site.submit(
        f"{sys.executable} -m qmio_jupyter.cli.main run {program} && echo ran\n"
        f"{sys.executable} {site.show}\nexec {sys.executable} {site.show} stay"
    )
    first, second = site.told(job_id, 2)
    assert "ran" in site.said(job_id)
    assert first["id"] == second["id"], "all programs of a job on a node share its session"
    assert (first["job"], first["uid"]) == (str(job_id), os.geteuid())
    path = site.key_file(job_id)
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert path.parent.parent.stat().st_mode & 0o777 == 0o700
    keys = read_keys(path)
    alive = door(keys)
    assert alive.ask(m.Hello()).session.session_id == first["id"]  # type: ignore[union-attr]
    site.slurm.cancel(job_id)
    until(lambda: all(job.state == "COMPLETING" for job in site.slurm.job(job_id)), "it ends")
    ended_s = time.monotonic()
    until(lambda: isinstance(alive.ask(m.SessionShow()), m.Failure), "its session ends", seconds=10)
    assert time.monotonic() - ended_s < 10
    late = door(keys)
    assert late.ask(m.Hello()).role is Role.NONE  # type: ignore[union-attr]
    assert refusal(late.prove(str(job_id), site.cluster.munge_socket))[0] == "auth.credential"


def test_srun_on_two_nodes_gives_each_node_a_session_of_the_same_job(site: Site) -> None:
    srun = shutil.which("srun")
    assert srun is not None
    done = subprocess.run(
        [srun, "-N2", "-n2", "--mem=100", sys.executable, str(site.show)],
        env=site.environ, capture_output=True, text=True, timeout=90, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert {one["job"] for one in told} == {told[0]["slurm"]}
    assert len({one["node"] for one in told}) == 2
    assert len({one["key"] for one in told}) == 2


def test_salloc_and_srun_just_work_and_salloc_alone_says_what_to_do(site: Site) -> None:
    salloc, srun = shutil.which("salloc"), shutil.which("srun")
    assert salloc is not None
    assert srun is not None
    done = subprocess.run(
        [salloc, "-n1", "--mem=100", srun, sys.executable, str(site.show)],
        env=site.environ, capture_output=True, text=True, timeout=90, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["job"]


def test_outside_of_a_job_it_says_that_a_job_is_needed(site: Site) -> None:
    with pytest.raises(ConfigError) as refused:
        connect(environ=site.environ, timeout_s=20)
    assert refused.value.code == "config.no_job"
    assert "srun" in refused.value.hint


def test_tasks_of_an_array_and_components_of_a_heterogeneous_job_have_sessions_of_their_own(
    site: Site,
) -> None:
    sbatch = shutil.which("sbatch")
    assert sbatch is not None
    common = [sbatch, "--parsable", "--mem=100", f"--output={site.root}/%j.out", f"--chdir={site.root}"]
    command = f"{sys.executable} {site.show}"
    array = subprocess.run(
        [*common, "--array=0-1", f"--wrap={command}"],
        env=site.environ,
        capture_output=True,
        text=True,
        check=True,
    )
    own: set[int] = set()

    def both() -> bool:
        outs = [int(path.stem) for path in site.root.glob("*.out")]
        own.update(number for number in outs if site.said(number))
        return len(own) == 2

    until(both, f"both tasks of {array.stdout}", seconds=60)
    for number in own:
        (told,) = site.told(number)
        assert told["job"] == told["slurm"] == str(number)
    het = subprocess.run(
        [*common, f"--wrap=srun --het-group=0-1 {command}", ":", "--mem=100", "-n1"],
        env=site.environ, capture_output=True, text=True, check=True,
    )  # fmt: skip
    leader = int(het.stdout)
    told = site.told(leader, 2)
    # All nodes have one address here: which component a program is in shows only where they differ.
    assert {int(one["job"]) for one in told} <= {leader, leader + 1}


def test_a_requeued_job_is_another_run_with_another_session(site: Site, door: Callable[..., Door]) -> None:
    job_id, first = site.stays(requeue=True)
    keys = read_keys(site.key_file(job_id))
    commands = site.cluster.commands()

    def control(*argv: str) -> None:
        subprocess.run(
            [commands.scontrol, *argv], env=commands.environment(), capture_output=True, check=False
        )

    control("requeue", str(job_id))
    until(lambda: any(job.restarts == 1 for job in site.slurm.job(job_id)), "it is requeued")

    def again() -> dict[str, Any] | None:
        waiting = [job for job in site.slurm.job(job_id) if job.is_waiting]
        if waiting and time.time_ns() > (waiting[0].submit_ms + 3_000) * 10**6:
            # Slurm would give it two minutes' pause; within the same second its node still refuses it.
            control("update", f"JobId={job_id}", "StartTime=now")
        found = [json.loads(line) for line in site.said(job_id) if line.startswith("{")]
        return next((one for one in found if one["restarts"] == 1), None)

    try:
        second = until(again, "it tells again", seconds=60, pause_s=0.2)
    except AssertionError as error:
        log = (site.cluster.directory / "log" / "slurmctld.log").read_text()
        raise AssertionError(f"{error}: {site.said(job_id)}; {log[-3000:]}") from None
    assert second["slurm"] == first["slurm"]
    assert second["key"] != first["key"]
    assert second["id"] != first["id"]
    old = door(keys)
    until(lambda: old.ask(m.Hello()).role is Role.NONE, "the first run's session ends", seconds=10)  # type: ignore[union-attr]
    new = door(read_keys(site.key_file(job_id, restarts=1)))
    assert new.ask(m.Hello()).role is Role.USER  # type: ignore[union-attr]


# ---------------------------------------------------------------- what does not


def test_a_proof_is_good_once(site: Site, door: Callable[..., Door]) -> None:
    job = str(site.idle_job())
    honest, thief = door(), door()
    made = credential(honest.payload(honest.nonce(), job), site.cluster.munge_socket, only_for=os.geteuid())
    proof = m.SessionOpen(cluster=site.cluster.cluster, job_id=job, credential=made)
    thief.nonce()
    # Overheard before it was used: it is not for the thief's key, and he has used it up for both.
    assert refusal(thief.ask(proof)) == (
        "auth.credential", "the credential is not for this key, gateway, job and question",
    )  # fmt: skip
    assert "used before" in refusal(honest.ask(proof))[1]
    assert isinstance(honest.prove(job, site.cluster.munge_socket), m.SessionState)
    honest.nonce()
    assert "used before" in refusal(honest.ask(proof))[1]


def test_a_proof_for_another_gateway_key_question_job_or_grant_opens_nothing(
    site: Site, door: Callable[..., Door]
) -> None:
    job, other = str(site.idle_job()), str(site.idle_job())
    changes: list[dict[str, object]] = [
        {"server_key": door().keys.public},  # relayed by another gateway
        {"client_key": b"x" * 32},
        {"nonce": b"n" * 32},
        {"cluster": "other"},
        {"grant_id": "g-stolen"},
    ]
    for change in changes:
        code, message = refusal(door().prove(job, site.cluster.munge_socket, **change))
        assert (code, "not for this key" in message) == ("auth.credential", True), change
    # A credential for one job of hers, said to be for another.
    one = door()
    made = credential(one.payload(one.nonce(), job), site.cluster.munge_socket, only_for=os.geteuid())
    answer = one.ask(m.SessionOpen(cluster=site.cluster.cluster, job_id=other, credential=made))
    assert refusal(answer)[0] == "auth.credential"


def test_a_credential_that_anybody_could_read_or_that_is_old_opens_nothing(
    site: Site, door: Callable[..., Door]
) -> None:
    job = str(site.idle_job())
    for options, says in (
        ({"only_for": None}, "restricted"),
        ({"only_for": os.geteuid(), "ttl_s": 1}, "expired"),
    ):
        one = door()
        made = credential(one.payload(one.nonce(), job), site.cluster.munge_socket, **options)  # type: ignore[arg-type]
        made_s = time.time_ns() // 10**9
        if "ttl_s" in options:
            until(lambda made_s=made_s: time.time_ns() // 10**9 > made_s + 2, "it has expired")  # type: ignore[misc]
        assert (
            says
            in refusal(one.ask(m.SessionOpen(cluster=site.cluster.cluster, job_id=job, credential=made)))[1]
        )


@pytest.mark.root
def test_another_user_gets_nothing_of_a_job_that_is_not_hers(
    site: Site, door: Callable[..., Door], user: Any
) -> None:
    if os.geteuid() != 0:
        pytest.skip("one uid: users are not isolated")
    mine, hers = str(site.idle_job()), str(site.idle_job(user.name))
    socket = site.cluster.munge_socket
    assert "no job" in refusal(door().prove(mine, socket, user=user.name))[1]
    assert "no job" in refusal(door().prove(hers, socket))[1], "root's credential is root's"
    opened = door().prove(hers, socket, user=user.name)
    assert isinstance(opened, m.SessionState)
    assert (opened.session.uid, opened.session.tenant) == (user.uid, f"slurm/{user.name}")
    # Her key, in her directory, is nobody else's to read.
    job_id, _ = site.stays()
    path = site.key_file(job_id)
    argv = ["/usr/sbin/runuser", "-u", user.name, "--", "cat", str(path)]
    assert subprocess.run(argv, capture_output=True, check=False).returncode != 0


@pytest.mark.root
def test_another_unix_users_job_just_works_and_her_key_is_hers_alone(site: Site, user: Any) -> None:
    if os.geteuid() != 0:
        pytest.skip("one uid: users are not isolated")
    with tempfile.TemporaryDirectory(prefix="qmio-user-") as name:
        place = Path(name)
        place.chmod(0o777)
        python = twin_python(place / "python")
        script = f"#!/bin/sh\n{python} - stay <<'PROGRAM'\n{SHOW}\nPROGRAM\n"
        request = JobRequest(name="hers", output=str(place / "%j.out"), directory=name, memory_mb=100)
        environ = site.environ | {"HOME": name}
        job_id = site.slurm.submit(script.encode(), request, user=user.name, environ=environ).job_id
        site.root = place
        (told,) = site.told(job_id)
        assert (told["job"], told["uid"]) == (str(job_id), user.uid)
        jobs = Path(f"/tmp/qmio-{user.uid}/jobs")
        (path,) = jobs.glob(f"{site.cluster.cluster}-{job_id}-*/session.key")
        facts = [
            (one.stat().st_uid, one.stat().st_mode & 0o777) for one in (path, path.parent, jobs, jobs.parent)
        ]
        assert facts == [(user.uid, 0o600), *[(user.uid, 0o700)] * 3]
        # Somebody else on the same node, between the two of them.
        argv = ["/usr/sbin/runuser", "-u", "daemon", "--", "cat", str(path)]
        assert subprocess.run(argv, capture_output=True, check=False).returncode != 0
        site.cluster.cancel_all()
        shutil.rmtree(jobs.parent)


def test_jobs_that_wait_or_have_ended_or_never_were_open_nothing(
    site: Site, door: Callable[..., Door]
) -> None:
    socket = site.cluster.munge_socket
    ended = site.idle_job()
    site.slurm.cancel(ended)
    holder = site.idle_job(licences="qpu_fake-qmio:2")
    request = JobRequest(
        name="waits", output="/dev/null", directory="/tmp", licences="qpu_fake-qmio:1", memory_mb=100
    )
    waits = site.slurm.submit(SLEEP, request).job_id
    assert "does not run (PENDING)" in refusal(door().prove(str(waits), socket))[1]
    until(lambda: not site.slurm.job(ended), "it is gone")
    for job in (str(ended), "999999", "0", "-1", "x", ""):
        assert refusal(door().prove(job, socket))[0] == "auth.credential", job
    site.slurm.cancel(holder)
    until(lambda: any(job.is_running for job in site.slurm.job(waits)), "it starts")
    assert isinstance(door().prove(str(waits), socket), m.SessionState), "it has started since"


def test_a_key_or_credential_off_the_jobs_nodes_opens_nothing(site: Site, door: Callable[..., Door]) -> None:
    job_id, told = site.stays()
    elsewhere = site.cluster.start_munge("127.0.0.9")
    code, message = refusal(door().prove(str(job_id), elsewhere))
    assert (code, message) == (
        "auth.credential",
        f"the proof was made on 127.0.0.9, no node of job {job_id}",
    )
    # The file itself, copied to another host: the same link from there is a stranger's.
    keys = read_keys(site.key_file(job_id))
    stolen = door(keys, source="127.0.0.9")
    welcome = stolen.ask(m.Hello())
    assert isinstance(welcome, m.Welcome)
    assert (welcome.role, welcome.session) == (Role.NONE, None)
    assert refusal(stolen.ask(m.TaskList()))[0] == "auth.session"
    assert refusal(stolen.prove(str(job_id), elsewhere))[0] == "auth.credential"
    honest = door(keys)
    assert honest.ask(m.Hello()).session.session_id == told["id"]  # type: ignore[union-attr]


def test_where_a_licence_is_required_it_says_which_devices(site: Site, tmp_path: Path) -> None:
    cluster = site.cluster
    more = (
        f'verifier = "slurm"\n[gateway.slurm]\nconfig = "{cluster.conf}"\nmunge_socket = "{cluster.munge_socket}"\n'
        "licence_required = true\ninterval_s = 0.5\n"
    )
    strict = Centre(tmp_path, more=more).start()
    try:
        without, holds = str(site.idle_job()), str(site.idle_job(licences="qpu_echo:1"))
        doors = [Door(strict.address(), cluster=cluster.cluster) for _ in range(2)]
        answer = doors[0].prove(without, cluster.munge_socket)
        assert refusal(answer) == ("auth.credential", f"job {without} holds no licence qpu_DEVICE")
        opened = doors[1].prove(holds, cluster.munge_socket)
        assert isinstance(opened, m.SessionState)
        assert opened.session.devices == ("echo",)
        for one in doors:
            one.close()
    finally:
        strict.stop()


def test_while_slurm_or_munge_is_down_sessions_live_and_new_ones_are_asked_to_wait(
    site: Site, door: Callable[..., Door]
) -> None:
    job_id, told = site.stays()
    alive = door(read_keys(site.key_file(job_id)))
    assert isinstance(alive.ask(m.Hello()), m.Welcome)
    other = str(site.idle_job())
    site.cluster.stop_controller()
    try:
        until(lambda: "slurm not asked" in site.centre.log(), "Slurm is asked in vain", seconds=60)
        assert alive.ask(m.SessionShow()).session.session_id == told["id"]  # type: ignore[union-attr]
        answer = door().prove(other, site.cluster.munge_socket)
        assert isinstance(answer, m.Failure)
        assert (answer.error.code, answer.error.retryable) == ("slurm.unreachable", True)
    finally:
        site.cluster.start_controller()
    assert isinstance(door().prove(other, site.cluster.munge_socket), m.SessionState)
    assert alive.ask(m.SessionShow()).session.session_id == told["id"]  # type: ignore[union-attr]


def test_a_restarted_gateway_knows_its_sessions_and_ends_those_whose_job_ended_meanwhile(
    site: Site, door: Callable[..., Door]
) -> None:
    goes_on, first = site.stays("one")
    ends, _ = site.stays("two")
    files = [read_keys(site.key_file(job)) for job in (goes_on, ends)]
    site.centre.kill()
    site.slurm.cancel(ends)
    until(lambda: not site.slurm.job(ends), "it is gone")
    site.centre.start()
    one, two = door(files[0]), door(files[1])
    assert one.ask(m.Hello()).session.session_id == first["id"]  # type: ignore[union-attr]
    until(lambda: two.ask(m.Hello()).role is Role.NONE, "it ends", seconds=10)  # type: ignore[union-attr]
    assert isinstance(one.ask(m.SessionShow()), m.SessionState)


def test_nothing_secret_is_written_or_shown_anywhere(site: Site) -> None:
    job_id, _ = site.stays()
    path = site.key_file(job_id)
    keys = read_keys(path)
    server = read_keys(site.centre.root / "home" / "state" / "server.key")
    commands = site.cluster.commands()
    shown = [
        subprocess.run(argv, env=commands.environment(), capture_output=True, check=True).stdout
        for argv in (
            [commands.scontrol, "show", "job", str(job_id)],
            [commands.squeue, "-a", "-o", "%all"],
            [commands.scontrol, "write", "batch_script", str(job_id), "-"],
        )
    ]
    places = [site.root, site.cluster.directory, site.centre.root]
    files = [
        one for place in places for one in place.rglob("*") if one.is_file() and one.name != "server.key"
    ]
    looked = {str(one): one.read_bytes() for one in files}
    looked |= {f"shown {number}": text for number, text in enumerate(shown)}
    for process in Path("/proc").glob("[0-9]*"):
        for name in ("environ", "cmdline"):
            try:
                looked[f"{process}/{name}"] = (process / name).read_bytes()
            except OSError:
                continue
    assert any(str(job_id).encode() in text for text in looked.values()), "something was looked at"
    for secret in (keys.secret.encode(), server.secret.encode(), b"MUNGE:"):
        found = [name for name, text in looked.items() if secret in text]
        assert found == [], secret[:6]
    # A gateway that crashes leaves no core file with its keys.
    pid = site.centre._process.pid  # type: ignore[union-attr]
    limit = next(line for line in Path(f"/proc/{pid}/limits").read_text().splitlines() if "core file" in line)
    assert limit.split()[4:6] == ["0", "0"]
