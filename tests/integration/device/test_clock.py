"""The device clock, from a client through a real gateway to a worker that may be killed."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from itertools import pairwise

import psutil
import pytest

from qmio_jupyter.client.spec import build_spec
from qmio_jupyter.client.sync import Client, mint_task_id
from qmio_jupyter.client.sync_handle import TaskHandle
from qmio_jupyter.errors import TaskError
from qmio_jupyter.model.result import TaskResult, outcomes
from qmio_jupyter.model.task import TaskOptions, TaskState, TaskView
from qmio_jupyter.testing import runs
from qmio_jupyter.testing.home import Home, wait_until

pytestmark = pytest.mark.slow

T0_S, PER_SHOT_S, BATCH = 0.2, 0.002, 100
SOON_S = 60.0
GHZ = runs.qasm3("qubit[3] q; bit[3] c; h q[0]; cx q[0], q[1]; cx q[1], q[2]; c = measure q;")


def submit(client: Client, shots: int, *, pace: str, seed: int = 11, device: str = "fake-qmio") -> TaskHandle:
    options = TaskOptions(pace=pace, seed=seed)
    spec = build_spec([GHZ], device=device, shots=shots, options=options)
    return client.submit(spec, [GHZ], task_id=mint_task_id())


def counts(result: TaskResult) -> list[tuple[str, int]]:
    return outcomes(result.items[0])


def fast(client: Client, shots: int) -> list[tuple[str, int]]:
    """The counts of so many shots of the same seed, without a clock."""
    return counts(submit(client, shots, pace="fast").result(SOON_S))


def busy_worker(home: Home) -> Callable[[], int | None]:
    """Return a function that finds the process that runs the job: the one worker of the one warm fork server."""

    def find() -> int | None:
        for pid in home.processes():
            try:
                parent = psutil.Process(pid).parent()
                if parent is not None and "qmio_jupyter.drivers.workers.server" in parent.cmdline():
                    return pid
            except psutil.NoSuchProcess:
                continue
        return None

    return find


def until_told(handle: TaskHandle, shots: int) -> None:
    """Wait until partial counts of at least so many shots are there."""

    def told() -> bool:
        return handle.partial is not None and handle.partial.shots_done >= shots

    wait_until(told, f"{shots} shots are told", SOON_S)


def kill_worker(home: Home, *, but: int | None = None) -> int:
    """Kill -9 the worker that has the job, which is not `but`; return its process id."""
    find = busy_worker(home)
    wait_until(lambda: find() not in (None, but), "a worker is there", SOON_S)
    pid = find()
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    return pid


def test_counts_come_when_a_device_would_have_measured_them(client: Client) -> None:
    seen: list[tuple[float, TaskResult]] = []
    began = time.monotonic()
    handle = submit(client, 800, pace="real")

    def note(view: TaskView, partial: TaskResult | None) -> None:
        if partial is not None:
            seen.append((time.monotonic() - began, partial))

    handle.wait(SOON_S, note)
    final = handle.result(SOON_S)
    partials = {p.revision: (when, p) for when, p in reversed(seen) if not p.is_final}
    assert len(partials) >= 3
    ordered = [partials[revision] for revision in sorted(partials)]
    for when, partial in ordered:
        assert partial.shots_done % BATCH == 0
        assert sum(n for _, n in counts(partial)) == partial.shots_done
        # Never before its time; how much later is the machine's business.
        assert when >= T0_S + PER_SHOT_S * partial.shots_done
    everything = [partial for _, partial in ordered] + [final]
    for before, after in pairwise(everything):
        assert before.revision < after.revision
        assert before.shots_done < after.shots_done
        later = dict(counts(after))
        assert all(later.get(key, 0) >= n for key, n in counts(before))
    assert final.shots_done == 800
    assert counts(final) == fast(client, 800)
    assert dict(final.durations)["on_device"] == pytest.approx(T0_S + 800 * PER_SHOT_S)
    assert time.monotonic() - began >= T0_S + 800 * PER_SHOT_S


def test_every_partial_is_the_beginning_of_the_result(client: Client) -> None:
    """What is told after k shots is what a task of k shots gives: a seed does not know of batches."""
    handle = submit(client, 600, pace="real")
    until_told(handle, 2 * BATCH)
    partial = handle.partial
    assert partial is not None
    assert counts(partial) == fast(client, partial.shots_done)
    assert counts(handle.result(SOON_S)) == fast(client, 600)


def test_a_killed_worker_leaves_the_last_batch_that_was_recorded(client: Client, home: Home) -> None:
    """Its second worker is killed as well, so that the task fails: what is left is whole batches, and all told."""
    handle = submit(client, 5_000, pace="real")
    until_told(handle, 3 * BATCH)
    first = kill_worker(home)
    kill_worker(home, but=first)
    view = handle.wait(SOON_S)
    assert view.state is TaskState.FAILED
    with pytest.raises(TaskError, match="SIGKILL"):
        handle.result(SOON_S)
    left = client.result(handle.task_id, partial=True)
    assert not left.is_final
    assert 3 * BATCH <= left.shots_done == view.shots_done < 5_000
    assert left.shots_done % BATCH == 0
    assert counts(left) == fast(client, left.shots_done)


def test_a_worker_killed_once_costs_time_and_nothing_else(client: Client, home: Home) -> None:
    handle = submit(client, 700, pace="real")
    told: list[tuple[int, int]] = []

    def note(view: TaskView, partial: TaskResult | None) -> None:
        if partial is not None:
            told.append((partial.revision, partial.shots_done))

    until_told(handle, 3 * BATCH)
    kill_worker(home)
    handle.wait(SOON_S, note)
    final = handle.result(SOON_S)
    assert counts(final) == fast(client, 700)
    everything = [*dict.fromkeys(told), (final.revision, final.shots_done)]
    assert everything == sorted(everything)
    assert [shots for _, shots in everything] == sorted(shots for _, shots in everything)


def test_they_have_the_device_one_after_the_other_and_are_told_exactly_when(client: Client) -> None:
    handles = [submit(client, 250, pace="real") for _ in range(3)]
    device_s = T0_S + 250 * PER_SHOT_S
    told = client.show(handles[2].task_id)
    assert told.end is not None
    assert told.end.p50_s == told.end.p90_s
    assert told.end.p50_s <= 3 * device_s + 0.001
    began_ms = handles[0].view.submitted_ms
    for number, handle in enumerate(handles, start=1):
        handle.result(SOON_S)
        ended_ms = next(stamp.at_ms for stamp in handle.view.timeline if stamp.stage == "recorded")
        # Never sooner than the device could be done with all before it; a millisecond for rounding.
        assert ended_ms - began_ms >= 1000 * number * device_s - 1
    measured = [stamp.seconds for h in handles for stamp in h.view.timeline if stamp.stage == "on_device"]
    assert measured == pytest.approx([device_s] * 3)


def test_a_task_that_keeps_the_clock_is_stopped_at_once(client: Client) -> None:
    long = submit(client, 100_000, pace="real")
    behind = submit(client, 100, pace="real", seed=3)
    until_told(long, BATCH)
    long.cancel(SOON_S)
    assert long.wait(SOON_S).state is TaskState.CANCELLED
    assert behind.result(SOON_S).shots_done == 100
