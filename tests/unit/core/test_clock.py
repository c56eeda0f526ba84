"""Tasks that keep an emulated device's clock: told exactly, one at a time, never learnt from."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from qmio_jupyter.core.effects import Publish, Refused
from qmio_jupyter.core.inputs import CreateBooking
from qmio_jupyter.core.records import DurationModel
from qmio_jupyter.model.access import Booking, BookingKind
from qmio_jupyter.model.device import CostModel
from qmio_jupyter.model.task import TaskOptions
from qmio_jupyter.testing.cores import Bench, dispatched, every, only

CLOCK = CostModel(t0_s=1.0, per_shot_s=0.01)
REAL = TaskOptions(pace="real")


@pytest.fixture
def device(bench: Bench) -> Bench:
    """A device with a clock (two seconds for the hundred shots of a bench's task), said to take 8 s otherwise."""
    bench.user("ana")
    bench.agent(credit=2, cost=CostModel(t0_s=8.0), clock=CLOCK)
    return bench


def estimates(bench: Bench, task_id: str) -> list[tuple[float, float]]:
    """The (p50, p90) told of a task's start (if it has not started) and end, seconds from now."""
    view = bench.core.view(task_id, None)
    return [(told.p50_s, told.p90_s) for told in (view.start, view.end) if told is not None]


def model(bench: Bench) -> DurationModel:
    return bench.core.state.devices["dev"].row.model


def test_a_task_is_charged_and_told_what_the_clock_says(device: Bench):
    first, second, third = (device.submit("ana", options=REAL) for _ in range(3))
    assert [device.core.state.tasks[task].predicted_s for task in (first, second, third)] == [2.0] * 3
    device.started(device.ref(first))
    assert estimates(device, first) == [(2.0, 2.0)]
    assert estimates(device, second) == [(2.0, 2.0), (4.0, 4.0)]
    assert estimates(device, third) == [(4.0, 4.0), (6.0, 6.0)]
    device.tick(500)
    assert estimates(device, third) == [(3.5, 3.5), (5.5, 5.5)]


def test_a_run_by_the_clock_teaches_nothing(device: Bench):
    task = device.submit("ana", options=REAL)
    device.finish(device.ref(task), device_s=2.0)
    assert model(device) == DurationModel()


def test_what_fast_runs_taught_changes_nothing_for_the_clock(device: Bench):
    for _ in range(10):
        device.finish(device.ref(device.submit("ana")), device_s=0.08)
    assert model(device).samples == 10
    exact = device.submit("ana", options=REAL)
    device.submit("ana", options=REAL)
    waits = device.submit("ana", options=REAL)
    device.started(device.ref(exact))
    assert estimates(device, exact) == [(2.0, 2.0)]
    assert estimates(device, waits) == [(4.0, 4.0), (6.0, 6.0)]


def test_one_task_of_unsure_length_makes_what_is_behind_it_unsure(device: Bench):
    device.submit("ana")
    device.submit("ana", options=REAL)
    ((start, start_90), (end, end_90)) = estimates(device, device.submit("ana", options=REAL))
    assert (start, end) == (10.0, 12.0)
    assert start_90 > start
    assert end_90 > end


def test_they_have_the_device_one_by_one_though_it_runs_others_at_once(bench: Bench):
    bench.user("ana")
    bench.agent(credit=3, parallel=3, cost=CostModel(t0_s=8.0), clock=CLOCK)
    tasks = [bench.submit("ana", options=REAL) for _ in range(5)]
    ends = [estimates(bench, task)[-1][0] for task in tasks]
    assert ends == [2.0, 4.0, 6.0, 8.0, 10.0]


def test_a_device_may_keep_its_clock_whatever_is_asked(bench: Bench):
    bench.user("ana")
    bench.agent(cost=CLOCK, clock=CLOCK, pace="real")
    task = bench.submit("ana")
    assert estimates(bench, task)[-1] == (2.0, 2.0)
    bench.finish(bench.ref(task), device_s=2.0)
    assert model(bench) == DurationModel()


def test_without_a_clock_it_is_a_fit_like_any_other(bench: Bench):
    bench.user("ana")
    bench.agent(cost=CostModel(t0_s=8.0))
    task = bench.submit("ana", options=REAL)
    assert estimates(bench, task)[-1] == (8.0, 16.0)
    bench.finish(bench.ref(task), device_s=4.0)
    assert model(bench).samples == 1


def test_a_new_clock_counts_for_what_waits_already(device: Bench):
    tasks = [device.submit("ana", options=REAL) for _ in range(4)]
    refs = tuple(device.ref(task) for task in tasks[:2])
    assert all(entry.is_exact for entry in device.core.state.devices["dev"].ready)
    before = device.core.positions("dev")
    device.agent(credit=2, cost=CostModel(t0_s=8.0), holding=refs)
    assert not any(entry.is_exact for entry in device.core.state.devices["dev"].ready)
    device.agent(credit=2, cost=CostModel(t0_s=8.0), holding=refs, clock=CostModel(t0_s=3.0))
    assert device.core.positions("dev") == before
    assert estimates(device, tasks[3])[-1] == (12.0, 12.0)


def test_the_length_allowed_is_that_by_the_clock(device: Bench):
    day = device.submission("ana", shots=10_000_000, options=REAL)
    refused = only(device.do(day), Refused)
    assert refused.error.code == "limit.duration"


def test_publications_tell_the_same(device: Bench):
    tasks = [device.submit("ana", options=REAL) for _ in range(4)]
    device.cancel("ana", tasks[2])
    views = {e.view.task_id: e.view for e in every(device.tick(400), Publish)}
    told = views[tasks[3]]
    assert (told.start.p50_s, told.start.p90_s) == (3.6, 3.6)
    assert (told.end.p50_s, told.end.p90_s) == (5.6, 5.6)


def test_they_are_let_in_before_a_booking_by_the_clock(device: Bench):
    """Two seconds are left, and two are taken: though what is fitted takes twice as long as was predicted."""
    device.core.state.devices["dev"].row = replace(
        device.core.state.devices["dev"].row, model=DurationModel(samples=5, ratios=(2.0,) * 9)
    )
    closed = Booking(
        booking_id="k",
        device="dev",
        kind=BookingKind.MAINTENANCE,
        holder=None,
        from_ms=device.now_ms + 2_000,
        until_ms=device.now_ms + 60_000,
    )
    device.do(CreateBooking(origin=device.origin("operator"), booking=closed))
    assert dispatched(device.do(device.submission("ana", options=REAL)))
    device.tick(1)
    assert not dispatched(device.do(device.submission("ana", options=REAL)))
