"""The Cancel button of a cell that blocks its kernel, in a real page of a real Jupyter server."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from qmio_jupyter.client.sync import Client
from qmio_jupyter.model.task import TaskState
from qmio_jupyter.testing.homes import Home
from qmio_jupyter.testing.jupyter import Jupyter

LONG = """%%qpu -d echo -n 100 --device-option seconds=60
OPENQASM 3.0;
qubit q;
bit c;
c = measure q;"""


def routes(desk: Any) -> list[str]:
    """Return the paths below ours that the page has asked for."""
    paths = [urlsplit(url).path for url in desk.traffic.asked]
    return [path.partition("/qmio_jupyter/api/")[2] for path in paths if "/qmio_jupyter/api/" in path]


@pytest.mark.parametrize("front", ["lab", "notebook"])
def test_it_ends_the_cell_while_the_kernel_is_blocked(desk: Any, queue: Client, front: Any) -> None:
    sheet = desk.open(["%load_ext qmio_jupyter", LONG, "1 + 1"], front=front)
    sheet.run(0)
    output = sheet.start(1)
    expect(output).to_contain_text("running")
    (view,) = queue.tasks(1)
    desk.picture(sheet, "running")
    output.get_by_role("button", name="Cancel task").click()
    expect(sheet.ended(1)).to_contain_text(re.compile("cancelled", re.IGNORECASE))
    expect(output.get_by_role("button", name="Cancel task")).to_have_count(0)
    desk.picture(sheet, "cancelled")
    assert queue.show(view.task_id).state is TaskState.CANCELLED
    assert routes(desk)[-1] == f"tasks/{view.task_id}/cancel"
    assert set(routes(desk)[:-1]) == {"health"}
    expect(sheet.run(2).locator(".jp-OutputArea-output")).to_have_text("2")


def test_a_refusal_is_told_in_the_cell(desk: Any, queue: Client, home: Home) -> None:
    """The gateway hangs for a while: the page says so. What was asked is not lost: it is done when it goes on."""
    sheet = desk.open(["%load_ext qmio_jupyter", LONG])
    sheet.run(0)
    output = sheet.start(1)
    button = output.get_by_role("button", name="Cancel task")
    expect(output).to_contain_text("running")
    expect(button).to_be_enabled()
    written = home.gateway()
    assert written is not None
    os.kill(written.pid, signal.SIGSTOP)
    try:
        button.click()
        note = output.locator(".qmio-note")
        expect(note).to_have_text(re.compile(r"within 5 s.*\. .*jupyter qmio status"), timeout=20_000)
        expect(button).to_be_enabled()
        desk.picture(sheet, "told")
    finally:
        os.kill(written.pid, signal.SIGCONT)
    expect(sheet.ended(1)).to_contain_text("cancelled")


@pytest.fixture
def bare(home: Home, tmp_path: Path) -> Iterator[Jupyter]:
    """A server of the same user in which our extension is disabled, though the package is there."""
    (tmp_path / "site" / "jupyter_server_config.d").mkdir(parents=True)
    off = {"ServerApp": {"jpserver_extensions": {"qmio_jupyter": False}}}
    (tmp_path / "site" / "jupyter_server_config.d" / "off.json").write_text(json.dumps(off))
    (tmp_path / "jupyter").mkdir()
    running = Jupyter(home, tmp_path / "jupyter", {"JUPYTER_CONFIG_PATH": str(tmp_path / "site")})
    yield running
    running.stop()


@pytest.mark.parametrize("live", ["auto", "widget"])
def test_there_is_none_without_the_extension(desk: Any, queue: Client, bare: Jupyter, live: str) -> None:
    """Not even in a widget that somebody insists on; interrupting the cell cancels there."""
    desk.server = bare
    sheet = desk.open(["%load_ext qmio_jupyter", f"%qpu config live={live}", LONG, "1 + 1"])
    sheet.run(0)
    sheet.run(1)
    output = sheet.start(2)
    expect(output).to_contain_text("running")
    expect(output.locator(".qmio-live .qmio-head")).to_have_count(1 if live == "widget" else 0)
    sheet.page.wait_for_load_state("networkidle")
    expect(output.get_by_role("button", name="Cancel task")).to_have_count(0)
    assert set(routes(desk)) == ({"health"} if live == "widget" else set())
    (view,) = queue.tasks(1)
    sheet.command("notebook:interrupt-kernel")
    expect(sheet.ended(2)).to_contain_text("interrupted and cancelled")
    assert queue.show(view.task_id).state.is_final
