"""The whole kill campaign: 20 kills of each victim over 1,000 tasks; writes ``docs/reports/kill.md``."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from qmio_jupyter.testing.kill_verdict import judge, table
from qmio_jupyter.testing.killing import Campaign, Plan

REPORT = Path(__file__).parents[3] / "docs" / "reports" / "kill.md"

HEAD = """# Kill campaign

Gateway, agent, worker and client, real processes all, killed with `kill -9` at moments drawn from a seed while two
clients bring small tasks (half on `echo`, half on `ideal`) to their end. Checked afterwards, in the ledger and in
what the clients were told: every accepted task ended, exactly once, with one result that accounts for every shot;
none is lost; nothing is left running. A worker's death may fail the task it was running (`agent.worker`).

Written by `python -m pytest tests/long/kill`; `QMIO_KILL_SEED` sets another seed.

"""


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_twenty_kills_of_each(tmp_path: Path) -> None:
    plan = Plan(seed=int(os.environ.get("QMIO_KILL_SEED", "1")), tasks=1000, kills=20, deadline_s=3000)
    outcome = Campaign(plan, tmp_path / "home").run()
    verdict = judge(outcome)
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    REPORT.write_text(HEAD + table(outcome, verdict))
    assert verdict.problems == [], table(outcome, verdict)
