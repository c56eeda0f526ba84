"""Stopping the embedded gateway and seeing it gone; used by ``down`` and ``lab``."""

from __future__ import annotations

import os
import select
import signal
from contextlib import suppress
from pathlib import Path

from qmio_jupyter.client.locate import EmbeddedLocator
from qmio_jupyter.client.sync import Client
from qmio_jupyter.config import connection
from qmio_jupyter.config.connection import ConnectionFile
from qmio_jupyter.config.places import Places
from qmio_jupyter.config.settings import ClientSettings
from qmio_jupyter.errors import ConfigError, GatewayError, QmioError

#: What the gateway has to answer a request to stop.
_ASK_S = 5.0


def running(places: Places) -> ConnectionFile | None:
    """Return the connection file of the gateway that runs here, None if none does."""
    try:
        written = connection.read(places.connection_file)
    except ConfigError as error:
        if error.code == "config.permissions":
            raise
        return None
    return written if connection.is_alive(written) else None


def stop(places: Places, timeout_s: float, *, force: bool = False) -> ConnectionFile | None:
    """Stop the gateway and wait until its process has ended; return what ran, None if nothing did.

    It is asked over the wire; if it does not answer, or does not end, it gets SIGTERM, and with `force`
    SIGKILL.

    Raises
    ------
    GatewayError
        It still runs after `timeout_s`.
    """
    written = running(places)
    if written is None:
        return None
    try:
        process = os.pidfd_open(written.pid)
    except ProcessLookupError:
        return None
    try:
        with suppress(QmioError):
            _ask(places)
        if _ends(process, timeout_s / 2):
            return written
        if _is_ours(written.pid):
            signal.pidfd_send_signal(process, signal.SIGTERM)
            if _ends(process, timeout_s / 2):
                return written
            if force:
                signal.pidfd_send_signal(process, signal.SIGKILL)
                if _ends(process, _ASK_S):
                    return written
    finally:
        os.close(process)
    raise GatewayError(
        f"the gateway (process {written.pid}) did not end within {timeout_s:g} s",
        hint=f"See {places.gateway_log}, or use --force.",
    )


def _ask(places: Places) -> None:
    locator = EmbeddedLocator(places, starter=None)
    with Client(settings=ClientSettings(timeout_s=_ASK_S), locator=locator) as client:
        client.stop_gateway()


def _ends(process: int, timeout_s: float) -> bool:
    return bool(select.select([process], [], [], timeout_s)[0])


def _is_ours(pid: int) -> bool:
    """Return whether the process is a gateway: its id may have been given to another one."""
    try:
        argv = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return b"qmio_jupyter.cli.daemon" in argv and b"gateway" in argv
