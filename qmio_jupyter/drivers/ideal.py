"""An ideal device: Qiskit Aer without noise, in worker processes that are killed to cancel.

The agent's process never parses a program; it does not even import Qiskit.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from typing import Final

from qmio_jupyter.drivers.options import Options
from qmio_jupyter.drivers.workers.pool import Pool, PoolLimits
from qmio_jupyter.errors import QmioError
from qmio_jupyter.model.device import CostModel, DeviceDescription, DeviceState, Snapshot
from qmio_jupyter.model.dry_run import DryRun
from qmio_jupyter.model.ids import TaskId
from qmio_jupyter.model.program import QASM2, QASM3, QPY
from qmio_jupyter.model.result import TaskResult
from qmio_jupyter.ports import OnPartial, OnStage, Run

_SETTINGS: Final = (
    "credit",
    "workers",
    "memory_bytes",
    "cpu_s",
    "wall_s",
    "compile_s",
    "batch_shots",
    "warm",
)
_WORKER: Final = "qmio_jupyter.drivers.aer.worker"


class IdealDriver:
    """See the module.

    Parameters
    ----------
    name : str
        The device's name.
    options : mapping
        ``workers`` (1), ``memory_bytes`` of each (4 GiB), ``cpu_s`` (600), ``wall_s`` (900), ``compile_s`` (60:
        reading and compiling), ``batch_shots`` (100000), ``warm`` (yes; no: workers start with the first task).
    """

    def __init__(self, name: str, options: Mapping[str, str]) -> None:
        settings = Options(options, _SETTINGS, name)
        self._name = name
        self._batch_shots = settings.integer("batch_shots", 100_000, at_least=1)
        limits = PoolLimits(
            memory_bytes=settings.integer("memory_bytes", 4 * 2**30, at_least=2**31),
            cpu_s=settings.number("cpu_s", 600.0, at_least=0.01),
            wall_s=settings.number("wall_s", 900.0, at_least=0.01),
            compile_s=settings.number("compile_s", 60.0, at_least=0.01),
        )
        self._workers = settings.integer("workers", 1, at_least=1, at_most=256)
        self._pool = Pool(_WORKER, self._workers, limits, is_warm=settings.flag("warm", default="yes"))

    @property
    def pool(self) -> Pool:
        """The workers, for whoever looks after them."""
        return self._pool

    def describe(self) -> DeviceDescription:
        """Return the device's description."""
        return DeviceDescription(
            name=self._name,
            title="Ideal simulator (Qiskit Aer, no noise)",
            n_qubits=None,
            driver="ideal",
            batch_shots=self._batch_shots,
            media_types=(QASM2, QASM3, QPY),
            qpy_versions=(13, 18),
            cost=CostModel(t0_s=0.01, per_shot_s=1e-6),
            parallel=self._workers,
        )

    def state(self) -> DeviceState:
        """Return ``busy`` while a worker has a job."""
        return DeviceState.BUSY if self._pool.running else DeviceState.IDLE

    def snapshot(self) -> Snapshot | None:
        """Return None: nothing is calibrated here."""
        return None

    def start(self, run: Run, on_partial: OnPartial, on_stage: OnStage) -> Future[TaskResult]:
        """Queue a run for the next free worker."""
        try:
            self._check(run)
        except QmioError as error:
            refused: Future[TaskResult] = Future()
            refused.set_exception(error)
            return refused
        return self._pool.start(run, on_partial, on_stage)

    def estimate(self, run: Run, timeout_s: float) -> Future[DryRun]:
        """Have a run compiled and its method chosen, in a worker that is there for this alone."""
        try:
            self._check(run)
        except QmioError as error:
            refused: Future[DryRun] = Future()
            refused.set_exception(error)
            return refused
        return self._pool.estimate(run, timeout_s)

    def _check(self, run: Run) -> None:
        Options(dict(run.spec.options.device_options), (), self._name, is_user=True)

    def stop(self, task_id: TaskId) -> None:
        """Kill the worker that runs it; its future ends with `TaskCancelledError`."""
        self._pool.stop(task_id)

    def close(self) -> None:
        """Stop everything, leave no process behind."""
        self._pool.close()


def make(name: str, options: Mapping[str, str]) -> IdealDriver:
    """Return an ideal device named `name`; see `DeviceDriver`."""
    return IdealDriver(name, options)
