"""A real JupyterHub for tests: dummy users, our spawner, a mini Slurm cluster and a centre's gateway.

As root, hub users are distinct unix users; their servers run on the system's Python, which everybody may run, with this
environment's packages. An ordinary user has one uid for all, and says so.
"""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from secrets import token_hex
from typing import Any
from urllib.parse import quote

from qmio_jupyter.testing.centre import Centre
from qmio_jupyter.testing.home import wait_until
from qmio_jupyter.testing.slurm import MiniSlurm

#: Debian's Node modules, for a Node that is not Debian's.
_NODE_PATH = "/usr/share/nodejs"
#: Password of every user.
PASSWORD = "quantum"  # noqa: S105 - of a hub on loopback that lives for a test
START_S = 60.0


def missing() -> str:
    """Return what the machine lacks for a hub; empty if nothing."""
    return "" if shutil.which("configurable-http-proxy") else "Debian's node-configurable-http-proxy"


def free_port() -> int:
    """Return a port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def twin_python(directory: Path) -> str:
    """Return a Python that every user may run and that has this environment's packages.

    As an ordinary user: this one. As root: a virtual environment of the system's Python, without packages of its own.

    Raises
    ------
    FileNotFoundError
        If the system's Python is not of the version this environment has.
    """
    if os.geteuid() != 0:
        return sys.executable
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    system = Path("/usr/bin") / version
    if not system.exists():
        raise FileNotFoundError(f"{system}: for servers of other users")
    subprocess.run([system, "-m", "venv", "--without-pip", directory], check=True, stdin=subprocess.DEVNULL)
    packages = directory / "lib" / version / "site-packages"
    own = Path(sys.prefix) / "lib" / version / "site-packages"
    root = Path(__file__).resolve().parents[2]
    (packages / "twin.pth").write_text(f"{own}\n{root}\n")
    for name in ("share", "etc"):
        (directory / name).symlink_to(Path(sys.prefix) / name)
    return str(directory / "bin" / "python")


@contextmanager
def unix_users(names: list[str], homes: Path) -> Iterator[list[str]]:
    """Have unix accounts with homes of their own, as root; removed at the end."""
    for name in names:
        argv = [
            "/usr/sbin/useradd",
            "--create-home",
            "--home-dir",
            str(homes / name),
            "--shell",
            "/bin/sh",
            name,
        ]
        if not any(one.pw_name == name for one in pwd.getpwall()):
            wait_until(partial(_has_been_made, argv), f"{name} has an account")
    uids = [pwd.getpwnam(name).pw_uid for name in names]
    try:
        _forget(uids)
        yield names
    finally:
        _forget(uids)
        for name in names:
            subprocess.run(["/usr/sbin/userdel", "--force", name], check=False, capture_output=True)


def _has_been_made(argv: Sequence[str]) -> bool:
    """Make an account; return False while somebody else on this machine is making one."""
    done = subprocess.run(argv, check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode and "lock" not in done.stderr:
        raise subprocess.CalledProcessError(done.returncode, argv, done.stdout, done.stderr)
    return done.returncode == 0


def _forget(uids: Sequence[int]) -> None:
    """Remove what jobs of these users have left on this node: the next test's user may get the same uid."""
    for uid in uids:
        shutil.rmtree(f"/tmp/qmio-{uid}", ignore_errors=True)  # noqa: S108 - where jobs have their keys


def _become(user: str) -> list[str]:
    """Return what makes a command another user's, as root; it is the same process."""
    account = pwd.getpwnam(user)
    return [
        "/usr/bin/setpriv",
        f"--reuid={account.pw_uid}",
        f"--regid={account.pw_gid}",
        "--init-groups",
        "--",
    ]


class Kernel:
    """A kernel of a user's server, spoken to through the hub's proxy.

    Parameters
    ----------
    url : str
        Its websocket.
    token : str
        Who asks.
    """

    def __init__(self, url: str, token: str) -> None:
        self._url, self._token = url, token
        self._channel: Any = None
        self.connect()

    def connect(self) -> None:
        """Connect, or connect again once the hub has its routes, as a page does by itself."""
        import websocket

        self.close()

        def connected() -> bool:
            channel: Any = websocket.WebSocket()
            channel.settimeout(60)
            try:
                channel.connect(self._url, header=[f"Authorization: token {self._token}"])
            except (OSError, websocket.WebSocketException):
                channel.shutdown()
                return False
            self._channel = channel
            return True

        wait_until(connected, "the kernel's channel is open")

    def close(self) -> None:
        """End the connection; the kernel goes on."""
        if self._channel is not None:
            self._channel.close()
            # `close` leaves the socket open where the other end has closed the channel already.
            self._channel.shutdown()
            self._channel = None

    def run(self, source: str) -> str:
        """Run a cell to its end; return all texts that it shows.

        Raises
        ------
        AssertionError
            With the cell's error, if it has one.
        """
        number = token_hex(8)
        header = {"msg_id": number, "msg_type": "execute_request", "session": number, "username": ""}
        content = {"code": source, "silent": False, "store_history": True, "user_expressions": {}}
        message = {
            "header": header | {"version": "5.3", "date": "2026-01-01T00:00:00Z"},
            "parent_header": {},
            "metadata": {},
            "content": content | {"allow_stdin": False, "stop_on_error": True},
            "channel": "shell",
            "buffers": [],
        }
        self._channel.send(json.dumps(message))
        texts: list[str] = []
        while True:
            answer = json.loads(self._channel.recv())
            if answer["parent_header"].get("msg_id") != number:
                continue
            found = answer["content"]
            match answer["msg_type"]:
                case "stream":
                    texts.append(found["text"])
                case "display_data" | "update_display_data" | "execute_result":
                    texts.append(found["data"].get("text/plain", ""))
                case "error":
                    raise AssertionError(f"{found['ename']}: {found['evalue']}: {found['traceback']}")
                case "status" if found["execution_state"] == "idle":
                    return "\n".join(texts)


class Hub:
    """A JupyterHub process.

    Parameters
    ----------
    root : Path
        An empty directory; others may enter it.
    cluster, centre
        Where its servers run, and the gateway of their sessions.
    python : str
        Interpreter of the servers.
    settings : mapping
        More traits of the spawner.
    users : mapping, optional
        Hub name to unix name; None: the names are the same.
    tls : bool
        Whether hub, proxy and servers speak TLS with one another, each with a certificate.
    address : str
        Where hub and proxy listen, for users and nodes.
    as_user : str
        Unix user that the hub runs as, as root; empty: whoever runs this. It is given `root` and a copy of the key.
    """

    def __init__(
        self,
        root: Path,
        cluster: MiniSlurm,
        centre: Centre,
        *,
        python: str,
        settings: Mapping[str, Any] | None = None,
        users: Mapping[str, str] | None = None,
        tls: bool = False,
        address: str = "127.0.0.1",
        as_user: str = "",
    ) -> None:
        self.root, self.cluster, self.centre = root, cluster, centre
        self.python, self.users, self.address = python, users, address
        self.token = token_hex(16)
        self.port, self.hub_port, self.proxy_port = free_port(), free_port(), free_port()
        self.url = f"http://{address}:{self.port}"
        proto = "https" if tls else "http"
        #: With TLS the hub itself answers nobody without a certificate: it is asked through its proxy.
        self._api = f"http://{address}:{self.port if tls else self.hub_port}/hub/api/"
        self.certificates = root / "certificates"
        gateway = centre.address()
        key_file = gateway.key_file
        #: Runs the hub itself; to be changed before it is started.
        self.argv = [sys.executable, "-m", "jupyterhub"]
        if as_user:
            key_file = str(shutil.copy(key_file, root / "hub.key"))
            self.argv = [*_become(as_user), python, "-m", "jupyterhub"]
        commands = cluster.commands()
        spawner = {
            "exec_prefix": list(commands.run_as),
            "slurm": {"config": commands.config},
            "gateways": [
                {
                    "endpoint": gateway.endpoint,
                    "server_key": gateway.server_key,
                    "key_file": key_file,
                }
            ],
            "munge_socket": str(cluster.munge_socket),
            "journal": str(root / "journal"),
            "python": python,
            "cmd": [python, "-m", "jupyterhub.singleuser"],
            "user_map": None if users is None else dict(users),
            "poll_interval": 3,
            "environment": {"QMIO_MUNGE_SOCKET": str(cluster.munge_socket), "SLURM_CONF": commands.config},
            **(settings or {}),
        }
        #: What it is started with; to be changed before that.
        self.config_file = root / "jupyterhub_config.py"
        self.config_file.write_text(
            "import json\n"
            f"c.JupyterHub.bind_url = {self.url!r}\n"
            f"c.JupyterHub.hub_bind_url = '{proto}://{address}:{self.hub_port}'\n"
            f"c.ConfigurableHTTPProxy.api_url = '{proto}://127.0.0.1:{self.proxy_port}'\n"
            f"c.JupyterHub.internal_ssl = {tls}\n"
            f"c.JupyterHub.internal_certs_location = {str(self.certificates)!r}\n"
            f"c.JupyterHub.db_url = 'sqlite:///{root / 'hub.sqlite'}'\n"
            f"c.JupyterHub.cookie_secret_file = {str(root / 'cookie')!r}\n"
            f"c.ConfigurableHTTPProxy.pid_file = {str(root / 'proxy.pid')!r}\n"
            "c.JupyterHub.cleanup_servers = False\n"
            "c.JupyterHub.authenticator_class = 'dummy'\n"
            f"c.DummyAuthenticator.password = {PASSWORD!r}\n"
            "c.Authenticator.allow_all = True\n"
            "c.JupyterHub.spawner_class = 'qmio'\n"
            "c.JupyterHub.log_level = 'DEBUG'\n"
            f"c.JupyterHub.services = [dict(name='tests', api_token={self.token!r})]\n"
            "c.JupyterHub.load_roles = [dict(name='tests', services=['tests'], scopes=["
            "'admin:users', 'admin:servers', 'list:users', 'access:servers', 'proxy', 'self'])]\n"
            f"for name, value in json.loads({json.dumps(spawner)!r}).items():\n"
            "    setattr(c.QmioSpawner, name, value)\n"
        )
        for path in (root, *root.iterdir()) if as_user else ():
            shutil.chown(path, as_user)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Hub:
        """Start it, or start it again; return once it answers."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("QMIO_", "JUPYTER"))}
        log = (self.root / "hub.log").open("ab")
        with log:
            self._process = subprocess.Popen(
                [*self.argv, "-f", str(self.config_file)],
                cwd=self.root,
                env=kept | {"NODE_PATH": _NODE_PATH} | self.cluster.environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            wait_until(self._answers, "the hub answers", START_S)
        except AssertionError:
            self.stop()
            raise
        return self

    def _answers(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise AssertionError(f"the hub ended with {self._process.returncode}: {self.log()[-3000:]}")
        try:
            self.api("")
        except urllib.error.HTTPError as early:
            # It holds the connection until it is closed.
            early.close()
            return False
        except (OSError, urllib.error.URLError):
            return False
        return True

    def api(self, path: str, method: str = "GET", body: Any = None, token: str = "") -> Any:
        """Return the answer of the hub's REST interface; `urllib.error.HTTPError` where it says no."""
        request = urllib.request.Request(  # noqa: S310 - our own hub
            self._api + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"token {token or self.token}"},
        )
        with urllib.request.urlopen(request, timeout=60) as reply:  # noqa: S310
            found = reply.read()
        return json.loads(found) if found else None

    def progress(
        self, user: str, within_s: float = 90.0, seen: list[dict[str, Any]] | None = None
    ) -> list[dict[str, Any]]:
        """Return the progress events of a start, to its end; each is in `seen` as soon as it has come."""
        request = urllib.request.Request(  # noqa: S310 - our own hub
            f"{self._api}users/{user}/server/progress",
            headers={"Authorization": f"token {self.token}"},
        )
        events = [] if seen is None else seen
        give_up = time.monotonic() + within_s
        with urllib.request.urlopen(request, timeout=within_s) as stream:  # noqa: S310
            for raw in stream:
                if raw.startswith(b"data:"):
                    events.append(json.loads(raw[5:]))
                    if events[-1].get("ready") or events[-1].get("failed"):
                        break
                if time.monotonic() > give_up:
                    break
        return events

    def journal(self) -> list[dict[str, Any]]:
        """Return the sagas that are written down."""
        found = []
        for path in sorted((self.root / "journal").glob("*.json")):
            try:
                found.append(json.loads(path.read_text())["saga"])
            except FileNotFoundError:
                continue
        return found

    def user(self, name: str) -> str:
        """Have a user of this name; return her name as a path has it."""
        quoted = quote(name, safe="")
        if name not in [one["name"] for one in self.api("users")]:
            self.api(f"users/{quoted}", "POST")
        return quoted

    def ask_for_server(self, user: str, **options: Any) -> str:
        """Ask for a server as the REST interface has it, and wait for it.

        Returns
        -------
        str
            Why it is refused or fails, empty once it is there.
        """
        try:
            self.api(f"users/{user}/server", "POST", options)
        except urllib.error.HTTPError as error:
            with error:
                return str(json.loads(error.read())["message"])
        # The hub answers after some seconds in any case.
        last = self.progress(user)[-1]
        return "" if last.get("ready") else str(last["message"])

    def server_api(self, user: str, path: str, method: str = "GET", body: Any = None) -> Any:
        """Return the answer of a user's own server, asked through the proxy."""
        request = urllib.request.Request(  # noqa: S310 - our own proxy
            f"{self.url}/user/{user}/api/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"token {self.token}"},
        )
        with urllib.request.urlopen(request, timeout=60) as reply:  # noqa: S310
            found = reply.read()
        return json.loads(found) if found else None

    @contextmanager
    def kernel(self, user: str, name: str = "python3") -> Iterator[Kernel]:
        """Have a kernel of the user's server for a while."""
        ident = self.server_api(user, "kernels", "POST", {"name": name})["id"]
        made = Kernel(
            f"ws{self.url.removeprefix('http')}/user/{user}/api/kernels/{ident}/channels", self.token
        )
        try:
            yield made
        finally:
            made.close()
            self.server_api(user, f"kernels/{ident}", "DELETE")

    def pid_user(self) -> str:
        """Return the unix user that the hub's process runs as."""
        assert self._process is not None
        return pwd.getpwuid(Path(f"/proc/{self._process.pid}").stat().st_uid).pw_name

    def log(self) -> str:
        """Return what the hub has logged."""
        path = self.root / "hub.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def kill(self) -> None:
        """Send the hub SIGKILL; its proxy lives on, as after a crash."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(10)

    def stop(self) -> None:
        """End hub and proxy; servers that run are left."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()
        pid_file = self.root / "proxy.pid"
        if pid_file.exists():
            try:
                os.kill(int(pid_file.read_text()), signal.SIGTERM)
            except (ProcessLookupError, ValueError):
                return
