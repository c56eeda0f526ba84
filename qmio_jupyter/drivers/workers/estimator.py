"""Dry runs in workers of their own: they wait for no run, and no run waits for them.

Threads and workers are made with the first questions, from the fork server that runs have too, and a worker that
nobody asks for a while is let go. A question has its deadline from the start, its wait for a worker included.
"""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import Future
from typing import Final, Protocol

import msgspec

from qmio_jupyter.drivers.workers import deaths
from qmio_jupyter.drivers.workers.channel import ChannelClosedError, MessageTooLargeError
from qmio_jupyter.drivers.workers.fork import Worker
from qmio_jupyter.drivers.workers.messages import Estimated, Failed, FromWorker, Job
from qmio_jupyter.errors import AgentError, DeadlineError, QmioError, TaskCancelledError, from_code
from qmio_jupyter.model.dry_run import DryRun
from qmio_jupyter.model.ids import TaskId
from qmio_jupyter.ports import Run

#: Questions worked on at once: one that takes long does not keep the next one waiting.
SLOTS: Final = 2
#: Seconds after which a worker that nobody asks is let go.
IDLE_S: Final = 60.0
_DEATH_S: Final = 5.0


class Server(Protocol):
    """Where workers come from (`ForkServer`)."""

    def spawn(self) -> Worker:
        """Return a fresh worker; raises `AgentError`."""
        ...


class _Question(msgspec.Struct, kw_only=True, eq=False):
    run: Run
    timeout_s: float
    future: Future[DryRun]
    #: Why it is to end before it is answered.
    end: QmioError | None = None
    worker: Worker | None = None
    timer: threading.Timer | None = None


class Estimator:
    """Answers dry runs.

    Parameters
    ----------
    server : Server
        Where its workers come from.
    cpu_s : float
        Seconds of processor time for one question.
    memory_bytes : int
        Address space of each worker, for the words of an error.
    """

    def __init__(self, server: Server, *, cpu_s: float, memory_bytes: int) -> None:
        self._server = server
        self._cpu_s = cpu_s
        self._memory_bytes = memory_bytes
        self._queue: deque[_Question] = deque()
        self._current: list[_Question] = []
        self._changed = threading.Condition()
        self._threads: list[threading.Thread] = []
        self._is_closed = False

    def ask(self, run: Run, timeout_s: float) -> Future[DryRun]:
        """Have a dry run made; see `DeviceDriver.estimate`."""
        question = _Question(run=run, timeout_s=timeout_s, future=Future())
        with self._changed:
            if self._is_closed:
                question.future.set_exception(_closed())
                return question.future
            question.timer = threading.Timer(timeout_s, self._expire, (question,))
            question.timer.daemon = True
            question.timer.start()
            self._queue.append(question)
            if len(self._threads) < min(SLOTS, len(self._queue) + len(self._current)):
                thread = threading.Thread(
                    target=self._work, name=f"estimates-{len(self._threads)}", daemon=True
                )
                self._threads.append(thread)
                thread.start()
            self._changed.notify()
        return question.future

    def stop(self, task_id: TaskId) -> None:
        """End the question about this run; its future gives `TaskCancelledError`."""
        with self._changed:
            found = [q for q in (*self._queue, *self._current) if q.run.task_id == task_id]
        for question in found:
            self._cut_short(question, TaskCancelledError("the dry run was stopped"))

    def close(self) -> None:
        """End every question, workers and threads."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
            open_questions = [*self._queue, *self._current]
        for question in open_questions:
            self._cut_short(question, _closed())
        for thread in self._threads:
            thread.join()

    # ------------------------------------------------------------ ends

    def _expire(self, question: _Question) -> None:
        late = DeadlineError(
            f"the dry run took longer than {question.timeout_s:.3g} s",
            hint="Make the program smaller, or allow more time.",
        )
        self._cut_short(question, late)

    def _cut_short(self, question: _Question, why: QmioError) -> None:
        """End a question that waits; kill the worker of one that is worked on."""
        with self._changed:
            is_waiting = question in self._queue
            if is_waiting:
                self._queue.remove(question)
            elif question.end is None:
                question.end = why
                if question.worker is not None:
                    question.worker.kill()
        if is_waiting:
            _settle(question, why)

    # ------------------------------------------------------------ one slot

    def _work(self) -> None:
        worker: Worker | None = None
        while True:
            question, is_idle = self._take(None if worker is None else IDLE_S)
            if question is None:
                if worker is not None:
                    worker.close()
                    worker = None
                if is_idle:
                    continue
                return
            outcome: DryRun | QmioError
            try:
                if worker is None:
                    worker = self._server.spawn()
                outcome, is_good = self._answer(question, worker)
            except Exception as problem:  # noqa: BLE001 - a question may cost its worker, never this thread
                outcome = problem if isinstance(problem, QmioError) else deaths.defect(problem)
                is_good = False
            with self._changed:
                self._current.remove(question)
                question.worker = None
                end = question.end
            if worker is not None and (end is not None or not is_good):
                worker.close()
                worker = None
            _settle(question, outcome if end is None else end)

    def _take(self, idle_s: float | None) -> tuple[_Question | None, bool]:
        """Return the next question, or none and whether that is for want of questions."""
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._is_closed, idle_s)
            if self._is_closed or not self._queue:
                return None, not self._is_closed
            question = self._queue.popleft()
            self._current.append(question)
            return question, False

    def _answer(self, question: _Question, worker: Worker) -> tuple[DryRun | QmioError, bool]:
        """Return what a worker says, and whether it can be asked again."""
        with self._changed:
            question.worker = worker
            if question.end is not None:
                return question.end, True
        worker.forget_output()
        try:
            worker.give(Job(run=question.run, cpu_s=self._cpu_s, is_dry_run=True))
            # The timer kills the worker in time: then the channel closes.
            while True:
                match msgspec.msgpack.decode(worker.channel.receive(None), type=FromWorker):
                    case Estimated(dry_run=dry_run, is_last=is_last):
                        return dry_run, not is_last
                    case Failed(code=code, message=message, hint=hint, is_last=is_last):
                        return from_code(code, message, hint=hint), not is_last
                    case _:
                        continue
        except ChannelClosedError:
            status = worker.exit_status(_DEATH_S)
            cause = deaths.cause(status, worker.output(), cpu_s=self._cpu_s, memory_bytes=self._memory_bytes)
            return cause, False
        except MessageTooLargeError as problem:
            return deaths.out_of_room(problem.size), False


def _settle(question: _Question, outcome: DryRun | QmioError) -> None:
    if question.timer is not None:
        question.timer.cancel()
    if isinstance(outcome, DryRun):
        question.future.set_result(outcome)
    else:
        question.future.set_exception(outcome)


def _closed() -> AgentError:
    return AgentError("the device is closed", code="agent.worker", retryable=True)
