"""The process's one client: made at first use, shared by magics and functions, closed at exit."""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from qmio_jupyter.errors import QmioError
from qmio_jupyter.notebook.run import Defaults

if TYPE_CHECKING:
    from qmio_jupyter.client.sync import Client

_client: Client | None = None
_owner = 0
_configured: dict[str, Any] = {}
_lock = threading.Lock()


def client(on_note: Callable[[str], None] | None = None) -> Client:
    """Return the process's client; the first call connects, and starts an embedded gateway if there is none.

    A client that can be used no more (closed, or its I/O broke) gives way to a new one.

    Parameters
    ----------
    on_note : callable, optional
        Is given the one line that tells the user that a gateway was started.
    """
    global _client, _owner  # noqa: PLW0603 - one per process, by design
    with _lock:
        found = current()
        if found is None or not _is_usable(found):
            close()
            # A forked child must not touch its parent's socket: it makes its own.
            from qmio_jupyter.client.sync import connect

            _client = found = connect(on_note=on_note or _say)
            _owner = os.getpid()
            atexit.register(close)
        return found


def _is_usable(found: Client) -> bool:
    try:
        found.check()
    except QmioError:
        return False
    return True


def current() -> Client | None:
    """Return the client if there is one already."""
    return _client if _owner == os.getpid() else None


def peek(timeout_s: float) -> Client | None:
    """Return a client of its own for the user's embedded gateway, None unless that runs; never starts one.

    The caller closes it.

    Raises
    ------
    QmioError
        If the gateway does not answer within `timeout_s`.
    """
    from qmio_jupyter.config import connection
    from qmio_jupyter.config.places import places

    path = places().connection_file
    if not path.exists() or not connection.is_alive(connection.read(path)):
        return None
    from qmio_jupyter.client.sync import connect

    return connect(start=False, timeout_s=timeout_s)


def close() -> None:
    """Close the client; a later use makes another. Idempotent."""
    global _client  # noqa: PLW0603 - one per process, by design
    atexit.unregister(close)
    if _client is not None and _owner == os.getpid():
        _client.close()
    _client = None


def defaults() -> Defaults:
    """Return what holds when the line does not say: what `configure` set, else the settings file."""
    from qmio_jupyter.config import settings

    configured = settings.load().client
    base = Defaults(device=configured.default_device, shots=configured.shots)
    return msgspec.structs.replace(base, **_configured)


def configure(name: str, value: object) -> None:
    """Set a default of this process; None gives it back to the settings file."""
    if value is None:
        _configured.pop(name, None)
    else:
        _configured[name] = value


def forget_configured() -> None:
    """Give every default back to the settings file."""
    _configured.clear()


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - a line to the user
