"""The server finds the gateway that the user's other programs use, whatever becomes of it meanwhile."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from qmio_jupyter.client.sync import connect
from qmio_jupyter.client.sync_handle import TaskHandle
from qmio_jupyter.config import connection
from qmio_jupyter.model.ids import mint
from qmio_jupyter.model.task import TaskState
from qmio_jupyter.testing.home import ECHO_ONLY, Home, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

ABSENT = mint("t", 1_790_000_000_000, bytes(10))
ENDS_S = 30.0
Submit = Callable[[Home], TaskHandle]
Up = Callable[[Home], None]


def cancels(server: Any, home: Home, submit: Submit) -> None:
    """Check that a running task is cancelled through the server."""
    handle = submit(home)
    answer = server.cancel(handle.task_id)
    assert answer.status == 200, answer
    assert handle.wait(ENDS_S).state is TaskState.CANCELLED


def test_a_gateway_may_stop_and_another_start(
    home: Home, serve: Any, start_gateway: Up, submit_running: Submit
) -> None:
    start_gateway(home)
    server = serve(home, "--QmioServer.timeout_s=3")
    cancels(server, home, submit_running)
    for stop in (lambda: home.cli("down"), home.kill):
        stop()
        began = time.monotonic()
        answer = server.cancel(ABSENT)
        assert (answer.status, answer.body["code"]) == (503, "gateway")
        assert "jupyter qmio up" in answer.body["hint"]
        assert time.monotonic() - began < 3 + 5
        assert server.health().body["gateway"] is False
        start_gateway(home)
        cancels(server, home, submit_running)
        assert server.health().body["gateway"] is True


def test_a_restart_that_nobody_noticed_is_survived(
    home: Home, serve: Any, start_gateway: Up, submit_running: Submit
) -> None:
    start_gateway(home)
    server = serve(home)
    handle = submit_running(home)
    assert server.health().body["gateway"] is True
    home.kill()
    # Its device takes nothing new while the killed gateway's agent holds the task: nobody waits for that here.
    with connect(environ=home.environ, start=True, timeout_s=60) as other:
        other.ping()
    answer = server.cancel(handle.task_id)
    assert answer.status == 200, answer
    assert handle.wait(ENDS_S).state is TaskState.CANCELLED


def test_a_gateway_that_hangs_is_waited_for_no_longer_than_said(
    home: Home, serve: Any, start_gateway: Up, submit_running: Submit
) -> None:
    start_gateway(home)
    server = serve(home, "--QmioServer.timeout_s=1")
    cancels(server, home, submit_running)
    handle = submit_running(home)
    written = home.connection()
    assert written is not None
    os.kill(written.pid, signal.SIGSTOP)
    try:
        began = time.monotonic()
        answer = server.cancel(handle.task_id)
        assert (answer.status, answer.body["code"]) == (504, "deadline")
        assert server.health().body["gateway"] is False
        assert time.monotonic() - began < 2 + 5
    finally:
        os.kill(written.pid, signal.SIGCONT)
    assert server.cancel(handle.task_id).status == 200
    assert handle.wait(ENDS_S).state is TaskState.CANCELLED


def test_a_configured_gateway_is_preferred(
    tmp_path: Path, serve: Any, start_gateway: Up, submit_running: Submit
) -> None:
    """As for kernels: where the settings name gateways, no other is asked."""
    theirs = Home(private(tmp_path / "theirs"))
    start_gateway(theirs)
    try:
        file = theirs.places.connection_file
        settings = f'{ECHO_ONLY}\n[[client.gateways]]\nconnection_file = "{file}"\n'
        mine = Home(private(tmp_path / "mine"), settings)
        server = serve(mine)
        cancels(server, theirs, submit_running)
        assert mine.connection() is None
    finally:
        theirs.sweep()


def test_settings_written_after_the_start_count(
    tmp_path: Path, serve: Any, start_gateway: Up, submit_running: Submit
) -> None:
    home = Home(private(tmp_path / "mine"))
    server = serve(home)
    assert server.cancel(ABSENT).body["code"] == "gateway"
    elsewhere = Home(private(tmp_path / "elsewhere"))
    start_gateway(elsewhere)
    try:
        config = Path(home.environ["QMIO_CONFIG"])
        line = f'connection_file = "{elsewhere.places.connection_file}"'
        config.write_text(f"{config.read_text()}\n[[client.gateways]]\n{line}\n")
        cancels(server, elsewhere, submit_running)
    finally:
        elsewhere.sweep()


def test_a_file_of_another_host_or_user_leads_nowhere(home: Home, serve: Any, start_gateway: Up) -> None:
    start_gateway(home)
    written = home.connection()
    assert written is not None
    path = home.places.connection_file
    server = serve(home, "--QmioServer.keep_s=0")
    connection.write(path, msgspec.structs.replace(written, host="another-node"))
    answer = server.cancel(ABSENT)
    assert (answer.status, answer.body["code"]) == (503, "config.other_host")
    connection.write(path, written)
    path.chmod(0o644)
    answer = server.cancel(ABSENT)
    assert (answer.status, answer.body["code"]) == (500, "config.permissions")
    path.chmod(0o600)
    assert server.cancel(ABSENT).body["code"] == "task.unknown"


def test_the_link_does_not_keep_an_idle_gateway_alive(tmp_path: Path, serve: Any) -> None:
    home = Home(tmp_path, ECHO_ONLY.replace("idle_s = 120", "idle_s = 1"))
    try:
        server = serve(home, "--QmioServer.keep_s=0.5")
        with connect(environ=home.environ, start=True, timeout_s=60) as other:
            other.ping()
            wait_until(lambda: server.health().body["gateway"], "the server has its link")
        wait_until(lambda: home.connection() is None, "the gateway stops by itself")
        assert server.health().body["gateway"] is False
        assert server.process.poll() is None
    finally:
        home.sweep()


def private(path: Path) -> Path:
    """Make a directory of mode 0700."""
    path.mkdir(mode=0o700)
    return path
