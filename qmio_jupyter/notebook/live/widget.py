"""The widget of a live view: two values that ``static/live.js`` shows. Imported when the first one is made.

It talks one way, from here to the page: what the page asks for (to cancel) goes to the Jupyter server, because a
kernel that waits for a task answers no message of a widget.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any

import anywidget
import msgspec
import traitlets

from qmio_jupyter.display.moment import Moment
from qmio_jupyter.drawing.picture import Drawing
from qmio_jupyter.drawing.style import live_css

_VIEW = "application/vnd.jupyter.widget-view+json"
#: Widgets that are kept after their end: a page that was loaded anew meanwhile finds their last state.
_KEPT = 8


def source(name: str) -> str:
    """Return a file of ``notebook/static``."""
    return files("qmio_jupyter.notebook").joinpath("static", name).read_text(encoding="utf-8")


@cache
def _sheet() -> str:
    return source("live.css") + live_css(".qmio-live")


class LiveView(anywidget.AnyWidget):
    """The state of one live view."""

    _esm = source("live.js")
    _css = _sheet()
    #: `display.moment.Moment` as an object.
    moment: Any = traitlets.Dict().tag(sync=True)
    #: `drawing.picture.Drawing` as objects, in order.
    drawings: Any = traitlets.List().tag(sync=True)


_alive: deque[LiveView] = deque()


def make(moment: Moment, drawings: Sequence[Drawing]) -> LiveView:
    """Return a new widget that shows this; the oldest ones are given up."""
    while len(_alive) >= _KEPT:
        _alive.popleft().close()
    made = LiveView(moment=msgspec.to_builtins(moment), drawings=_plain(drawings))
    _alive.append(made)
    return made


def update(widget: LiveView, moment: Moment, drawings: Sequence[Drawing]) -> None:
    """Have the widget show this; one message, with what has changed."""
    with widget.hold_sync():
        widget.moment = msgspec.to_builtins(moment)
        widget.drawings = _plain(drawings)


def view_of(widget: LiveView) -> dict[str, Any]:
    """Return what shows the widget, by media type."""
    return {_VIEW: {"version_major": 2, "version_minor": 0, "model_id": widget.model_id}}


def _plain(drawings: Sequence[Drawing]) -> list[Any]:
    plain: list[Any] = msgspec.to_builtins(list(drawings))
    return plain
