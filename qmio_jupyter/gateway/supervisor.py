"""Starts the configured embedded agents, restarts those that die, stops them with the gateway.

An agent is told of its gateway's death by the end of its standard input, which this process holds open and
never writes to: so also after ``kill -9`` no agent stays for long. One that still holds claims may wait
half a minute for a gateway started in the meantime, which reads the connection file anew; its successor
waits for it (a lock per device), so restarting the gateway quickly loses no work.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from qmio_jupyter.gateway.troubles import reason_in
from qmio_jupyter.transport.sockets import spare_descriptors

#: Pauses before an agent is started again: the first, the longest.
BACK_OFF_S = 0.2
BACK_OFF_MAX_S = 30.0
#: An agent that lived so long starts again with the first pause.
HEALTHY_S = 30.0
#: Exit status of a configuration error (sysexits EX_CONFIG): starting again at once is of no use.
EX_CONFIG = 78
#: Stands for the exit status where there was no process (statuses of killed ones are above -256).
NOT_STARTED = -256
#: Seconds between SIGTERM and SIGKILL.
STOP_S = 3.0
#: An agent's output file is moved aside when it is larger than this at a start.
MAX_OUTPUT_BYTES = 8 * 2**20


class Event(Protocol):
    """How the supervisor tells what happens (`GatewayLog.event`)."""

    def __call__(self, event: str, *, level: str = ..., **fields: object) -> None:
        """Write down an event."""
        ...


def agent_command(device: str) -> list[str]:
    """Return the argv of the embedded agent of a device.

    ``-P`` keeps the directory it runs in off its module path: a user's own ``queue.py`` must not be imported.
    """
    return [sys.executable, "-P", "-m", "qmio_jupyter.cli.daemon", "agent", "--device", device]


class Supervisor:
    """Keeps one process per device running.

    Parameters
    ----------
    devices : sequence of str
        Devices whose agents are to run.
    logs : Path
        Directory of the agents' output files (``agent-DEVICE.log``, 0600).
    event : callable
        Where starts and ends are written down.
    command : callable, optional
        Gives the argv for a device.
    on_failed : callable, optional
        Called with a device whose agent cannot be started as it is configured, and the reason in one line.
    """

    def __init__(
        self,
        devices: Sequence[str],
        logs: Path,
        event: Event,
        command: Callable[[str], list[str]] = agent_command,
        on_failed: Callable[[str, str], None] = lambda _device, _reason: None,
    ) -> None:
        self._devices = tuple(devices)
        self._logs = logs
        self._event = event
        self._command = command
        self._on_failed = on_failed
        self._keepers: list[asyncio.Task[None]] = []
        self._processes: dict[str, asyncio.subprocess.Process] = {}
        self._stopping = asyncio.Event()

    def start(self) -> None:
        """Start all agents, without waiting for them."""
        for device in self._devices:
            keeper = asyncio.create_task(self._keep(device), name=f"agent {device}")
            self._keepers.append(keeper)

    def pids(self) -> dict[str, int]:
        """Return the process ids of the agents that run, by device."""
        return {device: process.pid for device, process in self._processes.items()}

    async def stop(self) -> None:
        """End all agents: SIGTERM, a short wait, SIGKILL to whatever is left of their groups."""
        self._stopping.set()
        for process in self._processes.values():
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
        running = list(self._processes.values())
        await _until_ended(running)
        for process in running:
            _kill_group(process.pid)
        # Killed, they end at once; the loop is to hear of it while it runs.
        await _until_ended(running)
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)

    async def _keep(self, device: str) -> None:
        """Start an agent again and again."""
        loop = asyncio.get_running_loop()
        pause_s = BACK_OFF_S
        while not self._stopping.is_set():
            started = loop.time()
            status = await self._run_once(device)
            if loop.time() - started > HEALTHY_S:
                pause_s = BACK_OFF_S
            elif status == EX_CONFIG:
                pause_s = BACK_OFF_MAX_S
            if status in (EX_CONFIG, NOT_STARTED):
                self._on_failed(device, reason_in(self._log_of(device)))
            if self._stopping.is_set():
                self._event("agent ended", device=device, status=status)
                return
            self._event("agent ended", level="warning", device=device, status=status, again_in_s=pause_s)
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, BACK_OFF_MAX_S)

    async def _run_once(self, device: str) -> int:
        """Run an agent until it ends; return its exit status, or `NOT_STARTED`."""
        spawning = asyncio.create_task(self._spawn(device))
        try:
            process = await asyncio.shield(spawning)
        except OSError as error:
            self._event("agent not started", level="error", device=device, error=str(error))
            return NOT_STARTED
        except asyncio.CancelledError:
            # It is being stopped, and the process may be there all the same.
            with contextlib.suppress(OSError):
                process = await spawning
                _kill_group(process.pid)
                await process.wait()
            raise
        self._processes[device] = process
        self._event("agent started", device=device, pid=process.pid)
        try:
            return await process.wait()
        finally:
            del self._processes[device]
            # Workers it may have left behind are in its group.
            _kill_group(process.pid)

    def _log_of(self, device: str) -> Path:
        return self._logs / f"agent-{device}.log"

    async def _spawn(self, device: str) -> asyncio.subprocess.Process:
        # Connections may hold all descriptors but these.
        with spare_descriptors():
            output = _open_output(self._log_of(device))
            try:
                return await asyncio.create_subprocess_exec(
                    *self._command(device),
                    stdin=asyncio.subprocess.PIPE,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                    cwd="/",
                )
            finally:
                os.close(output)


async def _until_ended(processes: Sequence[asyncio.subprocess.Process]) -> None:
    """Wait until all have ended, for `STOP_S` at most."""
    if processes:
        await asyncio.wait([asyncio.create_task(process.wait()) for process in processes], timeout=STOP_S)


def _kill_group(pid: int) -> None:
    """Kill what is left of a process group that we made."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _open_output(path: Path) -> int:
    """Return a descriptor for an agent's output, the file moved aside if it has grown large."""
    with contextlib.suppress(FileNotFoundError):
        if path.stat().st_size > MAX_OUTPUT_BYTES:
            path.replace(path.with_name(f"{path.name}.1"))
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    return os.open(path, flags, 0o600)
