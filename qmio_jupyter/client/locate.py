"""Where the gateway is: an ordered list of configured ones, or the user's embedded one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Protocol

import msgspec

from qmio_jupyter.auth.keys import read_keys
from qmio_jupyter.client.embedded import Starter
from qmio_jupyter.client.proving import SlurmProver
from qmio_jupyter.config import connection
from qmio_jupyter.config.connection import ConnectionFile
from qmio_jupyter.config.places import Places, places
from qmio_jupyter.config.settings import ClientSettings, GatewayAddress
from qmio_jupyter.errors import ConfigError, GatewayError
from qmio_jupyter.model.keys import KeyPair

#: A gateway that cannot be reached for this long is given up for the next in the list.
NEXT_S = 3.0
#: A live process that does not answer for this long is not the gateway that its connection file names.
DOUBT_S = 5.0

Say = Callable[[str], None]


class Target(msgspec.Struct, frozen=True):
    """What a link needs to know."""

    endpoint: str
    server_key: str
    keys: KeyPair
    #: Proves who this process is, where its key alone does not.
    prover: SlurmProver | None = None


class Demand(Enum):
    """Why a gateway is looked for: decides whether one may be started."""

    #: Nobody waits.
    NONE = "none"
    #: Somebody waits for a task that an earlier gateway accepted.
    WAITING = "waiting"
    #: Somebody asks something.
    ASKING = "asking"


class Locator(Protocol):
    """Finds a gateway. Never blocks for long: it is asked again while there is no link."""

    def locate(self, now_s: float, demand: Demand) -> Target | None:
        """Return where to connect, None to be asked again.

        Raises
        ------
        QmioError
            There is no gateway and none will come: what is asked now fails with this.
        """
        ...

    def linked(self) -> None:
        """Take note that the link is up: the other end proved to be the gateway."""
        ...


def locator_for(
    settings: ClientSettings, environ: Mapping[str, str], say: Say, *, start: bool | None = None
) -> Locator:
    """Return the locator that the settings ask for; `start` overrides ``start_embedded``."""
    if settings.gateways:
        return ListLocator(settings.gateways, environ)
    may_start = settings.start_embedded if start is None else start
    found = places(environ)
    starter = Starter(found, environ, say, settings.start_timeout_s) if may_start else None
    return EmbeddedLocator(found, starter)


class ListLocator:
    """Configured gateways in order of preference, one at a time."""

    def __init__(self, addresses: Sequence[GatewayAddress], environ: Mapping[str, str] | None = None) -> None:
        self._addresses = tuple(addresses)
        self._environ: Mapping[str, str] = environ or {}
        self._prover: SlurmProver | None = None
        self._index = 0
        self._since: float | None = None

    def locate(self, now_s: float, demand: Demand) -> Target | None:  # noqa: ARG002
        """Return the current gateway, or the next one once that has been silent for `NEXT_S`."""
        if self._since is None:
            self._since = now_s
        elif now_s - self._since >= NEXT_S:
            self._index = (self._index + 1) % len(self._addresses)
            self._since = now_s
        for _ in self._addresses:
            try:
                return self._target(self._addresses[self._index])
            except ConfigError:
                if len(self._addresses) == 1:
                    raise
                self._index = (self._index + 1) % len(self._addresses)
        raise GatewayError("none of the configured gateways can be used", hint="Run `jupyter qmio doctor`.")

    def linked(self) -> None:
        """Stay with the one that answered."""
        self._since = None

    def _target(self, address: GatewayAddress) -> Target:
        if not address.proof:
            return _target(address)
        if self._prover is None:
            self._prover = SlurmProver(self._environ)
        return Target(
            endpoint=address.endpoint,
            server_key=address.server_key,
            keys=self._prover.keys,
            prover=self._prover,
        )


class EmbeddedLocator:
    """The embedded gateway of this user and host."""

    def __init__(self, found: Places, starter: Starter | None) -> None:
        self._path = found.connection_file
        self._starter = starter
        self._since: float | None = None
        self._was_linked = False

    def locate(self, now_s: float, demand: Demand) -> Target | None:
        """Return the running gateway; start one if that is allowed and somebody asks.

        One that was stopped on purpose (its connection file is gone) is not started for those who only wait.
        """
        if self._since is None:
            self._since = now_s
        if self._starter is not None:
            self._starter.reap(now_s)
        written = self._read()
        doubtful = now_s - self._since >= DOUBT_S
        if written is not None and connection.is_alive(written) and not doubtful:
            return target_of(written)
        if self._starter is not None:
            wanted = demand is Demand.ASKING or (demand is Demand.WAITING and written is not None)
            self._starter.step(now_s, wanted=wanted)
        elif demand is Demand.ASKING and not self._was_linked and written is None:
            raise GatewayError(
                "no gateway of yours runs on this host",
                hint="Start one: jupyter qmio up",
            )
        return target_of(written) if written is not None and doubtful else None

    def linked(self) -> None:
        """Forget doubts and a finished start."""
        self._since = None
        self._was_linked = True
        if self._starter is not None:
            self._starter.done()

    def _read(self) -> ConnectionFile | None:
        """Return the connection file, None if it is missing or left over from elsewhere or earlier."""
        if not self._path.exists():
            return None
        try:
            return connection.read(self._path)
        except ConfigError as error:
            if error.code == "config.permissions" or self._path.is_symlink():
                raise
            if error.code == "config.file" and not self._path.exists():
                return None  # It went between the two looks.
            if self._starter is None:
                raise
            return None  # The gateway that is started replaces it.


def target_of(written: ConnectionFile) -> Target:
    """Return the target a connection file names."""
    return Target(
        endpoint=written.endpoint,
        server_key=written.server_key,
        keys=KeyPair(public=written.public_key, secret=written.secret_key),
    )


def _target(address: GatewayAddress) -> Target:
    if address.connection_file:
        return target_of(connection.read(Path(address.connection_file).expanduser()))
    keys = read_keys(Path(address.key_file).expanduser())
    return Target(endpoint=address.endpoint, server_key=address.server_key, keys=keys)
