"""The synchronous client: the protocol in its own thread, so it also works inside a running event loop."""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import select
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Self, TypeVar

from qmio_jupyter.client import clearing, flows
from qmio_jupyter.client.conversation import Conversation
from qmio_jupyter.client.events import Answered, ClientEvent, Refused
from qmio_jupyter.client.flows import Ask, Flow, Reply
from qmio_jupyter.client.handle import TaskRecord, tell
from qmio_jupyter.client.locate import Locator, Say, locator_for
from qmio_jupyter.client.news import News
from qmio_jupyter.client.snapshots_seen import SnapshotsSeen
from qmio_jupyter.client.sync_handle import TaskHandle
from qmio_jupyter.config.settings import ClientSettings, load
from qmio_jupyter.display.about import of_spec
from qmio_jupyter.errors import DeadlineError, GatewayError, QmioError
from qmio_jupyter.model.access import Session
from qmio_jupyter.model.device import DeviceView, Snapshot
from qmio_jupyter.model.dry_run import DryRun
from qmio_jupyter.model.ids import DeviceName, Digest, TaskId, mint
from qmio_jupyter.model.program import Program
from qmio_jupyter.model.result import TaskResult
from qmio_jupyter.model.task import TaskSpec, TaskState, TaskView
from qmio_jupyter.wire.messages import GatewayState, TaskCancel, Welcome

__all__ = ["Client", "TaskHandle", "connect", "mint_task_id"]

T = TypeVar("T")
_log = logging.getLogger("qmio_jupyter.client")
#: What an answer may be late, beyond its deadline, before the I/O thread itself is taken for stuck.
_GRACE_S = 5.0


def mint_task_id() -> TaskId:
    """Return a new task id, from this host's clock and the system's randomness."""
    return mint("t", time.time_ns() // 1_000_000, os.urandom(10))


def connect(
    *,
    settings: ClientSettings | None = None,
    on_note: Say | None = None,
    environ: Mapping[str, str] | None = None,
    start: bool | None = None,
    timeout_s: float | None = None,
) -> Client:
    """Return a client whose gateway has answered.

    With none configured that is the user's embedded one, started if it is missing.

    Parameters
    ----------
    settings : ClientSettings, optional
        The configured ones when None.
    on_note : callable, optional
        Given the lines the user should see (a gateway is started; a network home is avoided).
    environ : mapping, optional
        The environment; the process's own when None.
    start : bool, optional
        Whether a missing embedded gateway is started; as configured when None.
    timeout_s : float, optional
        Seconds to wait for the gateway; as configured when None.

    Raises
    ------
    QmioError
        The gateway cannot be reached, or does not admit this user.
    """
    client = Client(settings=settings, on_note=on_note, environ=environ, start=start)
    try:
        client.ping(timeout_s)
    except BaseException:
        client.close()
        raise
    return client


class Client:
    """A user's connection to a gateway, for any thread; every wait has a deadline.

    It connects, reconnects and starts an embedded gateway by itself, when something is asked. `timeout_s` of
    every method is in seconds; None means the configured ``client.timeout_s``.

    Parameters
    ----------
    settings, on_note, environ, start
        As for :func:`connect`.
    locator : Locator, optional
        Finds the gateway; made from the settings when None.
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
        #: Where the answers to open requests are put, by number.
        self._pending: dict[int, SimpleQueue[Reply | QmioError]] = {}
        self._records: weakref.WeakValueDictionary[TaskId, TaskRecord] = weakref.WeakValueDictionary()
        self._stored: set[Digest] = set()
        self._clearances = clearing.Clearances()
        self.snapshots_seen = SnapshotsSeen()
        self._commands: deque[Callable[[float], None]] = deque()
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._closing = False
        #: Whether the next turn has to read from the link.
        self._look = True
        self._broken: QmioError | None = None
        #: Told after every change of a record.
        self.changed = News()
        #: How long no gateway has answered, in seconds.
        self.unreachable_s = 0.0
        self._thread = threading.Thread(target=self._run_thread, name="qmio-client", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    # ------------------------------------------------------------------ what a user does

    def ping(self, timeout_s: float | None = None) -> int:
        """Return the gateway's epoch once it answers."""
        return self.run(flows.ping(), timeout_s)

    def submit(
        self,
        spec: TaskSpec,
        programs: Sequence[Program] = (),
        *,
        task_id: TaskId | None = None,
        timeout_s: float | None = None,
    ) -> TaskHandle:
        """Queue a task; return its handle once the task is on the gateway's disk.

        Parameters
        ----------
        spec : TaskSpec
            What to run; see :func:`qmio_jupyter.client.spec.build_spec`.
        programs : sequence of Program
            The bytes of its programs; those the gateway has are not sent.
        task_id : str, optional
            A new id when None. Submitting the same id and spec again is harmless.
        """
        record = self._record(task_id or mint_task_id())
        record.about = of_spec(spec)
        flow = clearing.submit(
            record.task_id, spec, programs, self._stored, self._clearances, epoch=self._epoch
        )
        view = self.run(flow, timeout_s)
        return self._handle(record, view)

    def estimate(
        self, spec: TaskSpec, programs: Sequence[Program] = (), *, within_s: float = flows.ESTIMATE_S
    ) -> DryRun:
        """Say what a task would be and take on its device: circuit, method, fidelity, times, cost. Queues nothing.

        Parameters
        ----------
        spec, programs
            As for :meth:`submit`.
        within_s : float
            Seconds the device's agent has for it.
        """
        flow = flows.estimate(spec, programs, self._stored, within_s=within_s)
        return self.run(flow, within_s + flows.ESTIMATE_GRACE_S)

    def attach(self, task_id: TaskId, timeout_s: float | None = None) -> TaskHandle:
        """Return a handle of a task submitted earlier, from wherever."""
        record = self._record(task_id)
        return self._handle(record, self.run(flows.watch(task_id), timeout_s))

    def resolve(self, text: str, timeout_s: float | None = None) -> TaskId:
        """Return the id meant by ``last``, a whole id, or a unique beginning or end of one."""
        return self.run(flows.resolve(text), timeout_s)

    def show(self, task_id: TaskId, timeout_s: float | None = None) -> TaskView:
        """Return a task's present view."""
        return self.run(flows.show(task_id), timeout_s)

    def tasks(
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
        return self.run(flow, timeout_s)

    def result(self, task_id: TaskId, partial: bool = False, timeout_s: float | None = None) -> TaskResult:
        """Return a task's final result, or with `partial` the newest there is."""
        return self.run(flows.result(task_id, partial=partial), timeout_s)

    def cancel(self, task_id: TaskId, timeout_s: float | None = None) -> TaskView:
        """Cancel a task; return how it stands now."""
        return self.run(flows.cancel(task_id), timeout_s)

    def cancel_later(self, task_id: TaskId, within_s: float) -> None:
        """Have a task cancelled once a gateway answers, without waiting for it; for when none does now.

        Given up after `within_s` seconds or when this client is closed; the task's handle shows what came of it.
        """
        self.check()

        def command(now_s: float) -> None:
            # No future waits for the answer; the protocol sends it as long as it takes.
            self._conversation.request(TaskCancel(task_id=task_id), (), deadline_s=within_s, now_s=now_s)

        self._do(command)

    def forget(self, task_id: TaskId, timeout_s: float | None = None) -> None:
        """Remove an ended task and its result."""
        self.run(flows.forget(task_id), timeout_s)

    def devices(self, timeout_s: float | None = None) -> tuple[DeviceView, ...]:
        """Return the devices the user may use."""
        views = self.run(flows.devices(), timeout_s)
        self.snapshots_seen.see_devices(views)
        return views

    def device(self, name: DeviceName, timeout_s: float | None = None) -> DeviceView:
        """Return one device."""
        view = self.run(flows.device(name), timeout_s)
        self.snapshots_seen.see_devices((view,))
        return view

    def snapshot(
        self,
        snapshot_id: Digest | None = None,
        *,
        device: DeviceName | None = None,
        timeout_s: float | None = None,
    ) -> Snapshot:
        """Return a snapshot by id, or a device's current one."""
        found = self.run(flows.snapshot(snapshot_id, device), timeout_s)
        self.snapshots_seen.see(found)
        return found

    def session(self, timeout_s: float | None = None) -> Session:
        """Return the user's session at the gateway."""
        return self.run(flows.session(), timeout_s)

    def gateway(self, timeout_s: float | None = None) -> GatewayState:
        """Return the gateway's health and figures."""
        return self.run(flows.gateway(), timeout_s)

    def stop_gateway(self, timeout_s: float | None = None) -> None:
        """Stop the gateway; allowed to operators and to the owner of an embedded one."""
        self.run(flows.stop(), timeout_s)

    @property
    def welcome(self) -> Welcome | None:
        """What the gateway said of itself and of us; None before it answered."""
        return self._conversation.protocol.welcome

    @property
    def _epoch(self) -> int:
        return -1 if self.welcome is None else self.welcome.epoch

    # ------------------------------------------------------------------ asking

    def run(self, flow: Flow[T], timeout_s: float | None = None) -> T:
        """Run a flow of :mod:`qmio_jupyter.client.flows` within `timeout_s` in all; return its result."""
        deadline = time.monotonic() + (self.settings.timeout_s if timeout_s is None else timeout_s)
        try:
            ask = next(flow)
            while True:
                try:
                    reply = self._ask(ask, deadline - time.monotonic())
                except QmioError as error:
                    ask = flow.throw(error)
                else:
                    ask = flow.send(reply)
        except StopIteration as end:
            value: T = end.value
            return value

    def check(self) -> None:
        """Raise unless this client can be used here and now.

        Raises
        ------
        GatewayError
            It is closed, or this is a process forked from the one that made it.
        """
        if os.getpid() != self._pid:
            raise GatewayError(
                f"this client belongs to process {self._pid}, and this is {os.getpid()}, forked from it",
                hint="Connect again in the new process.",
                retryable=False,
            )
        if self._broken is not None:
            raise self._broken
        if self._closing:
            raise GatewayError("this client is closed", hint="Connect again.", retryable=False)

    def _ask(self, ask: Ask, timeout_s: float) -> Reply:
        self.check()
        answer: SimpleQueue[Reply | QmioError] = SimpleQueue()
        ticket: list[int] = []

        def command(now_s: float) -> None:
            number = self._conversation.request(
                ask.body, ask.blobs, deadline_s=max(0.0, timeout_s), now_s=now_s
            )
            ticket.append(number)
            self._pending[number] = answer

        self._do(command)
        try:
            found = answer.get(timeout=max(0.0, timeout_s) + _GRACE_S)
        except Empty:
            raise DeadlineError("the client's own I/O did not answer", hint="Report this.") from None
        except KeyboardInterrupt:
            self._do(lambda _: self._abandon(ticket))
            raise
        if isinstance(found, QmioError):
            raise found
        return found

    def _abandon(self, ticket: list[int]) -> None:
        for number in ticket:
            self._pending.pop(number, None)
            self._conversation.protocol.abandon(number)

    def _record(self, task_id: TaskId) -> TaskRecord:
        self.check()
        with self.changed.lock:
            record = self._records.get(task_id)
            if record is None:
                record = self._records[task_id] = TaskRecord(task_id)
                weakref.finalize(record, self._unwatch, task_id).atexit = False
            return record

    def _handle(self, record: TaskRecord, view: TaskView) -> TaskHandle:
        with self.changed.lock:
            record.see(view)
        self.changed.tell()
        return TaskHandle(self, record)

    def _unwatch(self, task_id: TaskId) -> None:
        if not self._closing and os.getpid() == self._pid:
            self._do(lambda _: self._conversation.protocol.unwatch(task_id))

    # ------------------------------------------------------------------ the I/O thread

    def _do(self, command: Callable[[float], None]) -> None:
        """Have `command` run by the I/O thread, with its time."""
        self._commands.append(command)
        try:
            os.eventfd_write(self._wake, 1)
        except OSError as problem:  # Closed in between.
            raise GatewayError("this client is closed", hint="Connect again.", retryable=False) from problem

    def _run_thread(self) -> None:
        try:
            while not self._closing:
                self._turn()
        except Exception as problem:  # noqa: BLE001 - whatever it was, those who wait must be told
            _log.exception("the client's I/O failed")
            self._broken = GatewayError(
                f"the client's I/O failed ({problem!r})",
                hint="Connect again, and report this.",
                code="internal",
                retryable=False,
            )
        finally:
            self._conversation.close()
            error = self._broken or GatewayError("this client was closed", retryable=False)
            for answer in self._pending.values():
                answer.put(error)
            self._pending.clear()
            self.changed.tell()

    def _turn(self) -> None:
        conversation = self._conversation
        now_s = time.monotonic()
        while self._commands:
            self._commands.popleft()(now_s)
        self._deliver(conversation.step(now_s, look=self._look))
        self.unreachable_s = conversation.unreachable_s(now_s)
        wait_s = conversation.next_deadline(now_s) - time.monotonic()
        self._look = wait_s <= 0
        if self._commands or wait_s <= 0:
            return
        # Nothing waits in the link now (`next_deadline` has looked), so its next edge will be seen.
        # Poll, for select cannot watch descriptors above 1023.
        poller = select.poll()
        for descriptor in (self._wake, *(conversation.dealer.fds if conversation.dealer is not None else ())):
            poller.register(descriptor, select.POLLIN)
        woken = poller.poll(wait_s * 1000)
        self._look = any(descriptor != self._wake for descriptor, _ in woken)
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._wake)

    def _deliver(self, events: Sequence[ClientEvent]) -> None:
        if not events:
            return
        with self.changed.lock:
            told = [tell(self._records, event) for event in events]
        if any(told):
            self.changed.tell()
        for event in events:
            if isinstance(event, Answered | Refused):
                answer = self._pending.pop(event.ticket, None)
                if answer is None:
                    continue
                if isinstance(event, Answered):
                    answer.put(Reply(event.body, event.attachments))
                else:
                    answer.put(event.error)

    # ------------------------------------------------------------------ the end

    def close(self) -> None:
        """End the conversation; what is queued is sent, for at most a second. Tasks go on. Idempotent."""
        if self._closing or os.getpid() != self._pid:
            return
        self._closing = True
        atexit.unregister(self.close)
        os.eventfd_write(self._wake, 1)
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout=10.0)
        if not self._thread.is_alive():
            os.close(self._wake)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
