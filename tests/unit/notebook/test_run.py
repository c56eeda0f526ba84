"""Submitting and following, over a stand-in for the client."""

from __future__ import annotations

from typing import Any

import pytest

from qmio_jupyter.errors import DeadlineError, GatewayError
from qmio_jupyter.model.task import TaskState
from qmio_jupyter.notebook import run as running
from qmio_jupyter.notebook.circuits import Text
from qmio_jupyter.notebook.grammar import RunOptions
from qmio_jupyter.notebook.run import Defaults

BELL = Text("OPENQASM 3.0;", "text/x-openqasm; version=3")


class Screen:
    """Keeps what it is shown."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def show(self, frame: Any) -> None:
        self.said.append(frame.line)

    def final(self, bundle: dict[str, Any]) -> None:
        self.said.append(bundle["text/plain"])
        assert "text/html" in bundle


def submit(fake: Any, **asked: Any) -> Any:
    """Submit a program."""
    return running.submit(fake, [BELL], RunOptions(**asked), Defaults(), {})


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


def test_a_cancel_that_no_gateway_has_heard_is_said_and_sent_later(
    fake: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.script = lambda *_: None
    handle = submit(fake)

    def wait(*_: Any) -> Any:
        raise KeyboardInterrupt

    def cancel(*_: Any, **__: Any) -> Any:
        raise DeadlineError("no gateway could be reached within 2 s (task.cancel)")

    monkeypatch.setattr(type(handle), "wait", wait)
    monkeypatch.setattr(fake, "cancel", cancel)
    screen = Screen()
    with pytest.raises(KeyboardInterrupt):
        running.follow(fake, handle, screen)
    assert "being cancelled" not in screen.said[-1]
    assert "no gateway could be told yet: it may run on" in screen.said[-1]
    assert f"%qpu cancel {handle.task_id}" in screen.said[-1]
    assert fake.later == [(handle.task_id, running.CANCEL_LATER_S)]


def test_an_interrupted_submit_is_cancelled_later_too(fake: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []

    def interrupt(*_: Any, task_id: str, **__: Any) -> Any:
        tried.append(task_id)
        raise KeyboardInterrupt

    def cancel(*_: Any, **__: Any) -> Any:
        raise DeadlineError("no gateway")

    monkeypatch.setattr(fake, "submit", interrupt)
    monkeypatch.setattr(fake, "cancel", cancel)
    with pytest.raises(KeyboardInterrupt):
        submit(fake)
    assert fake.later == [(tried[0], running.CANCEL_LATER_S)]


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
