"""What agent, fork server and worker say to each other: msgpack, never pickle."""

from __future__ import annotations

import msgspec

from qmio_jupyter.model.device import CostModel
from qmio_jupyter.model.dry_run import DryRun
from qmio_jupyter.model.result import TaskResult
from qmio_jupyter.ports import Run


class Spawn(msgspec.Struct, frozen=True, kw_only=True):
    """To the server: fork a worker. Travels with three descriptors: channel, error file, status pipe."""

    memory_bytes: int
    file_bytes: int


class Spawned(msgspec.Struct, frozen=True, kw_only=True):
    """From the server: done. Travels with the worker's pidfd; the exit status will come through the pipe."""

    pid: int


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """To a worker: run this, with so many seconds of processor time."""

    run: Run
    cpu_s: float
    #: Set where the run takes the time that a real device would; see `qmio_jupyter.drivers.pace`.
    clock: CostModel | None = None
    #: True: do not run it, say what it would be and take (`Estimated`).
    is_dry_run: bool = False
    #: True: `run.snapshot` was left out, for it is the one that this worker was given last.
    has_snapshot: bool = False


class Stage(msgspec.Struct, frozen=True, kw_only=True, tag="stage"):
    """From a worker: what it is doing now."""

    stage: str


class Partial(msgspec.Struct, frozen=True, kw_only=True, tag="partial"):
    """From a worker: cumulative partial counts."""

    result: TaskResult


class Done(msgspec.Struct, frozen=True, kw_only=True, tag="done"):
    """From a worker: the final result. `is_last`: it is worn out and ends now."""

    result: TaskResult
    is_last: bool = False


class Estimated(msgspec.Struct, frozen=True, kw_only=True, tag="estimated"):
    """From a worker: what a job would be and take. `is_last`: it is worn out and ends now."""

    dry_run: DryRun
    is_last: bool = False


class Failed(msgspec.Struct, frozen=True, kw_only=True, tag="failed"):
    """From a worker: the job cannot be run, and why. `is_last`: it is worn out and ends now."""

    code: str
    message: str
    hint: str = ""
    is_last: bool = False


FromWorker = Stage | Partial | Done | Estimated | Failed
