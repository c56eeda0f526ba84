"""What a forked worker does: one job after the other, each answered with a result or one error."""

from __future__ import annotations

import contextlib
import os
import resource
from pathlib import Path
from typing import Final

import msgspec

from qmio_jupyter.drivers.aer import compiling, read
from qmio_jupyter.drivers.aer.execution import Planner, Runner
from qmio_jupyter.drivers.workers import deaths
from qmio_jupyter.drivers.workers.channel import Channel, ChannelClosedError, MessageTooLargeError
from qmio_jupyter.drivers.workers.messages import Done, Failed, Job, Partial, Stage
from qmio_jupyter.errors import QmioError
from qmio_jupyter.model.ids import digest
from qmio_jupyter.model.program import QASM3, Program
from qmio_jupyter.model.result import TaskResult

#: Widest program read; the method may refuse earlier.
MAX_QUBITS: Final = int(os.environ.get("QMIO_WORKER_MAX_QUBITS", "256"))
#: A worker that has grown to this share of its memory ends after its job, and a fresh one takes its place.
_WORN_SHARE: Final = 0.6
_STATM: Final = Path("/proc/self/statm")
_PAGE: Final = resource.getpagesize()
_BELL: Final = b"""OPENQASM 3.0;
include "stdgates.inc";
qubit[2] q;
bit[2] c;
h q[0];
cx q[0], q[1];
c = measure q;
"""


def prepare() -> None:
    """Import and build what every worker needs. Starts no thread (Aer's first run would)."""
    compiling.warm()
    read.read_program(Program(digest=digest(_BELL), media_type=QASM3, data=_BELL), MAX_QUBITS)


def serve(channel: Channel) -> None:
    """Take jobs until the agent closes the channel."""
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    planner = Planner(MAX_QUBITS, max(0, limit - _address_space()))
    while True:
        try:
            job = msgspec.msgpack.decode(channel.receive(None), type=Job)
            _allow_processor_time(job.cpu_s)
            answer = _answer(job, planner, channel, limit)
            try:
                channel.send(answer)
            except MessageTooLargeError as problem:
                answer = _failed(deaths.out_of_room(problem.size), is_last=answer.is_last)
                channel.send(answer)
        except ChannelClosedError:
            return
        if answer.is_last:
            return


def _answer(job: Job, planner: Planner, channel: Channel, limit: int) -> Done | Failed:
    runner = Runner(
        job.run,
        job.run.spec.device,
        planner,
        lambda result: _send_partial(channel, result),
        lambda stage: channel.send(Stage(stage=stage)),
    )
    try:
        result = runner.run()
    except QmioError as error:
        is_last = error.code.startswith("agent") or _address_space() > _WORN_SHARE * limit
        return _failed(error, is_last=is_last)
    except MemoryError:
        return _failed(deaths.out_of_memory(limit), is_last=True)
    return Done(result=result, is_last=_address_space() > _WORN_SHARE * limit)


def _failed(error: QmioError, *, is_last: bool) -> Failed:
    return Failed(code=error.code, message=error.message, hint=error.hint, is_last=is_last)


def _send_partial(channel: Channel, result: TaskResult) -> None:
    with contextlib.suppress(MessageTooLargeError):  # the final result says so
        channel.send(Partial(result=result))


def _allow_processor_time(cpu_s: float) -> None:
    """Let the kernel end this process once it has used `cpu_s` more seconds."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    soft = int(used.ru_utime + used.ru_stime + cpu_s) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (soft, hard))


def _address_space() -> int:
    return int(_STATM.read_text(encoding="ascii").split()[0]) * _PAGE
