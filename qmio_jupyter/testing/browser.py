"""Debian's Chromium through Playwright, and a notebook in it that is used as a user uses it.

Playwright's own browsers are never downloaded: ``QMIO_CHROMIUM`` names the program, or it is found in PATH.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, NamedTuple
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect, sync_playwright

from qmio_jupyter.testing.jupyter import Jupyter

#: Nothing but our own pages is opened, so there is nothing that a sandbox would keep out; it cannot be had as root.
_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
)
#: How long anything that a page is to show may take.
PATIENCE_S = 60.0

Front = Literal["lab", "notebook"]


def chromium() -> str | None:
    """Return the path of the browser, None if there is none."""
    asked = os.environ.get("QMIO_CHROMIUM")
    return shutil.which(asked) if asked else shutil.which("chromium") or shutil.which("chromium-browser")


@contextmanager
def launched(program: str) -> Iterator[Browser]:
    """Run the browser without a window."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(_FLAGS))
        try:
            yield browser
        finally:
            browser.close()


class Traffic:
    """Every address that the pages of a context ask for.

    Parameters
    ----------
    context : BrowserContext
        Its pages, also those that are opened later.
    """

    def __init__(self, context: BrowserContext) -> None:
        self.asked: list[str] = []
        context.on("request", lambda request: self.asked.append(request.url))
        context.on("page", lambda page: page.on("websocket", lambda socket: self.asked.append(socket.url)))

    def elsewhere(self) -> list[str]:
        """Return what was asked of any other host than this one's loopback."""
        return [url for url in self.asked if urlsplit(url).hostname not in (None, "127.0.0.1")]


class Sheet:
    """A notebook that is open in a page.

    Parameters
    ----------
    page : Page
        A page of its own.
    server : Jupyter
        The server.
    name : str
        The notebook's file below the server's root.
    front : {"lab", "notebook"}
        JupyterLab or Notebook 7.
    """

    def __init__(self, page: Page, server: Jupyter, name: str, front: Front = "lab") -> None:
        self.page, self.server, self.name, self.front = page, server, name, front
        self.path = server.notebooks / name
        page.set_default_timeout(PATIENCE_S * 1000)

    def open(self) -> Sheet:
        """Open it, and wait until all its cells are there and the kernel is ready."""
        # A workspace of the notebook's own: a reloaded page comes back to it, and to nothing else.
        where = f"lab/workspaces/{self.path.stem}/tree" if self.front == "lab" else "notebooks"
        self.page.goto(f"{self.server.url}/{where}/{self.name}?token={self.server.token}")
        return self.ready()

    def reload(self) -> Sheet:
        """Reload the page as a user does; nothing is waited for but the cells."""
        self.page.reload()
        expect(self.cells).to_have_count(self._saved_cells(), timeout=PATIENCE_S * 1000)
        return self

    def ready(self) -> Sheet:
        """Wait until all cells are there and the kernel is idle."""
        expect(self.cells).to_have_count(self._saved_cells(), timeout=PATIENCE_S * 1000)
        expect(self.page.locator(".jp-KernelName")).to_contain_text("Python 3", timeout=PATIENCE_S * 1000)
        self.idle()
        return self

    def idle(self, within_s: float = PATIENCE_S) -> None:
        """Wait until the kernel shows that it is idle."""
        light = self.page.locator(".jp-Notebook-ExecutionIndicator")
        expect(light).to_have_attribute("data-status", "idle", timeout=within_s * 1000)

    @property
    def cells(self) -> Locator:
        """All cells, in their order."""
        return self.page.locator(".jp-Notebook .jp-Cell")

    def cell(self, index: int) -> Locator:
        """Return the cell at `index`, from 0, texts counted too."""
        return self.cells.nth(index)

    def output(self, index: int) -> Locator:
        """Return where the outputs of a cell are."""
        return self.cell(index).locator(".jp-Cell-outputArea")

    def selected(self) -> int:
        """Return the index of the cell that is selected."""
        return int(self.page.evaluate("() => window.jupyterapp.shell.currentWidget.content.activeCellIndex"))

    def start(self, index: int) -> Locator:
        """Select the cell and press Ctrl-Enter; return where its output will be."""
        cell = self.cell(index)
        cell.locator(".jp-InputPrompt").click()
        self.page.keyboard.press("Control+Enter")
        return self.output(index)

    def ended(self, index: int, within_s: float = PATIENCE_S) -> Locator:
        """Wait until the cell has its number, as a user sees that it has ended; return its output."""
        prompt = self.cell(index).locator(".jp-InputPrompt")
        expect(prompt).to_have_text(re.compile(r"\[\d+\]"), timeout=within_s * 1000)
        return self.output(index)

    def run(self, index: int, within_s: float = PATIENCE_S) -> Locator:
        """Run the cell to its end; return its output."""
        self.start(index)
        return self.ended(index, within_s)

    def save(self) -> Any:
        """Press Ctrl-S, wait until it is on disk, and return the notebook that is there, as nbformat reads it."""
        import nbformat

        self.page.keyboard.press("Control+s")
        self.page.wait_for_function("() => !window.jupyterapp.shell.currentWidget.context.model.dirty")
        return nbformat.read(self.path, as_version=4)  # type: ignore[no-untyped-call]

    def theme(self, name: Literal["light", "dark"]) -> None:
        """Choose a theme, as the settings menu does, and wait until the page has it."""
        self.command("apputils:change-theme", theme=f"JupyterLab {name.title()}")
        expect(self.page.locator("body")).to_have_attribute(
            "data-jp-theme-light", "true" if name == "light" else "false", timeout=PATIENCE_S * 1000
        )

    def command(self, name: str, **args: Any) -> None:
        """Run a command of the front end, as its menus do."""
        self.page.evaluate(
            "([name, args]) => window.jupyterapp.commands.execute(name, args).then(() => null)", [name, args]
        )

    def _saved_cells(self) -> int:
        return len(json.loads(self.path.read_text())["cells"])


class Seen(NamedTuple):
    """What an element showed at some time: milliseconds of the page, its text, its box in px."""

    at_ms: float
    text: str
    x: float
    width: float
    height: float


class Watch:
    """Writes down every change that a user could see of an element, from now on.

    Parameters
    ----------
    element : Locator
        Exactly one element, which must stay in the page.
    """

    def __init__(self, element: Locator) -> None:
        self._handle = element.evaluate_handle(_WATCH)

    def seen(self) -> list[Seen]:
        """Return what there was to see so far, in order; two in a row differ."""
        return [Seen(*row) for row in self._handle.evaluate("watch => watch.seen")]

    def texts(self) -> list[str]:
        """Return the different texts in a row."""
        found: list[str] = []
        for one in self.seen():
            if not found or found[-1] != one.text:
                found.append(one.text)
        return found


_WATCH = """element => {
  const seen = [];
  const look = () => {
    const box = element.getBoundingClientRect();
    const now = [element.innerText, box.x, box.width, box.height];
    if (seen.length && now.every((value, i) => value === seen[seen.length - 1][i + 1])) return;
    seen.push([performance.now(), ...now]);
  };
  look();
  const changes = new MutationObserver(look);
  changes.observe(element, { subtree: true, childList: true, characterData: true, attributes: true });
  const sizes = new ResizeObserver(look);
  sizes.observe(element);
  return { seen, changes, sizes };
}"""


def obstacles(element: Locator) -> list[str]:
    """Return what axe-core calls serious or critical in an element, one line per rule and place."""
    axe = files("axe_playwright_python").joinpath("axe.min.js").read_text()
    element.scroll_into_view_if_needed()
    element.page.evaluate(axe)
    # A body of no height hides its overflow, and axe takes all that is laid out absolutely in it for invisible.
    element.page.evaluate("() => { document.body.style.height = '100vh'; }")
    found = element.evaluate("element => window.axe.run(element, { resultTypes: ['violations'] })")
    return [
        f"{one['id']} ({one['impact']}): {node['html'][:200]}: {node['failureSummary']}"
        for one in found["violations"]
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]


def write_notebook(path: Path, sources: Sequence[str]) -> Path:
    """Write a notebook of code cells; return its path."""
    cells: list[dict[str, Any]] = [
        {
            "cell_type": "code",
            "id": f"cell-{number}",
            "metadata": {},
            "execution_count": None,
            "outputs": [],
            "source": source,
        }
        for number, source in enumerate(sources)
    ]
    kernel = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    document = {"nbformat": 4, "nbformat_minor": 5, "metadata": {"kernelspec": kernel}, "cells": cells}
    path.write_text(json.dumps(document))
    return path
