"""The agent's process: one driver, one link, one loop; ends on SIGTERM or with its gateway.

An agent that a gateway started holds the reading end of a pipe as its standard input. When that ends the
gateway is gone: an agent that holds nothing ends too; one that has work finishes it for a restarted gateway,
takes nothing new, and waits at most `ORPHAN_S` for that gateway to appear.

Of one name there is one agent at a time in a runtime directory; a second one of the same device gets a name of
its own through ``QMIO_AGENT_NAME``.
"""

from __future__ import annotations

import fcntl
import os
import re
import select
import signal
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import structlog

from qmio_jupyter._version import __version__
from qmio_jupyter.agent.host import Host
from qmio_jupyter.agent.link import GatewayLink
from qmio_jupyter.agent.log import open_log
from qmio_jupyter.agent.protocol import AgentProtocol
from qmio_jupyter.config.connection import this_host
from qmio_jupyter.config.places import Places
from qmio_jupyter.config.settings import AgentSettings
from qmio_jupyter.drivers import registry
from qmio_jupyter.errors import ConfigError, LimitError
from qmio_jupyter.model.device import DeviceState
from qmio_jupyter.model.ids import AgentId
from qmio_jupyter.ports import DeviceDriver

#: Exit code for what a restart cannot cure.
EX_CONFIG: Final = 78
#: How long an orphan with work waits for its gateway to come back.
ORPHAN_S: Final = 30.0
#: How long a stopping agent waits for its last messages to be answered.
FAREWELL_S: Final = 1.0
#: Longest sleep of the loop: the device's state is looked at this often.
_TURN_S: Final = 1.0


def run(settings: AgentSettings, places: Places) -> int:
    """Host the device that `settings` name until SIGTERM, SIGINT or the end of the gateway that started us.

    Returns
    -------
    int
        0 after an orderly end, `EX_CONFIG` for what a restart cannot cure (unknown driver, wrong option,
        no key).
    """
    log = open_log(device=settings.device, driver=settings.driver)
    with _signals() as stop_fd:
        try:
            name = os.environ.get("QMIO_AGENT_NAME") or settings.device
            with _only_one(name, places, stop_fd) as is_ours:
                if not is_ours:
                    return 0
                return _Agent(settings, name, places, stop_fd, log).run()
        except ConfigError as error:
            log.error("config", code=error.code, error=error.one_line())  # noqa: TRY400 - one line
            return EX_CONFIG


class _Agent:
    """The loop's state."""

    def __init__(
        self,
        settings: AgentSettings,
        name: str,
        places: Places,
        stop_fd: int,
        log: structlog.typing.FilteringBoundLogger,
    ) -> None:
        self._log = log
        self._stop_fd = stop_fd
        self._parent_fd: int | None = 0 if _is_pipe(0) else None
        self._orphan_since: float | None = None
        self._link = GatewayLink(settings.device, places, log)
        self._driver: DeviceDriver = registry.make(settings.driver, settings.device, driver_options(settings))
        self._snapshot = self._driver.snapshot()
        self._protocol = AgentProtocol(
            agent_id(name, this_host()),
            time.time_ns() // 1_000_000,
            self._driver.describe(),
            self._state(),
            self._snapshot,
            settings.credit,
            software=f"qmio_jupyter/{__version__}",
        )
        self._host = Host(self._driver, self._protocol, log)

    def run(self) -> int:
        self._log.info("started", pid=os.getpid(), version=__version__)
        try:
            while not self._turn():
                pass
            self._farewell()
        finally:
            self._link.close()
        self._log.info("stopped")
        return 0

    def _turn(self) -> bool:
        """One turn of the loop; True when it is time to go."""
        readable = self._link.wait(self._sleep_s(), self._watched())
        self._host.drain()
        self._exchange()
        self._look_at_device()
        self._flush()
        if self._stop_fd in readable:
            return True
        parent_fd = self._parent_fd
        if parent_fd is not None and parent_fd in readable and _is_ended(parent_fd):
            self._log.warning("gateway.gone", holding=len(self._protocol.holding))
            self._parent_fd = None
            self._orphan_since = time.monotonic()
            self._protocol.device_changed(DeviceState.OFFLINE, self._driver.snapshot(), credit=0)
        return self._is_done_as_orphan()

    def _exchange(self) -> None:
        now = time.monotonic()
        for packet in self._link.receive():
            self._host.perform(self._protocol.receive(packet, now))
        for is_up in self._link.changes():
            if is_up:
                self._protocol.link_up(time.monotonic())
            else:
                self._protocol.link_down(time.monotonic())
        self._host.perform(self._protocol.tick(time.monotonic()))

    def _flush(self) -> None:
        for packet in self._protocol.outgoing():
            try:
                self._link.send(packet)
            except LimitError as error:
                self._log.error("packet.too_large", code=error.code, error=error.one_line())
                self._protocol.unsent(packet, error)

    def _look_at_device(self) -> None:
        if self._orphan_since is None:
            snapshot = self._driver.snapshot()
            # A device calibrated anew may describe itself anew.
            description = None if snapshot is self._snapshot else self._driver.describe()
            self._snapshot = snapshot
            self._protocol.device_changed(self._state(), snapshot, description=description)

    def _state(self) -> DeviceState:
        """Return the device's state, but never busy: the gateway knows that from its claims."""
        state = self._driver.state()
        return DeviceState.IDLE if state is DeviceState.BUSY else state

    def _is_done_as_orphan(self) -> bool:
        if self._orphan_since is None:
            return False
        if self._protocol.is_quiet:
            return True
        if self._protocol.is_announced:
            self._orphan_since = time.monotonic()
        return time.monotonic() > self._orphan_since + ORPHAN_S

    def _farewell(self) -> None:
        """Stop everything, give back what is held, and let the gateway hear of it."""
        self._protocol.device_changed(DeviceState.OFFLINE, None, credit=0)
        for ref in self._protocol.holding:
            self._protocol.give_back(ref, "the agent is stopping")
        self._host.close()
        self._flush()
        until = time.monotonic() + FAREWELL_S
        while self._protocol.holding and self._protocol.is_announced and time.monotonic() < until:
            self._link.wait(max(0.0, until - time.monotonic()), ())
            self._exchange()
            self._flush()

    def _sleep_s(self) -> float:
        deadline = self._protocol.next_deadline()
        if deadline is None:
            return _TURN_S
        return min(_TURN_S, max(0.0, deadline - time.monotonic()))

    def _watched(self) -> tuple[int, ...]:
        parent = () if self._parent_fd is None else (self._parent_fd,)
        return (self._host.wake_fd, self._stop_fd, *parent)


def agent_id(name: str, host: str) -> AgentId:
    """Return the agent's id, the same after every start: name and host, as the gateway accepts names."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", f"{name}.{host}")[:64]


def driver_options(settings: AgentSettings) -> Mapping[str, str]:
    """Return what the driver's maker is given: the agent's limits, then the driver's own options."""
    return {
        "credit": str(settings.credit),
        "workers": str(settings.workers),
        "memory_bytes": str(settings.memory_bytes),
        "cpu_s": str(settings.cpu_s),
        "wall_s": str(settings.wall_s),
        **settings.options,
    }


@contextmanager
def _signals() -> Iterator[int]:
    """Give a descriptor that becomes readable with SIGTERM or SIGINT."""
    reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    old_fd = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    old = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield reader
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(old_fd)
        os.close(reader)
        os.close(writer)


@contextmanager
def _only_one(name: str, places: Places, stop_fd: int) -> Iterator[bool]:
    """Wait until no other agent of this name and directory is left; False if we were told to stop first."""
    path = places.runtime / f"agent-{re.sub(r'[^A-Za-z0-9._-]', '-', name)}.lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if select.select([stop_fd], [], [], 0.1)[0] or (_is_pipe(0) and _is_ended(0)):
                    yield False
                    return
            else:
                yield True
                return
    finally:
        os.close(descriptor)


def _is_pipe(descriptor: int) -> bool:
    try:
        mode = os.fstat(descriptor).st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


def _is_ended(descriptor: int) -> bool:
    """Return whether nobody holds the other end any more."""
    while _readable(descriptor):
        if not os.read(descriptor, 4096):
            return True
    return False


def _readable(descriptor: int) -> bool:
    return bool(select.select([descriptor], [], [], 0)[0])
