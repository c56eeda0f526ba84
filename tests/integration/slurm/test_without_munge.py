"""Jobs that prove themselves without MUNGE: the example's prolog hands them a secret, its epilog ends their session."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from qmio_jupyter.model.access import Role
from qmio_jupyter.testing.door import refusal
from qmio_jupyter.testing.secret_site import SecretSite, secret_site
from qmio_jupyter.testing.slurm import missing, until
from qmio_jupyter.wire import messages as m
from tests.conftest import missing as fail_or_skip


@pytest.fixture(scope="module")
def running(user: Any) -> Iterator[SecretSite]:
    if lacking := missing():
        fail_or_skip(f"{lacking} (python tools/slurm.py)")
    with secret_site(user.name) as site:
        yield site


@pytest.fixture
def site(running: SecretSite) -> Iterator[SecretSite]:
    yield running
    running.clear()


def test_a_job_proves_itself_without_munge_and_its_session_ends_with_its_epilog(
    site: SecretSite, user: Any
) -> None:
    assert site.door("n1").nonce().proofs == ("secret",)
    job_id, told = site.stays()
    assert (told["job"], told["uid"]) == (str(job_id), user.uid)
    path = site.secret_file(job_id, told["node"])
    assert (path.stat().st_uid, path.stat().st_mode & 0o777) == (user.uid, 0o600)
    alive = site.door(told["node"], site.copy_of_keys(told))
    welcome = alive.ask(m.Hello())
    assert isinstance(welcome, m.Welcome)
    assert welcome.session is not None
    assert welcome.session.session_id == told["id"]
    handed = site.handed(job_id, told["node"])
    with site.slurm_cannot_be_asked():
        site.slurm.cancel(job_id)
        until(lambda: site.closed(told["id"]), "its session ends")
    # Nobody had to ask Slurm: the node said so while it cleaned up.
    assert site.closed(told["id"]) == "its Slurm job's epilog ran"
    assert isinstance(alive.ask(m.SessionShow()), m.Failure)
    assert not path.exists()
    # Her key, and the secret, copied while they were good, on the very node: Slurm's word of before is not used.
    late = site.door(told["node"], site.copy_of_keys(told))
    late_welcome = late.ask(m.Hello())
    assert isinstance(late_welcome, m.Welcome)
    assert late_welcome.role is Role.NONE
    assert "not made with the secret" in refusal(late.prove_with(handed))[1]
    until(lambda: len(site.files.lines(job_id)) == 2, "both have written their line")
    began, ended = site.files.lines(job_id)
    assert f"prolog: job {job_id}: handed a secret to uid {user.uid} on {told['node']}" in began
    assert f"epilog: job {job_id}: told the gateway that it is over" in ended
