"""The agent's end of a fork server, and of the workers it forks."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import Final

import msgspec
from msgspec.structs import replace

from qmio_jupyter.drivers.workers.channel import Channel
from qmio_jupyter.drivers.workers.messages import Job, Spawn, Spawned
from qmio_jupyter.drivers.workers.server import READY
from qmio_jupyter.errors import AgentError
from qmio_jupyter.model.device import Snapshot
from qmio_jupyter.model.ids import Digest

#: Bytes a worker may write to files, its own error output included.
FILE_BYTES: Final = 2**20
#: How long a fork server may take to import everything.
_START_S: Final = 120.0
_SPAWN_S: Final = 10.0
_TAIL: Final = 8192

#: Numeric libraries that would start threads of their own; with one thread Aer is ten times faster here.
_ONE_THREAD: Final = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "RAYON_NUM_THREADS": "1",
    "QISKIT_PARALLEL": "FALSE",
    "QISKIT_NUM_PROCS": "1",
    "PYTHONWARNINGS": "ignore",
}


class Worker:
    """One forked worker. Not thread-safe, except `kill`."""

    def __init__(
        self,
        pid: int,
        pidfd: int,
        channel: Channel,
        error_fd: int,
        status_fd: int,
        snapshot_id: Digest | None = None,
    ) -> None:
        self.pid = pid
        self.channel = channel
        self._pidfd = pidfd
        self._error_fd = error_fd
        self._status_fd = status_fd
        self._snapshot_id = snapshot_id
        self._lock = threading.Lock()
        self._is_open = True

    def give(self, job: Job) -> None:
        """Send a job, without the snapshot if it is the one that the worker has: it may be larger than all else.

        Raises
        ------
        ChannelClosedError, MessageTooLargeError
            As `Channel.send`.
        """
        self.channel.send(self._without_snapshot(job))
        self._note(job)

    def give_at_once(self, job: Job) -> bool:
        """Send a job to a worker that is idle, if that takes no waiting; False: it was not sent."""
        is_sent = self.channel.send_at_once(self._without_snapshot(job))
        if is_sent:
            self._note(job)
        return is_sent

    def _without_snapshot(self, job: Job) -> Job:
        bound = job.run.snapshot
        if bound is None or bound.snapshot_id != self._snapshot_id:
            return job
        return replace(job, run=replace(job.run, snapshot=None), has_snapshot=True)

    def _note(self, job: Job) -> None:
        if job.run.snapshot is not None:
            self._snapshot_id = job.run.snapshot.snapshot_id

    def kill(self) -> None:
        """Kill it now, whatever it does. Idempotent; from any thread."""
        with self._lock:
            if self._is_open:
                try:
                    signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
                except ProcessLookupError:
                    return

    def exit_status(self, timeout_s: float) -> int | None:
        """Return its wait status once it has ended; None if nobody can tell (the fork server died too)."""
        if not select.select([self._status_fd], [], [], timeout_s)[0]:
            return None
        data = os.read(self._status_fd, 4)
        return int.from_bytes(data, "little") if len(data) == 4 else None

    def forget_output(self) -> None:
        """Empty its error output, before a job."""
        os.ftruncate(self._error_fd, 0)

    def output(self) -> str:
        """Return the end of what it wrote to its standard output and error."""
        size = os.fstat(self._error_fd).st_size
        return os.pread(self._error_fd, _TAIL, max(0, size - _TAIL)).decode(errors="replace")

    def close(self) -> None:
        """Kill it and release its descriptors."""
        self.kill()
        with self._lock:
            if self._is_open:
                self._is_open = False
                self.channel.close()
                for descriptor in (self._pidfd, self._error_fd, self._status_fd):
                    os.close(descriptor)


class ForkServer:
    """Starts a fork server when a worker is asked for and there is none; thread-safe.

    Parameters
    ----------
    module : str
        What workers run; see `qmio_jupyter.drivers.workers.server`.
    memory_bytes : int
        Address space of each worker.
    snapshot : Snapshot or None
        What is made of it is made before the first fork and shared by all workers.
    """

    def __init__(self, module: str, memory_bytes: int, snapshot: Snapshot | None = None) -> None:
        self._module = module
        self._snapshot = snapshot
        self._memory_bytes = memory_bytes
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._is_closed = False

    @property
    def pid(self) -> int | None:
        """The server's process id, None before the first worker."""
        return self._process.pid if self._process is not None else None

    def spawn(self) -> Worker:
        """Return a fresh worker.

        Raises
        ------
        AgentError
            ``agent.worker``, retryable, if the server cannot be started or does not answer.
        """
        with self._lock:
            if self._control is not None:
                try:
                    return self._spawn(self._control)
                except (OSError, msgspec.DecodeError):
                    self._stop()  # it died since; start a fresh one
            try:
                return self._spawn(self._running())
            except (OSError, EOFError, msgspec.DecodeError) as problem:
                self._stop()
                raise AgentError(
                    f"no worker process could be started ({type(problem).__name__}: {problem})",
                    hint="See the agent's log.",
                    code="agent.worker",
                    retryable=True,
                ) from problem

    def close(self) -> None:
        """End the server and every worker of it."""
        self._is_closed = True
        with self._lock:
            self._stop()

    def _running(self) -> socket.socket:
        if self._is_closed:
            raise OSError("the fork server is closed")
        if self._control is not None:
            return self._control
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        snapshot_fd = os.memfd_create("snapshot", os.MFD_CLOEXEC)
        with theirs, os.fdopen(snapshot_fd, "wb") as file:
            file.write(msgspec.msgpack.encode(self._snapshot))
            file.flush()
            self._control = ours
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-P",  # never import a module of the directory we were started in
                    "-m",
                    "qmio_jupyter.drivers.workers.server",
                    str(theirs.fileno()),
                    self._module,
                    str(snapshot_fd),
                ],
                pass_fds=[theirs.fileno(), snapshot_fd],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env={**os.environ, **_ONE_THREAD},
            )
        until = time.monotonic() + _START_S
        while True:
            # In short waits, so that closing an agent does not wait for its server's imports.
            ours.settimeout(0.1)
            try:
                answer = ours.recv(64)
            except TimeoutError:
                if time.monotonic() > until or self._gives_up():
                    raise
                continue
            if answer != READY:
                raise EOFError("the fork server ended while it started")
            return ours

    def _spawn(self, control: socket.socket) -> Worker:
        """Ask the running server for one worker."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        error_fd = os.memfd_create("worker-output", os.MFD_CLOEXEC)
        # Appending: truncating it between jobs must not leave a hole at the worker's old position.
        append_fd = os.open(f"/proc/self/fd/{error_fd}", os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
        status_fd, status_write = os.pipe2(os.O_CLOEXEC)
        request = Spawn(memory_bytes=self._memory_bytes, file_bytes=FILE_BYTES)
        try:
            with theirs:
                socket.send_fds(
                    control, [msgspec.msgpack.encode(request)], [theirs.fileno(), append_fd, status_write]
                )
            control.settimeout(_SPAWN_S)
            data, descriptors, _, _ = socket.recv_fds(control, 4096, 1)
            spawned = msgspec.msgpack.decode(data, type=Spawned)  # nothing to decode: the server is gone
        except BaseException:
            ours.close()
            os.close(error_fd)
            os.close(status_fd)
            raise
        finally:
            os.close(append_fd)
            os.close(status_write)
        known = self._snapshot.snapshot_id if self._snapshot is not None else None
        return Worker(spawned.pid, descriptors[0], Channel.of_agent(ours), error_fd, status_fd, known)

    def _gives_up(self) -> bool:
        return self._is_closed  # set by another thread meanwhile

    def _stop(self) -> None:
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._process is not None:
            try:
                self._process.wait(0.5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
