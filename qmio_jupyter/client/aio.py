"""The asyncio client: the protocol in the caller's own event loop, without a thread."""

from __future__ import annotations

import asyncio
import logging
import os
import time
import weakref
from collections.abc import Generator, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

from qmio_jupyter.client import clearing, flows
from qmio_jupyter.client.conversation import Conversation
from qmio_jupyter.client.events import Answered, ClientEvent, Refused
from qmio_jupyter.client.flows import Ask, Flow, Reply
from qmio_jupyter.client.handle import BaseHandle, OnChange, TaskRecord, tell
from qmio_jupyter.client.locate import Locator, Say, locator_for
from qmio_jupyter.client.readings import counts_of, dataframe_of, expectation_of, memory_of, records_of
from qmio_jupyter.client.snapshots_seen import SnapshotsSeen
from qmio_jupyter.client.sync import mint_task_id
from qmio_jupyter.config.settings import ClientSettings, load
from qmio_jupyter.display.about import of_spec
from qmio_jupyter.errors import DeadlineError, GatewayError, QmioError
from qmio_jupyter.model.access import Session
from qmio_jupyter.model.device import DeviceView, Snapshot
from qmio_jupyter.model.dry_run import DryRun
from qmio_jupyter.model.ids import DeviceName, Digest, TaskId
from qmio_jupyter.model.parity import Expectation
from qmio_jupyter.model.program import Program
from qmio_jupyter.model.result import TaskResult
from qmio_jupyter.model.task import TaskSpec, TaskState, TaskView
from qmio_jupyter.wire.messages import GatewayState, Welcome

T = TypeVar("T")
_log = logging.getLogger("qmio_jupyter.client")
#: How often a wait without news looks whether there still is a gateway.
_LOOK_S = 1.0


class AsyncTaskHandle(BaseHandle):
    """A task of the asyncio client. ``await handle`` gives its result."""

    def __init__(self, client: AsyncClient, record: TaskRecord) -> None:
        super().__init__(record, client.snapshots_seen)
        self._client = client

    async def wait(self, timeout_s: float | None = None, on_change: OnChange | None = None) -> TaskView:
        """Wait until the task has ended; as :meth:`qmio_jupyter.client.sync_handle.TaskHandle.wait`."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        news = asyncio.Event()
        stop = self.listen(news.set)
        try:
            while True:
                news.clear()
                if on_change is not None:
                    on_change(self.view, self._record.partial)
                if self.done():
                    return self.view
                if self._record.error is not None:
                    raise self._record.error
                await self._wait_for_news(news, deadline, timeout_s)
        finally:
            stop()

    async def _wait_for_news(
        self, news: asyncio.Event, deadline: float | None, timeout_s: float | None
    ) -> None:
        while not news.is_set():
            self._client.check()
            left = _LOOK_S if deadline is None else deadline - time.monotonic()
            if left <= 0:
                raise DeadlineError(
                    f"task {self.task_id} is {self.state} after {timeout_s:g} s",
                    hint="It goes on: attach to it, or cancel it.",
                )
            if self._client.unreachable_s > self._client.settings.unreachable_s:
                raise GatewayError(
                    f"no gateway has answered for {self._client.unreachable_s:.0f} s",
                    hint=f"Task {self.task_id} is safe: start a gateway (jupyter qmio up) and attach to it.",
                )
            try:
                await asyncio.wait_for(news.wait(), min(left, _LOOK_S))
            except TimeoutError:
                continue

    async def result(self, timeout_s: float | None = None) -> TaskResult:
        """Wait for the task and return its final result; errors as for the synchronous handle."""
        await self.wait(timeout_s)
        self.raise_for_state()
        if self._record.result is None:
            self._record.result = await self._client.result(self.task_id)
        return self._record.result

    async def counts(
        self, item: int = 0, binding: int = 0, register: str | None = None
    ) -> list[tuple[str, int]]:
        """Wait for the result; return ``[(bitstring, count), ...]`` ordered by bitstring value.

        Parameters
        ----------
        item, binding : int
            Which circuit of the task, and which of its bindings.
        register : str, optional
            Only the bits of this classical register; all bits, joint, when None.
        """
        return counts_of(await self.result(), item, binding, register)

    async def counts_dict(
        self, item: int = 0, binding: int = 0, register: str | None = None
    ) -> dict[str, int]:
        """Wait for the result; return the same as `counts` as a dict: what Qiskit's ``plot_histogram`` takes."""
        return dict(await self.counts(item, binding, register))

    async def memory(self, item: int = 0, binding: int = 0, register: str | None = None) -> list[str]:
        """Wait for the result; return the bitstring of each shot, in order of execution.

        Raises
        ------
        UsageError
            If the task was not asked to keep its shots (``--memory``).
        """
        return memory_of(await self.result(), item, binding, register)

    async def expectation(self, parity: str, item: int = 0, binding: int = 0) -> Expectation:
        """Wait for the result; return the mean of a product of Z over the shots, and its standard error.

        Parameters
        ----------
        parity : str
            ``ZZ`` (a letter per bit, the leftmost is the highest), ``Z0*Z1``, or ``c[0]*c[1]``.

        Raises
        ------
        UsageError
            If it is none of them, or names a bit that is not there.
        """
        return expectation_of(await self.result(), parity, item, binding)

    async def records(self) -> list[dict[str, Any]]:
        """Wait for the result; return a dict per outcome of every circuit and binding.

        Its keys: item, binding, each parameter whose value is known, outcome, count, shots, share, error (the share's
        binomial standard error).
        """
        return records_of(await self.result(), self._record.about)

    async def to_dataframe(self) -> Any:
        """Wait for the result; return `records` as a pandas DataFrame.

        Raises
        ------
        UsageError
            If pandas is not installed.
        """
        return dataframe_of(await self.result(), self._record.about)

    async def cancel(self, timeout_s: float | None = 2.0) -> TaskView:
        """Ask for the task's end; return how it stands now (``cancelling`` while it still runs)."""
        view = await self._client.cancel(self.task_id, timeout_s=timeout_s)
        self._record.see(view)
        return view

    def __await__(self) -> Generator[Any, None, TaskResult]:
        """Wait for the result."""
        return self.result().__await__()


class AsyncClient:
    """A user's connection to a gateway, for one event loop. ``async with AsyncClient() as client: ...``.

    Parameters
    ----------
    settings, on_note, environ, start, locator
        As for :class:`qmio_jupyter.client.sync.Client`.
    """

    def __init__(
        self,
        *,
        settings: ClientSettings | None = None,
        on_note: Say | None = None,
        environ: Mapping[str, str] | None = None,
        start: bool | None = None,
        locator: Locator | None = None,
    ) -> None:
        env = os.environ if environ is None else environ
        self.settings = load(env).client if settings is None else settings
        say: Say = on_note or (lambda line: _log.info("%s", line))
        self._conversation = Conversation(locator or locator_for(self.settings, env, say, start=start))
        self._pid = os.getpid()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._readers: tuple[int, ...] = ()
        self._timer: asyncio.TimerHandle | None = None
        self._soon: asyncio.Handle | None = None
        self._pending: dict[int, asyncio.Future[Reply]] = {}
        self._records: weakref.WeakValueDictionary[TaskId, TaskRecord] = weakref.WeakValueDictionary()
        self._stored: set[Digest] = set()
        self._clearances = clearing.Clearances()
        self.snapshots_seen = SnapshotsSeen()
        self._closed = False
        #: How long no gateway has answered, in seconds.
        self.unreachable_s = 0.0

    # ------------------------------------------------------------------ what a user does

    async def ping(self, timeout_s: float | None = None) -> int:
        """Return the gateway's epoch once it answers."""
        return await self.run(flows.ping(), timeout_s)

    async def submit(
        self,
        spec: TaskSpec,
        programs: Sequence[Program] = (),
        *,
        task_id: TaskId | None = None,
        timeout_s: float | None = None,
    ) -> AsyncTaskHandle:
        """Queue a task; return its handle once the task is on the gateway's disk."""
        record = self._record(task_id or mint_task_id())
        record.about = of_spec(spec)
        flow = clearing.submit(
            record.task_id, spec, programs, self._stored, self._clearances, epoch=self._epoch
        )
        view = await self.run(flow, timeout_s)
        return self._handle(record, view)

    async def estimate(
        self, spec: TaskSpec, programs: Sequence[Program] = (), *, within_s: float = flows.ESTIMATE_S
    ) -> DryRun:
        """Say what a task would be and take on its device, without queueing it; as the synchronous client's."""
        flow = flows.estimate(spec, programs, self._stored, within_s=within_s)
        return await self.run(flow, within_s + flows.ESTIMATE_GRACE_S)

    async def attach(self, task_id: TaskId, timeout_s: float | None = None) -> AsyncTaskHandle:
        """Return a handle of a task submitted earlier, from wherever."""
        record = self._record(task_id)
        return self._handle(record, await self.run(flows.watch(task_id), timeout_s))

    async def resolve(self, text: str, timeout_s: float | None = None) -> TaskId:
        """Return the id meant by ``last``, a whole id, or a unique beginning or end of one."""
        return await self.run(flows.resolve(text), timeout_s)

    async def show(self, task_id: TaskId, timeout_s: float | None = None) -> TaskView:
        """Return a task's present view."""
        return await self.run(flows.show(task_id), timeout_s)

    async def tasks(
        self,
        limit: int = 20,
        *,
        states: Iterable[TaskState] = (),
        device: DeviceName | None = None,
        label: str = "",
        before: TaskId | None = None,
        timeout_s: float | None = None,
    ) -> tuple[TaskView, ...]:
        """Return the user's tasks, newest first."""
        flow = flows.tasks(limit, states=states, device=device, label=label, before=before)
        return await self.run(flow, timeout_s)

    async def result(
        self, task_id: TaskId, partial: bool = False, timeout_s: float | None = None
    ) -> TaskResult:
        """Return a task's final result, or with `partial` the newest there is."""
        return await self.run(flows.result(task_id, partial=partial), timeout_s)

    async def cancel(self, task_id: TaskId, timeout_s: float | None = None) -> TaskView:
        """Cancel a task; return how it stands now."""
        return await self.run(flows.cancel(task_id), timeout_s)

    async def forget(self, task_id: TaskId, timeout_s: float | None = None) -> None:
        """Remove an ended task and its result."""
        await self.run(flows.forget(task_id), timeout_s)

    async def devices(self, timeout_s: float | None = None) -> tuple[DeviceView, ...]:
        """Return the devices the user may use."""
        views = await self.run(flows.devices(), timeout_s)
        self.snapshots_seen.see_devices(views)
        return views

    async def device(self, name: DeviceName, timeout_s: float | None = None) -> DeviceView:
        """Return one device."""
        view = await self.run(flows.device(name), timeout_s)
        self.snapshots_seen.see_devices((view,))
        return view

    async def snapshot(
        self,
        snapshot_id: Digest | None = None,
        *,
        device: DeviceName | None = None,
        timeout_s: float | None = None,
    ) -> Snapshot:
        """Return a snapshot by id, or a device's current one."""
        found = await self.run(flows.snapshot(snapshot_id, device), timeout_s)
        self.snapshots_seen.see(found)
        return found

    async def session(self, timeout_s: float | None = None) -> Session:
        """Return the user's session at the gateway."""
        return await self.run(flows.session(), timeout_s)

    async def gateway(self, timeout_s: float | None = None) -> GatewayState:
        """Return the gateway's health and figures."""
        return await self.run(flows.gateway(), timeout_s)

    async def stop_gateway(self, timeout_s: float | None = None) -> None:
        """Stop the gateway; allowed to operators and to the owner of an embedded one."""
        await self.run(flows.stop(), timeout_s)

    @property
    def welcome(self) -> Welcome | None:
        """What the gateway said of itself and of us; None before it answered."""
        return self._conversation.protocol.welcome

    @property
    def _epoch(self) -> int:
        return -1 if self.welcome is None else self.welcome.epoch

    # ------------------------------------------------------------------ asking

    async def run(self, flow: Flow[T], timeout_s: float | None = None) -> T:
        """Run a flow of :mod:`qmio_jupyter.client.flows` within `timeout_s` in all; return its result."""
        deadline = time.monotonic() + (self.settings.timeout_s if timeout_s is None else timeout_s)
        try:
            ask = next(flow)
            while True:
                try:
                    reply = await self._ask(ask, max(0.0, deadline - time.monotonic()))
                except QmioError as error:
                    ask = flow.throw(error)
                else:
                    ask = flow.send(reply)
        except StopIteration as end:
            value: T = end.value
            return value

    def check(self) -> None:
        """Raise unless this client can be used here and now."""
        if os.getpid() != self._pid:
            raise GatewayError(
                f"this client belongs to process {self._pid}, and this is {os.getpid()}, forked from it",
                hint="Connect again in the new process.",
                retryable=False,
            )
        if self._closed:
            raise GatewayError("this client is closed", hint="Connect again.", retryable=False)
        if self._loop is not None and self._loop is not asyncio.get_running_loop():
            raise GatewayError(
                "this client belongs to another event loop", hint="Make one per loop.", retryable=False
            )

    async def _ask(self, ask: Ask, timeout_s: float) -> Reply:
        self.check()
        self._loop = asyncio.get_running_loop()
        ticket = self._conversation.request(ask.body, ask.blobs, deadline_s=timeout_s, now_s=time.monotonic())
        future: asyncio.Future[Reply] = self._loop.create_future()
        self._pending[ticket] = future
        self._turn_soon()
        try:
            return await future
        finally:
            if self._pending.pop(ticket, None) is not None:
                self._conversation.protocol.abandon(ticket)

    def _record(self, task_id: TaskId) -> TaskRecord:
        self.check()
        record = self._records.get(task_id)
        if record is None:
            record = self._records[task_id] = TaskRecord(task_id)
            protocol = self._conversation.protocol
            weakref.finalize(record, protocol.unwatch, task_id).atexit = False
        return record

    def _handle(self, record: TaskRecord, view: TaskView) -> AsyncTaskHandle:
        record.see(view)
        return AsyncTaskHandle(self, record)

    # ------------------------------------------------------------------ the loop

    def _turn_soon(self) -> None:
        if self._soon is None and self._loop is not None and not self._closed:
            self._soon = self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        assert self._loop is not None
        self._soon = None
        if self._closed:
            return
        conversation = self._conversation
        now_s = time.monotonic()
        self._deliver(conversation.step(now_s))
        self.unreachable_s = conversation.unreachable_s(now_s)
        self._watch_descriptors(conversation.dealer.fds if conversation.dealer is not None else ())
        # Edge-triggered descriptors: whatever waits now gives no further edge, so ask after every turn.
        wait_s = conversation.next_deadline(now_s) - time.monotonic()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if wait_s <= 0:
            self._turn_soon()
        else:
            self._timer = self._loop.call_later(wait_s, self._turn)

    def _watch_descriptors(self, descriptors: tuple[int, ...]) -> None:
        assert self._loop is not None
        if descriptors != self._readers:
            for descriptor in self._readers:
                self._loop.remove_reader(descriptor)
            for descriptor in descriptors:
                self._loop.add_reader(descriptor, self._turn_soon)
            self._readers = descriptors

    def _deliver(self, events: Sequence[ClientEvent]) -> None:
        for event in events:
            match event:
                case Answered(ticket=ticket, body=body, attachments=attachments):
                    future = self._pending.pop(ticket, None)
                    if future is not None and not future.done():
                        future.set_result(Reply(body, attachments))
                case Refused(ticket=ticket, error=error):
                    future = self._pending.pop(ticket, None)
                    if future is not None and not future.done():
                        future.set_exception(error)
                case _:
                    tell(self._records, event)

    # ------------------------------------------------------------------ the end

    async def close(self) -> None:
        """End the conversation; tasks go on. Idempotent."""
        if self._closed or os.getpid() != self._pid:
            return
        self._closed = True
        if self._loop is not None:
            self._watch_descriptors(())
        if self._timer is not None:
            self._timer.cancel()
        error = GatewayError("this client was closed", retryable=False)
        for future in self._pending.values():
            if not future.done():
                future.set_exception(error)
        self._pending.clear()
        # Closing may take the linger time: not in the loop's thread.
        await asyncio.to_thread(self._conversation.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
