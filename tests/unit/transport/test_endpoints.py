"""Where a gateway may listen."""

from __future__ import annotations

import pytest

from qmio_jupyter.errors import ConfigError
from qmio_jupyter.transport.endpoints import check_endpoint


@pytest.mark.parametrize(
    "endpoint", ["tcp://127.0.0.1:*", "tcp://127.0.0.1:5555", "tcp://127.8.9.10:1", "tcp://[::1]:*"]
)
def test_loopback_is_always_fine(endpoint):
    check_endpoint(endpoint, allow_remote=False)


@pytest.mark.parametrize(
    "endpoint",
    [
        "tcp://*:*",
        "tcp://0.0.0.0:*",
        "tcp://[::]:*",
        "tcp://10.1.2.3:5555",
        "tcp://eth0:*",
        "tcp://localhost:*",
        "tcp://lo:1",
    ],
)
def test_others_only_when_told(endpoint):
    with pytest.raises(ConfigError, match="other hosts"):
        check_endpoint(endpoint, allow_remote=False)
    check_endpoint(endpoint, allow_remote=True)


@pytest.mark.parametrize(
    "endpoint",
    [
        "",
        "tcp://",
        "tcp://127.0.0.1",
        "tcp://127.0.0.1:",
        "tcp://:5",
        "tcp://127.0.0.1:x",
        "udp://127.0.0.1:5",
        "inproc://x",
        "127.0.0.1:5",
        "tcp://127.0.0.1:5;tcp://0.0.0.0:5",
    ],
)
@pytest.mark.parametrize("allow_remote", [True, False])
def test_what_is_no_endpoint(endpoint, allow_remote):
    with pytest.raises(ConfigError):
        check_endpoint(endpoint, allow_remote=allow_remote)


def test_a_socket_in_a_private_directory(tmp_path):
    tmp_path.chmod(0o700)
    check_endpoint(f"ipc://{tmp_path}/gateway.sock", allow_remote=False)


@pytest.mark.parametrize("mode", [0o750, 0o755, 0o711, 0o777])
def test_no_socket_in_a_directory_others_may_enter(tmp_path, mode):
    tmp_path.chmod(mode)
    with pytest.raises(ConfigError) as told:
        check_endpoint(f"ipc://{tmp_path}/gateway.sock", allow_remote=True)
    assert told.value.code == "config.permissions"


def test_no_socket_behind_a_link_in_nothing_or_too_far_away(tmp_path):
    tmp_path.chmod(0o700)
    real = tmp_path / "real"
    real.mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(real)
    for path in (tmp_path / "link/s", tmp_path / "none/s", real / ("x" * 110), "relative/s", "@abstract"):
        with pytest.raises(ConfigError):
            check_endpoint(f"ipc://{path}", allow_remote=False)
