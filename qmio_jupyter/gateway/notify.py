"""Telling a service manager that the gateway listens: agents and whoever else comes after it need not try in vain."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import MutableMapping


def ready(environ: MutableMapping[str, str] | None = None) -> bool:
    """Send ``READY=1`` to the socket that systemd names in ``NOTIFY_SOCKET``; return whether there was one.

    The variable is removed: agents that the gateway starts are not the service.
    """
    env = os.environ if environ is None else environ
    name = env.pop("NOTIFY_SOCKET", "")
    if not name:
        return False
    # "@" stands for the null byte of an abstract socket.
    address = f"\0{name[1:]}" if name.startswith("@") else name
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told, contextlib.suppress(OSError):
        told.sendto(b"READY=1", address)
    return True
