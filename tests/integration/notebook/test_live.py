"""The live view from a real kernel: a page that replaces itself, a widget for who shows one, the result in the end."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from qmio_jupyter.config.front_end import WIDGETS
from qmio_jupyter.testing.homes import Home
from tests.integration.notebook.conftest import Kernel

BODY = 'OPENQASM 3.0;\ninclude "stdgates.inc";\nqubit[2] q;\nbit[2] c;\nh q[0];\nc = measure q;\n'
SLOW = f"%%qpu -d echo -n 1000 --label slow --device-option seconds=1.5 --device-option partials=100\n{BODY}"
QUICK = f"%%qpu -d echo -n 1000\n{BODY}"
LAB = {"deletedCells": [], "recordTiming": False, "cellId": "a", "trusted": True}
WIDGET = "application/vnd.jupyter.widget-view+json"


def messages(kernel: Any, code: str, metadata: dict[str, Any]) -> list[tuple[float, dict[str, Any]]]:
    """Run a cell as a front end that sends this metadata; return what the kernel published, and when."""
    content = {
        "code": code,
        "silent": False,
        "store_history": True,
        "user_expressions": {},
        "allow_stdin": False,
        "stop_on_error": True,
    }
    request = kernel.client.session.msg("execute_request", content, metadata=metadata)
    kernel.client.shell_channel.send(request)
    found = []
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        message = kernel.client.get_iopub_msg(timeout=30)
        if message["parent_header"].get("msg_id") != request["header"]["msg_id"]:
            continue
        found.append((time.monotonic(), message))
        if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
            kernel.client.get_shell_msg(timeout=30)
            return found
    raise AssertionError("the cell did not end")


def kinds(found: list[tuple[float, dict[str, Any]]]) -> list[str]:
    return [
        message["msg_type"] for _, message in found if message["msg_type"] not in ("status", "execute_input")
    ]


def shown(found: list[tuple[float, dict[str, Any]]]) -> list[tuple[float, dict[str, Any]]]:
    return [
        (at, message["content"]["data"])
        for at, message in found
        if message["msg_type"] in ("display_data", "update_display_data")
    ]


def test_a_page_replaces_itself_ten_times_a_second_and_becomes_the_result(kernel: Any) -> None:
    found = messages(kernel, SLOW, {})
    assert set(kinds(found)) == {"display_data", "update_display_data"}
    frames = shown(found)
    assert len(frames) >= 5
    # Ten in a second at most, and the last at once; how soon they arrive is not the kernel's doing.
    assert len(frames) <= 10 * (frames[-1][0] - frames[0][0]) + 5
    first, last = frames[0][1], frames[-1][1]
    assert "<svg" in first["text/html"]
    assert "completed" in last["text/plain"]
    assert "<svg" not in last["text/html"]
    assert "application/vnd.qmio.result+json" in last
    done = [frame["text/plain"] for _, frame in frames[:-1]]
    assert any("of 1000 shots" in line for line in done)


def test_a_quick_task_shows_its_result_alone(kernel: Any) -> None:
    found = messages(kernel, QUICK, LAB)
    assert kinds(found) == ["display_data"]


def test_the_user_may_want_a_line_or_nothing(kernel: Any) -> None:
    kernel.run("%qpu config live=line").ok()
    frames = shown(messages(kernel, SLOW, {}))
    kernel.run("%qpu config live=auto").ok()
    assert all(list(frame) == ["text/plain"] for _, frame in frames[:-1])
    assert kinds(messages(kernel, SLOW.replace("-n", "-q -n"), {})) == []
    assert "live: one of" in kernel.run("%qpu config live=sometimes").errors[0]["traceback"][0]


@pytest.fixture(scope="module")
def offered(home: Home, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A kernel whose server has said that its pages show widgets."""
    tmp_path = tmp_path_factory.mktemp("offered")
    environ = home.environ(IPYTHONDIR=str(tmp_path / "ipython"), **{WIDGETS: "1"})
    kernel = Kernel(environ, tmp_path)
    kernel.run("%load_ext qmio_jupyter").ok()
    yield kernel
    kernel.close()


def test_a_front_end_that_shows_widgets_gets_one(offered: Any) -> None:
    found = messages(offered, SLOW, LAB)
    opened = [message["content"] for _, message in found if message["msg_type"] == "comm_open"]
    # anywidget, its layout, and nothing else.
    assert {content["target_name"] for content in opened} == {"jupyter.widget"}
    (view,) = [content for content in opened if "moment" in content["data"]["state"]]
    assert view["data"]["state"]["moment"]["label"] == "slow"
    frames = shown(found)
    assert len(frames) == 2
    assert frames[0][1][WIDGET]["model_id"] == view["comm_id"]
    assert "<img" in frames[0][1]["text/html"]
    assert WIDGET not in frames[1][1]
    assert "completed" in frames[1][1]["text/plain"]
    updates = [
        (at, message["content"]["data"]["state"])
        for at, message in found
        if message["msg_type"] == "comm_msg" and message["content"]["comm_id"] == view["comm_id"]
    ]
    assert len(updates) >= 4
    # Ten in a second at most, and the last state at once; how soon they arrive is not the kernel's doing.
    (first_s, _), *_, (last_s, _) = updates
    assert len(updates) <= 10 * (last_s - first_s) + 5
    done = [state["moment"]["done"] for _, state in updates if "moment" in state]
    assert done == sorted(done)
    assert done[-1] > 0


def test_without_the_front_ends_own_mark_no_widget_is_made(offered: Any) -> None:
    for metadata in ({}, {"cellId": "vscode-notebook-cell:/a.ipynb"}):
        assert "comm_open" not in kinds(messages(offered, SLOW, metadata))


@pytest.mark.usefixtures("kernel")
def test_nbclient_gets_no_widget_and_the_notebook_is_static(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in home.environ(IPYTHONDIR=str(tmp_path / "ipython"), **{WIDGETS: "1"}).items():
        monkeypatch.setenv(name, value)
    cells = ["%load_ext qmio_jupyter", SLOW, "'anywidget' in __import__('sys').modules"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    NotebookClient(notebook, timeout=60, kernel_name="python3", store_widget_state=True).execute()
    (output,) = notebook.cells[1].outputs
    assert set(output.data) == {"text/plain", "text/html", "application/vnd.qmio.result+json"}
    assert "completed" in output.data["text/plain"]
    assert notebook.cells[2].outputs[0].data["text/plain"] == "False"
    assert "widgets" not in notebook.metadata
    nbformat.validate(notebook)
