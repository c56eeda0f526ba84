"""`kill -9` of gateway, agent, worker and client: every accepted task ends exactly once, none is lost.

The small campaign; the whole one is in ``tests/long/kill``.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from qmio_jupyter.testing.kill_verdict import judge, table
from qmio_jupyter.testing.killing import Campaign, Plan


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_every_accepted_task_ends_exactly_once(tmp_path: Path) -> None:
    plan = Plan(seed=20260520, tasks=150, kills=2, deadline_s=180)
    outcome = Campaign(plan, tmp_path / "home").run()
    verdict = judge(outcome)
    assert verdict.problems == [], table(outcome, verdict)
    assert sum(verdict.states.values()) == plan.tasks
    # A kill may hit a gateway that only just starts, before it has an epoch of its own.
    assert verdict.epoch > 1
