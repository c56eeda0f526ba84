"""Somebody who is logged in at a hub and reads its pages, without a browser: the form, and what it says."""

from __future__ import annotations

import time
import urllib.request
from http.cookiejar import CookieJar
from urllib.parse import urlencode

from qmio_jupyter.testing.hub import PASSWORD, Hub


class Visitor:
    """One user's session at a hub.

    Parameters
    ----------
    hub : Hub
        Where.
    name : str
        The hub's name of the user, as she types it.
    """

    def __init__(self, hub: Hub, name: str) -> None:
        self._base = f"{hub.url}/hub"
        self._cookies = CookieJar()
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(self._cookies)
        )
        self.get("login")
        xsrf = next(one.value for one in self._cookies if one.name == "_xsrf")
        body = urlencode({"_xsrf": xsrf, "username": name, "password": PASSWORD}).encode()
        with self._opener.open(f"{self._base}/login?{urlencode({'next': '/hub/home'})}", body, timeout=60):
            pass
        if not any("login" in one.name for one in self._cookies):
            raise AssertionError(f"{name!r} is not let in")

    def get(self, path: str) -> str:
        """Return a page of the hub."""
        with self._opener.open(f"{self._base}/{path}", timeout=60) as reply:
            text: str = reply.read().decode()
        return text

    def form(self) -> str:
        """Return the page on which a server is chosen."""
        return self.get("spawn")

    def timed_form(self) -> float:
        """Return how many seconds the form takes."""
        began = time.monotonic()
        assert "qmio-form" in self.form()
        return time.monotonic() - began
