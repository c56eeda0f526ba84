"""The verdict of a kill campaign sees every way in which the guarantee could be broken."""

from __future__ import annotations

import sqlite3
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from qmio_jupyter.model.result import pack_counts
from qmio_jupyter.model.task import TaskState
from qmio_jupyter.store.sqlite import SqliteStore
from qmio_jupyter.testing import ledgers
from qmio_jupyter.testing.kill_client import Fact, read_journal, shots_of
from qmio_jupyter.testing.kill_verdict import judge, table
from qmio_jupyter.testing.killing import VICTIMS, Outcome, Plan
from qmio_jupyter.testing.stores import live

TASKS = 4


def result_for(number: int, task):
    """Return the final result of task `number`, all shots accounted for."""
    stored = ledgers.result_of(task)
    keys, counts = pack_counts([(0, 400), (3, shots_of(number) - 400)], 2)
    item = stored.result.items[0]
    binding = msgspec.structs.replace(item.bindings[0], keys=keys, counts=counts)
    items = (msgspec.structs.replace(item, bindings=(binding,)),)
    return msgspec.structs.replace(stored, result=msgspec.structs.replace(stored.result, items=items))


@pytest.fixture
def outcome(tmp_path: Path) -> Outcome:
    """A campaign without fault: three tasks completed, one failed by a kill."""
    path = tmp_path / "state" / "ledger.sqlite"
    store = SqliteStore(path)
    facts = {}
    for number in range(TASKS):
        batches, done = ledgers.life(ledgers.new_task(number))
        fact = Fact(number=number, accepted=True, state="completed", code="-", shots=shots_of(number))
        if number == 3:
            running = batches[2][0].task
            failed = ledgers.moved(running, TaskState.FAILED)
            batches[3] = [ledgers.update(running, failed, "worker")]
            fact = Fact(number=number, accepted=True, state="failed", code="agent.worker")
        else:
            batches[3][1] = result_for(number, done)
        live(store, batches)
        facts[done.task_id] = fact
    store.close()
    return Outcome(
        plan=Plan(seed=1, tasks=TASKS, kills=2, deadline_s=1),
        killed=Counter(dict.fromkeys(VICTIMS, 2)),
        seconds=1.0,
        facts=facts,
        ledger=path,
        problems=[],
        left=[],
    )


def test_a_campaign_without_fault(outcome: Outcome) -> None:
    verdict = judge(outcome)
    assert verdict.problems == []
    assert verdict.states == {"completed": 3, "failed": 1}
    text = table(outcome, verdict)
    assert "| gateway | 2 |" in text
    assert "`agent.worker` 1" in text


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("DELETE FROM tasks WHERE task_id = '{0}'", "accepted, and lost"),
        ("UPDATE tasks SET state = 'running' WHERE task_id = '{0}'", "never ended"),
        ("UPDATE tasks SET state = 'cancelled' WHERE task_id = '{0}'", "the ledger says cancelled"),
        ("DELETE FROM results WHERE task_id = '{0}'", "completed with 0 results"),
        (
            "INSERT INTO results SELECT '{3}', epoch, attempt, result FROM results WHERE task_id = '{0}'",
            "failed, with a final result",
        ),
        ("UPDATE results SET result = (SELECT result FROM results WHERE task_id = '{1}')", "account for"),
        (
            "INSERT INTO transitions VALUES ('{0}', 9, 'completed', 'failed', 0, '')",
            "ended 2 times",
        ),
        ("DELETE FROM transitions WHERE task_id = '{0}' AND revision = 3", "has a gap"),
        ("DELETE FROM transitions WHERE task_id = '{0}' AND revision = 4", "ended 0 times"),
        (
            (
                "INSERT INTO tasks SELECT 't-x', tenant, device, label, state, live, revision, epoch, attempt,"
                " submitted_ms, updated_ms, spec_digest, programs, task FROM tasks WHERE task_id = '{0}'"
            ),
            "nobody submitted it",
        ),
    ],
)
def test_a_tampered_ledger_is_seen(outcome: Outcome, statement: str, problem: str) -> None:
    connection = sqlite3.connect(outcome.ledger)
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute(statement.format(*outcome.facts))
    connection.commit()
    connection.close()
    assert any(problem in line for line in judge(outcome).problems)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"accepted": False}, "never accepted"),
        ({"state": ""}, "was told nothing"),
        ({"state": "failed"}, "was told failed"),
        ({"shots": None}, "was given None shots"),
        ({"shots": 999}, "was given 999 shots"),
    ],
)
def test_a_user_who_was_told_otherwise_is_seen(
    outcome: Outcome, change: dict[str, object], problem: str
) -> None:
    first = next(iter(outcome.facts))
    outcome.facts[first] = msgspec.structs.replace(outcome.facts[first], **change)
    assert any(problem in line for line in judge(outcome).problems)


def test_a_failure_that_no_kill_excuses_is_seen(outcome: Outcome) -> None:
    failed = ledgers.task_id(3)
    outcome.facts[failed] = msgspec.structs.replace(outcome.facts[failed], code="program.syntax")
    assert any("no kill excuses" in line for line in judge(outcome).problems)


def test_kills_that_did_not_happen_and_processes_left_are_seen(outcome: Outcome) -> None:
    outcome.killed["worker"] = 1
    outcome.left.append("python agent")
    problems = judge(outcome).problems
    assert "1 kills of worker, planned 2" in problems
    assert "left running: python agent" in problems


def test_a_torn_journal(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    journal.write_text(
        "planned t-1 0\naccepted t-1\nended t-1 completed -\nresult t-1 7\nplanned t-2 1\naccep"
    )
    assert read_journal(journal) == {
        "t-1": Fact(number=0, accepted=True, state="completed", code="-", shots=7),
        "t-2": Fact(number=1),
    }
    assert read_journal(tmp_path / "absent") == {}
    journal.write_text("what is this\n")
    with pytest.raises(ValueError, match="unknown kind"):
        read_journal(journal)
