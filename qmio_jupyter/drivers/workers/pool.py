"""A pool of workers: one thread per worker waits for jobs, feeds it, and outlives its deaths.

A job that finds an idle worker is sent to it by whoever starts it: the worker begins before its thread is awake.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from concurrent.futures import Future
from typing import Final

import msgspec
from msgspec.structs import replace

from qmio_jupyter.drivers.pace import device_s
from qmio_jupyter.drivers.workers import deaths
from qmio_jupyter.drivers.workers.channel import (
    SMALL_BYTES,
    ChannelClosedError,
    ChannelTimeoutError,
    MessageTooLargeError,
)
from qmio_jupyter.drivers.workers.estimator import Estimator
from qmio_jupyter.drivers.workers.fork import ForkServer, Worker
from qmio_jupyter.drivers.workers.messages import Done, Failed, FromWorker, Job, Partial, Stage
from qmio_jupyter.errors import AgentError, QmioError, TaskCancelledError, from_code
from qmio_jupyter.model.device import CostModel, Snapshot
from qmio_jupyter.model.dry_run import DryRun
from qmio_jupyter.model.ids import TaskId
from qmio_jupyter.model.result import TaskResult
from qmio_jupyter.ports import OnPartial, OnStage, Run

#: Stage a worker announces when reading and compiling are over; until then the shorter deadline holds.
RUNNING: Final = "running"
#: Times a job is run again when its worker was killed from outside.
_MORE_TRIES: Final = 1
_DEATH_S: Final = 5.0


class PoolLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What one job may take."""

    memory_bytes: int
    cpu_s: float
    wall_s: float
    #: Seconds by the clock for reading and compiling.
    compile_s: float


class _Ticket(msgspec.Struct, kw_only=True, eq=False):
    run: Run
    on_partial: OnPartial
    on_stage: OnStage
    future: Future[TaskResult]
    #: The device's clock if the run keeps it.
    clock: CostModel | None = None
    worker: Worker | None = None
    #: The worker has it already.
    is_given: bool = False
    is_stopped: bool = False
    tries: int = 0
    #: Revision and shots of the last partial result, over all tries.
    revision: int = 0
    shots_told: int = 0


class _Slot:
    """One worker at a time, and the thread that looks after it; `wake` shares the pool's lock."""

    def __init__(self, lock: threading.Lock) -> None:
        self.worker: Worker | None = None
        #: What it is to run next, put here under the lock while it is idle.
        self.ticket: _Ticket | None = None
        self.wake = threading.Condition(lock)


class Pool:
    """Runs jobs in `size` workers, in order of arrival; of those that keep the device's clock, one at a time.

    Parameters
    ----------
    module : str
        What workers run; see `qmio_jupyter.drivers.workers.server`.
    size : int
        Workers.
    limits : PoolLimits
        What one job may take.
    is_warm : bool
        Whether workers are there before the first job; without, a device that nobody uses costs no process.
    snapshot : Snapshot or None
        The device's, at first: workers have from the beginning what is made of it.
    """

    def __init__(
        self,
        module: str,
        size: int,
        limits: PoolLimits,
        *,
        is_warm: bool = True,
        snapshot: Snapshot | None = None,
    ) -> None:
        self._limits = limits
        self._is_warm = is_warm
        self._server = ForkServer(module, limits.memory_bytes, snapshot)
        self._estimator = Estimator(self._server, cpu_s=limits.cpu_s, memory_bytes=limits.memory_bytes)
        self._queue: deque[_Ticket] = deque()
        self._current: dict[TaskId, _Ticket] = {}
        self._lock = threading.Lock()
        self._slots = [_Slot(self._lock) for _ in range(size)]
        #: Those that wait for a job; the one that waits last gets the next, its caches are the warmest.
        self._idle: list[_Slot] = []
        self._is_closed = False
        self._threads = [
            threading.Thread(target=self._work, args=(slot,), name=f"worker-{n}", daemon=True)
            for n, slot in enumerate(self._slots)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def running(self) -> int:
        """Number of jobs that have a worker."""
        return len(self._current)

    @property
    def worker_pids(self) -> tuple[int, ...]:
        """Process ids of the workers that have a job."""
        with self._lock:
            return tuple(t.worker.pid for t in self._current.values() if t.worker is not None)

    @property
    def server_pid(self) -> int | None:
        """Process id of the fork server, None before the first worker."""
        return self._server.pid

    def start(
        self, run: Run, on_partial: OnPartial, on_stage: OnStage, *, clock: CostModel | None = None
    ) -> Future[TaskResult]:
        """Queue a job; one with a clock keeps it, and may take that time beyond its limit by the clock."""
        ticket = _Ticket(run=run, on_partial=on_partial, on_stage=on_stage, future=Future(), clock=clock)
        with self._lock:
            if self._is_closed:
                ticket.future.set_exception(_closed())
                return ticket.future
            self._queue.append(ticket)
            self._hand_out()
        return ticket.future

    def estimate(self, run: Run, timeout_s: float) -> Future[DryRun]:
        """Have a dry run made, beside the jobs; see `DeviceDriver.estimate`."""
        return self._estimator.ask(run, timeout_s)

    def stop(self, task_id: TaskId) -> None:
        """Drop a queued job, or kill the worker that runs it; its future ends with `TaskCancelledError`.

        A dry run likewise.
        """
        self._estimator.stop(task_id)
        with self._lock:
            waiting = [t for t in self._queue if t.run.task_id == task_id]
            for ticket in waiting:
                self._queue.remove(ticket)
            current = self._current.get(task_id)
            if current is not None:
                current.is_stopped = True
                if current.worker is not None:
                    current.worker.kill()
        for ticket in waiting:
            ticket.future.set_exception(_stopped())

    def close(self) -> None:
        """Stop every job, end workers, server and threads."""
        with self._lock:
            self._is_closed = True
            for slot in self._slots:
                slot.wake.notify()
            tasks = [t.run.task_id for t in (*self._queue, *self._current.values())]
        for task_id in tasks:
            self.stop(task_id)
        self._server.close()
        self._estimator.close()
        for thread in self._threads:
            thread.join()

    # ------------------------------------------------------------ one slot

    def _work(self, slot: _Slot) -> None:
        try:
            while True:
                if slot.worker is None and self._is_warm:
                    slot.worker = self._spawn_ahead()
                ticket = self._take(slot)
                self._is_warm = True
                if ticket is None:
                    return
                slot.worker = self._run(ticket, slot.worker)
        finally:
            if slot.worker is not None:
                slot.worker.close()

    def _spawn_ahead(self) -> Worker | None:
        """Have a worker ready before there is a job for it; a failure is told to the next job."""
        try:
            return self._server.spawn()
        except Exception:  # noqa: BLE001 - whatever it is, the next job's own attempt names it
            return None

    def _take(self, slot: _Slot) -> _Ticket | None:
        """Wait for a job; None once the pool is closed."""
        with self._lock:
            self._idle.append(slot)
            self._hand_out()
            slot.wake.wait_for(lambda: self._is_closed or slot.ticket is not None)
            if slot.ticket is None:
                self._idle.remove(slot)
            ticket, slot.ticket = slot.ticket, None
            return ticket

    def _hand_out(self) -> None:
        """Give jobs to idle slots, and to their workers where that takes no waiting; call it with the lock."""
        while self._idle and not self._is_closed and (ticket := self._next()) is not None:
            self._queue.remove(ticket)
            self._current[ticket.run.task_id] = ticket
            slot = next((one for one in reversed(self._idle) if one.worker is not None), self._idle[-1])
            self._idle.remove(slot)
            slot.ticket = ticket
            if slot.worker is not None:
                ticket.is_given = self._give_at_once(ticket, slot.worker)
            slot.wake.notify()

    def _give_at_once(self, ticket: _Ticket, worker: Worker) -> bool:
        """Send a small job to an idle worker; False: its thread is to do it, and to find out what is wrong."""
        if _bytes(ticket.run) > SMALL_BYTES:
            return False
        try:
            worker.forget_output()
            return worker.give_at_once(self._job(ticket))
        except Exception:  # noqa: BLE001 - the same will happen to the thread, which can deal with it
            return False

    def _next(self) -> _Ticket | None:
        """Return the job to run next: the oldest, but those that keep the device's clock have it one by one."""
        if not self._queue:
            return None
        is_taken = any(ticket.clock is not None for ticket in self._current.values())
        return next((t for t in self._queue if t.clock is None or not is_taken), None)

    def _job(self, ticket: _Ticket) -> Job:
        return Job(run=ticket.run, cpu_s=self._limits.cpu_s, clock=ticket.clock)

    def _run(self, ticket: _Ticket, worker: Worker | None) -> Worker | None:
        """Run one job to its end; returns the worker if it is still good."""
        while True:
            try:
                if worker is None:
                    worker = self._server.spawn()
                outcome, worker = self._run_once(ticket, worker)
            except Exception as problem:  # noqa: BLE001 - a job may cost its worker, never this thread
                if worker is not None:
                    worker.close()
                outcome = problem if isinstance(problem, AgentError) else deaths.defect(problem)
                worker = None
            if (
                isinstance(outcome, AgentError)
                and outcome.retryable
                and not ticket.is_stopped
                and ticket.tries < _MORE_TRIES
                and not self._is_closed
            ):
                ticket.tries += 1
                continue
            break
        with self._lock:
            self._current.pop(ticket.run.task_id, None)
            ticket.worker = None
        if isinstance(outcome, TaskResult):
            ticket.future.set_result(outcome)
        elif ticket.is_stopped:
            ticket.future.set_exception(_stopped())
        else:
            ticket.future.set_exception(_final(outcome))
        return worker

    def _run_once(self, ticket: _Ticket, worker: Worker) -> tuple[TaskResult | QmioError, Worker | None]:
        with self._lock:
            ticket.worker = worker
            if ticket.is_stopped:
                worker.kill()
        try:
            if not ticket.is_given:
                worker.forget_output()
                worker.give(self._job(ticket))
            ticket.is_given = False  # the next try sends it anew
            ticket.on_stage("reading")
            outcome, is_good = self._listen(ticket, worker)
        except ChannelClosedError:
            status = worker.exit_status(_DEATH_S)
            outcome, is_good = self._cause(status, worker), False
        with self._lock:
            ticket.worker = None
        if not is_good:
            worker.close()
            return outcome, None
        return outcome, worker

    def _listen(self, ticket: _Ticket, worker: Worker) -> tuple[TaskResult | QmioError, bool]:
        began = time.monotonic()
        allowed, what = min(self._limits.compile_s, self._limits.wall_s), "to be read and compiled"
        while True:
            try:
                data = worker.channel.receive(max(0.0, began + allowed - time.monotonic()))
            except ChannelTimeoutError:
                return deaths.out_of_time(f"took longer than {allowed:g} s {what}"), False
            except MessageTooLargeError as problem:
                return deaths.out_of_room(problem.size), False
            match msgspec.msgpack.decode(data, type=FromWorker):
                case Stage(stage=stage):
                    if stage == RUNNING:
                        allowed, what = self._limits.wall_s + _device_s(ticket), "to run"
                    ticket.on_stage(stage)
                case Partial(result=result):
                    if result.shots_done > ticket.shots_told:
                        ticket.on_partial(_numbered(ticket, result))
                case Done(result=result, is_last=is_last):
                    return _numbered(ticket, result), not is_last
                case Failed(code=code, message=message, hint=hint, is_last=is_last):
                    return from_code(code, message, hint=hint), not is_last

    def _cause(self, status: int | None, worker: Worker) -> AgentError:
        return deaths.cause(
            status, worker.output(), cpu_s=self._limits.cpu_s, memory_bytes=self._limits.memory_bytes
        )


def _bytes(run: Run) -> int:
    """Return about how large a job is, without its snapshot."""
    parameters = (item.parameters for item in run.spec.items if item.parameters is not None)
    return sum(len(one.data) for one in run.programs.values()) + sum(len(one.data) for one in parameters)


def _device_s(ticket: _Ticket) -> float:
    """Return the seconds its device's clock asks for."""
    if ticket.clock is None:
        return 0.0
    spec = ticket.run.spec
    return device_s(ticket.clock, sum(item.bindings for item in spec.items), spec.total_shots)


def _numbered(ticket: _Ticket, result: TaskResult) -> TaskResult:
    """Return a result with a revision above all that were told: a job's second try begins anew."""
    ticket.shots_told = result.shots_done
    ticket.revision = max(result.revision, ticket.revision + 1)
    return result if result.revision == ticket.revision else replace(result, revision=ticket.revision)


def _final(error: QmioError) -> QmioError:
    """Return the error without the retry flag that only meant "on another worker"."""
    return from_code(error.code, error.message, hint=error.hint, detail=error.detail)


def _stopped() -> TaskCancelledError:
    return TaskCancelledError("the task was stopped on the device")


def _closed() -> AgentError:
    return AgentError("the device is closed", code="agent.worker", retryable=True)
