"""What the ledger says after a kill campaign: every accepted task ended, exactly once, and none is lost."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Sequence

import msgspec

from qmio_jupyter.model.task import TaskState
from qmio_jupyter.store import rows
from qmio_jupyter.testing.kill_client import Fact, count, shots_of
from qmio_jupyter.testing.killing import Outcome

#: Causes for which a kill may fail a task.
EXCUSED = frozenset({"agent.worker", "task.lost_agent"})
_FINAL = frozenset(state.value for state in TaskState if state.is_final)


class Verdict(msgspec.Struct, kw_only=True):
    """Problems (none: the guarantee held), and what is worth a line in the report."""

    problems: list[str]
    states: Counter[str]
    codes: Counter[str]
    attempts: Counter[int]
    #: Gateway epochs seen.
    epoch: int


def judge(outcome: Outcome) -> Verdict:
    """Compare the ledger with what the clients were told."""
    verdict = Verdict(
        problems=list(outcome.problems),
        states=Counter(),
        codes=Counter(fact.code for fact in outcome.facts.values() if fact.code not in ("", "-")),
        attempts=Counter(),
        epoch=0,
    )
    problems = verdict.problems
    problems += [f"left running: {name}" for name in outcome.left]
    plan = outcome.plan
    problems += [
        f"{outcome.killed[victim]} kills of {victim}, planned {plan.kills}"
        for victim in plan.victims
        if outcome.killed[victim] != plan.kills
    ]
    if len(outcome.facts) != plan.tasks:
        problems.append(f"{len(outcome.facts)} tasks were planned by the clients, not {plan.tasks}")
    connection = sqlite3.connect(f"{outcome.ledger.as_uri()}?mode=ro", uri=True)
    try:
        if connection.execute("PRAGMA integrity_check").fetchall() != [("ok",)]:
            problems.append("the ledger's file is damaged")
        verdict.epoch = int(connection.execute("SELECT epoch FROM meta").fetchone()[0])
        for task_id, state, attempt in connection.execute("SELECT task_id, state, attempt FROM tasks"):
            verdict.states[state] += 1
            verdict.attempts[attempt] += 1
            if task_id not in outcome.facts:
                problems.append(f"{task_id}: in the ledger, but nobody submitted it")
        for task_id, fact in outcome.facts.items():
            problems += [f"{task_id}: {problem}" for problem in _judge_task(connection, task_id, fact)]
    finally:
        connection.close()
    return verdict


def _judge_task(connection: sqlite3.Connection, task_id: str, fact: Fact) -> list[str]:
    """Return what is wrong with one task."""
    if not fact.accepted:
        return ["never accepted"]
    row = connection.execute("SELECT state FROM tasks WHERE task_id = ?", (task_id,)).fetchone()
    if row is None:
        return ["accepted, and lost"]
    problems = []
    state = row[0]
    if state not in _FINAL:
        problems.append(f"never ended: {state}")
    if fact.state != state:
        problems.append(f"its user was told {fact.state or 'nothing'}, the ledger says {state}")
    log = connection.execute(
        "SELECT from_state, to_state FROM transitions WHERE task_id = ? ORDER BY revision", (task_id,)
    ).fetchall()
    problems += _judge_log(log, state)
    results = connection.execute("SELECT result FROM results WHERE task_id = ?", (task_id,)).fetchall()
    expected = shots_of(fact.number)
    if state == TaskState.COMPLETED.value:
        if len(results) != 1:
            problems.append(f"completed with {len(results)} results")
        elif count(rows.decode_result(results[0][0])) != expected:
            problems.append(f"its result does not account for {expected} shots")
        if fact.shots != expected:
            problems.append(f"its user was given {fact.shots} shots of {expected}")
    else:
        if results:
            problems.append(f"{state}, with a final result")
        if fact.code not in EXCUSED:
            problems.append(f"{state} for {fact.code!r}, which no kill excuses")
    return problems


def _judge_log(log: Sequence[tuple[str, str]], state: str) -> list[str]:
    """Return what is wrong with a task's log: it is one walk from `queued` to one end."""
    problems = []
    ends = [after for _, after in log if after in _FINAL]
    if len(ends) != 1:
        problems.append(f"ended {len(ends)} times")
    walk = ["queued", *(after for _, after in log)]
    if [before for before, _ in log] != walk[:-1]:
        problems.append(f"its log has a gap: {log}")
    if walk[-1] != state:
        problems.append(f"its log ends in {walk[-1]}, the task in {state}")
    return problems


def table(outcome: Outcome, verdict: Verdict) -> str:
    """Return the campaign as a markdown section."""
    plan = outcome.plan
    states = ", ".join(f"{state} {number}" for state, number in sorted(verdict.states.items()))
    codes = ", ".join(f"`{code}` {number}" for code, number in sorted(verdict.codes.items())) or "none"
    attempts = ", ".join(f"{attempt}: {number}" for attempt, number in sorted(verdict.attempts.items()))
    accepted = sum(fact.accepted for fact in outcome.facts.values())
    lines = [
        "| victim of `kill -9` | times |",
        "|---|---|",
        *(f"| {victim} | {outcome.killed[victim]} |" for victim in plan.victims),
        "",
        "| | |",
        "|---|---|",
        f"| seed | {plan.seed} |",
        f"| tasks submitted, accepted | {len(outcome.facts)}, {accepted} |",
        f"| how they ended | {states} |",
        f"| causes of failure | {codes} |",
        f"| tasks by number of attempts | {attempts} |",
        f"| last epoch of the gateway | {verdict.epoch} |",
        f"| lost, ended twice, or otherwise wrong | {len(verdict.problems)} |",
        f"| duration | {outcome.seconds:.0f} s |",
    ]
    return "\n".join([*lines, *(f"- {problem}" for problem in verdict.problems[:50])]) + "\n"
