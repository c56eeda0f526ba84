"""Submitting and following, over a stand-in for the client."""

from __future__ import annotations

from typing import Any

import pytest

from qmio_jupyter.errors import DeviceError, GatewayError
from qmio_jupyter.model.access import Role
from qmio_jupyter.model.task import TaskState
from qmio_jupyter.notebook import run as running
from qmio_jupyter.notebook.circuits import Text
from qmio_jupyter.notebook.grammar import RunOptions
from qmio_jupyter.notebook.run import Defaults
from qmio_jupyter.wire.messages import Limits, Welcome

BELL = Text("OPENQASM 3.0;", "text/x-openqasm; version=3")


class Screen:
    """Keeps what it is shown."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def line(self, text: str) -> None:
        self.said.append(text)

    def final(self, text: str) -> None:
        self.said.append(text)


def submit(fake: Any, **asked: Any) -> Any:
    """Submit a program."""
    return running.submit(fake, [BELL], RunOptions(**asked), Defaults(), {})


def young(fake: Any, age_ms: int) -> None:
    """Let the gateway be `age_ms` old when we connected."""
    fake.welcome = Welcome(
        major=1, gateway="local", epoch=1, role=Role.USER, limits=Limits(), now_ms=1 + age_ms, software=""
    )


def test_a_device_of_a_young_gateway_is_waited_for(fake: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    young(fake, 100)
    view = fake.known.pop("ideal")
    looked: list[float] = []

    def sleep(seconds: float) -> None:
        looked.append(seconds)
        if len(looked) == 3:
            fake.known["ideal"] = view

    monkeypatch.setattr(running.time, "sleep", sleep)
    assert running.known_device(fake, "ideal") == view
    assert len(looked) == 3


def test_a_device_of_an_old_gateway_is_not_waited_for(fake: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    young(fake, 60_000)
    monkeypatch.setattr(running.time, "sleep", lambda _: pytest.fail("it waited"))
    with pytest.raises(DeviceError):
        running.known_device(fake, "nowhere")


def test_the_wait_for_a_device_ends(fake: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    young(fake, 0)
    now = [0.0]
    monkeypatch.setattr(running.time, "sleep", lambda s: now.__setitem__(0, now[0] + s))
    monkeypatch.setattr(running.time, "monotonic", lambda: now[0])
    with pytest.raises(DeviceError):
        running.known_device(fake, "nowhere")
    assert 14 < now[0] < 16


def test_another_device_error_is_not_waited_for(fake: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    young(fake, 0)

    def offline(name: str, timeout_s: float | None = None) -> Any:
        raise DeviceError("no", code="device.offline")

    monkeypatch.setattr(fake, "device", offline)
    with pytest.raises(DeviceError, match="no"):
        running.known_device(fake, "ideal")


def test_a_gateway_that_is_gone_for_long_ends_the_wait_and_says_how_to_come_back(
    fake: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.script = lambda *_: None
    handle = submit(fake)
    fake.unreachable_s = fake.settings.unreachable_s + 1
    screen = Screen()
    with pytest.raises(GatewayError):
        running.follow(fake, handle, screen)
    assert f"%qpu attach {handle.task_id}" in screen.said[-1]


def test_a_task_that_ended_otherwise_after_an_interrupt_is_told(
    fake: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.script = lambda *_: None
    handle = submit(fake)

    def wait(*_: Any) -> Any:
        fake.complete(handle.task_id)
        raise KeyboardInterrupt

    monkeypatch.setattr(type(handle), "wait", wait)
    screen = Screen()
    with pytest.raises(KeyboardInterrupt):
        running.follow(fake, handle, screen)
    assert "had completed before" in screen.said[-1]
    assert handle.state is TaskState.COMPLETED


def test_an_interrupt_without_a_gateway_says_that_nothing_was_cancelled(
    fake: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.script = lambda *_: None
    handle = submit(fake)

    def wait(*_: Any) -> Any:
        raise KeyboardInterrupt

    def cancel(*_: Any, **__: Any) -> Any:
        raise GatewayError("no gateway")

    monkeypatch.setattr(type(handle), "wait", wait)
    monkeypatch.setattr(fake, "cancel", cancel)
    screen = Screen()
    with pytest.raises(KeyboardInterrupt):
        running.follow(fake, handle, screen)
    assert "not cancelled" in screen.said[-1]
