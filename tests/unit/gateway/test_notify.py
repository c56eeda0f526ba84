"""A gateway that listens tells its service manager, once, and only where there is one."""

from __future__ import annotations

import socket
from pathlib import Path
from secrets import token_hex

import pytest

from qmio_jupyter.gateway.notify import ready


def test_nobody_to_tell() -> None:
    assert not ready({})


@pytest.mark.parametrize("is_abstract", [False, True])
def test_it_is_told_once(tmp_path: Path, is_abstract: bool) -> None:
    name = f"@qmio-{token_hex(8)}" if is_abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(f"\0{name[1:]}" if is_abstract else name)
        manager.settimeout(5)
        environ = {"NOTIFY_SOCKET": name}
        assert ready(environ)
        assert manager.recv(100) == b"READY=1"
        assert environ == {}


def test_a_manager_that_is_gone_stops_nobody(tmp_path: Path) -> None:
    assert ready({"NOTIFY_SOCKET": str(tmp_path / "gone")})
