"""A hundred thousand worlds, in slices; the report is kept in the tree."""

import os
from pathlib import Path

import pytest

from qmio_jupyter.testing.simulate import Report, commit, run_seeds

SLICE = 25_000
SLICES = 4
REPORT = Path(__file__).parents[3] / "docs" / "reports" / "simulation.md"


@pytest.fixture(scope="module")
def report():
    """Everything the slices have found, written when the last of them has ended."""
    report = Report()
    yield report
    if report.seeds == SLICE * SLICES:
        REPORT.parent.mkdir(parents=True, exist_ok=True)
        REPORT.write_text(report.text(commit()), encoding="utf-8")


@pytest.mark.slow
@pytest.mark.timeout(4_000)
@pytest.mark.parametrize("part", range(SLICES))
def test_every_seed_of_a_slice_keeps_every_promise(report, part):
    found = run_seeds(range(part * SLICE, (part + 1) * SLICE), jobs=os.cpu_count() or 1)
    report.add(found)
    report.seconds += found.seconds
    assert found.failures == []
    assert found.gaps() == []
