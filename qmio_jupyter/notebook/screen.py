"""Where a cell's output goes: a front end that can replace what it shows, or plain text."""

from __future__ import annotations

import secrets
from typing import Any

from qmio_jupyter.notebook.status import Bundle, Screen


class KernelScreen:
    """Shows through one display id, so that the line becomes the result in place.

    The output that stays in a saved notebook is the last one: a bundle of text and static HTML.
    """

    def __init__(self) -> None:
        self._display_id = ""

    def line(self, text: str) -> None:
        """Show `text` in place of what was last shown."""
        self.final({"text/plain": text})

    def final(self, bundle: Bundle) -> None:
        """Show a bundle in place of what was last shown."""
        from IPython.display import display, update_display

        if self._display_id:
            update_display(bundle, raw=True, display_id=self._display_id)  # type: ignore[no-untyped-call]
        else:
            self._display_id = f"qpu-{secrets.token_hex(8)}"
            display(bundle, raw=True, display_id=self._display_id)  # type: ignore[no-untyped-call]


class PlainScreen:
    """Writes a line once, and the result below it: for terminals and captured output."""

    def __init__(self) -> None:
        self._said = False

    def line(self, text: str) -> None:
        """Write the first line; later ones are dropped."""
        if not self._said:
            self._said = True
            self.final({"text/plain": text})

    def final(self, bundle: Bundle) -> None:
        """Write the bundle's text."""
        print(bundle["text/plain"], flush=True)  # noqa: T201 - output is its purpose


class QuietScreen:
    """Shows nothing."""

    def line(self, text: str) -> None:
        """Drop it."""

    def final(self, bundle: Bundle) -> None:
        """Drop it."""


def screen_for(shell: Any, *, quiet: bool = False) -> Screen:
    """Return the screen for a cell of `shell` (an IPython shell, or None outside IPython)."""
    if quiet or shell is None:
        return QuietScreen()
    return KernelScreen() if getattr(shell, "kernel", None) is not None else PlainScreen()
