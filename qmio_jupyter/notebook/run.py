"""Submit, wait, show: what happens to a cell's programs. Knows no IPython."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec

from qmio_jupyter.client.spec import snapshot_named
from qmio_jupyter.display.status import status_text
from qmio_jupyter.errors import DeadlineError, GatewayError, QmioError
from qmio_jupyter.model.device import DeviceView
from qmio_jupyter.model.dry_run import DryRun
from qmio_jupyter.model.ids import Digest
from qmio_jupyter.model.program import Program
from qmio_jupyter.model.task import StalePolicy, TaskOptions, TaskSpec, TaskState
from qmio_jupyter.notebook.circuits import name_of, to_submission
from qmio_jupyter.notebook.grammar import RunOptions
from qmio_jupyter.notebook.known import KNOWN
from qmio_jupyter.notebook.live.screens import Screen

if TYPE_CHECKING:
    from qmio_jupyter.client.sync import Client
    from qmio_jupyter.client.sync_handle import TaskHandle
    from qmio_jupyter.display.result_page import Bundle
    from qmio_jupyter.notebook.live.director import Director

#: How long an interrupted cell waits for its task to end.
CANCEL_S = 2.0
#: So long the wish to cancel waits for a gateway that was away when the cell was interrupted.
CANCEL_LATER_S = 600.0
#: What a device said of itself so shortly ago still holds: what it reads, and which options it knows, seldom change.
LATELY_S = 2.0
#: So long a result waits for the date of its snapshot.
SNAPSHOT_S = 2.0
#: A gateway that has not answered for so long is mentioned.
SILENT_S = 2.0


class Defaults(msgspec.Struct, frozen=True, kw_only=True):
    """What holds when the line does not say."""

    device: str = "fake-qmio"
    shots: int = 1000
    timeout: float | None = None
    quiet: bool = False
    #: How a task is shown while it is under way; see `notebook.live.screens.screen_for`.
    live: str = "auto"


def submit(
    client: Client,
    programs: Sequence[Any],
    asked: RunOptions,
    defaults: Defaults,
    values: Mapping[str, Any] | Sequence[Any],
) -> TaskHandle:
    """Queue `programs` (what ``circuits.as_programs`` returned) as one task and return its handle.

    Raises
    ------
    QmioError
        Where the gateway refuses it, or a program cannot be sent.
    """
    spec, sent = _task(client, programs, asked, defaults, values)
    from qmio_jupyter.client.sync import mint_task_id

    task_id = mint_task_id()
    try:
        handle = client.submit(spec, sent, task_id=task_id)
        KNOWN.keep(task_id, spec, sent)
        handle.describe(names=[name_of(one) for one in programs], expect=asked.expect)
        return handle
    except KeyboardInterrupt:
        # It may have been accepted a moment before: then it must not run on unseen.
        with suppress(QmioError):
            try:
                client.cancel(task_id, timeout_s=CANCEL_S)
            except DeadlineError:
                client.cancel_later(task_id, CANCEL_LATER_S)
        raise


def estimate(
    client: Client,
    programs: Sequence[Any],
    asked: RunOptions,
    defaults: Defaults,
    values: Mapping[str, Any] | Sequence[Any],
) -> DryRun:
    """Return what `submit` would queue as the device would run it; nothing is queued.

    Raises
    ------
    QmioError
        Where the task would be refused, by the gateway or by the device.
    """
    spec, sent = _task(client, programs, asked, defaults, values)
    within_s = asked.timeout or defaults.timeout
    return client.estimate(spec, sent) if within_s is None else client.estimate(spec, sent, within_s=within_s)


def _task(
    client: Client,
    programs: Sequence[Any],
    asked: RunOptions,
    defaults: Defaults,
    values: Mapping[str, Any] | Sequence[Any],
) -> tuple[TaskSpec, tuple[Program, ...]]:
    """Return the task that is asked for, and its programs."""
    name = asked.device or defaults.device
    names_snapshot = asked.snapshot is not None or asked.compiled_for is not None
    device = None if names_snapshot else client.snapshots_seen.device(name, LATELY_S)
    if device is None:
        device = client.device(name)
    found = to_submission(
        programs, shots=asked.shots or defaults.shots, values=values, device=device.description
    )
    spec = TaskSpec(
        device=device.description.name,
        items=found.items,
        options=_options(asked, device),
        label=asked.label or "",
    )
    return spec, found.programs


def _options(asked: RunOptions, device: DeviceView) -> TaskOptions:
    def named(text: str | None, option: str) -> Digest | None:
        return None if text is None else snapshot_named(text, device, option)

    return TaskOptions(
        seed=asked.seed,
        memory=asked.memory,
        ideal=asked.ideal,
        optimization_level=asked.opt_level,
        layout=asked.layout or (),
        pace=asked.pace or "fast",
        snapshot=named(asked.snapshot, "--snapshot"),
        compiled_for=named(asked.compiled_for, "--compiled-for"),
        stale=StalePolicy(asked.stale or "warn"),
        device_options=tuple(sorted(asked.device_option)),
    )


def follow(
    client: Client,
    handle: TaskHandle,
    screen: Screen,
    *,
    timeout_s: float | None = None,
    cancel_on_interrupt: bool = True,
) -> None:
    """Wait for a task, saying how it is, and show its result.

    Parameters
    ----------
    timeout_s : float, optional
        Wait at most so long; the task goes on.
    cancel_on_interrupt : bool
        Whether an interrupt cancels the task (it is always raised again).

    Raises
    ------
    DeadlineError, GatewayError
        After `timeout_s`, or without a gateway for long; says how to come back to the task.
    TaskFailedError, TaskCancelledError
        If that is how it ended.
    KeyboardInterrupt
        If the user interrupted.
    """
    # Loaded while the task is on its way: `%load_ext` and submitting need nothing of it.
    from qmio_jupyter.notebook.live.director import Director

    director = Director(screen, time.monotonic, wall_ms)
    try:
        _wait(client, handle, director, timeout_s)
    except KeyboardInterrupt:
        _end(director, handle, _ended(handle, _interrupted(client, handle, cancel=cancel_on_interrupt)))
        raise
    except QmioError:
        _end(
            director,
            handle,
            _ended(handle, f"{status_text(handle.view)}. It goes on: %qpu attach {handle.task_id}"),
        )
        raise
    if handle.view.state is TaskState.COMPLETED:
        _end(director, handle, completed(client, handle))
        check_expect(handle)
        return
    _end(director, handle, _ended(handle, status_text(handle.view), is_raised=True))
    handle.raise_for_state()


def check_expect(handle: TaskHandle) -> None:
    """Refuse expectation values that were asked of a completed task and that it cannot have.

    Raises
    ------
    UsageError
        Naming the bit that is not there.
    """
    from qmio_jupyter.display import sections

    sections.check_expect(handle.result(), handle.about)


def completed(client: Client, handle: TaskHandle) -> Bundle:
    """Return what to show of a completed task."""
    from qmio_jupyter.display.result_page import result_bundle

    result = handle.result()
    snapshot_id = handle.view.snapshot_id
    if snapshot_id is not None and client.snapshots_seen.taken_ms(snapshot_id) is None:
        # How old its calibration is, is worth a question, not a wait.
        with suppress(QmioError):
            client.snapshot(snapshot_id, timeout_s=SNAPSHOT_S)
    return result_bundle(handle.view, result, handle.about)


def wall_ms() -> int:
    """Return the date in ms, as snapshots have it."""
    return time.time_ns() // 1_000_000


def _end(director: Director, handle: TaskHandle, bundle: Bundle) -> None:
    director.end(bundle, handle.view, handle.partial, handle.about)


def _ended(handle: TaskHandle, said: str, *, is_raised: bool = False) -> Bundle:
    from qmio_jupyter.display.result_page import ended_bundle

    return ended_bundle(handle.view, handle.partial, handle.about, said, is_raised=is_raised)


def _wait(client: Client, handle: TaskHandle, director: Director, timeout_s: float | None) -> None:
    """Wait in short turns, so that what was held back for a moment is still shown."""
    until = None if timeout_s is None else time.monotonic() + timeout_s
    while not handle.done():
        left = director.next_s() if until is None else min(director.next_s(), until - time.monotonic())
        if left <= 0:
            raise DeadlineError(
                f"task {handle.task_id} is {handle.view.state} after {timeout_s:g} s; it goes on",
                hint=f"Come back with %qpu attach {handle.task_id}, or cancel it.",
            )
        try:
            handle.wait(left)
        except DeadlineError:
            director.update(
                handle.view,
                handle.partial,
                handle.about,
                seen_s_ago=handle.seen_s_ago,
                connected=client.unreachable_s < SILENT_S,
            )


def _interrupted(client: Client, handle: TaskHandle, *, cancel: bool) -> str:
    """Cancel an interrupted cell's task, wait a moment for it to end, and return what to say."""
    task_id = handle.task_id
    if not cancel:
        return f"{task_id}: left running. Come back with %qpu attach {task_id}, or %qpu cancel {task_id}."
    how = f"%qpu cancel {task_id}"
    try:
        try:
            handle.cancel(timeout_s=CANCEL_S)
        except DeadlineError:
            # Nobody has confirmed it: the task may run on, and the user must know.
            client.cancel_later(task_id, CANCEL_LATER_S)
            return (
                f"{task_id}: interrupted, but no gateway could be told yet: it may run on. It is cancelled if one "
                f"answers this kernel within {CANCEL_LATER_S / 60:g} min; to be sure: {how}"
            )
    except QmioError as error:
        return f"{task_id}: interrupted, but not cancelled ({how}): {error.one_line()}"
    try:
        if not handle.done():
            handle.wait(CANCEL_S)
    except (DeadlineError, GatewayError):
        return f"{task_id}: interrupted; being cancelled. See %qpu status {task_id}."
    except QmioError as error:
        return f"{task_id}: interrupted and asked to end: {error.one_line()}"
    if handle.view.state is TaskState.CANCELLED:
        return f"{task_id}: interrupted and cancelled."
    return f"{task_id}: interrupted, but it had {handle.view.state} before. See %qpu result {task_id}."
