"""A real JupyterLab and Notebook 7 in Debian's Chromium, used as a user uses them.

What a page shows is kept: ``build/browser/*.png``, and of every failed test its last view.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, expect

from qmio_jupyter.client.sync import Client, connect
from qmio_jupyter.model.task import TaskState
from qmio_jupyter.testing.browser import (
    PATIENCE_S,
    Front,
    Sheet,
    Traffic,
    chromium,
    launched,
    write_notebook,
)
from qmio_jupyter.testing.home import wait_until
from qmio_jupyter.testing.homes import Home
from qmio_jupyter.testing.jupyter import Jupyter

ROOT = Path(__file__).parents[2]
PICTURES = ROOT / "build" / "browser"
_DONE = pytest.StashKey[pytest.CallInfo[None]]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give every test here a patience that a browser on a busy machine needs."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.timeout(240))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Remember how the test went, for the fixtures that end after it."""
    if call.when == "call":
        item.stash[_DONE] = call
    return (yield)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say where the pictures are."""
    if PICTURES.is_dir():
        terminalreporter.write_line(f"pictures of the pages: {PICTURES}")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, one process for all tests."""
    from tests.conftest import missing

    program = chromium()
    if program is None:
        missing("a Chromium (python tools/chromium.py, or QMIO_CHROMIUM)")
    shutil.rmtree(PICTURES, ignore_errors=True)
    PICTURES.mkdir(parents=True)
    expect.set_options(timeout=PATIENCE_S * 1000)
    with launched(program) as running:
        yield running


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """The user's home; its gateway is stopped at the end, with nothing left behind.

    Another user is known to the gateway. She has so much more of a share that her tasks come first.
    """
    found = Home(tmp_path_factory.mktemp("home") / "qmio", "[gateway.core.weights]\nchemistry = 1e6\n")
    found.admit("colleague", "chemistry/colleague")
    yield found
    assert found.stop() == []


@pytest.fixture(scope="session")
def server(home: Home, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jupyter]:
    """Her Jupyter server, JupyterLab and Notebook 7 in one."""
    running = Jupyter(home, tmp_path_factory.mktemp("jupyter"))
    yield running
    running.stop()


@pytest.fixture(scope="session")
def client(home: Home) -> Iterator[Client]:
    """A client of her gateway, as another of her programs has it."""
    made = connect(environ=home.environ(), start=True, timeout_s=60)
    yield made
    made.close()


@pytest.fixture
def queue(client: Client) -> Iterator[Client]:
    """The same client; whatever is not finished when the test ends is cancelled, and has ended."""
    yield client
    live = [state for state in TaskState if not state.is_final]
    for view in client.tasks(1000, states=live):
        client.cancel(view.task_id)
    wait_until(lambda: not client.tasks(1, states=live), "every task has ended")


@pytest.fixture
def colleague(home: Home, client: Client) -> Iterator[Client]:
    """The other user's client; what she has left is cancelled."""
    made = connect(settings=home.client_of("colleague"), timeout_s=60)
    yield made
    live = [state for state in TaskState if not state.is_final]
    for view in made.tasks(1000, states=live):
        made.cancel(view.task_id)
    wait_until(lambda: not made.tasks(1, states=live), "every task has ended")
    made.close()


class Desk:
    """Opens notebooks in a browser of the test's own, and keeps pictures of them."""

    def __init__(self, context: BrowserContext, server: Jupyter, name: str) -> None:
        self.context, self.server, self._name = context, server, name
        self.traffic = Traffic(context)
        self.sheets: list[Sheet] = []

    def open(self, what: Sequence[str] | Path, *, front: Front = "lab") -> Sheet:
        """Open a copy of a notebook, or a new one with cells of these sources."""
        path = self.server.notebooks / f"{self._name}-{len(self.sheets)}.ipynb"
        if isinstance(what, Path):
            shutil.copy(what, path)
        else:
            write_notebook(path, what)
        return self.reopen(path, front=front)

    def reopen(self, path: Path, *, front: Front = "lab") -> Sheet:
        """Open the notebook at `path` in a new page."""
        sheet = Sheet(self.context.new_page(), self.server, path.name, front)
        self.sheets.append(sheet)
        return sheet.open()

    def picture(self, sheet: Sheet, name: str, of: Locator | None = None) -> Path:
        """Keep a picture of what the user sees: the whole page, or one part."""
        path = PICTURES / f"{self._name}-{name}.png"
        (of or sheet.page).screenshot(path=path)
        return path


@pytest.fixture
def desk(browser: Browser, server: Jupyter, request: pytest.FixtureRequest) -> Iterator[Desk]:
    """A browser of the test's own, of which nothing may leave this machine."""
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name.removeprefix("test_").lower()).strip("-")
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    made = Desk(context, server, name)
    yield made
    call = request.node.stash.get(_DONE, None)
    if call is None or call.excinfo is not None:
        for number, sheet in enumerate(made.sheets):
            made.picture(sheet, f"failed-{number}")
    context.close()
    for session in server.api("sessions"):
        server.api(f"sessions/{session['id']}", "DELETE")
    server.forget_settings()
    assert made.traffic.elsewhere() == []
