"""The synchronous client's handle of a task."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Generator
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from qmio_jupyter.client.handle import BaseHandle, OnChange, TaskRecord
from qmio_jupyter.client.readings import counts_of, dataframe_of, expectation_of, memory_of, records_of
from qmio_jupyter.errors import DeadlineError, GatewayError, QmioError
from qmio_jupyter.model.parity import Expectation
from qmio_jupyter.model.result import TaskResult
from qmio_jupyter.model.task import TaskState, TaskView

if TYPE_CHECKING:
    from qmio_jupyter.client.sync import Client

#: How often a wait without news looks whether there still is a gateway.
_LOOK_S = 1.0
#: So long a handle that is shown waits for its result.
_SHOW_S = 2.0


class TaskHandle(BaseHandle):
    """A task of the synchronous client. ``await handle`` gives its result in any event loop."""

    def __init__(self, client: Client, record: TaskRecord) -> None:
        super().__init__(record, client.snapshots_seen)
        self._client = client

    def wait(self, timeout_s: float | None = None, on_change: OnChange | None = None) -> TaskView:
        """Wait until the task has ended; return its last view, whatever its state.

        Interrupting the wait (`KeyboardInterrupt`) leaves the task running: wait again, or `cancel` it.

        Parameters
        ----------
        timeout_s : float, optional
            Seconds to wait; None waits as long as the task takes and a gateway answers.
        on_change : callable, optional
            Called in this thread with (view, newest partial counts or None): at once, and after every change.

        Raises
        ------
        DeadlineError
            The task goes on.
        GatewayError
            No gateway has answered for ``client.unreachable_s``; an accepted task is safe.
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        seen = -1
        news = self._client.changed.listen()
        while True:
            while self._record.version == seen:
                self._wait_for_news(news, deadline, timeout_s)
            with self._client.changed.lock:
                seen = self._record.version
                view, partial, error = self.view, self._record.partial, self._record.error
            if on_change is not None:
                on_change(view, partial)
            if view.state.is_final:
                return view
            if error is not None:
                raise error

    def _wait_for_news(
        self, news: SimpleQueue[None], deadline: float | None, timeout_s: float | None
    ) -> None:
        self._client.check()
        left = _LOOK_S if deadline is None else deadline - time.monotonic()
        if left <= 0:
            raise DeadlineError(
                f"task {self.task_id} is {self.view.state} after {timeout_s:g} s",
                hint="It goes on: attach to it, or cancel it.",
            )
        with suppress(Empty):
            news.get(timeout=min(left, _LOOK_S))
        if self._client.unreachable_s > self._client.settings.unreachable_s:
            raise GatewayError(
                f"no gateway has answered for {self._client.unreachable_s:.0f} s",
                hint=f"Task {self.task_id} is safe: start a gateway (jupyter qmio up) and attach to it.",
            )

    def result(self, timeout_s: float | None = None) -> TaskResult:
        """Wait for the task and return its final result.

        Raises
        ------
        TaskFailedError, TaskCancelledError
            It ended without one.
        DeadlineError, GatewayError
            As :meth:`wait`.
        """
        started = time.monotonic()
        self.wait(timeout_s)
        self.raise_for_state()
        if self._record.result is None:
            left = None if timeout_s is None else max(1.0, timeout_s - (time.monotonic() - started))
            self._record.result = self._client.result(self.task_id, timeout_s=left)
        return self._record.result

    def counts(self, item: int = 0, binding: int = 0, register: str | None = None) -> list[tuple[str, int]]:
        """Wait for the result; return ``[(bitstring, count), ...]`` ordered by bitstring value.

        Parameters
        ----------
        item, binding : int
            Which circuit of the task, and which of its bindings.
        register : str, optional
            Only the bits of this classical register; all bits, joint, when None.
        """
        return counts_of(self.result(), item, binding, register)

    def counts_dict(self, item: int = 0, binding: int = 0, register: str | None = None) -> dict[str, int]:
        """Wait for the result; return the same as `counts` as a dict: what Qiskit's ``plot_histogram`` takes."""
        return dict(self.counts(item, binding, register))

    def memory(self, item: int = 0, binding: int = 0, register: str | None = None) -> list[str]:
        """Wait for the result; return the bitstring of each shot, in order of execution.

        Raises
        ------
        UsageError
            If the task was not asked to keep its shots (``--memory``).
        """
        return memory_of(self.result(), item, binding, register)

    def expectation(self, parity: str, item: int = 0, binding: int = 0) -> Expectation:
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
        return expectation_of(self.result(), parity, item, binding)

    def records(self) -> list[dict[str, Any]]:
        """Wait for the result; return a dict per outcome of every circuit and binding.

        Its keys: item, binding, each parameter whose value is known, outcome, count, shots, share, error (the share's
        binomial standard error).
        """
        return records_of(self.result(), self._record.about)

    def to_dataframe(self) -> Any:
        """Wait for the result; return `records` as a pandas DataFrame.

        Raises
        ------
        UsageError
            If pandas is not installed.
        """
        return dataframe_of(self.result(), self._record.about)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        # A result that was not delivered with the task's end is fetched, if that is quick.
        if self.state is TaskState.COMPLETED and self._record.result is None:
            with suppress(QmioError):
                self.result(_SHOW_S)
        return super()._repr_mimebundle_(include, exclude)

    def cancel(self, timeout_s: float | None = 2.0) -> TaskView:
        """Ask for the task's end; return how it stands now (``cancelling`` while it still runs)."""
        view = self._client.cancel(self.task_id, timeout_s=timeout_s)
        with self._client.changed.lock:
            self._record.see(view)
        self._client.changed.tell()
        return view

    def __await__(self) -> Generator[Any, None, TaskResult]:
        """Wait in an event loop, without blocking it, for the result."""
        return self._result_async().__await__()

    async def _result_async(self) -> TaskResult:
        loop = asyncio.get_running_loop()
        news = asyncio.Event()

        def tell() -> None:
            # The loop may be gone by now; then nobody waits.
            if not loop.is_closed():
                loop.call_soon_threadsafe(news.set)

        stop = self.listen(tell)
        try:
            while not self.done() and self._record.error is None:
                self._client.check()
                try:
                    await asyncio.wait_for(news.wait(), _LOOK_S)
                except TimeoutError:
                    continue
                news.clear()
        finally:
            stop()
        return await asyncio.to_thread(self.result)
