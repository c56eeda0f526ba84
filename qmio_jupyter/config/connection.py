"""The connection file: how a user's processes on one host reach her embedded gateway."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import msgspec

from qmio_jupyter.errors import ConfigError
from qmio_jupyter.private_files import read_private, write_private

#: Version of the file's shape.
VERSION = 1
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class ConnectionFile(msgspec.Struct, frozen=True, kw_only=True):
    """What the embedded gateway writes when it listens, 0600; useless on another host."""

    version: int = VERSION
    #: Node on which the gateway listens.
    host: str
    #: The kernel's id of this boot: process ids mean nothing after a restart of the node.
    boot_id: str
    #: Process id of the gateway.
    pid: int
    #: ZeroMQ endpoint, as ``tcp://127.0.0.1:PORT``.
    endpoint: str
    #: The gateway's public CURVE key, Z85.
    server_key: str
    #: The user's own CURVE key pair, Z85.
    public_key: str
    secret_key: str
    uid: int
    #: Name of the gateway.
    gateway: str
    #: Start of the gateway, milliseconds since the Unix epoch.
    started_ms: int

    def __repr__(self) -> str:
        """Say where it points, and keep the secret."""
        where = f"endpoint={self.endpoint!r}, host={self.host!r}, pid={self.pid}"
        return f"ConnectionFile(gateway={self.gateway!r}, {where})"


def this_host() -> str:
    """Return this node's name, as connection files hold it."""
    return socket.gethostname()


def this_boot() -> str:
    """Return the kernel's id of this boot; empty where there is none."""
    try:
        return BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def write(path: Path, connection: ConnectionFile) -> None:
    """Write the file atomically with mode 0600.

    Raises
    ------
    ConfigError
        ``config.file``.
    """
    write_private(path, msgspec.json.format(msgspec.json.encode(connection), indent=1) + b"\n")


def read(path: Path, *, host: str | None = None, boot_id: str | None = None) -> ConnectionFile:
    """Return the connection file's content.

    Parameters
    ----------
    path : Path
        The file.
    host, boot_id : str, optional
        For tests; this host's own when None.

    Raises
    ------
    ConfigError
        ``config.file`` if missing or malformed, ``config.permissions`` if not ours alone,
        ``config.other_host`` if it was written on another host, or before this one was restarted.
    """
    data = read_private(path)
    try:
        connection = msgspec.json.decode(data, type=ConnectionFile)
    except (msgspec.DecodeError, UnicodeDecodeError) as problem:
        raise ConfigError(
            f"{path} is not a connection file ({problem})",
            hint="Remove it and start the gateway again: jupyter qmio up",
            code="config.file",
        ) from problem
    if connection.version != VERSION:
        raise ConfigError(
            f"{path} has version {connection.version}, this software reads {VERSION}",
            hint="Stop the gateway with the software that started it.",
            code="config.file",
        )
    if connection.host != (host or this_host()):
        raise ConfigError(
            f"{path} was written on {connection.host}, this is {host or this_host()}",
            hint="Start a gateway here: jupyter qmio up",
            code="config.other_host",
        )
    if connection.boot_id != (this_boot() if boot_id is None else boot_id):
        raise ConfigError(
            f"{path} was written before this host was restarted",
            hint="Start a gateway: jupyter qmio up",
            code="config.other_host",
        )
    if connection.uid != os.getuid():
        raise ConfigError(
            f"{path} is for uid {connection.uid}, not {os.getuid()}",
            hint="Use a file of your own.",
            code="config.permissions",
        )
    return connection


def is_alive(connection: ConnectionFile) -> bool:
    """Return whether the process that wrote the file still runs (a zombie does not).

    A reused process id may deceive; a ping does not.
    """
    try:
        os.kill(connection.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        words = Path(f"/proc/{connection.pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return Path("/proc/self").exists() is False
    return words.rpartition(")")[2].split()[:1] != ["Z"]
