"""The adapter against a real Slurm: what is asked for happens, and every failure is what it is."""

from __future__ import annotations

import os
import signal
import subprocess

import pytest

from qmio_jupyter.auth import munge
from qmio_jupyter.errors import SlurmError
from qmio_jupyter.slurm.adapter import Slurm
from qmio_jupyter.slurm.cache import JobCache
from qmio_jupyter.slurm.jobs import Job
from qmio_jupyter.slurm.requests import JobRequest
from qmio_jupyter.testing.slurm import MiniSlurm, until

SLEEP = b"#!/bin/sh\nsleep 300\n"


def request(name: str = "qmio-test", **changes: object) -> JobRequest:
    return JobRequest(name=name, output="/dev/null", directory="/tmp", **changes)  # type: ignore[arg-type]


def running(slurm: Slurm, job_id: int) -> Job:
    found = until(
        lambda: [job for job in slurm.job(job_id) if job.is_running and job.job_id == job_id], "runs"
    )
    return found[0]


def test_a_job_of_a_user_runs_and_is_found_and_cancelled_by_name(slurm: Slurm, user: object) -> None:
    name, uid = user  # type: ignore[misc]
    made = slurm.submit(SLEEP, request(licences="qpu_fake-qmio:1", memory_mb=100, limit_min=3), user=name)
    job = running(slurm, made.job_id)
    assert (job.uid, job.user, job.name, job.licences) == (uid, name, "qmio-test", {"qpu_fake-qmio": 1})
    assert job.end_ms is not None
    assert job.start_ms is not None
    assert job.end_ms - job.start_ms == 180_000
    assert {one.name: one.used for one in slurm.licences()}["qpu_fake-qmio"] == 1
    assert [one.job_id for one in slurm.find("qmio-test", user=name)] == [made.job_id]
    assert slurm.find("qmio-tes", user=name) == ()
    slurm.cancel_named("qmio-test", owner=name, user=name)
    until(lambda: not slurm.job(made.job_id), "it is gone")
    assert {one.name: one.used for one in slurm.licences()}["qpu_fake-qmio"] == 0
    slurm.cancel(made.job_id)  # Once more is no error.


def test_what_the_licences_do_not_allow_waits_and_says_why(slurm: Slurm, user: object) -> None:
    name, _ = user  # type: ignore[misc]
    first = slurm.submit(SLEEP, request(licences="qpu_fake-qmio:2"), user=name)
    running(slurm, first.job_id)
    second = slurm.submit(SLEEP, request(licences="qpu_fake-qmio:1"), user=name)
    until(
        lambda: [one for one in slurm.job(second.job_id) if one.reason == "Licenses"], "it waits for licences"
    )
    assert slurm.expected_start(request(licences="qpu_echo:1"), user=name).nodes


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"partition": "nope"}, "invalid partition"),
        ({"licences": "qpu_nope:1"}, "Invalid license"),
        ({"reservation": "nope"}, "reservation is invalid"),
        ({"memory_mb": 10**8}, "Memory specification"),
        ({"gres": "gpu:9"}, "not available"),
    ],
)
def test_slurm_refuses_in_its_own_words(slurm: Slurm, changes: dict[str, object], reason: str) -> None:
    with pytest.raises(SlurmError, match=reason) as refused:
        slurm.submit(SLEEP, request(**changes))
    assert (refused.value.code, refused.value.retryable) == ("slurm.refused", False)
    assert slurm.find("qmio-test") == ()


def test_a_requeued_job_is_another_incarnation_of_the_same_id(
    cluster: MiniSlurm, slurm: Slurm, user: object
) -> None:
    name, _ = user  # type: ignore[misc]
    made = slurm.submit(SLEEP, request(requeue=True), user=name)
    first = running(slurm, made.job_id)
    commands = cluster.commands()
    code, _, err = slurm._runner.run(
        [commands.scontrol, "requeue", str(made.job_id)], timeout_s=15, environ=commands.environment()
    )
    assert code == 0, err
    second = until(lambda: [one for one in slurm.job(made.job_id) if one.restarts == 1], "it is requeued")[0]
    assert second.job_id == first.job_id
    assert second.incarnation != first.incarnation


def test_a_dead_controller_is_not_a_job_that_is_gone(cluster: MiniSlurm, user: object) -> None:
    name, _ = user  # type: ignore[misc]
    slurm = cluster.slurm(timeout_s=2.0)
    made = slurm.submit(SLEEP, request(), user=name)
    running(slurm, made.job_id)
    cache = JobCache(slurm.jobs, interval_s=0.1)
    assert made.job_id in cache.get(0.0).by_id
    cluster.stop_controller(signal.SIGTERM)
    try:
        for ask in (
            lambda: slurm.job(made.job_id),
            lambda: slurm.submit(SLEEP, request("other")),
            lambda: slurm.cancel(made.job_id),
            lambda: cache.get(0.0),
        ):
            with pytest.raises(SlurmError) as failed:
                ask()
            assert (failed.value.code, failed.value.retryable) == ("slurm.unreachable", True)
        assert cache.last is not None
        assert made.job_id in cache.last.by_id
    finally:
        cluster.start_controller()
    assert running(slurm, made.job_id).name == "qmio-test"
    cache.close()


def test_what_the_cluster_offers(cluster: MiniSlurm, slurm: Slurm) -> None:
    assert slurm.cluster_name() == cluster.cluster
    assert [(one.name, one.is_default) for one in slurm.partitions()] == [("all", True)]
    assert {node.name: node.cpus_idle for node in slurm.nodes()} == dict.fromkeys(cluster.nodes, 4)
    assert {one.name: one.free for one in slurm.licences()} == {"qpu_fake-qmio": 2, "qpu_echo": 8}
    assert slurm.reservations() == ()
    with pytest.raises(SlurmError) as failed:
        slurm.associations()  # There is no accounting here.
    assert failed.value.code in {"slurm.unreachable", "slurm.command"}


def test_a_credential_is_encrypted_whatever_the_sites_default(cluster: MiniSlurm) -> None:
    made = munge.encode(b"secret", only_for=os.geteuid(), path=str(cluster.munge_socket))
    told = subprocess.run(
        ["/usr/bin/unmunge", f"--socket={cluster.munge_socket}"],
        input=made,
        capture_output=True,
        check=True,
    ).stdout.decode()
    said = dict(line.split(":", 1) for line in told.splitlines() if ":" in line)
    assert said["CIPHER"].split()[0] == "aes256"
    assert said["MAC"].split()[0] == "sha512"
    assert told.endswith("secret")
