"""A device that computes nothing: deterministic counts from the seed, at once or after a set device time.

It takes any media type and never reads a program. It is for trying everything else: queues, positions,
filling histograms (``pace=real``), cancelling, failing. A task's ``device_options``:

``seconds``   device time of the task;
``partials``  how many partial results come before the last one (else: one per batch, when time passes);
``fail``      an error code (or ``yes``): the task fails with it at its end;
``bits``      classical bits of every item (default 2).

Timed tasks take the device one after the other, as on a QPU; without device time they end within `start`.
"""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future

import msgspec

from qmio_jupyter._version import __version__
from qmio_jupyter.drivers.options import Options
from qmio_jupyter.drivers.seeds import batch_seed
from qmio_jupyter.errors import AgentError, QmioError, TaskCancelledError, from_code
from qmio_jupyter.model.device import CostModel, DeviceDescription, DeviceState, Snapshot
from qmio_jupyter.model.ids import TaskId
from qmio_jupyter.model.program import MEDIA_TYPES
from qmio_jupyter.model.result import BindingCounts, ItemResult, Register, TaskResult, key_width, pack_counts
from qmio_jupyter.ports import OnPartial, OnStage, Run

_SETTINGS = ("t0_s", "per_shot_s", "batch_shots", "credit", "workers", "memory_bytes", "cpu_s", "wall_s")
_OPTIONS = ("seconds", "partials", "fail", "bits")
#: Shots with memory above which the result is made in the thread, not in the agent's loop.
_QUICK_SHOTS = 20_000
_SOFTWARE = (("qmio_jupyter", __version__),)
_MOST_PARTIALS = 1000


class _Timed(msgspec.Struct, kw_only=True):
    """A task that takes the device for a time."""

    run: Run
    on_partial: OnPartial
    on_stage: OnStage
    future: Future[TaskResult]
    seconds: float
    #: (share of the device time, shots done) of each partial result.
    marks: list[tuple[float, int]]
    fail: str
    bits: int
    began: float = 0.0


class EchoDriver:
    """See the module; one thread, started with the first task that takes time."""

    def __init__(self, name: str, options: Mapping[str, str]) -> None:
        settings = Options(options, _SETTINGS, name)
        self._name = name
        self._cost = CostModel(
            t0_s=settings.number("t0_s", 0.05), per_shot_s=settings.number("per_shot_s", 2.5e-4)
        )
        self._batch_shots = settings.integer("batch_shots", 1000, at_least=1)
        self._queue: deque[_Timed] = deque()
        self._current: _Timed | None = None
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._is_closed = False

    def describe(self) -> DeviceDescription:
        """Return the device's description."""
        return DeviceDescription(
            name=self._name,
            title="Echo: computes nothing, for trying everything else",
            n_qubits=None,
            driver="echo",
            batch_shots=self._batch_shots,
            media_types=MEDIA_TYPES,
            qpy_versions=(13, 255),
            options=_OPTIONS,
        )

    def state(self) -> DeviceState:
        """Return ``busy`` while a timed task has the device."""
        return DeviceState.BUSY if self._current is not None else DeviceState.IDLE

    def snapshot(self) -> Snapshot | None:
        """Return None: nothing is calibrated here."""
        return None

    def start(self, run: Run, on_partial: OnPartial, on_stage: OnStage) -> Future[TaskResult]:
        """Start a run; one without device time has ended when this returns."""
        future: Future[TaskResult] = Future()
        try:
            timed = self._plan(run, on_partial, on_stage, future)
        except QmioError as error:
            future.set_exception(error)
            return future
        is_long = run.spec.options.memory and run.spec.total_shots > _QUICK_SHOTS
        if timed.seconds <= 0 and not timed.marks and not is_long:
            _end(timed, self._name, 0.0)
            return future
        with self._changed:
            if self._is_closed:
                future.set_exception(AgentError("the device is closed", retryable=True))
                return future
            self._queue.append(timed)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="echo", daemon=True)
                self._thread.start()
            self._changed.notify_all()
        return future

    def stop(self, task_id: TaskId) -> None:
        """Stop a run, queued or on the device; its future ends with `TaskCancelledError`."""
        with self._changed:
            stopped = [t for t in (*self._queue, self._current) if t is not None and t.run.task_id == task_id]
            for timed in stopped:
                if timed is self._current:
                    self._current = None
                else:
                    self._queue.remove(timed)
            self._changed.notify_all()
        for timed in stopped:
            timed.future.set_exception(TaskCancelledError("the task was stopped on the device"))

    def close(self) -> None:
        """Stop everything and end the thread."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
            tasks = {t.run.task_id for t in (*self._queue, self._current) if t is not None}
        for task_id in tasks:
            self.stop(task_id)
        if self._thread is not None:
            self._thread.join()

    def _plan(self, run: Run, on_partial: OnPartial, on_stage: OnStage, future: Future[TaskResult]) -> _Timed:
        options = Options(dict(run.spec.options.device_options), _OPTIONS, self._name, is_user=True)
        shots = run.spec.total_shots
        batch_shots = max(1, run.contract.batch_shots)
        seconds = options.number("seconds", -1.0, at_most=86_400.0)
        if seconds < 0:
            seconds = 0.0
            if run.spec.options.pace == "real":
                bindings = sum(item.bindings for item in run.spec.items)
                seconds = bindings * self._cost.t0_s + shots * self._cost.per_shot_s
        by_batch = min(_MOST_PARTIALS, -(-shots // batch_shots) - 1) if seconds > 0 else 0
        count = options.integer("partials", by_batch, at_most=_MOST_PARTIALS)
        marks = [
            (k / (count + 1), done)
            for k in range(1, count + 1)
            if 0 < (done := shots * k // (count + 1)) < shots
        ]
        fail = options.text("fail", "no")
        return _Timed(
            run=run,
            on_partial=on_partial,
            on_stage=on_stage,
            future=future,
            seconds=seconds,
            marks=marks,
            fail="" if fail in ("no", "false", "0") else fail,
            bits=options.integer("bits", 2, at_least=1, at_most=4096),
        )

    def _work(self) -> None:
        while (timed := self._next()) is not None:
            timed.on_stage("running")
            timed.began = time.monotonic()
            revision = 0
            is_ours = True
            for share, done in timed.marks:
                is_ours = self._wait_until(timed, timed.began + share * timed.seconds)
                if not is_ours:
                    break
                revision += 1
                timed.on_partial(_result(timed, self._name, done, revision))
            if is_ours and self._wait_until(timed, timed.began + timed.seconds) and self._release(timed):
                _end(timed, self._name, time.monotonic() - timed.began, revision)

    def _next(self) -> _Timed | None:
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._is_closed)
            if self._is_closed:
                return None
            self._current = self._queue.popleft()
            return self._current

    def _wait_until(self, timed: _Timed, instant: float) -> bool:
        """Wait for device time to pass; False as soon as the task was stopped."""
        with self._changed:
            self._changed.wait_for(lambda: self._current is not timed, max(0.0, instant - time.monotonic()))
            return self._current is timed

    def _release(self, timed: _Timed) -> bool:
        with self._changed:
            is_ours = self._current is timed
            if is_ours:
                self._current = None
            return is_ours


def _end(timed: _Timed, name: str, seconds: float, revision: int = 0) -> None:
    if timed.fail:
        code = timed.fail if "." in timed.fail else "agent"
        error = from_code(code, "the task failed because it was asked to", hint="Leave out fail=.")
        timed.future.set_exception(error)
        return
    timed.future.set_result(
        _result(timed, name, timed.run.spec.total_shots, revision + 1, seconds, final=True)
    )


def _result(
    timed: _Timed, name: str, done: int, revision: int, seconds: float = 0.0, *, final: bool = False
) -> TaskResult:
    """Return the counts of the first `done` shots over all items and bindings, in order."""
    run = timed.run
    registers = (Register(name="echo", bits=tuple(range(timed.bits))),)
    items: list[ItemResult] = []
    left = done
    for index, item in enumerate(run.spec.items):
        bindings: list[BindingCounts] = []
        for binding in range(item.bindings):
            shots = min(left, item.shots)
            left -= shots
            bindings.append(_counts(run, timed.bits, index, binding, shots))
        items.append(ItemResult(n_bits=timed.bits, registers=registers, bindings=tuple(bindings)))
    return TaskResult(
        task_id=run.task_id,
        device=name,
        items=tuple(items),
        shots=run.spec.total_shots,
        shots_done=done,
        revision=revision,
        is_final=final,
        seed=run.contract.seed,
        snapshot_id=run.contract.snapshot_id,
        durations=(("compiled", 0.0), ("on_device", seconds), ("measured", 0.0)),
        software=_SOFTWARE,
    )


def _counts(run: Run, bits: int, item: int, binding: int, shots: int) -> BindingCounts:
    """Draw `shots` outcomes, all zeros or all ones, evenly, as of a GHZ state.

    A smaller number of shots gives the beginning of what a larger one gives, so partial counts only grow.
    """
    rng = random.Random(batch_seed(run.contract.seed, item, binding, 0))  # noqa: S311 - simulated outcomes
    # Whole words: the generator fills them from the low end, so what follows does not change the low bits.
    drawn = (rng.getrandbits(-(-shots // 32) * 32) & ((1 << shots) - 1)) if shots else 0
    ones = (1 << bits) - 1
    high = drawn.bit_count()
    keys, counts = pack_counts([pair for pair in ((0, shots - high), (ones, high)) if pair[1]], bits)
    memory = None
    if run.spec.options.memory:
        width = key_width(bits)
        rows = (bytes(width), ones.to_bytes(width, "little"))
        memory = b"".join(rows[digit == "1"] for digit in reversed(f"{drawn:0{shots}b}")) if shots else b""
    return BindingCounts(shots=shots, keys=keys, counts=counts, memory=memory)


def make(name: str, options: Mapping[str, str]) -> EchoDriver:
    """Return an echo device named `name`; see `DeviceDriver`."""
    return EchoDriver(name, options)
