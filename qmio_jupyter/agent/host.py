"""Hosting a driver: turns the protocol's events into its calls, and its callbacks into commands.

Callbacks come from any thread; they are queued, and the loop is woken through a descriptor.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial

import structlog

from qmio_jupyter.agent.events import (
    AbortRun,
    Announced,
    Event,
    LeaseLapsed,
    Refused,
    StartEstimate,
    StartRun,
    StopEstimate,
)
from qmio_jupyter.agent.protocol import AgentProtocol
from qmio_jupyter.errors import AgentError, QmioError, TaskCancelledError
from qmio_jupyter.model.dry_run import DryRun
from qmio_jupyter.model.result import Outcome, TaskResult
from qmio_jupyter.model.task import ClaimRef, TaskState
from qmio_jupyter.ports import DeviceDriver


class Host:
    """One driver and the runs it has.

    Parameters
    ----------
    driver : DeviceDriver
        Where runs go.
    protocol : AgentProtocol
        Where their news go.
    log : structlog logger
        One line per run that starts, ends or is stopped.

    Attributes
    ----------
    wake_fd : int
        Readable when `drain` has something to do.
    """

    def __init__(
        self,
        driver: DeviceDriver,
        protocol: AgentProtocol,
        log: structlog.typing.FilteringBoundLogger,
    ) -> None:
        self._driver = driver
        self._protocol = protocol
        self._log = log
        self._news: deque[Callable[[], Sequence[Event]]] = deque()
        self._began: dict[ClaimRef, float] = {}
        self.wake_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def perform(self, events: Sequence[Event]) -> None:
        """Do what the protocol asks."""
        waiting = deque(events)
        while waiting:
            match waiting.popleft():
                case StartRun() as start:
                    waiting.extend(self._start(start))
                case AbortRun(ref=ref):
                    self._log.info("run.stop", task=ref.task_id, attempt=ref.attempt)
                    self._driver.stop(ref.task_id)
                case StartEstimate() as asked:
                    self._estimate(asked)
                case StopEstimate(task_id=task_id):
                    self._driver.stop(task_id)
                case LeaseLapsed(ref=ref):
                    self._log.warning("lease.lapsed", task=ref.task_id, attempt=ref.attempt)
                case Announced(epoch=epoch, lease_s=lease_s):
                    self._log.info("announced", epoch=epoch, lease_s=lease_s)
                case Refused(error=error):
                    self._log.warning("refused", code=error.code, error=error.one_line())

    def drain(self) -> None:
        """Pass on everything the driver has said since the last call."""
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self.wake_fd)
        for _ in range(len(self._news)):
            self.perform(self._news.popleft()())

    def close(self) -> None:
        """Stop the driver, then pass on how its runs ended."""
        self._driver.close()
        self.drain()
        os.close(self.wake_fd)

    def _start(self, start: StartRun) -> Sequence[Event]:
        ref = start.ref
        self._began[ref] = time.monotonic()
        try:
            future = self._driver.start(
                start.run, partial(self._on_partial, ref), partial(self._on_stage, ref)
            )
        except Exception as problem:  # noqa: BLE001 - a defect of a driver must not end the agent
            self._log.exception("driver.defect", task=ref.task_id)
            return self._end(ref, _defect(problem))
        if future.done():
            return self._ended(ref, future)
        future.add_done_callback(partial(self._on_end, ref))
        return ()

    def _estimate(self, asked: StartEstimate) -> None:
        try:
            future = self._driver.estimate(asked.run, asked.within_s)
        except Exception as problem:  # noqa: BLE001 - a defect of a driver must not end the agent
            future = Future()
            future.set_exception(problem)
        future.add_done_callback(partial(self._on_estimated, asked.number))

    def _on_estimated(self, number: int, future: Future[DryRun]) -> None:
        def news() -> Sequence[Event]:
            problem = future.exception()
            if problem is not None and not isinstance(problem, QmioError):
                self._log.error("driver.defect", estimate=number, exc_info=problem)
                problem = AgentError(
                    f"the driver failed: {type(problem).__name__}",
                    code="internal",
                    hint="Report it with the agent's log.",
                )
            self._protocol.estimated(number, future.result() if problem is None else problem)
            return ()

        self._say(news)

    def _say(self, news: Callable[[], Sequence[Event]]) -> None:
        self._news.append(news)
        os.eventfd_write(self.wake_fd, 1)

    def _on_partial(self, ref: ClaimRef, result: TaskResult) -> None:
        def news() -> Sequence[Event]:
            self._protocol.progress(ref, result)
            return ()

        self._say(news)

    def _on_stage(self, ref: ClaimRef, stage: str) -> None:
        def news() -> Sequence[Event]:
            self._protocol.started(ref)
            self._protocol.stage(ref, stage)
            return ()

        # Nobody is in a hurry to hear it: it is passed on with whatever wakes the loop next, at most a turn later.
        self._news.append(news)

    def _on_end(self, ref: ClaimRef, future: Future[TaskResult]) -> None:
        self._say(lambda: self._ended(ref, future))

    def _ended(self, ref: ClaimRef, future: Future[TaskResult]) -> Sequence[Event]:
        problem = future.exception()
        result = future.result() if problem is None else None
        seconds = time.monotonic() - self._began.get(ref, time.monotonic())
        if result is not None:
            self._protocol.started(ref)
            device_s = dict(result.durations).get("on_device", seconds)
            return self._end(ref, Outcome(state=TaskState.COMPLETED, result=result, device_s=device_s))
        if isinstance(problem, TaskCancelledError):
            return self._end(ref, Outcome(state=TaskState.CANCELLED, device_s=seconds))
        if isinstance(problem, AgentError) and problem.retryable:
            self._began.pop(ref, None)
            self._log.warning("run.given_back", task=ref.task_id, error=problem.one_line())
            return self._protocol.give_back(ref, problem.message)
        if isinstance(problem, QmioError):
            outcome = Outcome(
                state=TaskState.FAILED,
                error_code=problem.code,
                error_message=problem.message,
                error_hint=problem.hint,
                device_s=seconds,
            )
            return self._end(ref, outcome)
        self._log.error("driver.defect", task=ref.task_id, exc_info=problem)
        return self._end(ref, _defect(problem))

    def _end(self, ref: ClaimRef, outcome: Outcome) -> Sequence[Event]:
        self._began.pop(ref, None)
        # The gateway's log has a line per task already; here only failures are worth the disk.
        say = self._log.info if outcome.state is TaskState.FAILED else self._log.debug
        say(
            "run.end",
            task=ref.task_id,
            attempt=ref.attempt,
            state=outcome.state.value,
            code=outcome.error_code,
            device_s=round(outcome.device_s, 6),
        )
        return self._protocol.finished(ref, outcome)


def _defect(problem: BaseException | None) -> Outcome:
    return Outcome(
        state=TaskState.FAILED,
        error_code="internal",
        error_message=f"the driver failed: {type(problem).__name__}",
        error_hint="Report it with the agent's log.",
    )
