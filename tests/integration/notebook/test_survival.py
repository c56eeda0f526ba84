"""Interrupts, a killed gateway, a restarted kernel: the work ends, or goes on, as the user meant."""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from qmio_jupyter.testing.homes import Home

#: Within so long an agent ends the work of a cancelled task: the promised second.
STOPS_MS = 1_000
BODY = 'OPENQASM 3.0;\ninclude "stdgates.inc";\nqubit[2] q;\nbit[2] c;\nh q[0];\nc = measure q;\n'


def cell(options: str) -> str:
    """Return a cell on `echo`."""
    return f"%%qpu -d echo {options}\n{BODY}"


def until(condition: Callable[[], bool], what: str, within_s: float = 10.0) -> float:
    """Wait until `condition` holds; return the seconds it took."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() < began + within_s, f"not within {within_s} s: {what}"
        time.sleep(0.01)
    return time.monotonic() - began


def states(home: Home, task_id: str) -> dict[str, int]:
    """Return when the task entered each state, in ms of the gateway's clock, from its ledger."""
    path = Path(home.path) / "state" / "ledger.sqlite"
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as ledger:
        rows = ledger.execute("SELECT to_state, at_ms FROM transitions WHERE task_id = ?", (task_id,))
        return dict(rows)


def running(kernel: Any, msg_id: str) -> None:
    """Wait until the cell says that its task runs."""
    kernel.wait(msg_id, until=lambda so_far: "echo: running" in so_far.text)


def test_interrupting_a_cell_ends_the_agents_work_and_the_next_cell_works(kernel: Any, home: Home) -> None:
    msg_id = kernel.start(cell("-o r --device-option seconds=30"))
    running(kernel, msg_id)
    interrupted_ms = time.time_ns() // 1_000_000
    kernel.interrupt()
    outcome = kernel.wait(msg_id)
    assert outcome.status == "error"
    assert outcome.errors[0]["ename"] == "KeyboardInterrupt"
    task_id = kernel.value("r.task_id")
    assert f"{task_id}: interrupted and cancelled." in outcome.text
    at_ms = states(home, task_id)
    # Only the agent's own word that the run has ended leads from cancelling to cancelled: one that ran on would
    # give it after 30 s. Both stamps are the gateway's; the kernel's way to it is not in this figure.
    assert at_ms["cancelled"] - at_ms["cancelling"] <= STOPS_MS
    assert at_ms["cancelling"] - interrupted_ms <= STOPS_MS
    assert kernel.value("str(r.state)") == "cancelled"
    assert "completed" in kernel.run(cell("")).ok().text


def test_interrupting_a_queued_cell_cancels_it(kernel: Any) -> None:
    kernel.run(cell("-a -o first --device-option seconds=30")).ok()
    for _ in range(20):  # fill the agent's credit, so that the next one waits in the queue
        kernel.run(cell("-aq --device-option seconds=30")).ok()
    msg_id = kernel.start(cell("-o r --device-option seconds=30"))
    # Its place is told at once, the estimate a moment later.
    waiting = kernel.wait(msg_id, until=lambda so_far: "starts in about" in so_far.text)
    assert re.search(r"\d ahead \(yours\)", waiting.text)
    kernel.interrupt()
    assert "interrupted and cancelled" in kernel.wait(msg_id).text
    assert kernel.value("str(r.state)") == "cancelled"
    assert kernel.run("%qpu cancel all").ok().text.count("cancel") >= 20
    until(
        lambda: kernel.value("all(v.state.is_final for v in __import__('qmio_jupyter').tasks(100))"),
        "all tasks end",
    )


def test_cells_queued_behind_an_interrupted_one_do_not_run(kernel: Any) -> None:
    first = kernel.start(cell("--device-option seconds=30"))
    second = kernel.start("ran = True")
    running(kernel, first)
    kernel.interrupt()
    assert kernel.wait(first).status == "error"
    assert kernel.client.get_shell_msg(timeout=30)["content"]["status"] == "aborted"
    assert second
    assert kernel.value("'ran' in globals()") is False


def test_a_gateway_killed_while_a_cell_waits_is_started_again_and_the_cell_goes_on(
    kernel: Any, home: Home
) -> None:
    msg_id = kernel.start(cell("-o r --device-option seconds=4"))
    running(kernel, msg_id)
    killed = home.kill_gateway()
    outcome = kernel.wait(msg_id).ok()
    assert "completed, 1000 shots" in outcome.text
    after = home.gateway()
    assert after is not None
    assert after.pid != killed
    assert "completed" in kernel.run(cell("")).ok().text


@pytest.mark.parametrize("state", ["running", "completed"])
def test_attach_last_after_a_kernel_restart_and_from_another_notebook(
    kernels: Callable[[], Any], state: str
) -> None:
    one = kernels()
    one.run(cell("-a -o r --label far --device-option seconds=2")).ok()
    task_id = one.value("r.task_id")
    if state == "completed":
        one.run("%qpu attach last").ok()
    one.restart()
    one.run("%load_ext qmio_jupyter").ok()
    outcome = one.run("%qpu attach last -o r").ok()
    assert f"{task_id}, far, on echo, completed" in outcome.text
    two = kernels()
    assert f"{task_id}, far, on echo, completed" in two.run("%qpu attach last -o r").ok().text
    assert one.value("r.counts()") == two.value("r.counts()")


def test_an_interrupted_attach_leaves_the_task_running(kernel: Any) -> None:
    kernel.run(cell("-a -o r --device-option seconds=30")).ok()
    msg_id = kernel.start("%qpu attach last")
    running(kernel, msg_id)
    kernel.interrupt()
    outcome = kernel.wait(msg_id)
    assert outcome.errors[0]["ename"] == "KeyboardInterrupt"
    assert "left running" in outcome.text
    assert kernel.value("str(r.state)") == "running"
    kernel.run("%qpu cancel all").ok()


def test_a_killed_kernel_leaves_its_task_in_the_ledger(kernels: Callable[[], Any]) -> None:
    one = kernels()
    msg_id = one.start(cell("-o r --label orphan --device-option seconds=1.5"))
    running(one, msg_id)
    one.die()
    one.run("%load_ext qmio_jupyter").ok()
    outcome = one.run("%qpu attach last").ok()
    assert "orphan, on echo, completed" in outcome.text
