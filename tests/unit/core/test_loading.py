"""A core from a ledger that is out of step: nothing accepted is lost, nothing raises."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from qmio_jupyter.core import core as core_module
from qmio_jupyter.core.config import CoreConfig
from qmio_jupyter.core.core import Core
from qmio_jupyter.core.inputs import CloseSession, Tick
from qmio_jupyter.core.records import LiveState, UsageRow
from qmio_jupyter.core.refusal import refusal
from qmio_jupyter.errors import QmioError
from qmio_jupyter.model.access import Session
from qmio_jupyter.model.task import TaskState
from qmio_jupyter.testing.cores import START_MS, Bench, dispatched
from qmio_jupyter.testing.ledgers import new_task


def test_a_task_of_a_device_that_is_gone_waits_for_it(busy: Bench):
    busy.submit("ana")
    waits = busy.submit("ana")
    del busy.ledger.tables.devices["dev"]
    busy.restart()
    assert set(busy.core.positions("dev")) == {waits}
    assert busy.core.devices(None)[0].description.driver == ""
    busy.agent(credit=2)
    assert busy.state_of(waits) is TaskState.CLAIMED


def test_a_device_that_is_gone_is_made_again_by_its_agent(busy: Bench):
    del busy.ledger.tables.devices["dev"]
    busy.restart()
    assert busy.core.devices(None) == ()
    busy.agent()
    assert dispatched(busy.do(busy.submission("ana")))


def test_a_closed_session_is_kept_for_its_live_tasks_only():
    session = Session(
        session_id="s-1", key="k", uid=1, tenant="t/u", opened_ms=0, expires_ms=None, closed_ms=5
    )
    other = replace(session, session_id="s-2")
    live = LiveState(sessions=(session, other), tasks=(new_task(1),))
    core = Core(CoreConfig(), live, 1, START_MS)
    assert list(core.state.sessions) == ["s-1"]
    assert core.session_of("k") is None


def test_a_task_of_a_session_that_is_not_known_any_more_ends_as_any_other(busy: Bench):
    task_id = busy.submit("ana")
    busy.do(CloseSession(origin=busy.origin("ana")))
    busy.restart()
    busy.finish(busy.ref(task_id))
    assert busy.state_of(task_id) is TaskState.COMPLETED


def test_usage_below_nothing_is_left_out():
    rows = tuple(
        UsageRow(device="echo", node="physics", seconds=s, as_of_ms=START_MS) for s in (-1.0, float("nan"))
    )
    core = Core(CoreConfig(), LiveState(usage=rows, tasks=(new_task(1),)), 1, START_MS)
    assert core.state.devices["echo"].ready.usage.of("physics") == 0.0


def test_a_claim_without_a_timeline_is_taken_over():
    task = replace(new_task(1), state=TaskState.CLAIMED, epoch=1, attempt=1, agent=None, timeline=())
    core = Core(CoreConfig(), LiveState(tasks=(task,), epoch=1), 2, START_MS)
    assert core.state.claims[task.task_id].claimed_ms == core.state.tasks[task.task_id].updated_ms


def test_order_survives_a_restart(busy: Bench):
    """Usage, its decay and the order that follows from them are as they were."""
    busy.user("cy", "maths/cy")
    for user in ("ana", "bea", "ana", "cy", "bea", "ana", "cy", "ana"):
        busy.now_ms += 7_000
        busy.submit(user)
    before = busy.core.positions("dev")
    busy.restart(after_ms=1_000)
    assert busy.core.positions("dev") == before


def test_a_defect_in_a_tick_is_not_hidden(bench: Bench, monkeypatch):
    def broken(*_):
        raise refusal("internal", "a defect")

    monkeypatch.setitem(core_module._HANDLERS, Tick, broken)
    with pytest.raises(QmioError, match="a defect"):
        bench.core.handle(Tick(), START_MS)
