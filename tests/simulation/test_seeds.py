"""Two thousand worlds in which everything breaks, and in which every promise must be kept."""

import os
from pathlib import Path

import pytest

from qmio_jupyter.testing.faults import FAULTS
from qmio_jupyter.testing.simulate import run_seed, run_seeds
from qmio_jupyter.testing.world import MIN_FAULTS, MIN_INPUTS

SEEDS = 2_000
#: Seeds that once broke a promise.
REGRESSIONS = [
    int(line.split()[0])
    for line in (Path(__file__).parent / "seeds.txt").read_text(encoding="utf-8").splitlines()
    if line.strip() and not line.startswith("#")
]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1_200)]


@pytest.fixture(scope="module")
def report():
    return run_seeds(range(SEEDS), jobs=os.cpu_count() or 1)


def test_every_seed_keeps_every_promise(report):
    assert not report.failures, "\n".join(failure.line() for failure in report.failures[:10])
    assert report.coverage.counts["worlds"] == SEEDS


def test_every_world_is_eventful(report):
    assert report.coverage.counts["inputs"] >= SEEDS * MIN_INPUTS
    assert report.coverage.counts["faults"] >= SEEDS * MIN_FAULTS
    assert report.coverage.counts["positions checked"] >= SEEDS


def test_every_edge_of_the_task_table_is_taken(report):
    assert report.coverage.missing_edges() == []


def test_every_fault_strikes_every_state(report):
    assert report.coverage.missing_cells(FAULTS) == []


@pytest.mark.parametrize("seed", REGRESSIONS)
def test_a_seed_that_once_failed(seed):
    assert [failure.line() for failure in run_seed(seed).failures] == []
