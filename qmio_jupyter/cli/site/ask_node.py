"""On a node, in a user's job: the interpreter, the hub, the gateway, and a port that the hub's host can reach.

The same steps as a server's start (`qmio_jupyter.hub.node`), without a hub that has asked for one.
"""

from __future__ import annotations

import os
import socket
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from urllib.parse import urlsplit

import msgspec

from qmio_jupyter._version import __version__
from qmio_jupyter.auth.munge import SOCKET_VARIABLE
from qmio_jupyter.cli.site import ask_link
from qmio_jupyter.cli.site.ask_paths import look_at
from qmio_jupyter.cli.site.facts import JobFacts
from qmio_jupyter.client import flows
from qmio_jupyter.config.places import node_local
from qmio_jupyter.errors import QmioError
from qmio_jupyter.hub.node import reserve
from qmio_jupyter.hub.ports import ports_of

#: Seconds the hub's host has to connect.
KNOCK_S = 15.0
_PATIENCE_S = 30.0


class NodeAsk(msgspec.Struct, frozen=True, kw_only=True):
    """What a job needs to know; nothing of it is secret."""

    hub_url: str = ""
    endpoint: str = ""
    server_key: str = ""
    munge_socket: str = ""
    #: The single-user server's command.
    command: str = ""
    #: Scripts of ours that slurm.conf names.
    scripts: tuple[str, ...] = ()
    #: Where servers may listen, as ``FIRST-LAST``; empty: anywhere.
    ports: str = ""
    #: Node -> the address at which Slurm reaches it.
    addresses: dict[str, str] = {}


def look(ask: NodeAsk, say: Callable[[JobFacts], None]) -> None:
    """Give `say` what is found, then wait at the port that was told of until somebody knocks."""
    environ = dict(os.environ)
    if ask.munge_socket:
        environ.setdefault(SOCKET_VARIABLE, ask.munge_socket)
    node = environ.get("SLURMD_NODENAME", socket.gethostname())
    found = JobFacts(node=node, version=__version__, python=sys.executable, hub_url=ask.hub_url)
    found = msgspec.structs.replace(found, scripts=tuple(map(look_at, ask.scripts)))
    if ask.command:
        found = msgspec.structs.replace(found, server=look_at(os.path.realpath(ask.command)))
    try:
        found = msgspec.structs.replace(found, disk=str(node_local(environ)))
    except QmioError as error:
        found = msgspec.structs.replace(found, disk_why=error.message)
    if ask.hub_url:
        found = msgspec.structs.replace(found, hub_why=_hub_why(ask.hub_url))
    if ask.endpoint:
        found = _session(found, ask, environ)
    address = ask.addresses.get(node, "")
    if not address:
        say(msgspec.structs.replace(found, port_why=f"Slurm has no address of node {node}"))
        return
    try:
        # As a server's start does it.
        waiting, port = reserve(address, ports_of(ask.ports))
        with waiting:
            waiting.listen()
            waiting.settimeout(KNOCK_S)
            say(msgspec.structs.replace(found, address=address, port=port))
            waiting.accept()[0].close()
    except QmioError as error:
        say(msgspec.structs.replace(found, port_why=error.message))
    except TimeoutError:
        return
    except OSError as problem:
        say(msgspec.structs.replace(found, port_why=f"{address}: {problem.strerror}"))


def _hub_why(url: str) -> str:
    """Return why the hub's interface does not answer; empty: it does.

    With internal TLS it speaks only to those who have a certificate, and that its port is open has to do.
    """
    if url.startswith("https:"):
        parts = urlsplit(url)
        return ask_link.port_why(f"tcp://{parts.hostname}:{parts.port or 443}")
    # No proxy of the user's environment stands between a node and its hub.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{url.rstrip('/')}/", timeout=10):
            return ""
    except urllib.error.HTTPError as error:
        return f"it answers with status {error.code}"
    except (OSError, ValueError) as problem:
        return str(getattr(problem, "reason", problem))


def _session(found: JobFacts, ask: NodeAsk, environ: dict[str, str]) -> JobFacts:
    """Open this job's session as any program in it would, and close it; then look at the clocks."""
    from qmio_jupyter.client.sync import connect
    from qmio_jupyter.config.settings import GatewayAddress, load
    from qmio_jupyter.wire.messages import Done, SessionClose

    named = {
        "QMIO_GATEWAY": ask.endpoint,
        "QMIO_GATEWAY_KEY": ask.server_key,
        "HOME": environ.get("HOME", "/"),
    }
    found = msgspec.structs.replace(found, endpoint=ask.endpoint)
    try:
        client = connect(settings=load(named).client, environ=environ, start=False, timeout_s=_PATIENCE_S)
        try:
            client.session(_PATIENCE_S)
            client.run(flows.one(SessionClose(), Done), _PATIENCE_S)
        finally:
            client.close()
        address = GatewayAddress(endpoint=ask.endpoint, server_key=ask.server_key, proof="slurm")
        return msgspec.structs.replace(found, skew_s=ask_link.skew_s(address))
    except QmioError as error:
        return msgspec.structs.replace(found, session_code=error.code, session_why=error.message)
