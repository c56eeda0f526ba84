"""Secrets of Slurm jobs, and the epilog that ends them: what is kept, for how long, and who may say that it is over."""

import pytest
from msgspec.structs import replace

from qmio_jupyter.core.config import CoreConfig
from qmio_jupyter.core.effects import Acknowledged, CloseConnections
from qmio_jupyter.core.inputs import EndAllocation, HandSecret, OpenSession
from qmio_jupyter.core.records import JobSecretDropped, JobSecretSaved, SessionSaved
from qmio_jupyter.testing.cores import Bench, code, every, only

HERE, THERE = "10.0.0.1", "10.0.0.2"


def handing(bench: Bench, job_id: str = "7", node: str = "n1", **changes) -> HandSecret:
    request = HandSecret(
        origin=bench.origin("root"),
        cluster="c",
        job_id=job_id,
        node=node,
        uid=1,
        check=b"c" * 32,
        address=HERE,
    )
    return replace(request, **changes)


def ending(bench: Bench, job_id: str = "7", node: str = "n1", address: str | None = HERE) -> EndAllocation:
    return EndAllocation(origin=bench.origin("root"), cluster="c", job_id=job_id, node=node, address=address)


def opening(bench: Bench, key: str = "ana", **changes) -> OpenSession:
    request = OpenSession(
        origin=bench.origin(key), session_id=f"s-{key}", uid=1, tenant="physics/ana", lease_s=60.0, cluster="c",
        job_id="7", submit_ms=5, addresses=(HERE, THERE),
    )  # fmt: skip
    return replace(request, **changes)


def known(bench: Bench) -> list[tuple[str, str]]:
    return [name[1:] for name in bench.core.state.job_secrets]


def test_a_secret_is_noted_and_replaced_by_the_next_of_its_job_and_node(bench: Bench):
    step = bench.do(handing(bench))
    assert only(step, Acknowledged)
    assert [type(record) for record in step.records] == [JobSecretSaved]
    bench.do(handing(bench, node="n2"))
    bench.do(handing(bench, job_id="8"))
    bench.do(handing(bench, check=b"d" * 32, uid=2))
    found = bench.core.job_secret("c", "7", "n1")
    assert (found.check, found.uid, found.address) == (b"d" * 32, 2, HERE)
    assert known(bench) == [("7", "n2"), ("8", "n1"), ("7", "n1")]
    for name in (("d", "7", "n1"), ("c", "9", "n1"), ("c", "7", "n3"), ("c", "7", "")):
        assert bench.core.job_secret(*name) is None


@pytest.mark.parametrize(
    "change",
    [
        {"check": b""},
        {"check": b"c" * 31},
        {"cluster": ""},
        {"job_id": ""},
        {"node": ""},
        {"node": "n" * 256},
    ],
)
def test_what_is_no_secret_of_a_job_is_refused(bench: Bench, change):
    bench.do(handing(bench))
    assert code(bench.do(handing(bench, **change))) == "auth.credential"
    assert bench.core.job_secret("c", "7", "n1").check == b"c" * 32


def test_a_restart_forgets_none_and_keeps_their_order(bench: Bench):
    for number in range(3):
        bench.do(handing(bench, job_id=str(9 - number)), after_ms=1)
    before = bench.core.state.job_secrets
    bench.restart(after_ms=1_000)
    assert list(bench.core.state.job_secrets.items()) == list(before.items())


def test_those_whose_epilog_never_came_are_forgotten_in_time():
    bench = Bench(CoreConfig(job_secret_s=100.0))
    bench.do(handing(bench))
    bench.do(handing(bench, job_id="8"), after_ms=60_000)
    bench.restart()
    bench.tick(39_999)
    assert known(bench) == [("7", "n1"), ("8", "n1")]
    step = bench.tick_to_deadline()
    assert step.records == (JobSecretDropped(cluster="c", job_id="7", node="n1"),)
    bench.tick_to_deadline()
    assert known(bench) == []
    assert bench.ledger.load_live().job_secrets == ()
    assert bench.core.next_deadline() is None


def test_only_so_many_are_kept_and_the_oldest_go_first():
    bench = Bench(CoreConfig(job_secrets=2))
    for job_id in ("7", "8", "7", "9"):
        bench.do(handing(bench, job_id=job_id))
    assert known(bench) == [("7", "n1"), ("9", "n1")]
    assert len(bench.ledger.load_live().job_secrets) == 2


def test_the_epilog_ends_the_jobs_sessions_and_its_secret(bench: Bench):
    for job_id in ("7", "8"):
        bench.do(handing(bench, job_id=job_id))
    bench.do(handing(bench, node="n2"))
    bench.do(opening(bench))
    bench.do(opening(bench, "bea", job_id="8"))
    bench.do(opening(bench, "carla", cluster="d"))
    step = bench.do(ending(bench))
    assert only(step, Acknowledged)
    assert [one.key for one in every(step, CloseConnections)] == ["ana"]
    (saved,) = [record for record in step.records if isinstance(record, SessionSaved)]
    assert saved.session.close_cause == "its Slurm job's epilog ran"
    assert known(bench) == [("8", "n1"), ("7", "n2")]
    assert not bench.core.has_session("ana")
    assert bench.core.session_of("bea")
    assert bench.core.session_of("carla")
    again = bench.do(ending(bench))
    assert only(again, Acknowledged)
    assert again.records == ()


def test_a_node_speaks_for_nobody_elses_jobs(bench: Bench):
    """A node's stolen key ends no session and drops no secret of a job on other nodes."""
    bench.do(handing(bench))
    bench.do(opening(bench))
    assert bench.do(ending(bench, address="10.0.0.9")).records == ()
    assert bench.core.session_of("ana")
    bench.do(ending(bench, node="n2", address=THERE))
    assert not bench.core.has_session("ana"), "a second node of the job speaks for it"
    assert known(bench) == [("7", "n1")], "but not for the first one's secret"


def test_a_controller_speaks_for_every_node(bench: Bench):
    bench.do(handing(bench))
    bench.do(handing(bench, node="n2", address=THERE))
    bench.do(opening(bench))
    bench.do(ending(bench, node="", address=None))
    assert known(bench) == []
    assert not bench.core.has_session("ana")


def test_sessions_of_no_job_are_not_ended(bench: Bench):
    bench.do(opening(bench, cluster="", job_id="", submit_ms=None, addresses=()))
    bench.do(replace(ending(bench, job_id="", address=None), cluster=""))
    assert bench.core.session_of("ana")
