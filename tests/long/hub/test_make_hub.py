"""``make hub`` as an ordinary user: it works, says that users are not isolated, and Ctrl-C leaves nothing of it."""

from __future__ import annotations

import http.cookiejar
import os
import pwd
import signal
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from secrets import token_hex

import pytest

from qmio_jupyter.testing.home import wait_until
from qmio_jupyter.testing.hub import PASSWORD, unix_users

pytestmark = [pytest.mark.timeout(400), pytest.mark.root]
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def user(site: Path) -> Iterator[pwd.struct_passwd]:
    """An ordinary user with a home."""
    if os.geteuid() != 0:
        pytest.skip("making an ordinary user needs root")
    name = f"qmio-{token_hex(3)}"
    with unix_users([name], site / "homes"):
        yield pwd.getpwnam(name)


class Browser:
    """A browser's requests to a hub: cookies are kept, forms carry their token."""

    def __init__(self, url: str) -> None:
        self._url, self._jar = url, http.cookiejar.CookieJar()
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self._jar))

    def get(self, path: str) -> str:
        with self._opener.open(self._url + path, timeout=60) as reply:
            return str(reply.read().decode())

    def post(self, path: str, **fields: str) -> None:
        tokens = [one.value for one in self._jar if one.name == "_xsrf" and path.startswith(one.path)]
        body = urllib.parse.urlencode({**fields, "_xsrf": str(tokens[-1])}).encode()
        self._opener.open(self._url + path, body, timeout=60).close()

    def answers(self, path: str) -> bool:
        """Return whether something is there."""
        try:
            return "version" in self.get(path)
        except urllib.error.HTTPError as error:
            error.close()
            return False


def processes(uid: int) -> list[str]:
    """Return what a user runs, on this machine and in its PID namespaces."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if path.stat().st_uid == uid and not (path / "stat").read_text().rpartition(")")[2].startswith(
                " Z"
            ):
                found.append((path / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    return found


def files(uid: int, *places: Path) -> set[Path]:
    """Return what belongs to a user below some places."""
    argv = ["/usr/bin/find", *map(str, places), "-xdev", "-uid", str(uid)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    return {Path(line) for line in done.stdout.splitlines()}


def test_an_ordinary_user_has_a_small_centre(user: pwd.struct_passwd, python: str, here: Path) -> None:
    home = Path(user.pw_dir)
    places = (Path("/tmp"), Path("/var/tmp"), Path("/dev/shm"), home)
    before = files(user.pw_uid, *places)
    log = here / "log"
    with log.open("wb") as out:
        hub = subprocess.Popen(
            ["/usr/bin/setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups",
             python, str(ROOT / "tools" / "hub.py"), "--users", "ana"],
            env={"HOME": str(home), "PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"},
            cwd=home, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True,
        )  # fmt: skip
    try:
        wait_until(lambda: "Ctrl-C ends" in log.read_text() or hub.poll() is not None, "it is up", 90)
        said = log.read_text()
        assert hub.poll() is None, said
        assert "NOT isolated" in said
        browser = Browser("http" + said.partition("hub: http")[2].split()[0])
        browser.get("/hub/login")
        browser.post("/hub/login", username="ana", password=PASSWORD)
        assert "not isolated from one another" in browser.get("/hub/spawn")
        browser.post("/hub/spawn/ana", device="echo")
        wait_until(lambda: browser.answers("/user/ana/api/"), "her server answers", 90)
        assert any("keeping.py" in one for one in processes(user.pw_uid))
        # As a terminal does: to everything of the group.
        os.killpg(hub.pid, signal.SIGINT)
        assert hub.wait(60) == 0, log.read_text()
    finally:
        if hub.poll() is None:
            hub.kill()
            hub.wait(10)
    assert "nothing is left" in log.read_text()
    wait_until(lambda: not processes(user.pw_uid), f"no process is left: {processes(user.pw_uid)}", 30)
    assert files(user.pw_uid, *places) - before == set()
