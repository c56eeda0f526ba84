"""What a credential and Slurm's word must say for a session, and of which job it then is."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from qmio_jupyter.core.allocation import OLDEST_S, check_bearer, devices_of, resolve
from qmio_jupyter.errors import AuthError
from qmio_jupyter.model.allocation import AllocationFacts, Bearer

BEARER = Bearer(uid=1001, address="10.0.0.1", age_s=0.0, only_for=990, payload=b"d" * 32)
JOB = AllocationFacts(
    cluster="c", job_id="7", uid=1001, tenant="physics/ana", state="RUNNING", running=True, nodes=("n1",),
    addresses=("10.0.0.1",), licences=("qpu_echo",), submit_ms=1,
)  # fmt: skip


def refused(bearer: Bearer = BEARER, digests: tuple[bytes, ...] = (b"d" * 32,)) -> str:
    with pytest.raises(AuthError) as failed:
        check_bearer(bearer, digests=digests, gateway_uid=990)
    assert failed.value.code == "auth.credential"
    return failed.value.message


def test_a_good_credential_passes() -> None:
    check_bearer(BEARER, digests=(b"e" * 32, b"d" * 32), gateway_uid=990)
    check_bearer(replace(BEARER, age_s=OLDEST_S), digests=(b"d" * 32,), gateway_uid=990)


@pytest.mark.parametrize("digests", [(), (b"e" * 32,), (b"d" * 31,)])
def test_a_credential_for_another_key_gateway_job_or_nonce(digests: tuple[bytes, ...]) -> None:
    assert "not for this key" in refused(digests=digests)


@pytest.mark.parametrize("only_for", [None, 0, 991])
def test_a_credential_that_others_could_have_read(only_for: int | None) -> None:
    assert "restricted" in refused(replace(BEARER, only_for=only_for))


@pytest.mark.parametrize("age_s", [OLDEST_S + 1, -OLDEST_S - 1, float("nan")])
def test_a_credential_of_another_time(age_s: float) -> None:
    assert "old" in refused(replace(BEARER, age_s=age_s))


def test_a_job_of_the_bearer_on_the_bearers_host() -> None:
    assert resolve(BEARER, "7", (JOB,)) is JOB


def test_the_second_node_of_a_job_is_one_of_its_nodes() -> None:
    both = replace(JOB, nodes=("n1", "n2"), addresses=("10.0.0.1", "10.0.0.2"))
    assert resolve(replace(BEARER, address="10.0.0.2"), "7", (both,)) is both


@pytest.mark.parametrize(
    ("found", "says"),
    [
        ((), "no job '7' of uid 1001"),
        ((replace(JOB, uid=1002),), "no job '7' of uid 1001"),
        ((replace(JOB, running=False, state="PENDING"),), "does not run (PENDING)"),
        ((replace(JOB, running=False, state="COMPLETING"),), "does not run"),
        ((replace(JOB, addresses=("10.0.0.2",)),), "no node of job 7"),
        ((replace(JOB, addresses=()),), "no node of job 7"),
        (
            (replace(JOB, uid=1002), replace(JOB, running=False, state="SUSPENDED")),
            "does not run (SUSPENDED)",
        ),
    ],
)
def test_jobs_that_give_nobody_a_session(found: tuple[AllocationFacts, ...], says: str) -> None:
    with pytest.raises(AuthError) as failed:
        resolve(BEARER, "7", found)
    assert failed.value.code == "auth.credential"
    assert says in failed.value.message


def test_nothing_is_told_of_other_users_jobs() -> None:
    with pytest.raises(AuthError) as absent:
        resolve(BEARER, "7", ())
    with pytest.raises(AuthError) as anothers:
        resolve(BEARER, "7", (replace(JOB, uid=1002, tenant="secret/eve"),))
    assert absent.value.one_line() == anothers.value.one_line()


def test_a_component_of_a_heterogeneous_job_is_the_one_on_this_host() -> None:
    leader = replace(JOB, addresses=("10.0.0.1",))
    other = replace(JOB, job_id="8", addresses=("10.0.0.2",))
    assert resolve(BEARER, "7", (leader, other)).job_id == "7"
    assert resolve(replace(BEARER, address="10.0.0.2"), "7", (leader, other)).job_id == "8"


def test_licences_say_which_devices() -> None:
    assert devices_of(JOB, prefix="qpu_", required=False) == ()
    held = replace(JOB, licences=("matlab", "qpu_fake-qmio@server", "qpu_echo"))
    assert devices_of(held, prefix="qpu_", required=True) == ("echo", "fake-qmio")
    with pytest.raises(AuthError, match="holds no licence"):
        devices_of(replace(JOB, licences=("matlab",)), prefix="qpu_", required=True)
