"""Where a gateway may listen: loopback, or a socket in a directory of its own, unless it was told otherwise."""

from __future__ import annotations

import ipaddress
import os
import re
import stat
from pathlib import Path

from qmio_jupyter.errors import ConfigError

_LONGEST_IPC_PATH = 107
_TCP = re.compile(r"tcp://(?P<host>[A-Za-z0-9_.*-]+|\[[0-9A-Fa-f:.]+\]):(\*|[0-9]{1,5})")


def check_endpoint(endpoint: str, *, allow_remote: bool) -> None:
    """Refuse an endpoint that would let in others than was said.

    Raises
    ------
    ConfigError
        For another transport than tcp and ipc, a name in place of an address, an address that is not loopback
        unless `allow_remote`, or a socket path in a directory that others may enter.
    """
    if endpoint.startswith("ipc://"):
        _check_ipc(Path(endpoint.removeprefix("ipc://")))
        return
    address = _TCP.fullmatch(endpoint)
    if address is None:
        raise ConfigError(
            f"{endpoint} is no endpoint", hint="Use tcp://127.0.0.1:* or ipc:///path/to/socket."
        )
    try:
        is_loopback = ipaddress.ip_address(address["host"].strip("[]")).is_loopback
    except ValueError:
        # An interface name or `*`: never only loopback for certain.
        is_loopback = False
    if not is_loopback and not allow_remote:
        raise ConfigError(
            f"{endpoint} is reachable from other hosts", hint="Use tcp://127.0.0.1:*, or allow remote peers."
        )


def _check_ipc(path: Path) -> None:
    if not path.is_absolute() or len(os.fsencode(path)) > _LONGEST_IPC_PATH:
        raise ConfigError(
            f"A socket path must be absolute and at most {_LONGEST_IPC_PATH} bytes: {path}",
            hint="Use a shorter directory.",
        )
    try:
        facts = path.parent.lstat()
    except OSError as problem:
        raise ConfigError(f"{path.parent}: {problem.strerror}", code="config.file", hint="Make it.") from None
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.geteuid() or facts.st_mode & 0o077:
        raise ConfigError(
            f"{path.parent} must be your own directory of mode 0700 to hold a socket",
            code="config.permissions",
            hint=f"chmod 700 {path.parent}",
        )
