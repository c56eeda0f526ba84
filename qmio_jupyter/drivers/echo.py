"""A device that computes nothing: deterministic counts from the seed, at once or after a set device time.

It takes any media type and never reads a program. It is for trying everything else: queues, positions,
filling histograms (``pace=real``), cancelling, failing. A task's ``device_options``:

``seconds``   device time of the task;
``partials``  how many partial results come before the last one (else: one per batch, when time passes);
``fail``      an error code (or ``yes``): the task fails with it at its end;
``bits``      classical bits of every item (default 2).

Timed tasks take the device one after the other, as on a QPU; without device time a small one ends within `start`.
Large ones are made in the device's own thread, one binding after the other, and what could not be sent is refused.
"""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future

import msgspec

from qmio_jupyter._version import __version__
from qmio_jupyter.drivers.options import Options, check_rows
from qmio_jupyter.drivers.seeds import batch_seed
from qmio_jupyter.drivers.sizes import RESULT_BYTES
from qmio_jupyter.errors import AgentError, LimitError, QmioError, TaskCancelledError, from_code
from qmio_jupyter.model.device import CostModel, DeviceDescription, DeviceState, Snapshot
from qmio_jupyter.model.dry_run import DryRun, DryRunItem
from qmio_jupyter.model.ids import TaskId
from qmio_jupyter.model.program import MEDIA_TYPES
from qmio_jupyter.model.result import BindingCounts, ItemResult, Register, TaskResult, key_width, pack_counts
from qmio_jupyter.ports import OnPartial, OnStage, Run

_SETTINGS = ("t0_s", "per_shot_s", "batch_shots", "credit", "workers", "memory_bytes", "cpu_s", "wall_s")
_OPTIONS = ("seconds", "partials", "fail", "bits")
#: What is made in the agent's own loop at most, in all; more is made in the thread.
_QUICK_SHOTS = 1_000_000
_QUICK_ROWS = 20_000
_QUICK_BINDINGS = 200
#: What a task may ask for at most, in all.
_MOST_SHOTS = 1_000_000_000
_MOST_BINDINGS = 100_000
#: Bytes of a result around the columns of a binding, and around the layout of an item.
_AROUND = 96
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
    is_quick: bool
    began: float = 0.0


class EchoDriver:
    """See the module; one thread, started with the first task that takes time."""

    def __init__(self, name: str, options: Mapping[str, str]) -> None:
        settings = Options(options, _SETTINGS, name)
        self._name = name
        self._cost = CostModel(
            t0_s=settings.number("t0_s", 0.05), per_shot_s=settings.number("per_shot_s", 2.5e-4)
        )
        #: Without figures of its own a device says none: most tasks take no device time at all.
        self._announced = self._cost if {"t0_s", "per_shot_s"} & set(options) else CostModel()
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
            cost=self._announced,
            parallel=1,  # one timed task after the other, whatever the credit
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
        if timed.seconds <= 0 and not timed.marks and timed.is_quick:
            _settle(timed, _outcome(timed, self._name, 0.0))
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

    def estimate(self, run: Run, timeout_s: float) -> Future[DryRun]:  # noqa: ARG002 - it is at hand
        """Return what a run would take; a program that nobody reads has no qubits, gates or depth to tell."""
        future: Future[DryRun] = Future()
        try:
            timed = self._plan(run, lambda _: None, lambda _: None, Future())
        except QmioError as error:
            future.set_exception(error)
        else:
            future.set_result(_dry_run(timed, self._name))
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
        bits = options.integer("bits", 2, at_least=1, at_most=4096)
        _check_size(run, bits)
        shots = run.spec.total_shots
        bindings = sum(item.bindings for item in run.spec.items)
        batch_shots = max(1, run.contract.batch_shots)
        seconds = options.number("seconds", -1.0, at_most=86_400.0)
        if seconds < 0:
            seconds = 0.0
            if run.spec.options.pace == "real":
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
            bits=bits,
            is_quick=bindings <= _QUICK_BINDINGS
            and shots <= (_QUICK_ROWS if run.spec.options.memory else _QUICK_SHOTS),
        )

    def _work(self) -> None:
        while (timed := self._next()) is not None:
            try:
                outcome = self._pass(timed)
            except Exception as problem:  # noqa: BLE001 - a task may fail, the thread goes on
                outcome = AgentError(f"the device failed ({type(problem).__name__})", code="agent.worker")
            if self._release(timed):
                _settle(timed, outcome)

    def _pass(self, timed: _Timed) -> TaskResult | QmioError:
        """Let a task's device time pass; what it returns for one that was stopped is of no interest."""

        def goes_on() -> bool:
            return self._current is timed

        stopped = TaskCancelledError("the task was stopped on the device")
        timed.on_stage("running")
        timed.began = time.monotonic()
        revision = 0
        due = timed.began
        for share, done in timed.marks:
            if not self._wait_until(timed, timed.began + share * timed.seconds):
                return stopped
            now = time.monotonic()
            if now < due:
                continue
            partial = _result(timed, self._name, done, revision + 1, goes_on=goes_on)
            if partial is None:
                return stopped
            revision += 1
            timed.on_partial(partial)
            if not timed.is_quick:  # never more than a tenth of the time goes into large partial counts
                due = time.monotonic() + 9 * (time.monotonic() - now)
        if not self._wait_until(timed, timed.began + timed.seconds):
            return stopped
        return _outcome(timed, self._name, time.monotonic() - timed.began, revision, goes_on) or stopped

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


def _dry_run(timed: _Timed, name: str) -> DryRun:
    """Return what a task would take: its set device time, shared among its items by their shots."""
    spec = timed.run.spec
    items = []
    for item in spec.items:
        share_s = timed.seconds * item.shots * item.bindings / spec.total_shots
        items.append(
            DryRunItem(
                n_qubits=0,
                n_bits=timed.bits,
                shots=item.shots,
                bindings=item.bindings,
                method="echo",
                why="The device reads no program: all zeros or all ones, evenly.",
                predicted_s=share_s,
                device_s=share_s,
            )
        )
    return DryRun(device=name, items=tuple(items), predicted_s=timed.seconds, device_s=timed.seconds)


def _settle(timed: _Timed, outcome: TaskResult | QmioError | None) -> None:
    if isinstance(outcome, TaskResult):
        timed.future.set_result(outcome)
    else:
        timed.future.set_exception(outcome)


def _outcome(
    timed: _Timed, name: str, seconds: float, revision: int = 0, goes_on: Callable[[], bool] = lambda: True
) -> TaskResult | QmioError | None:
    """Return how a task ends; None as soon as it does not go on."""
    if timed.fail:
        code = timed.fail if "." in timed.fail else "agent"
        return from_code(code, "the task failed because it was asked to", hint="Leave out fail=.")
    shots = timed.run.spec.total_shots
    return _result(timed, name, shots, revision + 1, seconds, final=True, goes_on=goes_on)


def _check_size(run: Run, bits: int) -> None:
    """Refuse what is too much to be made, or to be sent.

    Raises
    ------
    LimitError
        ``limit.shots`` or ``limit.size``, over all items and bindings.
    ProgramError
        ``program.parameters`` for bindings without parameters.
    """
    for item in run.spec.items:
        if item.parameters is not None:
            check_rows(item.parameters)
    shots = run.spec.total_shots
    if shots > _MOST_SHOTS:
        raise LimitError(
            f"the task asks for {shots} shots over all items and bindings, the device takes {_MOST_SHOTS}",
            hint="Ask for fewer shots, items or bindings.",
            code="limit.shots",
        )
    bindings = sum(item.bindings for item in run.spec.items)
    if bindings > _MOST_BINDINGS:
        raise LimitError(
            f"the task has {bindings} bindings over all items, the device takes {_MOST_BINDINGS}",
            hint="Submit several tasks.",
            code="limit.size",
        )
    width = key_width(bits)
    fixed = len(run.spec.items) * (3 * bits + _AROUND) + bindings * (2 * (width + 8) + _AROUND)
    memory = shots * width if run.spec.options.memory else 0
    if fixed + memory > RESULT_BYTES:
        fitting = max(0, RESULT_BYTES - fixed) // width
        raise LimitError(
            f"the result takes {fixed + memory} bytes, a message carries {RESULT_BYTES}",
            hint=f"Ask for at most {fitting} shots over all items and bindings, or leave out memory."
            if memory and fitting
            else "Ask for fewer items, bindings or bits.",
            code="limit.size",
        )


def _result(
    timed: _Timed,
    name: str,
    done: int,
    revision: int,
    seconds: float = 0.0,
    *,
    final: bool = False,
    goes_on: Callable[[], bool] = lambda: True,
) -> TaskResult | None:
    """Return the counts of the first `done` shots over all items and bindings, in order.

    None as soon as `goes_on`, asked before each binding, says no.
    """
    run = timed.run
    registers = (Register(name="echo", bits=tuple(range(timed.bits))),)
    items: list[ItemResult] = []
    left = done
    for index, item in enumerate(run.spec.items):
        bindings: list[BindingCounts] = []
        for binding in range(item.bindings):
            if not goes_on():
                return None
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
