"""Slurm's word on a job, from the one cached query: never older than it may be, never concluded from silence."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from qmio_jupyter.errors import SlurmError
from qmio_jupyter.model.allocation import JobRun
from qmio_jupyter.slurm.cache import JobCache
from qmio_jupyter.slurm.cluster import Node
from qmio_jupyter.slurm.complaints import unreachable
from qmio_jupyter.slurm.jobs import Job
from qmio_jupyter.slurm.verifier import SlurmVerifier

JOB = Job(
    job_id=7, uid=1001, user="ana", account="physics", state="RUNNING", submit_ms=1_000, nodes=("n1", "n2"),
    licences={"qpu_echo": 1}, name="q", end_ms=9_000,
)  # fmt: skip


def node(name: str, address: str) -> Node:
    return Node(
        name=name, address=address, hostname=f"{name}.site", partitions=("p",), state="idle", cpus=1,
        cpus_idle=1, memory_mb=1, memory_used_mb=0,
    )  # fmt: skip


class World:
    """A cluster whose answers are set by the test."""

    def __init__(self) -> None:
        self.jobs: list[Job] = [JOB]
        self.nodes = [node("n1", "10.0.0.1"), node("n2", "10.0.0.2")]
        self.error: SlurmError | None = None
        self.asked = 0
        self.looked = 0

    def query(self) -> list[Job]:
        self.asked += 1
        if self.error is not None:
            raise self.error
        return list(self.jobs)

    def look(self) -> list[Node]:
        self.looked += 1
        if self.error is not None:
            raise self.error
        return list(self.nodes)

    def lookup(self, name: str) -> tuple[str, ...]:
        return {"n1.site": ("::ffff:10.1.0.1",), "n2.site": ()}.get(name, (name,))


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def verifier(world: World) -> Iterator[SlurmVerifier]:
    cache = JobCache(world.query, interval_s=0.01)
    yield SlurmVerifier(
        lambda: "east", cache, world.look, aliases={"n2": ("192.0.2.2",)}, lookup=world.lookup
    )
    cache.close()


def test_a_running_job(verifier: SlurmVerifier) -> None:
    (facts,) = verifier.facts("east", "7")
    assert (facts.job_id, facts.uid, facts.tenant, facts.running) == ("7", 1001, "physics/ana", True)
    assert facts.addresses == ("10.0.0.1", "10.1.0.1", "10.0.0.2", "192.0.2.2")
    assert (facts.licences, facts.ends_ms, facts.submit_ms) == (("qpu_echo",), 9_000, 1_000)


def test_a_job_without_account_is_charged_to_its_user(world: World, verifier: SlurmVerifier) -> None:
    world.jobs = [replace(JOB, account="")]
    assert verifier.facts("east", "7")[0].tenant == "slurm/ana"


def test_another_clusters_jobs_are_unknown_and_not_asked_for(world: World, verifier: SlurmVerifier) -> None:
    assert verifier.facts("west", "7") == ()
    assert world.asked == 0


def test_a_job_that_started_after_the_last_answer_is_asked_for_again(
    world: World, verifier: SlurmVerifier
) -> None:
    world.jobs = [replace(JOB, state="PENDING", nodes=())]
    assert not verifier.facts("east", "7")[0].running
    asked = world.asked
    world.jobs = [JOB]
    assert verifier.facts("east", "7")[0].running
    assert world.asked == asked + 1
    assert verifier.facts("east", "7")[0].running
    assert world.asked == asked + 1, "a running job is not asked for anew"


def test_a_run_that_its_programs_know_of_is_not_taken_for_the_one_before(
    world: World, verifier: SlurmVerifier
) -> None:
    assert verifier.facts("east", "7")[0].restarts == 0
    world.jobs = [replace(JOB, submit_ms=2_000, restarts=1)]
    assert verifier.facts("east", "7", restarts=1)[0].restarts == 1
    asked = world.asked
    assert verifier.facts("east", "7", restarts=0)[0].restarts == 1, "Slurm's word counts, not the program's"
    assert world.asked == asked + 1


def test_an_unknown_job_is_unknown_only_after_a_new_question(world: World, verifier: SlurmVerifier) -> None:
    verifier.facts("east", "7")
    asked = world.asked
    assert verifier.facts("east", "8") == ()
    assert world.asked == asked + 1


def test_after_a_jobs_epilog_no_older_answer_is_used(world: World, verifier: SlurmVerifier) -> None:
    """Slurm said a moment ago that the job runs: a key copied from it is not let in on that."""
    assert verifier.facts("east", "7")[0].running
    verifier.has_ended("east", "7")
    world.jobs = [replace(JOB, state="COMPLETING")]
    asked = world.asked
    assert [facts.running for facts in verifier.facts("east", "7")] == [False]
    assert world.asked == asked + 1
    # Nor under its leader's name.
    world.jobs = [
        replace(JOB, job_id=6, het_job_id=6, het_offset=0),
        replace(JOB, het_job_id=6, het_offset=1),
    ]
    assert len(verifier.facts("east", "6")) == 2
    verifier.has_ended("east", "7")
    assert [facts.job_id for facts in verifier.facts("east", "6")] == ["6"]


def test_the_epilog_of_another_clusters_job_or_of_none_changes_nothing(
    world: World, verifier: SlurmVerifier
) -> None:
    assert verifier.facts("east", "7")[0].running
    for cluster, job_id in (("west", "7"), ("east", "8"), ("east", ""), ("east", "x")):
        verifier.has_ended(cluster, job_id)
    asked = world.asked
    assert verifier.facts("east", "7")[0].running
    assert world.asked == asked


def test_silence_is_an_error_never_an_answer(world: World, verifier: SlurmVerifier) -> None:
    world.error = unreachable("squeue", "down")
    with pytest.raises(SlurmError) as failed:
        verifier.facts("east", "7")
    assert failed.value.retryable
    with pytest.raises(SlurmError):
        verifier.ended((JobRun("east", "7", 1_000, 0),))


def test_a_node_that_was_not_known_is_looked_up_and_one_that_is_gone_has_no_address(
    world: World, verifier: SlurmVerifier
) -> None:
    verifier.facts("east", "7")
    world.nodes.append(node("n3", "10.0.0.3"))
    world.jobs = [replace(JOB, job_id=8, nodes=("n3",))]
    assert verifier.facts("east", "8")[0].addresses[0] == "10.0.0.3"
    world.jobs = [replace(JOB, job_id=9, nodes=("n4",))]
    assert verifier.facts("east", "9")[0].addresses == ()


RUN = JobRun("east", "7", 1_000, 0)


@pytest.mark.parametrize(
    ("job", "is_over"),
    [
        (JOB, False),
        (replace(JOB, state="SUSPENDED"), False),
        (replace(JOB, state="COMPLETING"), True),
        (replace(JOB, state="CANCELLED"), True),
        (replace(JOB, state="TIMEOUT"), True),
        (replace(JOB, state="NODE_FAIL"), True),
        (replace(JOB, state="PENDING", submit_ms=2_000, restarts=1), True),
        (replace(JOB, submit_ms=2_000, restarts=1), True),  # requeued, and running again
        (replace(JOB, submit_ms=500), True),  # another job under the same id
        (replace(JOB, restarts=1), True),
        (None, True),
    ],
)
def test_which_runs_are_over(world: World, verifier: SlurmVerifier, job: Job | None, is_over: bool) -> None:
    world.jobs = [] if job is None else [job]
    assert verifier.ended((RUN,)) == ((RUN,) if is_over else ())
