"""What the client asks the gateway, step by step, as generators: both shells run the same ones.

A flow yields an `Ask`, is sent the `Reply` (or thrown the error) and returns its result. No I/O, no clock.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from typing import TypeVar

import msgspec

from qmio_jupyter.errors import DeadlineError, ProgramError, ProtocolError, UnknownTaskError, UsageError
from qmio_jupyter.model.access import Session
from qmio_jupyter.model.device import DeviceView, Snapshot
from qmio_jupyter.model.dry_run import DryRun
from qmio_jupyter.model.ids import DeviceName, Digest, TaskId, is_id
from qmio_jupyter.model.program import Program
from qmio_jupyter.model.result import TaskResult
from qmio_jupyter.model.task import TaskSpec, TaskState, TaskView
from qmio_jupyter.wire.messages import (
    DeviceList,
    DevicePage,
    DeviceShow,
    Done,
    GatewayShow,
    GatewayState,
    GatewayStop,
    Message,
    Ping,
    Pong,
    ProgramMissing,
    ProgramPut,
    ProgramQuery,
    SessionShow,
    SessionState,
    SnapshotData,
    SnapshotGet,
    TaskAccepted,
    TaskCancel,
    TaskEstimate,
    TaskEstimated,
    TaskForget,
    TaskList,
    TaskPage,
    TaskResultData,
    TaskResultGet,
    TaskShow,
    TaskShown,
    TaskSubmit,
    TaskWatch,
)

#: Programs of a task that are smaller than this together travel with the submit itself.
INLINE_BYTES = 256 * 1024
#: Programs uploaded in one message, at most (one that is larger travels alone).
UPLOAD_BYTES = 8 * 2**20
UPLOAD_COUNT = 500
#: Seconds a dry run may take by default, and what its answer may be late beyond them.
ESTIMATE_S = 30.0
ESTIMATE_GRACE_S = 5.0
#: Most tasks searched for an abbreviated id.
SEARCHED = 1000


class Ask(msgspec.Struct, frozen=True):
    """A request to send."""

    body: Message
    blobs: tuple[tuple[str, bytes], ...] = ()


class Reply(msgspec.Struct, frozen=True):
    """Its answer."""

    body: Message
    attachments: tuple[bytes, ...] = ()


T = TypeVar("T")
M = TypeVar("M")
Flow = Generator[Ask, Reply, T]


def one(body: Message, expected: type[M]) -> Flow[M]:
    """Ask once and return the reply's body, which must be of the `expected` type."""
    reply = yield Ask(body)
    if not isinstance(reply.body, expected):
        raise ProtocolError(
            f"the gateway answered {type(body).__name__} with {type(reply.body).__name__}",
            hint="Update the older side.",
        )
    return reply.body


def ping() -> Flow[int]:
    """Return the gateway's epoch."""
    return (yield from one(Ping(), Pong)).epoch


def submit(
    task_id: TaskId, spec: TaskSpec, programs: Sequence[Program], stored: set[Digest]
) -> Flow[TaskView]:
    """Upload the programs that the gateway lacks, queue the task, return its view once it is on disk.

    Parameters
    ----------
    stored : set of digests
        Programs the gateway is believed to have; kept up to date here. A wrong belief costs a round trip.
    """
    by_digest = {program.digest: program for program in programs}
    absent = sorted({item.program for item in spec.items} - set(by_digest) - stored)
    if absent and not stored.issuperset(absent):
        missing = yield from one(ProgramQuery(digests=tuple(absent)), ProgramMissing)
        if missing.digests:
            raise ProgramError(
                f"program {missing.digests[0][:12]} is neither given nor known to the gateway",
                hint="Submit it with its bytes.",
                code="program.missing",
            )
    inline = yield from _inline(by_digest, stored)
    body = TaskSubmit(task_id=task_id, spec=spec, deliver=True)
    try:
        reply = yield Ask(body, _blobs(inline))
    except ProgramError as error:
        if error.code != "program.missing":
            raise
        stored.difference_update(by_digest)
        yield from put(list(by_digest.values()), stored)
        reply = yield Ask(body)
    except DeadlineError as error:
        error.hint = f"It may still be accepted: look for {task_id} among your tasks."
        raise
    if not isinstance(reply.body, TaskAccepted):
        raise ProtocolError(f"the gateway answered a submit with {type(reply.body).__name__}")
    stored.update(by_digest)
    return reply.body.view


def estimate(
    spec: TaskSpec, programs: Sequence[Program], stored: set[Digest], *, within_s: float = ESTIMATE_S
) -> Flow[DryRun]:
    """Return what a task would be and take on its device, without queueing it.

    Parameters
    ----------
    stored : set of digests
        As for `submit`; small programs that are not stored travel with the question and are not kept.
    within_s : float
        Seconds the device's agent has for it.
    """
    by_digest = {program.digest: program for program in programs}
    inline = yield from _inline(by_digest, stored)
    body = TaskEstimate(spec=spec, within_s=min(max(within_s, 0.05), 3600.0))
    try:
        reply = yield Ask(body, _blobs(inline))
    except ProgramError as error:
        if error.code != "program.missing" or not by_digest:
            raise
        stored.difference_update(by_digest)
        yield from put(list(by_digest.values()), stored)
        reply = yield Ask(body)
    if not isinstance(reply.body, TaskEstimated):
        raise ProtocolError(f"the gateway answered a dry run with {type(reply.body).__name__}")
    return reply.body.dry_run


def show(task_id: TaskId) -> Flow[TaskView]:
    """Return one task's view."""
    return (yield from one(TaskShow(task_id=task_id), TaskShown)).view


def watch(task_id: TaskId) -> Flow[TaskView]:
    """Return one task's view and have its events sent from now on."""
    return (yield from one(TaskWatch(task_id=task_id, deliver=True), TaskShown)).view


def cancel(task_id: TaskId) -> Flow[TaskView]:
    """Cancel a task; one that has ended stays as it is."""
    return (yield from one(TaskCancel(task_id=task_id), TaskShown)).view


def forget(task_id: TaskId) -> Flow[None]:
    """Remove an ended task and its result."""
    yield from one(TaskForget(task_id=task_id), Done)


def result(task_id: TaskId, *, partial: bool) -> Flow[TaskResult]:
    """Return a task's final result, or with `partial` the newest there is."""
    return (yield from one(TaskResultGet(task_id=task_id, partial=partial), TaskResultData)).result


def tasks(
    limit: int = 20,
    *,
    states: Iterable[TaskState] = (),
    device: DeviceName | None = None,
    label: str = "",
    before: TaskId | None = None,
) -> Flow[tuple[TaskView, ...]]:
    """Return tasks, newest first, asking for as many pages as `limit` needs."""
    found: list[TaskView] = []
    wanted = tuple(states)
    while len(found) < limit:
        size = min(SEARCHED, limit - len(found))
        body = TaskList(limit=size, before=before, states=wanted, device=device, label=label)
        page = yield from one(body, TaskPage)
        found.extend(page.views)
        if len(page.views) < size:
            break
        before = page.views[-1].task_id
    return tuple(found)


def resolve(text: str) -> Flow[TaskId]:
    """Return the task id meant by `text`: ``last``, a whole id, or a unique beginning or end of one.

    Raises
    ------
    UnknownTaskError
        If none of the newest thousand tasks fits.
    UsageError
        If several do.
    """
    if is_id(text):
        return text
    if text == "last":
        views = yield from tasks(1)
        if not views:
            raise UnknownTaskError("you have no tasks yet", hint="Run one first.")
        return views[0].task_id
    wanted = text.strip().lower()
    if len(wanted) < 3 or not wanted.removeprefix("t-").isalnum():
        raise UsageError(
            f"{text!r} is no task id", hint="Give a task id, at least 3 characters of one, or 'last'."
        )
    views = yield from tasks(SEARCHED)
    fitting = [
        view.task_id
        for view in views
        if view.task_id.startswith((wanted, f"t-{wanted}")) or view.task_id.endswith(wanted)
    ]
    if len(fitting) > 1:
        raise UsageError(f"{text!r} fits {len(fitting)} of your tasks", hint="Give more of the id.")
    if not fitting:
        raise UnknownTaskError(f"no task of yours is called {text!r}", hint="List yours with %qpu tasks.")
    return fitting[0]


def devices() -> Flow[tuple[DeviceView, ...]]:
    """Return the devices the user may use."""
    return (yield from one(DeviceList(), DevicePage)).devices


def device(name: DeviceName) -> Flow[DeviceView]:
    """Return one device."""
    page = yield from one(DeviceShow(device=name), DevicePage)
    if len(page.devices) != 1:
        raise ProtocolError(f"the gateway showed {len(page.devices)} devices in place of one")
    return page.devices[0]


def snapshot(snapshot_id: Digest | None, device_name: DeviceName | None) -> Flow[Snapshot]:
    """Return a snapshot by its id, or a device's current one."""
    body = SnapshotGet(snapshot_id=snapshot_id, device=device_name)
    return (yield from one(body, SnapshotData)).snapshot


def session() -> Flow[Session]:
    """Return the user's session."""
    return (yield from one(SessionShow(), SessionState)).session


def gateway() -> Flow[GatewayState]:
    """Return the gateway's health and figures."""
    return (yield from one(GatewayShow(), GatewayState))


def stop() -> Flow[None]:
    """Stop the gateway."""
    yield from one(GatewayStop(), Done)


def _blobs(programs: Iterable[Program]) -> tuple[tuple[str, bytes], ...]:
    return tuple((program.media_type, program.data) for program in programs)


def _inline(by_digest: Mapping[Digest, Program], stored: set[Digest]) -> Flow[tuple[Program, ...]]:
    """Return the programs that are to travel with a request; those too large for it are put before."""
    needed = [by_digest[d] for d in by_digest if d not in stored]
    if sum(len(program.data) for program in needed) <= INLINE_BYTES and len(needed) <= UPLOAD_COUNT:
        return tuple(needed)
    yield from put(needed, stored)
    return ()


def put(programs: list[Program], stored: set[Digest]) -> Flow[None]:
    """Store the `programs` that the gateway lacks, in messages of a bounded size."""
    if not programs:
        return
    digests = tuple(program.digest for program in programs)
    missing = set((yield from one(ProgramQuery(digests=digests), ProgramMissing)).digests)
    batch: list[Program] = []
    size = 0
    for program in (p for p in programs if p.digest in missing):
        if batch and (size + len(program.data) > UPLOAD_BYTES or len(batch) >= UPLOAD_COUNT):
            yield Ask(ProgramPut(), _blobs(batch))
            batch, size = [], 0
        batch.append(program)
        size += len(program.data)
    if batch:
        yield Ask(ProgramPut(), _blobs(batch))
    stored.update(digests)
