"""A bench for every test of the core."""

from __future__ import annotations

import pytest

from qmio_jupyter.testing.cores import Bench


@pytest.fixture
def bench() -> Bench:
    """A core without anybody; it is checked after every step and once more at the end."""
    made = Bench()
    yield made
    made.check()


@pytest.fixture
def busy(bench: Bench) -> Bench:
    """A core with two users, ana and bea, and one agent of one device with credit 1."""
    bench.user("ana")
    bench.user("bea", "chemistry/bea")
    bench.agent()
    return bench
