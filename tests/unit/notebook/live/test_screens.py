"""How a cell is shown, by where its output goes."""

from __future__ import annotations

import os
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from IPython.core import displaypub
from IPython.core.interactiveshell import InteractiveShell

from qmio_jupyter.config.front_end import WIDGETS
from qmio_jupyter.display.moment import moment
from qmio_jupyter.display.pictures import pictures
from qmio_jupyter.model.task import TaskState
from qmio_jupyter.notebook.live import front
from qmio_jupyter.notebook.live.screens import (
    Frame,
    LineScreen,
    PageScreen,
    PlainScreen,
    QuietScreen,
    WidgetScreen,
    screen_for,
)
from tests.unit.display.making import VIEW

LAB = {"trusted": True, "deletedCells": [], "recordTiming": False, "cellId": "a"}
OTHERS: dict[str, Any] = {
    "nbclient": {},
    "VS Code": {"cellId": "vscode-notebook-cell:/a.ipynb#W0"},
    "nothing": None,
    "nonsense": "deletedCells",
}


def shell(metadata: Any = None) -> Any:
    """Return a stand-in for a kernel's shell that serves a request with this metadata."""
    return SimpleNamespace(kernel=SimpleNamespace(get_parent=lambda _: {"metadata": metadata}))


def frame(done: int = 0) -> Frame:
    now = moment(msgspec.structs.replace(VIEW, state=TaskState.RUNNING, shots_done=done), now_ms=0)
    return Frame(now, pictures([], asked=100), f"{done} of 100")


@pytest.fixture
def put(monkeypatch: pytest.MonkeyPatch, one_shell: InteractiveShell) -> list[tuple[str, Any, bool]]:
    """Every bundle that is shown, with its display id, and whether it replaces one."""
    found: list[tuple[str, Any, bool]] = []

    def publish(
        self: Any, data: Any, metadata: Any = None, *, transient: Any, update: bool = False, **_: Any
    ) -> None:
        found.append((transient["display_id"], data, update))

    monkeypatch.setattr(displaypub.DisplayPublisher, "publish", publish)
    return found


def test_a_widget_needs_both_signs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(WIDGETS, raising=False)
    assert isinstance(screen_for(shell(LAB)), PageScreen)
    monkeypatch.setenv(WIDGETS, "1")
    assert isinstance(screen_for(shell(LAB)), WidgetScreen)
    for metadata in OTHERS.values():
        assert isinstance(screen_for(shell(metadata)), PageScreen)
    assert isinstance(screen_for(SimpleNamespace(kernel=object())), PageScreen)


def test_what_the_user_says_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(WIDGETS, "1")
    assert isinstance(screen_for(shell(LAB), mode="page"), PageScreen)
    assert isinstance(screen_for(shell(LAB), mode="line"), LineScreen)
    assert isinstance(screen_for(shell({}), mode="widget"), WidgetScreen)
    assert isinstance(screen_for(shell(LAB), quiet=True), QuietScreen)


def test_without_anywidget_there_is_a_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(WIDGETS, "1")
    monkeypatch.setattr(front, "has_anywidget", lambda: False)
    assert isinstance(screen_for(shell(LAB)), PageScreen)
    assert isinstance(screen_for(shell(LAB), mode="widget"), PageScreen)


def test_without_a_kernel_there_is_text(capsys: pytest.CaptureFixture[str]) -> None:
    screen = screen_for(object(), mode="widget")
    assert isinstance(screen, PlainScreen)
    screen.show(frame(1))
    screen.show(frame(2))
    screen.final({"text/plain": "result", "text/html": "<b>result</b>"})
    assert capsys.readouterr().out == "1 of 100\nresult\n"


def test_quiet_and_no_shell_show_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    for screen in (screen_for(object(), quiet=True), screen_for(None)):
        assert isinstance(screen, QuietScreen)
        screen.show(frame())
        screen.final({"text/plain": "b"})
    assert capsys.readouterr().out == ""


def test_a_page_replaces_itself_and_ends_as_the_result(put: list[Any]) -> None:
    screen = PageScreen()
    screen.show(frame(1))
    screen.show(frame(2))
    screen.final({"text/plain": "result"})
    assert len({display_id for display_id, _, _ in put}) == 1
    assert [update for _, _, update in put] == [False, True, True]
    assert [data["text/plain"] for _, data, _ in put] == ["1 of 100", "2 of 100", "result"]
    page = put[0][1]["text/html"]
    assert "<svg" in page
    assert "<script" not in page
    assert "<img" not in page


def test_a_line_is_text_alone_and_not_repeated(put: list[Any]) -> None:
    screen = LineScreen()
    for done in (1, 1, 2):
        screen.show(frame(done))
    screen.final({"text/plain": "result", "text/html": "x"})
    assert [data for _, data, _ in put] == [
        {"text/plain": "1 of 100"},
        {"text/plain": "2 of 100"},
        {"text/plain": "result", "text/html": "x"},
    ]


def test_a_widget_is_made_once_and_has_a_page_for_where_it_is_gone(put: list[Any]) -> None:
    from qmio_jupyter.notebook.live import widget

    screen = WidgetScreen()
    screen.show(frame(1))
    screen.show(frame(2))
    ((_, data, update),) = put
    assert not update
    model_id = data["application/vnd.jupyter.widget-view+json"]["model_id"]
    assert data["text/html"].count("<img") == 1
    made = widget._alive[-1]
    assert made.model_id == model_id
    assert made.moment["done"] == 2
    assert [drawing["width"] for drawing in made.drawings] == [560]
    screen.last(frame(100))
    screen.final({"text/plain": "result"})
    assert made.moment["done"] == 100
    assert put[-1][1:] == ({"text/plain": "result"}, True)


def test_only_the_last_widgets_are_kept() -> None:
    from qmio_jupyter.notebook.live import widget

    made = [widget.make(frame(n).moment, []) for n in range(12)]
    assert len(widget._alive) == 8
    assert made[0].comm is None
    assert made[-1].comm is not None


def test_one_update_is_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    from qmio_jupyter.notebook.live import widget

    made = widget.make(frame(1).moment, [])
    sent: list[Any] = []
    monkeypatch.setattr(type(made), "_send", lambda self, message, **_: sent.append(message["state"]))
    widget.update(made, frame(2).moment, frame(2).drawings)
    widget.update(made, frame(3).moment, frame(2).drawings)
    assert [sorted(state) for state in sent] == [["drawings", "moment"], ["moment"]]


def test_screens_load_no_widget() -> None:
    script = (
        "import sys\nfrom qmio_jupyter.notebook.live.screens import screen_for\n"
        "from qmio_jupyter.notebook.live import director\nscreen_for(type('S', (), {'kernel': object()})())\n"
        "assert not {'ipywidgets', 'anywidget', 'traitlets', 'IPython', 'qiskit', 'numpy'} & set(sys.modules)\n"
    )
    environ = os.environ | {WIDGETS: "1"}
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60, env=environ)
