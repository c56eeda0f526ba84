"""Internal TLS on a real hub: hub, proxy and server answer nobody without a certificate; a key stays on its node."""

from __future__ import annotations

import http.client
import json
import os
import pwd
import socket
import ssl
import stat
import subprocess
import urllib.error
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from qmio_jupyter.hub.certificates import make_request, names_of
from qmio_jupyter.testing.home import wait_until
from qmio_jupyter.testing.hub import Hub
from qmio_jupyter.testing.slurm import MiniSlurm
from tests.integration.hub.test_start_and_stop import BELL, NAME, owner

pytestmark = pytest.mark.timeout(180)


def asked(address: str, port: int, path: str, tls: ssl.SSLContext | None) -> int:
    """Return the status of an answer; an exception where there is none."""
    if tls is None:
        link: http.client.HTTPConnection = http.client.HTTPConnection(address, port, timeout=10)
    else:
        link = http.client.HTTPSConnection(address, port, timeout=10, context=tls)
    try:
        link.request("GET", path)
        with link.getresponse() as reply:
            return reply.status
    finally:
        link.close()


def client(authority: Path, certificate: Path | None = None, key: Path | None = None) -> ssl.SSLContext:
    """Return a client that trusts an authority, with a certificate of its own or without."""
    made = ssl.create_default_context(cafile=str(authority))
    if certificate is not None:
        made.load_cert_chain(certificate, key)
    return made


def version_of(hub: Hub, user: str) -> str:
    """Return the version of a user's Jupyter server, asked through the proxy; empty if it does not answer."""
    try:
        return str(hub.server_api(user, "")["version"])
    except urllib.error.HTTPError as error:
        error.close()
        return ""


def test_every_link_is_tls_and_answers_nobody_without_a_certificate(
    make_hub: Callable[..., Hub], cluster: MiniSlurm, users: dict[str, str] | None
) -> None:
    hub = make_hub(tls=True)
    user = hub.user(NAME)
    assert hub.ask_for_server(user, device="echo") == ""
    (saga,) = hub.journal()
    (job,) = cluster.slurm().jobs()
    uid = pwd.getpwnam(owner(users, NAME)).pw_uid
    assert "version" in hub.server_api(user, "")
    with hub.kernel(user) as kernel:
        assert "100" in kernel.run(f"%%qpu --shots 100\n{BELL}")
        key = Path(kernel.run("import os; print(os.environ['JUPYTERHUB_SSL_KEYFILE'])").strip())

    # The key lies on the node, and is its user's alone.
    directory = key.parent
    assert {path.name for path in directory.iterdir()} == {"key.pem", "certificate.pem", "authorities.pem"}
    for path in (directory, directory.parent):
        assert (path.stat().st_uid, path.stat().st_mode & 0o777) == (uid, 0o700)
    for path in directory.iterdir():
        assert (path.stat().st_uid, stat.S_IMODE(path.stat().st_mode)) == (uid, 0o600)
    assert not key.is_relative_to(pwd.getpwuid(uid).pw_dir)
    assert names_of((directory / "certificate.pem").read_bytes()) == {saga["address"]}

    # It has never been anywhere else: not in what Slurm keeps, nor at the hub.
    secret = key.read_text().splitlines()[1]
    places = [cluster.directory / "state", cluster.directory / "spool", cluster.directory / "log", hub.root]
    found = subprocess.run(
        ["/bin/grep", "-rlF", secret, *places], capture_output=True, text=True, check=False
    )
    assert (found.stdout, found.returncode) == ("", 1)
    shown = subprocess.run(
        [cluster.commands().scontrol, "show", "job", str(job.job_id)],
        env=os.environ | cluster.environ, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert secret not in shown.stdout

    # The server: nobody without a certificate, nobody with another user's; the hub and the proxy, yes.
    certificates = hub.certificates
    notebooks = certificates / "notebooks-ca" / "notebooks-ca.crt"
    where = (str(saga["address"]), int(saga["port"]), f"/user/{user}/api")
    with pytest.raises((http.client.HTTPException, OSError)):
        asked(*where, None)
    with pytest.raises(OSError, match=r"(?i)certificate|reset|eof|closed"):
        asked(*where, client(notebooks))
    with pytest.raises(OSError, match=r"(?i)unknown ca|certificate|reset|eof"):
        asked(*where, client(notebooks, directory / "certificate.pem", key))
    for name in ("hub-internal", "proxy-client"):
        own = certificates / name
        assert asked(*where, client(notebooks, own / f"{name}.crt", own / f"{name}.key")) == 200

    # So do the hub and the proxy's own interface; through the proxy a browser needs none.
    for name, port in (("hub-ca", hub.hub_port), ("proxy-api-ca", hub.proxy_port)):
        authority = certificates / name / f"{name}.crt"
        with pytest.raises(OSError, match=r"(?i)certificate|reset|eof|closed"):
            asked("127.0.0.1", port, "/hub/api", client(authority))
    assert asked("127.0.0.1", hub.port, "/hub/api", None) == 200

    hub.api(f"users/{user}/server", "DELETE")
    wait_until(lambda: not hub.journal(), "nothing is left to undo")
    wait_until(lambda: not directory.parent.exists(), "what the job kept on its node is gone")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(where[:2], 5).close()


def test_the_door_takes_reports_of_its_starts_alone_and_a_key_goes_with_its_job(
    make_hub: Callable[..., Hub], cluster: MiniSlurm
) -> None:
    hub = make_hub(tls=True, poll_interval=1)
    user = hub.user(NAME)
    assert hub.ask_for_server(user, device="echo") == ""
    with hub.kernel(user) as kernel:
        key = Path(kernel.run("import os; print(os.environ['JUPYTERHUB_SSL_KEYFILE'])").strip())
    door = urlsplit(hub.log().partition("nodes report their starts at ")[2].split()[0])
    assert (door.hostname, door.port is not None) == ("127.0.0.1", True)
    start = f"{door.path}{hub.journal()[0]['grant_id']}"
    _, request = make_request()
    tls = client(hub.certificates / "hub-ca" / "hub-ca.crt")
    hello = {"type": "hello", "node": "n1", "request": request}
    for path, body, status in (
        (start, hello, 404),
        (start, {**hello, "credential": "MUNGE:AwQDAAB:"}, 404),
        (start, {"type": "listening", "port": 4711}, 404),
        (start, {"type": "hello", "node": "n1", "request": "x" * 2000}, 400),
        (start, ["x" * 5000], 413),
        (start, [], 400),
        ("/hub/api/users", {}, 404),
        ("/api/users", {}, 404),
    ):
        link = http.client.HTTPSConnection("127.0.0.1", int(door.port or 0), timeout=10, context=tls)
        link.request("POST", path, json.dumps(body), {"Authorization": f"token {hub.token}"})
        with link.getresponse() as reply:
            assert reply.status == status, (path, body)
        link.close()

    # A hub that was killed goes on with the server: certificates and trust are as they were.
    hub.kill()
    hub.start()
    wait_until(lambda: version_of(hub, user), "the server is there through the proxy", 60)
    assert hub.api(f"users/{user}")["server"] is not None

    assert key.exists()
    (job,) = cluster.slurm().jobs()
    cluster.slurm().cancel(job.job_id)
    wait_until(lambda: not key.parent.parent.exists(), "what the job kept on its node is gone")
    wait_until(lambda: not hub.journal(), "nothing is left to undo", 60)
