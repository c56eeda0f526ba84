"""What a Slurm job of the hub runs: open the QPU session, tell the hub where the server will listen, run the server.

``python -I -m qmio_jupyter.hub.node``. Everything it needs stands in its environment, which sbatch was given by name;
nothing of it is a command line. It runs as the user, on the node, and ends with an error, told to the hub in one
line, where the session cannot be opened: there is no server without a session.
"""

from __future__ import annotations

import base64
import contextlib
import errno
import json
import os
import random
import socket
import ssl
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from qmio_jupyter.config.places import node_local, private_directory
from qmio_jupyter.config.qrmi import exported
from qmio_jupyter.errors import HubError, QmioError
from qmio_jupyter.hub.ports import ports_of
from qmio_jupyter.private_files import leave_no_core_file, write_private

#: Seconds for which a hub that does not answer is asked again: it may be restarting.
HUB_S = 90.0
#: Directory for the server's key and certificate, in its runtime directory.
TLS = "tls"
#: Variables only for this program.
OWN = (
    "QMIO_HUB_PYTHON",
    "QMIO_HUB_COMMAND",
    "QMIO_HUB_GRANT",
    "QMIO_HUB_WALLTIME_MIN",
    "QMIO_HUB_UID",
    "QMIO_HUB_PORTS",
    "QMIO_HUB_PATH",
    "QMIO_HUB_DOOR",
    "QMIO_HUB_TRUST",
)


class Hub:
    """The hub's route for the reports of this start.

    Parameters
    ----------
    environ : mapping
        ``JUPYTERHUB_API_URL``, ``QMIO_HUB_GRANT``, without MUNGE ``JUPYTERHUB_API_TOKEN``, and with internal TLS
        ``QMIO_HUB_DOOR`` and ``QMIO_HUB_TRUST``: another address for nodes without a certificate, and the authority
        that has signed the hub's.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        #: Whether hub, proxy and server speak TLS with one another: the server then needs a certificate.
        self.has_tls = bool(environ.get("QMIO_HUB_DOOR"))
        self._tls: ssl.SSLContext | None = None
        base = f"{environ['JUPYTERHUB_API_URL'].rstrip('/')}/qmio/starts/"
        if self.has_tls:
            base = environ["QMIO_HUB_DOOR"]
            self._tls = ssl.create_default_context(cadata=base64.b64decode(environ["QMIO_HUB_TRUST"]))
        self._url = base + environ["QMIO_HUB_GRANT"]
        #: The server's token; known once the hub has said it.
        self.token = environ.get("JUPYTERHUB_API_TOKEN", "")

    def tell(self, kind: str, *, patience_s: float = HUB_S, **fields: object) -> dict[str, Any]:
        """Send a report until it is answered; return the answer.

        Raises
        ------
        HubError
            If the hub does not want this start any more, or does not answer in time.
        """
        headers = {"Content-Type": "application/json"}
        if self.token:
            headers["Authorization"] = f"token {self.token}"
        give_up = time.monotonic() + patience_s
        # No proxy of the user's environment stands between a node and its hub.
        handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({})]
        if self._tls is not None:
            handlers.append(urllib.request.HTTPSHandler(context=self._tls))
        opener = urllib.request.build_opener(*handlers)
        while True:
            # A credential is good once: what is called is called for every try.
            made = {name: value() if callable(value) else value for name, value in fields.items()}
            body = json.dumps({"type": kind, **made}).encode()
            request = urllib.request.Request(self._url, data=body, headers=headers, method="POST")  # noqa: S310
            try:
                with opener.open(request, timeout=10) as reply:
                    answer: dict[str, Any] = json.loads(reply.read() or b"{}")
                    return answer
            except urllib.error.HTTPError as error:
                if error.code < 500:
                    raise HubError(f"the hub refused this start ({error.code})", code="hub.ended") from None
            except (OSError, ValueError):
                pass
            if time.monotonic() > give_up:
                raise HubError("the hub does not answer", code="hub.unanswered")
            time.sleep(0.5)


def reserve(address: str, ports: Sequence[int] = ()) -> tuple[socket.socket, int]:
    """Return a socket bound to a free port of `address`, one of `ports` if there are any, and the port.

    It does not listen, so the server may bind the same port (both allow it), and nobody is given it meanwhile.

    Raises
    ------
    HubError
        ``hub.ports`` if none of `ports` is free.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    # In no order: servers that start at once on one node look at different ports.
    for port in random.sample(ports, len(ports)) or [0]:
        kept = socket.socket(family, socket.SOCK_STREAM)
        try:
            # Not yet shared: another start that has reserved the port has it for itself.
            kept.bind((address, port))
        except OSError as problem:
            kept.close()
            if ports and problem.errno in (errno.EADDRINUSE, errno.EACCES):
                continue
            raise
        kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        kept.set_inheritable(True)
        return kept, int(kept.getsockname()[1])
    raise HubError(
        f"no port of {ports[0]}-{ports[-1]} is free on this node",
        code="hub.ports",
        hint="Try again, or tell the administrator: the range may be too small.",
    )


def runtime_directory(environ: Mapping[str, str]) -> Path:
    """Return a 0700 directory of this job on the node itself, for the kernels' sockets and connection files.

    A home may be on a network file system, where sockets cannot be, or have a path longer than a socket's may be.

    Raises
    ------
    ConfigError
        If there is no place for it.
    """
    return private_directory(
        private_directory(node_local(environ) / "jobs") / f"jupyter-{environ.get('SLURM_JOB_ID', '0')}"
    )


def open_session(environ: Mapping[str, str]) -> Path:
    """Open the session of this job, as any program in it would; return where its key is.

    Raises
    ------
    QmioError
        Why the gateway does not open it.
    """
    from qmio_jupyter.client.proving import SlurmProver
    from qmio_jupyter.client.sync import connect

    client = connect(environ=environ, start=False, timeout_s=60)
    try:
        client.session()
    finally:
        client.close()
    return SlurmProver(environ).directory


def with_port(url: str, address: str, port: int) -> str:
    """Return the URL with another host and port."""
    parts = urlsplit(url)
    host = f"[{address}]" if ":" in address else address
    return urlunsplit(parts._replace(netloc=f"{host}:{port}"))


def greet(hub: Hub, environ: dict[str, str], runtime: Path) -> str:
    """Tell the hub that the job runs; put the server's secrets into `environ`, return the address to listen at.

    With internal TLS the server's key is made here, and kept in `runtime` with the certificate that the hub answers.

    Raises
    ------
    QmioError
        If this node's munged cannot be asked, or what comes is not the hub's.
    """
    from qmio_jupyter.hub import sealing

    node = environ.get("SLURMD_NODENAME", "")
    key, request = b"", ""
    if hub.has_tls:
        from qmio_jupyter.hub.certificates import make_request

        key, request = make_request()
    asked: dict[str, Any] = {"node": node, "request": request}
    uid, path = int(environ.get("QMIO_HUB_UID") or -1), environ.get("QMIO_MUNGE_SOCKET", "")
    if uid >= 0:
        grant_id, job_id = environ["QMIO_HUB_GRANT"], environ.get("SLURM_JOB_ID", "")
        asked["credential"] = lambda: sealing.show(
            grant_id, job_id, node, hub_uid=uid, path=path, request=request
        )
    answer = hub.tell("hello", **asked)
    if uid >= 0:
        environ |= sealing.unseal(str(answer["sealed"]), hub_uid=uid, path=path)
        hub.token = environ["JUPYTERHUB_API_TOKEN"]
    if hub.has_tls:
        environ |= keep(
            private_directory(runtime / TLS), key, str(answer["certificate"]), str(answer["authorities"])
        )
    return str(answer["address"])


def keep(directory: Path, key: bytes, certificate: str, authorities: str) -> dict[str, str]:
    """Write what a server needs for internal TLS; return the variables that lead it there.

    Raises
    ------
    ConfigError
        If the files cannot be written.
    """
    found = {}
    for variable, name, content in (
        ("JUPYTERHUB_SSL_KEYFILE", "key.pem", key),
        ("JUPYTERHUB_SSL_CERTFILE", "certificate.pem", certificate.encode()),
        ("JUPYTERHUB_SSL_CLIENT_CA", "authorities.pem", authorities.encode()),
    ):
        write_private(directory / name, content)
        found[variable] = str(directory / name)
    return found


def write_to_log(environ: Mapping[str, str]) -> None:
    """Have this process and the server write to a log of the user's own, made anew: Slurm is told to keep nothing.

    Where it cannot be made (a full or read-only home), the server starts all the same.
    """
    base = Path(environ.get("XDG_STATE_HOME") or Path(environ.get("HOME", "/")) / ".local" / "state")
    path = base / "qmio" / "server.log"
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_NOFOLLOW, 0o600)
    except OSError:
        return
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)


def with_end(environ: Mapping[str, str], now_s: float) -> dict[str, str]:
    """Return the environment with the job's projected end, which Slurm tells its jobs from 23.02 on only.

    Kernels warn of it. The job has begun a moment ago.
    """
    limit_min = environ.get("QMIO_HUB_WALLTIME_MIN", "")
    end = {"SLURM_JOB_END_TIME": str(int(now_s) + 60 * int(limit_min))} if limit_min.isdecimal() else {}
    return {**end, **environ}


def main() -> None:
    """Do it, and do not return."""
    # A core file of server or kernel would carry the session's key and the server's token into a home, where it stays.
    leave_no_core_file()
    environ = with_end(os.environ, time.time_ns() / 1e9)
    environ["PATH"] = environ.get("QMIO_HUB_PATH") or environ.get("PATH", "")
    write_to_log(environ)
    hub = Hub(environ)
    try:
        runtime = runtime_directory(environ)
        environ["JUPYTER_RUNTIME_DIR"] = str(runtime)
        address = greet(hub, environ, runtime)
        keys = open_session(environ)
        hub.tell("opened")
        kept, port = reserve(address, ports_of(environ.get("QMIO_HUB_PORTS", "")))
        environ["JUPYTERHUB_SERVICE_URL"] = with_port(environ["JUPYTERHUB_SERVICE_URL"], address, port)
        command = [str(word) for word in json.loads(environ["QMIO_HUB_COMMAND"])]
        hub.tell("listening", port=port)
    except Exception as error:  # noqa: BLE001 - whatever it is, the user is told of it
        line = error.one_line() if isinstance(error, QmioError) else f"{type(error).__name__}: {error}"
        with contextlib.suppress(HubError):
            hub.tell("failed", why=" ".join(line.split())[:500], patience_s=10.0)
        print(line, file=sys.stderr)  # noqa: T201
        sys.exit(1)
    for name in OWN:
        environ.pop(name, None)
    environ |= exported(
        environ.get("QMIO_DEVICE", ""), job_id=environ.get("SLURM_JOB_ID", ""), uid=os.getuid()
    )
    os.chdir(Path(environ.get("HOME", "/")))
    # The socket is kept open by what follows: the port stays ours until the server listens on it.
    os.set_inheritable(kept.fileno(), True)
    keeper = [sys.executable, "-I", "-S", str(Path(__file__).with_name("keeping.py"))]
    kept_here = [str(path) for path in (runtime / TLS, runtime, keys)]
    os.execve(keeper[0], [*keeper, *kept_here, "--", *command], environ)  # noqa: S606


if __name__ == "__main__":
    main()
