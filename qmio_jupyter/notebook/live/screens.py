"""Where a cell's output goes while its task is under way, and how it is shown there."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

from qmio_jupyter.notebook.live import front

if TYPE_CHECKING:
    from qmio_jupyter.display.moment import Moment
    from qmio_jupyter.display.result_page import Bundle
    from qmio_jupyter.drawing.picture import Drawing

#: How a cell may be shown: see `screen_for`.
MODES = ("auto", "widget", "page", "line")


class Frame(NamedTuple):
    """One state of the live view."""

    moment: Moment
    drawings: Sequence[Drawing]
    #: The same as one line of text.
    line: str


class Screen(Protocol):
    """Where a cell's output goes."""

    def show(self, frame: Frame) -> None:
        """Show a frame, in place of what was last shown if the front end can."""
        ...

    def final(self, bundle: Bundle) -> None:
        """Show a bundle, which has ``text/plain``, for good, in place of the last frame."""
        ...


@runtime_checkable
class Lasting(Protocol):
    """A screen that keeps its last frame beside the output."""

    def last(self, frame: Frame) -> None:
        """Keep the last frame."""
        ...


class _Place:
    """One output of a cell, replaced again and again through its display id."""

    def __init__(self) -> None:
        self._display_id = ""

    def put(self, bundle: Bundle) -> None:
        """Show a bundle in place of what was last shown."""
        from IPython.display import display, update_display

        if self._display_id:
            update_display(bundle, raw=True, display_id=self._display_id)  # type: ignore[no-untyped-call]
        else:
            self._display_id = f"qpu-{secrets.token_hex(8)}"
            display(bundle, raw=True, display_id=self._display_id)  # type: ignore[no-untyped-call]


class LineScreen:
    """Shows the line, and the result in its place: the least that any front end of a kernel can."""

    def __init__(self) -> None:
        self._place = _Place()
        self._shown = ""

    def show(self, frame: Frame) -> None:
        """Show the line, if it is new."""
        if frame.line != self._shown:
            self._shown = frame.line
            self._place.put({"text/plain": frame.line})

    def final(self, bundle: Bundle) -> None:
        """Show the bundle."""
        self._place.put(bundle)


class PageScreen:
    """Shows frames as HTML that replaces itself: no script, no widget, wherever a kernel's output is shown."""

    def __init__(self) -> None:
        self._place = _Place()

    def show(self, frame: Frame) -> None:
        """Show the frame's page."""
        self._place.put(_bundle(frame, is_live=True))

    def final(self, bundle: Bundle) -> None:
        """Show the bundle."""
        self._place.put(bundle)


class WidgetScreen:
    """Shows frames in a widget: bars that can be hovered and sorted while they grow, a button that cancels."""

    def __init__(self) -> None:
        self._place = _Place()
        self._widget: Any = None

    def show(self, frame: Frame) -> None:
        """Send the frame to the widget; the first one makes it."""
        from qmio_jupyter.notebook.live import widget

        if self._widget is not None:
            widget.update(self._widget, frame.moment, frame.drawings)
            return
        self._widget = widget.make(frame.moment, frame.drawings)
        # What a notebook that is saved meanwhile shows where the widget is gone.
        self._place.put(_bundle(frame, is_live=False) | widget.view_of(self._widget))

    def final(self, bundle: Bundle) -> None:
        """Show the bundle in the widget's place."""
        self._place.put(bundle)

    def last(self, frame: Frame) -> None:
        """Send the last frame: a page that was loaded anew meanwhile asks the widget for it, not the output."""
        if self._widget is not None:
            from qmio_jupyter.notebook.live import widget

            widget.update(self._widget, frame.moment, frame.drawings)


def _bundle(frame: Frame, *, is_live: bool) -> Bundle:
    from qmio_jupyter.display.moment_page import moment_page

    return {
        "text/plain": frame.line,
        "text/html": moment_page(frame.moment, frame.drawings, is_live=is_live),
    }


class PlainScreen:
    """Writes a line once, and the result below it: for terminals and captured output."""

    def __init__(self) -> None:
        self._said = False

    def show(self, frame: Frame) -> None:
        """Write the first line; later ones are dropped."""
        if not self._said:
            self._said = True
            self.final({"text/plain": frame.line})

    def final(self, bundle: Bundle) -> None:
        """Write the bundle's text."""
        print(bundle["text/plain"], flush=True)  # noqa: T201 - output is its purpose


class QuietScreen:
    """Shows nothing."""

    def show(self, frame: Frame) -> None:
        """Drop it."""

    def final(self, bundle: Bundle) -> None:
        """Drop it."""


def screen_for(shell: Any, *, quiet: bool = False, mode: str = "auto") -> Screen:
    """Return the screen for a cell of `shell` (an IPython shell, or None outside IPython).

    Parameters
    ----------
    mode : str
        ``auto``: a widget where the cell comes from a front end that is known to show it, else a page.
        ``widget``, ``page``, ``line``: that. Outside a kernel it makes no difference.
    """
    if quiet or shell is None:
        return QuietScreen()
    if getattr(shell, "kernel", None) is None:
        return PlainScreen()
    if mode == "line":
        return LineScreen()
    wants_widget = mode == "widget" or (mode == "auto" and front.takes_widgets(shell))
    return WidgetScreen() if wants_widget and front.has_anywidget() else PageScreen()
