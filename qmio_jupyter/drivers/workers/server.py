"""The fork server: imports everything heavy once, then forks a worker per request.

Runs as ``python -m qmio_jupyter.drivers.workers.server FD MODULE FILE``. MODULE has ``prepare(snapshot)``, called
once before the first fork (it may start no thread) with the device's snapshot, which the open file FILE holds, and
``serve(channel)``, called in every worker. The server has one thread, so its forks are safe; it ends, and takes its
workers with it, when the agent's end of its socket closes.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import os
import resource
import select
import signal
import socket
import sys
import traceback
from typing import Final, Protocol, cast

import msgspec

from qmio_jupyter.drivers.workers.channel import Channel
from qmio_jupyter.drivers.workers.messages import Spawn, Spawned
from qmio_jupyter.model.device import Snapshot

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_NO_NEW_PRIVS: Final = 38
#: Descriptors a worker may have open.
_WORKER_FILES: Final = 128
READY: Final = b"ready"


class Body(Protocol):
    """The module that workers run."""

    def prepare(self, snapshot: Snapshot | None) -> None:
        """Import and warm what every worker needs, for a device of this snapshot; starts no thread."""
        ...

    def serve(self, channel: Channel) -> None:
        """Take jobs until the channel closes."""
        ...


def main(argv: list[str]) -> int:
    """Serve until the agent is gone."""
    control = socket.socket(fileno=int(argv[1]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the agent decides when we end
    body = cast("Body", importlib.import_module(argv[2]))
    with os.fdopen(int(argv[3]), "rb") as file:
        file.seek(0)
        body.prepare(msgspec.msgpack.decode(file.read(), type=Snapshot | None))
    gc.collect()
    gc.freeze()
    reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    control.send(READY)
    workers: dict[int, int] = {}
    while True:
        ready, _, _ = select.select([control.fileno(), reader], [], [])
        if reader in ready:
            os.read(reader, 4096)
            _reap(workers)
        if control.fileno() in ready and not _serve_one(control, workers, body):
            break
    for pid in workers:
        os.kill(pid, signal.SIGKILL)
    for pid in workers:
        os.waitpid(pid, 0)
    return 0


def _serve_one(control: socket.socket, workers: dict[int, int], body: Body) -> bool:
    """Take one request; False once the agent is gone."""
    data, descriptors, _, _ = socket.recv_fds(control, 4096, 3)
    if not data:
        return False
    request = msgspec.msgpack.decode(data, type=Spawn)
    channel_fd, error_fd, status_fd = descriptors
    pid = os.fork()
    if pid == 0:
        os.close(status_fd)
        _become_worker(request, channel_fd, error_fd, control, body)
    os.close(channel_fd)
    os.close(error_fd)
    workers[pid] = status_fd
    pidfd = os.pidfd_open(pid)
    socket.send_fds(control, [msgspec.msgpack.encode(Spawned(pid=pid))], [pidfd])
    os.close(pidfd)
    return True


def _reap(workers: dict[int, int]) -> None:
    for pid, status_fd in list(workers.items()):
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            del workers[pid]
            with contextlib.suppress(BrokenPipeError):  # then nobody wants to know
                os.write(status_fd, status.to_bytes(4, "little"))
            os.close(status_fd)


def _become_worker(
    request: Spawn, channel_fd: int, error_fd: int, control: socket.socket, body: Body
) -> None:
    """Run in the child: limits, then jobs. Never returns."""
    code = 1
    try:
        parent = os.getppid()
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        _die_with(parent)
        _prctl(_PR_SET_NO_NEW_PRIVS, 1)
        control.close()
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.dup2(error_fd, 1)
        os.dup2(error_fd, 2)
        _close_from(3, keep=channel_fd)
        # A job that writes beyond its file limit gets an error, not a signal that hides what it did.
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        for what, most in (
            (resource.RLIMIT_CORE, 0),
            (resource.RLIMIT_FSIZE, request.file_bytes),
            (resource.RLIMIT_NOFILE, _WORKER_FILES),
            (resource.RLIMIT_AS, request.memory_bytes),
        ):
            resource.setrlimit(what, (most, most))
        body.serve(Channel.of_worker(socket.socket(fileno=channel_fd)))
        code = 0
    except BaseException:  # noqa: BLE001 - the last line of defence of a process that is about to end
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def _close_from(first: int, *, keep: int) -> None:
    os.closerange(first, keep)
    os.closerange(keep + 1, resource.getrlimit(resource.RLIMIT_NOFILE)[0])


def _die_with(parent: int) -> None:
    """Have the kernel end this process when its parent ends, however that happens."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)  # it ended before we asked


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


if __name__ == "__main__":
    sys.exit(main(sys.argv))
