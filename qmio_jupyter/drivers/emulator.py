"""An emulated device: a calibration's topology, gates and noise, in worker processes that are killed to cancel.

The agent's process reads the calibration and announces it; it never parses a program and never imports Qiskit or
numpy. The workers make target and noise of the snapshot that a run is bound to.

A task that keeps the device's clock (``pace real``) has the device for itself, as on a QPU: such tasks run one after
the other, whatever the number of workers.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from concurrent.futures import Future
from statistics import median
from typing import Final

from msgspec.structs import replace

from qmio_jupyter.calibration.record import DeviceRecord
from qmio_jupyter.calibration.snapshots import to_snapshot
from qmio_jupyter.calibration.watching import WatchedCalibration
from qmio_jupyter.drivers.options import Options
from qmio_jupyter.drivers.pace import device_s
from qmio_jupyter.drivers.workers.pool import Pool, PoolLimits
from qmio_jupyter.errors import DeviceError, QmioError
from qmio_jupyter.model.device import CostModel, DeviceDescription, DeviceState, Snapshot
from qmio_jupyter.model.dry_run import DryRun
from qmio_jupyter.model.ids import TaskId
from qmio_jupyter.model.program import QASM2, QASM3, QPY
from qmio_jupyter.model.result import TaskResult
from qmio_jupyter.ports import OnPartial, OnStage, Run

_SETTINGS: Final = (
    "calibration",
    "title",
    "pace",
    "t0_s",
    "repetition_s",
    "readout_s",
    "checked_above",
    "credit",
    "workers",
    "memory_bytes",
    "cpu_s",
    "wall_s",
    "compile_s",
    "batch_shots",
    "warm",
)
#: Seconds between two looks at where the calibration comes from.
LOOK_S: Final = 30.0
_LOG: Final = logging.getLogger(__name__)
_WORKER: Final = "qmio_jupyter.drivers.aer.worker"
#: Seconds before a binding's first shot unless configured: what a control system takes to compile and load a small
#: program (Qmio's own server takes 0.2 to 0.6 s for a Bell pair, alone).
_T0_S: Final = 0.4
#: Without active reset a qubit is left to relax between shots: five times T1 leaves less than 1 % excited.
_T1_BETWEEN_SHOTS: Final = 5.0
#: Where the calibration knows no T1, or no readout time.
_REPETITION_S: Final = 5e-4
_READOUT_S: Final = 2e-6
#: Median cost of a small noisy circuit in a warm worker; the gateway fits it online.
_FAST: Final = CostModel(t0_s=0.01, per_shot_s=1e-6)


class EmulatorDriver:
    """See the module.

    Parameters
    ----------
    name : str
        The device's name.
    options : mapping
        ``calibration`` (``qmio``; else ``fez`` or the path of a calibration file), ``title``; the device clock:
        ``pace`` (``fast``; ``real``: kept by every task), ``t0_s`` per binding, ``repetition_s`` and ``readout_s`` per
        shot; ``checked_above`` (qubits; wider programs are estimated before they queue); and as of ``ideal``:
        ``workers`` (1), ``memory_bytes`` of each (4 GiB), ``cpu_s`` (600), ``wall_s`` (900, beside device time),
        ``compile_s`` (60), ``batch_shots`` (100), ``warm`` (yes; no: workers start with the first task).

    Raises
    ------
    ConfigError
        For an option or a calibration that cannot be used.
    """

    def __init__(self, name: str, options: Mapping[str, str]) -> None:
        settings = Options(options, _SETTINGS, name)
        self._name = name
        self._settings = settings
        self._calibration = WatchedCalibration(settings.text("calibration", "qmio"))
        self._workers = settings.integer("workers", 1, at_least=1, at_most=256)
        self._adopt(self._calibration.record)
        self._look_at_s = time.monotonic() + LOOK_S
        limits = PoolLimits(
            memory_bytes=settings.integer("memory_bytes", 4 * 2**30, at_least=2**31),
            cpu_s=settings.number("cpu_s", 600.0, at_least=0.01),
            wall_s=settings.number("wall_s", 900.0, at_least=0.01),
            compile_s=settings.number("compile_s", 60.0, at_least=0.01),
        )
        self._pool = Pool(
            _WORKER,
            self._workers,
            limits,
            is_warm=settings.flag("warm", default="yes"),
            snapshot=self._snapshot,
        )

    @property
    def pool(self) -> Pool:
        """The workers, for whoever looks after them."""
        return self._pool

    def describe(self) -> DeviceDescription:
        """Return the device's description."""
        return self._description

    def _adopt(self, record: DeviceRecord) -> None:
        """Be the device of `record` from now on; runs that have begun keep theirs."""
        self._snapshot = to_snapshot(record, self._name)
        self._clock = _clock(record, self._settings)
        self._description = self._describe(record)

    def _describe(self, record: DeviceRecord) -> DeviceDescription:
        settings = self._settings
        pace = settings.text("pace", "fast", among=("fast", "real"))
        return DeviceDescription(
            name=self._name,
            title=settings.text("title") or f"Emulated: {record.source}",
            n_qubits=record.n_qubits,
            driver="emulator",
            batch_shots=settings.integer("batch_shots", 100, at_least=1),
            media_types=(QASM2, QASM3, QPY),
            qpy_versions=(13, 18),
            cost=self._clock if pace == "real" else _FAST,
            clock=self._clock,
            pace=pace,
            checked_above=settings.integer("checked_above", 12),
            parallel=1 if pace == "real" else self._workers,
            native_gates=record.native_gates,
            couplings=record.couplings,
        )

    def state(self) -> DeviceState:
        """Return ``busy`` while a worker has a job; ``degraded`` if its newest calibration cannot be used."""
        if self._calibration.problem:
            return DeviceState.DEGRADED
        return DeviceState.BUSY if self._pool.running else DeviceState.IDLE

    def snapshot(self) -> Snapshot | None:
        """Return the calibration that this device emulates: asked for often, looked at anew every `LOOK_S`."""
        now_s = time.monotonic()
        if now_s >= self._look_at_s:
            self._look_at_s = now_s + LOOK_S
            self._look()
        return self._snapshot

    def _look(self) -> None:
        before = self._calibration.problem
        if self._calibration.look():
            self._adopt(self._calibration.record)
        if (problem := self._calibration.problem) not in ("", before):
            _LOG.warning("%s keeps its calibration; the newest: %s", self._name, problem)

    def start(self, run: Run, on_partial: OnPartial, on_stage: OnStage) -> Future[TaskResult]:
        """Queue a run for the next free worker; one that keeps the clock, behind all others that do."""
        try:
            self._check(run)
        except QmioError as error:
            refused: Future[TaskResult] = Future()
            refused.set_exception(error)
            return refused
        clock = self._clock if "real" in (self._description.pace, run.spec.options.pace) else None
        return self._pool.start(run, on_partial, on_stage, clock=clock)

    def estimate(self, run: Run, timeout_s: float) -> Future[DryRun]:
        """Have a run compiled and its method chosen, in a worker that is there for this alone."""
        timed: Future[DryRun] = Future()
        try:
            self._check(run)
        except QmioError as error:
            timed.set_exception(error)
            return timed
        self._pool.estimate(run, timeout_s).add_done_callback(lambda made: self._tell(made, timed))
        return timed

    def _check(self, run: Run) -> None:
        Options(dict(run.spec.options.device_options), (), self._name, is_user=True)
        if run.snapshot is None:  # it would run without noise, and nobody would see it
            raise DeviceError(
                f"the run is bound to no snapshot of {self._name}",
                hint="Submit it again.",
                code="device.snapshot",
            )

    def _tell(self, made: Future[DryRun], timed: Future[DryRun]) -> None:
        """Pass a dry run on, with what it would take by the device's clock."""
        problem = made.exception()
        if problem is not None:
            timed.set_exception(problem)
            return
        plain = made.result()
        items = tuple(
            replace(item, device_s=device_s(self._clock, item.bindings, item.shots * item.bindings))
            for item in plain.items
        )
        seconds = sum(item.device_s or 0.0 for item in items)
        timed.set_result(replace(plain, items=items, device_s=seconds))

    def stop(self, task_id: TaskId) -> None:
        """Kill the worker that runs it; its future ends with `TaskCancelledError`."""
        self._pool.stop(task_id)

    def close(self) -> None:
        """Stop everything, leave no process behind."""
        self._pool.close()


def _clock(record: DeviceRecord, settings: Options) -> CostModel:
    """Return the device's clock: as configured, else as its calibration has it.

    A shot takes the repetition period, and the readout of the slowest qubit: what a program measures is not asked.
    """
    t1_s = [qubit.t1_s for qubit in record.qubits if qubit.t1_s is not None and qubit.t1_s > 0]
    readout_s = [qubit.readout_s for qubit in record.qubits if qubit.readout_s is not None]
    repetition_s = round(_T1_BETWEEN_SHOTS * median(t1_s), 6) if t1_s else _REPETITION_S
    repetition_s = settings.number("repetition_s", repetition_s, at_most=1.0)
    longest_s = settings.number("readout_s", max(readout_s, default=_READOUT_S), at_most=1.0)
    return CostModel(t0_s=settings.number("t0_s", _T0_S, at_most=3600.0), per_shot_s=repetition_s + longest_s)


def make(name: str, options: Mapping[str, str]) -> EmulatorDriver:
    """Return an emulated device named `name`; see `DeviceDriver`."""
    return EmulatorDriver(name, options)
