"""What a server tells the kernels it starts: that its pages show widgets, unless they do not, or its user says no."""

from __future__ import annotations

from typing import Any

import psutil
import pytest

from qmio_jupyter.config.front_end import WIDGETS
from qmio_jupyter.testing.home import Home

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


def told(server: Any) -> str | None:
    """Return what a kernel that the server starts finds in its environment."""
    answer = server.ask("POST", "api/kernels", body=b"{}")
    assert answer.status == 201, answer
    connection = f"kernel-{answer.body['id']}.json"
    (kernel,) = [
        process
        for process in psutil.Process(server.process.pid).children(recursive=True)
        if any(word.endswith(connection) for word in process.cmdline())
    ]
    return kernel.environ().get(WIDGETS)


def test_a_server_with_anywidget_offers_widgets(home: Home, serve: Any) -> None:
    assert told(serve(home)) == "1"


def test_a_server_without_it_does_not(home: Home, serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    # Jupyter looks for extensions below this directory alone, and there are none.
    monkeypatch.setitem(home.environ, "JUPYTER_PREFER_ENV_PATH", "0")
    monkeypatch.setitem(home.environ, "JUPYTER_PATH", "")
    (home.root / "sitecustomize.py").write_text(
        "import jupyter_core.paths as p\np.ENV_JUPYTER_PATH[:] = []\np.SYSTEM_JUPYTER_PATH[:] = []\n"
    )
    assert told(serve(home)) is None


def test_the_users_own_word_stays(home: Home, serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(home.environ, WIDGETS, "0")
    assert told(serve(home)) == "0"
