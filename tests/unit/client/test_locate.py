"""Where the gateway is looked for, and when one is started."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from qmio_jupyter.auth.keys import new_keys, write_keys
from qmio_jupyter.client.locate import (
    DOUBT_S,
    NEXT_S,
    Demand,
    EmbeddedLocator,
    ListLocator,
    locator_for,
)
from qmio_jupyter.config import connection
from qmio_jupyter.config.connection import ConnectionFile
from qmio_jupyter.config.places import Places, places
from qmio_jupyter.config.settings import ClientSettings, GatewayAddress
from qmio_jupyter.errors import ConfigError, GatewayError

DEAD = 2**22 - 3


class FakeStarter:
    """Counts what it is asked; `fails` makes the next step raise."""

    def __init__(self) -> None:
        self.starts = 0
        self.finished = 0
        self.fails = False

    def step(self, now_s: float, *, wanted: bool) -> None:
        if self.fails:
            raise GatewayError("did not start", code="gateway.start")
        self.starts += wanted

    def reap(self, now_s: float) -> None:
        pass

    def done(self) -> None:
        self.finished += 1


def write(found: Places, pid: int, port: int = 1, host: str | None = None) -> None:
    connection.write(
        found.connection_file,
        ConnectionFile(
            host=host or connection.this_host(),
            boot_id=connection.this_boot(),
            pid=pid,
            endpoint=f"tcp://127.0.0.1:{port}",
            server_key="s" * 40,
            public_key="p" * 40,
            secret_key="k" * 40,
            uid=os.getuid(),
            gateway="local",
            started_ms=1,
        ),
    )


@pytest.fixture
def found(tmp_path: Path) -> Places:
    return places({"QMIO_HOME": str(tmp_path)}, mountinfo="")


def test_a_running_gateway_is_used(found: Places) -> None:
    write(found, os.getpid(), port=7)
    target = EmbeddedLocator(found, None).locate(0, Demand.NONE)
    assert target is not None
    assert target.endpoint == "tcp://127.0.0.1:7"
    assert target.keys.secret == "k" * 40


@pytest.mark.parametrize(
    ("demand", "killed", "starts"),
    [
        (Demand.ASKING, False, 1),
        (Demand.ASKING, True, 1),
        (Demand.WAITING, True, 1),
        (Demand.WAITING, False, 0),
        (Demand.NONE, True, 0),
        (Demand.NONE, False, 0),
    ],
)
def test_who_starts_a_gateway(found: Places, demand: Demand, killed: bool, starts: int) -> None:
    if killed:
        write(found, DEAD)
    starter = FakeStarter()
    assert EmbeddedLocator(found, starter).locate(0, demand) is None
    assert starter.starts == starts


def test_a_new_port_after_a_restart_is_found(found: Places) -> None:
    locator = EmbeddedLocator(found, FakeStarter())
    write(found, os.getpid(), port=7)
    first = locator.locate(0, Demand.NONE)
    locator.linked()
    write(found, os.getpid(), port=8)
    second = locator.locate(10, Demand.NONE)
    assert first is not None
    assert second is not None
    assert (first.endpoint, second.endpoint) == ("tcp://127.0.0.1:7", "tcp://127.0.0.1:8")


def test_a_live_process_that_never_answers_is_doubted(found: Places) -> None:
    starter = FakeStarter()
    locator = EmbeddedLocator(found, starter)
    write(found, os.getpid())
    assert locator.locate(0, Demand.ASKING) is not None
    assert starter.starts == 0
    # Still tried, for it may only be slow: but a gateway is started, and its lock decides.
    assert locator.locate(DOUBT_S, Demand.ASKING) is not None
    assert starter.starts == 1
    locator.linked()
    assert starter.finished == 1
    locator.locate(DOUBT_S + 1, Demand.ASKING)
    assert starter.starts == 1


def test_without_leave_to_start_one_asking_fails_at_once_and_says_what_to_do(found: Places) -> None:
    locator = EmbeddedLocator(found, None)
    with pytest.raises(GatewayError) as caught:
        locator.locate(0, Demand.ASKING)
    assert "jupyter qmio up" in caught.value.hint
    assert locator.locate(0, Demand.WAITING) is None


def test_a_file_of_another_host_does_not_stop_a_start_but_is_an_error_without(found: Places) -> None:
    write(found, os.getpid(), host="elsewhere")
    starter = FakeStarter()
    assert EmbeddedLocator(found, starter).locate(0, Demand.ASKING) is None
    assert starter.starts == 1
    with pytest.raises(ConfigError) as caught:
        EmbeddedLocator(found, None).locate(0, Demand.ASKING)
    assert caught.value.code == "config.other_host"


def test_a_file_that_others_can_read_is_always_an_error(found: Places) -> None:
    write(found, os.getpid())
    found.connection_file.chmod(0o644)
    starter = FakeStarter()
    with pytest.raises(ConfigError) as caught:
        EmbeddedLocator(found, starter).locate(0, Demand.ASKING)
    assert caught.value.code == "config.permissions"
    assert starter.starts == 0


def test_configured_gateways_are_tried_in_order_one_at_a_time(tmp_path: Path) -> None:
    write_keys(tmp_path / "key", new_keys())
    addresses = [
        GatewayAddress(endpoint=f"tcp://g{i}:1", server_key="s" * 40, key_file=str(tmp_path / "key"))
        for i in range(2)
    ]
    locator = ListLocator(addresses)

    def where(now: float) -> str:
        target = locator.locate(now, Demand.ASKING)
        assert target is not None
        return target.endpoint

    assert where(0) == where(NEXT_S - 0.1) == "tcp://g0:1"
    assert where(NEXT_S) == "tcp://g1:1"
    locator.linked()
    assert where(100) == "tcp://g1:1"
    assert where(100 + NEXT_S) == "tcp://g0:1"


def test_a_configured_gateway_that_cannot_be_used_is_passed_over(tmp_path: Path, found: Places) -> None:
    write(found, os.getpid(), port=9)
    missing = GatewayAddress(connection_file=str(tmp_path / "missing.json"))
    good = GatewayAddress(connection_file=str(found.connection_file))
    target = ListLocator([missing, good]).locate(0, Demand.ASKING)
    assert target is not None
    assert target.endpoint.endswith(":9")
    with pytest.raises(ConfigError):
        ListLocator([missing]).locate(0, Demand.ASKING)
    with pytest.raises(GatewayError):
        ListLocator([missing, missing]).locate(0, Demand.ASKING)


def test_the_settings_choose(tmp_path: Path) -> None:
    said: list[str] = []
    environ = {"QMIO_HOME": str(tmp_path)}
    listed = ClientSettings(gateways=(GatewayAddress(connection_file="/x"),))
    assert isinstance(locator_for(listed, environ, said.append), ListLocator)
    assert isinstance(locator_for(ClientSettings(), environ, said.append), EmbeddedLocator)
    with pytest.raises(GatewayError):
        locator_for(ClientSettings(), environ, said.append, start=False).locate(0, Demand.ASKING)
