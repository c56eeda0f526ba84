"""Nobody's job ends unannounced: what is told, when, how often, and through which cell."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell

from qmio_jupyter.notebook.walltime import END, WARNINGS_S, Countdown, Watch, watch
from qmio_jupyter.testing.home import wait_until


def test_each_warning_is_told_once() -> None:
    countdown = Countdown(10_000.0)
    assert countdown.due(9_000.0) == ""
    assert "time is up in 10 min" in countdown.due(9_400.0)
    assert countdown.due(9_500.0) == ""
    assert "time is up in 60 s" in countdown.due(9_940.0)
    assert countdown.next_s() is None
    assert countdown.due(20_000.0) == ""


def test_warnings_that_were_missed_are_told_as_one() -> None:
    assert "time is up in 0 s" in Countdown(10_000.0).due(10_500.0)


class Events:
    """A shell's events."""

    def __init__(self) -> None:
        self.events = self
        self.registered: list[Any] = []

    def register(self, name: str, callback: Any) -> None:
        assert name == "pre_run_cell"
        self.registered.append(callback)

    def unregister(self, name: str, callback: Any) -> None:
        assert name == "pre_run_cell"
        self.registered.remove(callback)


def test_a_long_cell_is_told_while_it_runs(capsys: pytest.CaptureFixture[str]) -> None:
    now = [0.0]
    shell = Events()
    made = Watch(shell, Countdown(1_000.0), lambda: now[0])
    said: list[str] = []

    def told() -> bool:
        said.append(capsys.readouterr().err)
        return "time is up in" in "".join(said)

    shell.registered[0]()
    assert not told()
    now[0] = 1_000.0 - WARNINGS_S[1]
    wait_until(told, "the running cell is told", 40)
    made.stop()
    assert shell.registered == []
    wait_until(lambda: all(one.name != "walltime" for one in threading.enumerate()), "the thread is over")


def test_before_the_first_cell_nothing_is_said_into_the_void(capsys: pytest.CaptureFixture[str]) -> None:
    shell = Events()
    made = Watch(shell, Countdown(1_000.0), lambda: 960.0)
    assert capsys.readouterr().err == ""
    shell.registered[0]()
    assert "time is up in 40 s" in capsys.readouterr().err
    made.stop()


def test_a_kernel_outside_of_a_job_has_no_end() -> None:
    shell = InteractiveShell()
    assert watch(shell, {}) is None
    assert watch(shell, {END: "soon"}) is None
