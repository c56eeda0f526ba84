"""Real Jupyter servers, as a user's, over homes with real gateways."""

from __future__ import annotations

import contextlib
import http.client
import json
import secrets
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from qmio_jupyter.client.spec import build_spec
from qmio_jupyter.client.sync import Client, connect
from qmio_jupyter.client.sync_handle import TaskHandle
from qmio_jupyter.errors import DeadlineError, GatewayError
from qmio_jupyter.model.ids import digest
from qmio_jupyter.model.program import OCTETS, Program
from qmio_jupyter.model.task import TaskOptions, TaskState
from qmio_jupyter.testing.home import Home, wait_until

START_S = 90.0
#: Extensions that most tests do without, to start faster. Ours is never named: it must be enabled by itself.
OTHERS = ("jupyterlab", "jupyter_lsp", "jupyter_server_proxy", "jupyter_server_terminals", "notebook_shim")
PROGRAM = Program(digest=digest(b"echo this"), media_type=OCTETS, data=b"echo this")


class Answer(NamedTuple):
    """What a request got."""

    status: int
    body: Any
    headers: Mapping[str, str]
    cookies: dict[str, str]


class JupyterServer:
    """A `jupyter server` of the user of a home, with a token, in a configuration of its own.

    Parameters
    ----------
    home : Home
        Whose it is.
    options : str
        More of its command line.
    module : str
        What is run.
    """

    def __init__(self, home: Home, *options: str, module: str = "jupyter_server") -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.token = secrets.token_hex(16)
        self.base = "/"
        self.environ = home.environ | {
            f"JUPYTER_{name}_DIR": str(home.root / f"jupyter-{name}".lower())
            for name in ("CONFIG", "DATA", "RUNTIME")
        }
        self.environ |= {"IPYTHONDIR": str(home.root / "ipython"), "PYTHONPATH": str(home.root)}
        self._log = home.root / f"jupyter-{self.port}.log"
        argv = [sys.executable, "-P", "-m", module, "--no-browser", "--allow-root", f"--port={self.port}"]
        argv += ["--ServerApp.port_retries=0", f"--IdentityProvider.token={self.token}", *options]
        if module == "jupyter_server":
            argv += [f"--ServerApp.jpserver_extensions={name}=False" for name in OTHERS]
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                argv,
                cwd=home.root,
                env=self.environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        for option in options:
            if option.startswith("--ServerApp.base_url="):
                self.base = option.partition("=")[2]
        wait_until(self._is_up, "the Jupyter server answers", START_S)

    def _is_up(self) -> bool:
        assert self.process.poll() is None, self.log()
        try:
            return self.ask("GET", "api/status").status == 200
        except OSError:
            return False

    def ask(
        self,
        method: str,
        path: str,
        *,
        token: str | None = "",
        headers: Mapping[str, str] | None = None,
        cookies: Mapping[str, str] | None = None,
        body: bytes = b"",
        timeout_s: float = 30.0,
    ) -> Answer:
        """Send a request below the base URL, with the server's token, another one, or none."""
        sent = dict(headers or {})
        if token is not None:
            sent["Authorization"] = f"token {token or self.token}"
        if cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout_s)
        try:
            line.request(method, f"{self.base}{path}", body=body, headers=sent)
            reply = line.getresponse()
            content = reply.read()
        finally:
            line.close()
        is_json = bool(content) and reply.getheader("Content-Type", "").startswith("application/json")
        given = SimpleCookie()
        for value in reply.headers.get_all("Set-Cookie") or ():
            given.load(value)
        return Answer(
            reply.status,
            json.loads(content) if is_json else content,
            dict(reply.getheaders()),
            {name: morsel.value for name, morsel in given.items()},
        )

    def cancel(self, task_id: str, **options: Any) -> Answer:
        """Ask for a task's end."""
        return self.ask("POST", f"qmio_jupyter/api/tasks/{task_id}/cancel", **options)

    def health(self, **options: Any) -> Answer:
        """Ask whether the extension and a gateway are there."""
        return self.ask("GET", "qmio_jupyter/api/health", **options)

    def log(self) -> str:
        """Return what it has printed so far."""
        return self._log.read_text(errors="replace")

    def stop(self, timeout_s: float = 60.0) -> int:
        """End it as a service manager does; return its exit code."""
        self.process.terminate()
        return self.process.wait(timeout_s)

    def close(self) -> None:
        """End whatever is left."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(30)


Start = Callable[..., JupyterServer]


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """A home without a gateway yet; whatever runs in it at the end is killed."""
    found = Home(tmp_path)
    yield found
    found.sweep()


@pytest.fixture
def serve() -> Iterator[Start]:
    """Start Jupyter servers that are gone at the end."""
    started: list[JupyterServer] = []

    def start(home: Home, *options: str, module: str = "jupyter_server") -> JupyterServer:
        started.append(JupyterServer(home, *options, module=module))
        return started[-1]

    yield start
    for server in started:
        server.close()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A home whose gateway runs, for all tests of a file that only use it."""
    found = Home(tmp_path_factory.mktemp("home"))
    up(found)
    yield found
    stopped = found.cli("down", "--force")
    assert stopped.returncode == 0, stopped.stderr.decode()
    found.sweep()


@pytest.fixture(scope="module")
def server(shared: Home) -> Iterator[JupyterServer]:
    """A Jupyter server beside that gateway, for all tests of a file that only ask it."""
    found = JupyterServer(shared)
    yield found
    found.close()


@pytest.fixture(scope="module")
def strict(shared: Home) -> Iterator[JupyterServer]:
    """The same, and it lets nobody in who is not known, whatever the route."""
    found = JupyterServer(shared, "--ServerApp.allow_unauthenticated_access=False")
    yield found
    found.close()


def up(home: Home) -> None:
    """Start the home's gateway."""
    started = home.cli("up", "--timeout", "50")
    assert started.returncode == 0, started.stderr.decode()


@pytest.fixture
def start_gateway() -> Callable[[Home], None]:
    """How a test starts its home's gateway."""
    return up


@pytest.fixture
def submit_running() -> Iterator[Callable[[Home], TaskHandle]]:
    """Submit a task that takes a minute, as another program of the user would, and return it once it runs.

    What a test did not cancel ends with it, and does not keep the device from the next one.
    """
    clients: list[Client] = []
    handles: list[TaskHandle] = []

    def submit(home: Home) -> TaskHandle:
        client = connect(environ=home.environ, start=False, timeout_s=30)
        clients.append(client)
        options = TaskOptions(device_options=(("seconds", "60"),))
        handle = client.submit(build_spec([PROGRAM], device="echo", shots=100, options=options), [PROGRAM])
        handles.append(handle)
        wait_until(lambda: handle.state is TaskState.RUNNING, f"{handle.task_id} runs")
        return handle

    yield submit
    for handle in handles:
        if not handle.state.is_final:
            with contextlib.suppress(GatewayError, DeadlineError):
                handle.cancel()
    for client in clients:
        client.close()
