"""A hub knows the server that it has started from whoever else listens at its port."""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from qmio_jupyter.hub.presence import is_present
from qmio_jupyter.testing.home import Home

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

TOKEN = secrets.token_hex(16)


class Thief(BaseHTTPRequestHandler):
    """Answers everything with what looks right, or with what might break who asks."""

    def do_GET(self) -> None:
        asked = self.path.rpartition("/")[2].encode()
        answers = {"right": b'{"proof": "%s"}' % asked, "large": b" " * 10**7, "odd": b'{"proof": "\xff"}'}
        body = answers[self.path.split("/")[2]]
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
        """Say nothing."""


@pytest.fixture
def thief() -> Iterator[str]:
    """The address of somebody who took a server's port."""
    server = HTTPServer(("127.0.0.1", 0), Thief)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/user/"
    server.shutdown()
    thread.join()
    server.server_close()


def is_hers(url: str, token: str = TOKEN) -> bool:
    return asyncio.run(is_present(url, token))


def test_only_the_server_that_has_the_token_is_hers(home: Home, serve: Any, thief: str) -> None:
    home.environ["JUPYTERHUB_API_TOKEN"] = TOKEN
    server = serve(home, "--ServerApp.base_url=/user/ana/", "--ServerApp.allow_unauthenticated_access=False")
    url = f"http://127.0.0.1:{server.port}/user/ana/"
    assert is_hers(url)
    assert not is_hers(url, secrets.token_hex(16))
    assert not any(is_hers(f"{thief}{kind}/") for kind in ("right", "large", "odd"))
    shown = server.ask("GET", f"qmio_jupyter/api/presence/{'0' * 64}", token=None)
    assert TOKEN not in str(shown)
    server.stop()
    assert not is_hers(url), "nobody listens"


def test_a_server_that_no_hub_started_has_no_such_route(server: Any) -> None:
    assert server.ask("GET", f"qmio_jupyter/api/presence/{'0' * 64}", token=None).status == 404
    assert not is_hers(f"http://127.0.0.1:{server.port}/")
