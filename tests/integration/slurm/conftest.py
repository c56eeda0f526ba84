"""A real cluster for the tests of a module; every test begins with none of its jobs."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from qmio_jupyter.slurm.adapter import Slurm
from qmio_jupyter.testing.slurm import MiniSlurm, mini_slurm, missing
from tests.conftest import missing as fail_or_skip


class User(NamedTuple):
    """A unix user that jobs run as."""

    name: str
    uid: int


def _lacking() -> None:
    if lacking := missing():
        fail_or_skip(f"{lacking} (python tools/slurm.py)")


@pytest.fixture(scope="module")
def running() -> Iterator[MiniSlurm]:
    _lacking()
    with mini_slurm() as cluster:
        yield cluster


@pytest.fixture
def cluster(running: MiniSlurm) -> Iterator[MiniSlurm]:
    yield running
    running.cancel_all()


@pytest.fixture
def slurm(cluster: MiniSlurm) -> Slurm:
    return cluster.slurm()


@pytest.fixture(scope="session")
def user() -> User:
    """Whoever the jobs are of: as root somebody else, or the one user there is."""
    if os.geteuid() == 0:
        account = pwd.getpwnam("nobody")
        return User(account.pw_name, account.pw_uid)
    return User(pwd.getpwuid(os.geteuid()).pw_name, os.geteuid())
