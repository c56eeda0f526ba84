"""What a forked worker does: one job after the other, each answered with a result, a dry run or one error."""

from __future__ import annotations

import contextlib
import os
import resource
from typing import Final

import msgspec
from msgspec.structs import replace

from qmio_jupyter.drivers.aer import compiling, dry, plugins, read, selfcheck
from qmio_jupyter.drivers.aer.devices import Devices
from qmio_jupyter.drivers.aer.direct import Engine
from qmio_jupyter.drivers.aer.planner import Planner
from qmio_jupyter.drivers.aer.runner import Runner
from qmio_jupyter.drivers.workers import deaths
from qmio_jupyter.drivers.workers.channel import Channel, ChannelClosedError, MessageTooLargeError
from qmio_jupyter.drivers.workers.messages import Done, Estimated, Failed, Job, Partial, Stage
from qmio_jupyter.emulation import transpiling
from qmio_jupyter.errors import QmioError
from qmio_jupyter.model.device import Snapshot
from qmio_jupyter.model.ids import digest
from qmio_jupyter.model.program import QASM3, Program
from qmio_jupyter.model.result import TaskResult

#: Widest program read; the method may refuse earlier.
MAX_QUBITS: Final = int(os.environ.get("QMIO_WORKER_MAX_QUBITS", "256"))
#: A worker that has grown to this share of its memory ends after its job, and a fresh one takes its place.
_WORN_SHARE: Final = 0.6
#: What a run may be predicted to take however little address space is left: most of it is not memory.
_SMALL_BYTES: Final = 2**26
_PAGE: Final = resource.getpagesize()
_BELL: Final = b"""OPENQASM 3.0;
include "stdgates.inc";
qubit[2] q;
bit[2] c;
h q[0];
cx q[0], q[1];
c = measure q;
"""

#: Made before the first fork; every worker goes on from its own copy.
_DEVICES: Final = Devices()
_ENGINE: Final = Engine()
#: Snapshots that were given to this worker, the last one only; `prepare` gives the first.
_GIVEN: Final[list[Snapshot]] = []


def prepare(snapshot: Snapshot | None = None) -> None:
    """Import and build what every worker needs. Starts no thread (Aer's first run would).

    Parameters
    ----------
    snapshot : Snapshot or None
        Of the device that workers emulate: what is made of it is shared by all of them.
    """
    plugins.keep_out_plugins()
    compiling.warm()
    transpiling.warm()
    _ENGINE.is_direct = selfcheck.agrees_in_child()
    read.read_program(Program(digest=digest(_BELL), media_type=QASM3, data=_BELL), MAX_QUBITS)
    if snapshot is not None:
        _DEVICES.prepare(snapshot)
        _GIVEN[:] = [snapshot]


def serve(channel: Channel) -> None:
    """Take jobs until the agent closes the channel."""
    Worker(channel).serve()


class Worker:
    """One worker's state, from its first job to its last.

    Parameters
    ----------
    channel : Channel
        Where jobs come from.
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        self._statm = os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)
        self._decoder = msgspec.msgpack.Decoder(Job)
        self._planner = Planner(
            MAX_QUBITS,
            max(_SMALL_BYTES, self._limit - self._address_space()),
            _ENGINE,
            _DEVICES,
        )

    def serve(self) -> None:
        """Take jobs until the agent closes the channel, or this worker is worn out."""
        is_last = False
        while not is_last:
            try:
                job = self._decoder.decode(self._channel.receive(None))
                answer = self._answer(job)
                is_last = answer.is_last
                try:
                    self._channel.send(answer)
                except MessageTooLargeError as problem:
                    self._channel.send(_failed(deaths.out_of_room(problem.size), is_last=is_last))
            except ChannelClosedError:
                return

    def _answer(self, job: Job) -> Done | Estimated | Failed:
        _allow_processor_time(job.cpu_s)
        run = job.run
        if job.has_snapshot:
            run = replace(run, snapshot=_GIVEN[0])
        elif run.snapshot is not None:
            _GIVEN[:] = [run.snapshot]
        try:
            if job.is_dry_run:
                made = dry.dry_run(run, self._planner, seconds=job.cpu_s, clock=job.clock)
                return Estimated(dry_run=made, is_last=self._is_worn())
            runner = Runner(
                run,
                self._planner,
                self._tell_partial,
                self._tell_stage,
                seconds=job.cpu_s,
                clock=job.clock,
            )
            return Done(result=runner.run(), is_last=self._is_worn())
        except QmioError as error:
            return _failed(error, is_last=error.code.startswith("agent") or self._is_worn())
        except MemoryError:
            return _failed(deaths.out_of_memory(self._limit), is_last=True)

    def _tell_partial(self, result: TaskResult) -> None:
        with contextlib.suppress(MessageTooLargeError):  # the final result says so
            self._channel.send(Partial(result=result))

    def _tell_stage(self, stage: str) -> None:
        self._channel.send(Stage(stage=stage))

    def _is_worn(self) -> bool:
        return self._address_space() > _WORN_SHARE * self._limit

    def _address_space(self) -> int:
        return int(os.pread(self._statm, 64, 0).split()[0]) * _PAGE


def _failed(error: QmioError, *, is_last: bool) -> Failed:
    return Failed(code=error.code, message=error.message, hint=error.hint, is_last=is_last)


def _allow_processor_time(cpu_s: float) -> None:
    """Let the kernel end this process once it has used `cpu_s` more seconds."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    soft = int(used.ru_utime + used.ru_stime + cpu_s) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (soft, hard))
