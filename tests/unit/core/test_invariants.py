"""The invariants see what they say they see: a sound core passes, each kind of damage is named."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from qmio_jupyter.core import invariants
from qmio_jupyter.core.effects import Step
from qmio_jupyter.core.inputs import CreateGrant, OpenSession
from qmio_jupyter.core.records import (
    ForgottenId,
    ForgottenIdDropped,
    ForgottenIdSaved,
    ResultStored,
    TaskForgotten,
    TaskInserted,
)
from qmio_jupyter.core.task import amend
from qmio_jupyter.model.task import TaskState
from qmio_jupyter.testing import ledgers
from qmio_jupyter.testing.cores import Bench, result
from qmio_jupyter.testing.ledgers import new_task


@pytest.fixture
def lived(busy: Bench) -> Bench:
    """A core with a running, a waiting and an ended task, and a session on a grant."""
    busy.do(CreateGrant(origin=busy.origin("hub"), grant_id="g", uid=1, tenant="physics/ana", ttl_s=60))
    busy.do(
        OpenSession(
            origin=busy.origin("node"),
            session_id="s-g",
            uid=1,
            tenant="physics/ana",
            lease_s=60,
            job_id="7",
            grant_id="g",
        )
    )
    ended = busy.submit("ana")
    busy.finish(busy.ref(ended))
    busy.submit("node")
    busy.submit("ana")
    busy.tick()
    return busy


def the(mapping):
    return next(iter(mapping))


def _task(state, which, /, **changes):
    """Change a live task behind the core's back: `which` is claimed or queued."""
    task = next(task for task in state.tasks.values() if task.state is which)
    state.tasks[task.task_id] = replace(task, **changes)
    return task


Q, C = TaskState.QUEUED, TaskState.CLAIMED

DAMAGE = {
    "is completed and still live": lambda s: _task(s, Q, state=TaskState.COMPLETED),
    "a task is both live and ended": lambda s: s.ended.update({the(s.tasks): s.ended[the(s.ended)]}),
    "though it was forgotten": lambda s: s.forgotten.update({the(s.ended): 1}),
    "claim: False": lambda s: s.claims.clear(),
    "for an unknown device": lambda s: _task(s, Q, spec=replace(_task(s, Q).spec, device="none")),
    "is queued, entry: False": lambda s: s.devices["dev"].entries.clear(),
    "without contract or attempt": lambda s: _task(s, C, contract=None),
    "more shots than asked for": lambda s: _task(s, Q, shots_done=10**6),
    "ended as queued": lambda s: s.ended.update(
        {the(s.ended): replace(s.ended[the(s.ended)], state=TaskState.QUEUED)}
    ),
    "arrival numbers": lambda s: s.arrivals.clear(),
    "a task that is not live": lambda s: s.tasks.pop(the(s.claims)),
    "disagrees with its task": lambda s: _task(s, C, attempt=9),
    "or not at all": lambda s: s.devices["dev"].claims["agent"].clear(),
    "names a task that nobody": lambda s: s.devices["dev"].claims["agent"].add("t-none"),
    "tasks that do not wait are in a queue": lambda s: s.devices["dev"].entries.update(x=None),
    "claimed twice": lambda s: s.devices["dev"].claims.update(other={the(s.claims)}),
    "worse without a cause": lambda s: s.devices["dev"].unexplained.append("t: 0 -> 1"),
    "its credit is 0": lambda s: s.devices["dev"].agents.update(
        agent=replace(s.devices["dev"].agents["agent"], credit=0, held_before=0)
    ),
    "queue and entries disagree": lambda s: s.devices["dev"].ready.remove(the(s.devices["dev"].ready)),
    "are remembered of tasks that do not wait": lambda s: s.devices["dev"].shown.update(
        {the(s.claims): None}
    ),
    "queue and entries differ": lambda s: s.devices["dev"].entries.update(
        {
            the(s.devices["dev"].entries): s.devices["dev"]
            .entries[the(s.devices["dev"].entries)]
            ._replace(arrival=99)
        }
    ),
    "one each": lambda s: s.devices["dev"].places[1].clear(),
    "idle, though": lambda s: s.devices["dev"].agents.update(
        agent=replace(s.devices["dev"].agents["agent"], credit=5)
    ),
    "charges and claims": lambda s: s.devices["dev"].ready.usage.charges.clear(),
    "usage of physics": lambda s: s.devices["dev"].ready.usage.inflated.update(physics=99.0),
    "by session are miscounted": lambda s: s.live_by_session.clear(),
    "by tenant are miscounted": lambda s: s.live_by_tenant.clear(),
    "dev: live tasks": lambda s: s.devices["dev"].live.clear(),
    "listed as open": lambda s: s.session_by_key.update(nobody="s-none"),
    "open and not listed": lambda s: s.session_by_key.pop("bea"),
    "does not allow it": lambda s: s.grants.update(g=replace(s.grants["g"], uid=9)),
    "another one's name": lambda s: s.job_secrets.update({("c", "7", "n2"): ledgers.job_secret("n1")}),
    "out of order": lambda s: s.job_secrets.update(
        {
            one.name: one
            for one in (
                ledgers.job_secret("n1"),
                replace(ledgers.job_secret("n2"), handed_ms=ledgers.EPOCH_MS - 1),
            )
        }
    ),
    "s are reserved": lambda s: s.reserved_s.clear(),
    "references to programs": lambda s: s.references.clear(),
    "unused programs": lambda s: s.unused.update({the(s.programs): 0}),
    "bytes of programs": lambda s: s.program_bytes.clear(),
}


@pytest.mark.parametrize("words", DAMAGE)
def test_damage_is_named(lived: Bench, words):
    lived.check()
    lived.core.positions("dev")
    DAMAGE[words](lived.core.state)
    lived.check = lambda: None
    faults = invariants.check(lived.core)
    assert any(words in fault for fault in faults), faults


def test_ended_tasks_are_counted_only_when_asked_for(lived: Bench):
    lived.core.state.references.clear()
    assert invariants.check(lived.core, thorough=False) == []
    lived.check = lambda: None


@pytest.fixture
def watch():
    made = invariants.Watch()
    assert made.see(Step((TaskInserted(task=new_task(1)),))) == []
    return made


def test_a_history_without_faults(watch):
    task = new_task(1)
    claimed, record = amend(task, 1, state=TaskState.CLAIMED, attempt=1, epoch=1)
    stored = ResultStored(task_id=task.task_id, epoch=1, attempt=1, result=result(claimed.ref))
    partial = replace(stored, result=result(claimed.ref, is_final=False))
    done = amend(claimed, 2, state=TaskState.COMPLETED)[1]
    assert watch.see(Step((record, partial, partial, stored, done))) == []
    assert watch.see(Step((TaskForgotten(task_id=task.task_id),))) == []
    forgotten = ForgottenId(task_id=task.task_id, forgotten_ms=3)
    again = Step((TaskInserted(task=task),))
    assert watch.see(Step((ForgottenIdSaved(forgotten=forgotten),))) == []
    assert watch.see(again) == [f"{task.task_id} inserted though it was forgotten"]
    assert (
        watch.see(Step((TaskForgotten(task_id=task.task_id), ForgottenIdDropped(task_id=task.task_id)))) == []
    )
    assert watch.see(again) == []
    assert sum(watch.edges.values()) == 2


def _updated(*, expect_attempt=0, **changes):
    record = amend(new_task(1), 1, state=TaskState.CLAIMED, attempt=1, epoch=1)[1]
    return replace(record, expect_attempt=expect_attempt, task=replace(record.task, **changes))


HISTORIES = {
    "inserted twice": (TaskInserted(task=new_task(1)),),
    "updated before it was inserted": (amend(new_task(2), 1)[1],),
    "expects what is not there": (_updated(expect_attempt=3),),
    "revision 1 -> 5": (_updated(revision=5),),
    "attempt 0 -> 2": (_updated(attempt=2),),
    "is no edge": (_updated(state=TaskState.RUNNING),),
    "changed after it was failed": (
        amend(new_task(1), 1, state=TaskState.FAILED)[1],
        amend(replace(new_task(1), state=TaskState.FAILED, revision=2), 1)[1],
    ),
    "two final results": (
        _updated(),
        *[ResultStored(task_id=new_task(1).task_id, epoch=1, attempt=1, result=result(new_task(1).ref))] * 2,
    ),
    "not its last": (
        ResultStored(task_id=new_task(1).task_id, epoch=1, attempt=1, result=result(new_task(1).ref)),
    ),
}


@pytest.mark.parametrize("words", HISTORIES)
def test_a_faulty_history_is_named(watch, words):
    faults = watch.see(Step(HISTORIES[words]))
    assert any(words in fault for fault in faults), faults
