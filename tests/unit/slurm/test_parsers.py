"""What Debian's Slurm 22.05.8 printed on a real cluster, and what is made of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from qmio_jupyter.errors import SlurmError
from qmio_jupyter.slurm import accounts, cluster, text
from qmio_jupyter.slurm.jobs import FIELDS, called, parse_jobs

RECORDED = Path(__file__).parent / "recorded"
SEPARATOR = "~0~"


def recorded(name: str) -> str:
    return (RECORDED / name).read_text()


def test_every_job_is_read() -> None:
    jobs = {job.job_id: job for job in parse_jobs(recorded("jobs.txt"), SEPARATOR)}
    assert sorted(jobs) == [1, 2, 3, 4, 5, 6, 7, 8]
    assert {job_id for job_id, job in jobs.items() if job.is_running} == {1, 3, 4, 5, 6}
    assert jobs[5].nodes == ("n1", "n2")
    assert jobs[5].licences == {"qpu_fake-qmio": 2}
    assert (jobs[7].user, jobs[7].uid, jobs[7].reason) == ("bob", 1002, "Licenses")
    assert jobs[7].is_waiting
    assert jobs[7].start_ms == jobs[7].end_ms - 600_000  # expected, by the backfill scheduler
    assert jobs[2].start_ms is None
    assert jobs[1].limit_s == 600
    assert jobs[1].submit_ms == 1796083035000


def test_a_name_with_line_ends_and_most_of_the_separator_stays_one_name() -> None:
    jobs = {job.job_id: job for job in parse_jobs(recorded("jobs.txt"), SEPARATOR)}
    assert jobs[1].name == "od|d nam\ne ~0 <x>"
    assert jobs[6].job_id == 6


def test_no_name_can_forge_a_job_without_knowing_the_separator() -> None:
    record = recorded("jobs.txt").splitlines()[-1]
    forged = record.replace(SEPARATOR, "|").replace("1001", "0")
    output = record.replace("wrap", f"x|\n{forged}\n").rstrip() + "\n"
    jobs = parse_jobs(output, SEPARATOR)
    assert [(job.job_id, job.uid) for job in jobs] == [(5, 1001)]


@pytest.mark.parametrize("cut", [1, 20, 200])
def test_a_torn_answer_is_no_answer(cut: int) -> None:
    with pytest.raises(SlurmError) as failed:
        parse_jobs(recorded("jobs.txt").rstrip()[:-cut], SEPARATOR)
    assert failed.value.code == "slurm.unreachable"
    assert failed.value.retryable


def test_no_jobs_are_no_jobs() -> None:
    assert parse_jobs("", SEPARATOR) == ()
    assert len(FIELDS) == len(set(FIELDS))


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("5", [5]),
        ("6", [6]),
        ("2_0", [6]),  # an array's task has an id of its own
        ("2_1", []),  # not split off yet
        ("2", [2]),
        ("3", [3, 4]),  # SLURM_JOB_ID is the leader's in both components
        ("3+1", [4]),
        ("4", [4]),
        ("3_1", []),
        ("1+0", []),
        ("99", []),
        ("", []),
        ("5 ", []),
        ("-5", []),
        ("1_2_3", []),
        ("²", []),
    ],
)
def test_a_job_is_found_by_what_its_processes_call_it(name: str, found: list[int]) -> None:
    jobs = parse_jobs(recorded("jobs.txt"), SEPARATOR)
    assert [job.job_id for job in called(jobs, name)] == found


def test_nodes() -> None:
    first, second = cluster.parse_nodes(recorded("nodes.txt"), SEPARATOR)
    assert (first.name, first.address, first.state, first.cpus, first.cpus_idle) == (
        "n1",
        "127.0.0.1",
        "allocated",
        4,
        0,
    )
    assert (second.gres, second.gres_used) == ({"gpu": 2, "gpu:a100": 2}, {"gpu": 0, "gpu:a100": 0})
    assert second.partitions == ("all",)
    assert second.is_usable


def test_a_node_of_two_partitions_is_one_node() -> None:
    line = recorded("nodes.txt").splitlines()[0]
    (node,) = cluster.parse_nodes(f"{line}\n{line.replace('all*', 'long')}\n", SEPARATOR)
    assert node.partitions == ("all", "long")


@pytest.mark.parametrize("state", ["drained", "down*", "idle~", "mixed-", "draining@"])
def test_states_lose_their_flags(state: str) -> None:
    line = recorded("nodes.txt").splitlines()[0].replace("allocated", state)
    (node,) = cluster.parse_nodes(line + "\n", SEPARATOR)
    assert node.state == state.rstrip("*~-@")
    assert node.is_usable == (node.state in {"idle", "mixed"})


def test_partitions() -> None:
    (one,) = cluster.parse_partitions(recorded("partitions.txt"))
    assert one.is_up
    assert one.is_default
    assert one.nodes == ("n1", "n2")
    assert (one.max_time_s, one.default_time_s, one.max_nodes) == (86_400, 600, None)
    assert one.allow_accounts is None
    limited = recorded("partitions.txt").replace("AllowAccounts=ALL", "AllowAccounts=physics,chem")
    assert cluster.parse_partitions(limited)[0].allow_accounts == ("physics", "chem")


def test_licences_and_reservations_and_the_name() -> None:
    licences = {one.name: one for one in cluster.parse_licences(recorded("licences.txt"))}
    assert (licences["qpu_echo"].free, licences["qpu_fake-qmio"].free) == (7, 0)
    (one,) = cluster.parse_reservations(recorded("reservations.txt"))
    assert (one.name, one.users, one.nodes, one.licences) == (
        "class",
        ("alice", "bob"),
        ("n2",),
        {"qpu_echo": 2},
    )
    assert not one.is_active
    assert one.end_ms - one.start_ms == 3_600_000
    assert cluster.parse_reservations("No reservations in the system\n") == ()
    assert cluster.parse_cluster_name(recorded("config.txt")) == "mini"


def test_an_expected_start() -> None:
    found = cluster.parse_test_only(recorded("test_only.txt"))
    assert (found.processors, found.nodes, found.partition) == (1, ("n2",), "all")
    with pytest.raises(SlurmError):
        cluster.parse_test_only("allocation failure: Requested node configuration is not available")


@pytest.mark.parametrize(
    ("listed", "names"),
    [
        ("", ()),
        ("(null)", ()),
        ("a", ("a",)),
        ("a[1-3]", ("a1", "a2", "a3")),
        ("a[08-10,12],b", ("a08", "a09", "a10", "a12", "b")),
        ("r[1-2]n[1-2]", ("r1n1", "r1n2", "r2n1", "r2n2")),
        ("c[1-2]-ib,d", ("c1-ib", "c2-ib", "d")),
    ],
)
def test_lists_of_hosts(listed: str, names: tuple[str, ...]) -> None:
    assert text.hosts(listed) == names


@pytest.mark.parametrize("listed", ["a[1-", "a]", "a[x]", "a[1-99999999]", "a[1-2,]", "a[[1]]"])
def test_what_is_no_list_of_hosts(listed: str) -> None:
    with pytest.raises(SlurmError):
        text.hosts(listed)


@pytest.mark.parametrize(
    ("printed", "seconds"),
    [
        ("10:00", 600),
        ("1-00:00:00", 86_400),
        ("04:00:00", 14_400),
        ("2-12", 216_000),
        ("5", 300),
        ("UNLIMITED", None),
    ],
)
def test_durations(printed: str, seconds: int | None) -> None:
    assert text.duration_s(printed) == seconds


def test_gres_with_sockets_and_types() -> None:
    assert cluster.gres("gpu:a100:2(S:0-1),gpu:h100:1,qpu") == {
        "gpu": 3,
        "gpu:a100": 2,
        "gpu:h100": 1,
        "qpu": 1,
    }


def test_associations_and_qos() -> None:
    rows = (
        "mini|physics|physics|alice||normal,urgent|normal|2|00:20:00|cpu=2|cpu=3,mem=2G\n"
        "mini|physics|physics|||normal|||||\n"
    )
    (one,) = accounts.parse_associations(rows)
    assert (one.is_default, one.max_jobs, one.max_wall_s) == (True, 2, 1200)
    assert (one.max_tres, one.grp_tres) == ({"cpu": 2}, {"cpu": 3, "mem": 2048})
    assert (one.account, one.user, one.qos, one.default_qos) == (
        "physics",
        "alice",
        ("normal", "urgent"),
        "normal",
    )
    (qos,) = accounts.parse_qos("urgent|100|01:00:00|1|gres/qpu=1,cpu=4|mem=3000M|cpu=-1|DenyOnLimit\n")
    assert (qos.max_wall_s, qos.max_jobs_per_user, qos.max_tres_per_user) == (
        3600,
        1,
        {"gres/qpu": 1, "cpu": 4},
    )
    assert (qos.max_tres, qos.grp_tres) == ({"mem": 3000}, {})
    with pytest.raises(SlurmError):
        accounts.parse_qos("urgent|100\n")
