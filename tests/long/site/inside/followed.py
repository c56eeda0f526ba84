"""From nothing to a task of a user: the guide's sections in order, each as it stands on the page."""

from __future__ import annotations

import json
import re
from http.cookiejar import CookieJar
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, ProxyHandler, Request, build_opener

from qmio_jupyter.testing.host import Host, logs, until

LAST = "8. Check it"


def test_up_to_the_check(host: Host) -> None:
    sections = host.sections()
    for heading in sections[: sections.index(LAST)]:
        host.follow(heading)


def test_everything_is_good_and_a_task_of_a_user_runs(host: Host) -> None:
    output = host.follow(LAST)
    print(output)
    lines = output.splitlines()
    checks = [line for line in lines if " site." in line]
    assert len(checks) > 35
    assert all(line.startswith("ok ") for line in checks)
    assert any("completed, 200 shots" in line for line in lines)


class Browser:
    """What of a browser a user of the hub needs: cookies, and the token beside them."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._token = ""
        self._opener = build_opener(HTTPCookieProcessor(CookieJar()), ProxyHandler({}))

    def ask(self, path: str, method: str = "GET", body: bytes | None = None) -> tuple[int, bytes]:
        """Return status and content of an answer."""
        headers = {"X-XSRFToken": self._token} if self._token else {}
        if "/api/" in path:
            headers["Content-Type"] = "application/json"
        request = Request(f"{self._url}{path}", body, headers, method=method)
        try:
            with self._opener.open(request, timeout=60) as reply:
                return reply.status, reply.read()
        except HTTPError as error:
            with error:
                return error.code, error.read()

    def log_in(self, name: str, password: str) -> tuple[int, bytes]:
        """Fill in the form."""
        self._read_token("/hub/login")
        form = urlencode({"username": name, "password": password, "_xsrf": self._token}).encode()
        answer = self.ask("/hub/login?next=/hub/token", "POST", form)
        if answer[0] == 200:
            self._read_token("/hub/token")
        return answer

    def _read_token(self, path: str) -> None:
        """Take the page's token, as its scripts do."""
        page = self.ask(path)[1].decode()
        found = re.search(r'xsrf_token: "([^"]+)"', page)
        assert found is not None, page[:500]
        self._token = found[1]


def test_a_user_logs_in_and_gets_a_server(host: Host) -> None:
    browser = Browser("http://127.0.0.1:8000")
    assert browser.log_in("ana", "wrong")[0] == 403
    assert browser.log_in("ana", "quantum")[0] == 200
    wish = json.dumps({"device": "fake-qmio", "cores": 1, "memory_mib": 1000}).encode()
    status, said = browser.ask("/hub/api/users/ana/server", "POST", wish)
    assert status in (201, 202), said

    def is_ready() -> bool:
        server = json.loads(browser.ask("/hub/api/users/ana")[1])["servers"].get("", {})
        assert server, logs()
        return bool(server["ready"])

    until(is_ready, "the server is ready")
    (job,) = host.cluster.slurm().jobs()
    assert (job.user, job.licences) == ("ana", {"qpu_fake-qmio": 1})
    status, page = browser.ask("/user/ana/lab")
    assert (status, b"<title>JupyterLab</title>" in page) == (200, True)
    browser.ask("/hub/api/users/ana/server", "DELETE")
    until(lambda: not host.cluster.slurm().jobs(), "the job is gone")
    until(lambda: not list(Path("/var/lib/jupyterhub/qmio").glob("g-*.json")), "nothing is left to undo")
