"""The agent's link: finds the gateway through its connection file, and again whenever that file changes."""

from __future__ import annotations

import select
import time
from collections.abc import Sequence
from typing import Final

import structlog

from qmio_jupyter.auth.keys import read_keys
from qmio_jupyter.config import connection
from qmio_jupyter.config.connection import ConnectionFile
from qmio_jupyter.config.places import Places
from qmio_jupyter.errors import ConfigError, QmioError
from qmio_jupyter.model.keys import KeyPair
from qmio_jupyter.transport.zeromq_dealer import Dealer, LinkState
from qmio_jupyter.wire.messages import Packet, Welcome

#: While the link is down the connection file is read again this often.
LOOK_S: Final = 0.5


class GatewayLink:
    """A `Dealer` to the present gateway, or none while there is no gateway.

    Parameters
    ----------
    device : str
        Names the agent's key file, ``agent-DEVICE.key`` in `places.keys`.
    places : Places
        Where connection file and key are.
    log : structlog logger
        One line per change.

    Raises
    ------
    ConfigError
        If the key file is missing, wrong, or readable by others.
    """

    def __init__(self, device: str, places: Places, log: structlog.typing.FilteringBoundLogger) -> None:
        self._keys: KeyPair = read_keys(places.keys / f"agent-{device}.key")
        self._path = places.connection_file
        self._log = log
        self._dealer: Dealer | None = None
        self._target: tuple[str, str] | None = None
        self._changes: list[bool] = []
        self._look_due = 0.0

    def wait(self, timeout_s: float, also: Sequence[int]) -> set[int]:
        """Wait for a packet, a change of the link or one of the descriptors, at most `timeout_s`.

        Returns
        -------
        set of int
            The descriptors of `also` that are readable.
        """
        readable: set[int] = set()
        if self._dealer is None or not self._dealer.is_up:
            timeout_s = min(timeout_s, max(0.0, self._look_due - time.monotonic()))
        if self._dealer is None:
            readable.update(select.select(also, [], [], timeout_s)[0])
        else:
            # poll() counts whole milliseconds: round up, or the last one before a deadline is spent spinning.
            wait_s = 0.0 if self._dealer.needs_another_turn else timeout_s + 0.001
            readable = self._dealer.poll(wait_s, also)
        self._look()
        return readable

    def receive(self) -> list[Packet]:
        """Return the packets that wait."""
        if self._dealer is None:
            return []
        packets: list[Packet] = []
        for received in self._dealer.receive():
            if isinstance(received, QmioError):
                self._log.warning("packet.refused", code=received.code, error=received.one_line())
                continue
            body = received.envelope.body
            if isinstance(body, Welcome):
                self._dealer.limits = body.limits
            packets.append(received)
        return packets

    def changes(self) -> list[bool]:
        """Return what became of the link since the last call: True up, False down."""
        for event in self._dealer.link_events() if self._dealer is not None else ():
            match event.state:
                case LinkState.UP:
                    self._log.info("link.up", endpoint=self._target and self._target[0])
                    self._changes.append(True)
                case LinkState.DOWN:
                    self._log.info("link.down", why=event.detail)
                    self._changes.append(False)
                    self._look_due = 0.0
                case LinkState.REFUSED:
                    self._log.warning("link.refused", why=event.detail)
        changes, self._changes = self._changes, []
        return changes

    def send(self, packet: Packet) -> bool:
        """Send, or drop what cannot be sent now: the protocol repeats whatever matters.

        Raises
        ------
        LimitError
            If it is too large ever to be sent.
        """
        return self._dealer is not None and self._dealer.send(packet)

    def close(self) -> None:
        """Flush for at most a second and close."""
        if self._dealer is not None:
            self._dealer.close()
            self._dealer = None

    def _look(self) -> None:
        """While the link is down, see whether the gateway is somewhere else by now."""
        now = time.monotonic()
        if (self._dealer is not None and self._dealer.is_up) or now < self._look_due:
            return
        self._look_due = now + LOOK_S
        found = self._read()
        if found is None or (found.endpoint, found.server_key) == self._target:
            return
        if self._dealer is not None:
            self._dealer.close()
            self._changes.append(False)
        self._target = (found.endpoint, found.server_key)
        self._dealer = Dealer(found.endpoint, found.server_key, self._keys)

    def _read(self) -> ConnectionFile | None:
        try:
            return connection.read(self._path)
        except ConfigError as error:
            if error.code != "config.file":
                self._log.warning("connection_file", code=error.code, error=error.one_line())
            return None
