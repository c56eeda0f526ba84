"""With internal TLS: where a node that has no certificate yet reports to the hub.

The hub's own interface answers nobody without a certificate, and a node has none before it has spoken to the hub. So
the hub opens one more port, with its own certificate, that takes the reports of starts and nothing else. The node knows
the authority of that certificate from its job; the hub knows the node by its MUNGE credential, and then by its token.
"""

from __future__ import annotations

import base64
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tornado import web
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets

from qmio_jupyter.errors import ConfigError, QmioError
from qmio_jupyter.hub.certificates import Authority, binary, names_of
from qmio_jupyter.hub.report import GRANT, ROUTE, answer


class DoorHandler(web.RequestHandler):
    """Takes the reports of one start."""

    def check_xsrf_cookie(self) -> None:
        """Ask for none: no cookie opens this route."""

    async def post(self, grant_id: str) -> None:
        """Take one report."""
        try:
            self.finish(
                await answer(grant_id, self.request.body, self.request.headers.get("Authorization", ""))
            )
        except QmioError as error:
            raise web.HTTPError(409 if not error.retryable else 503, "%s", error.one_line()) from error

    def write_error(self, status_code: int, **_: Any) -> None:
        """Answer with the number alone."""
        self.set_status(status_code)
        self.finish()


class Door:
    """The open port.

    Parameters
    ----------
    settings : mapping
        JupyterHub's: its own internal key and certificate, and the authorities.
    records : mapping
        The certificates' store: name to files.
    bind, connect : str
        URLs at which the hub listens and is reached; their hosts are the door's.
    port : int
        Port to listen at; 0 for any that is free.

    Raises
    ------
    ConfigError
        If the hub's certificate is not for the host at which nodes reach it, or the port is taken.
    """

    def __init__(
        self,
        settings: Mapping[str, Any],
        records: Mapping[str, Any],
        *,
        bind: str,
        connect: str,
        port: int = 0,
    ) -> None:
        certificate = Path(settings["internal_ssl_cert"]).read_bytes()
        host = urlsplit(connect).hostname or ""
        if host not in names_of(certificate):
            known = "DNS" if any(sign.isalpha() for sign in host) and ":" not in host else "IP"
            raise ConfigError(
                f"the hub's internal certificate is not for {host}, where the nodes reach it",
                hint=f'Set c.JupyterHub.trusted_alt_names = ["{known}:{host}"] and recreate_internal_certs once.',
            )
        own = records["notebooks-ca"]["files"]
        #: Signs what its servers are given.
        self.authority = Authority(
            Path(own["cert"]), Path(own["key"]), Path(settings["internal_trust_bundles"]["notebooks-ca"])
        )
        #: The authority of the hub's own certificate, for a job's environment: base64 of DER.
        self.trust = base64.b64encode(binary(Path(records["hub-ca"]["files"]["cert"]).read_bytes())).decode()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(settings["internal_ssl_cert"], settings["internal_ssl_key"])
        application = web.Application([(f"{ROUTE}({GRANT})", DoorHandler)], log_function=_say_nothing)
        self._server = HTTPServer(
            application, ssl_options=context, max_body_size=8192, max_buffer_size=65_536
        )
        try:
            sockets = bind_sockets(port, urlsplit(bind).hostname or None)
        except OSError as problem:
            raise ConfigError(
                f"the door for nodes cannot listen at port {port} ({problem.strerror})",
                hint="Choose another c.QmioSpawner.door_port.",
            ) from None
        self._server.add_sockets(sockets)
        where = f"[{host}]" if ":" in host else host
        #: What a node puts the grant's id behind.
        self.url = f"https://{where}:{sockets[0].getsockname()[1]}{ROUTE}"

    def close(self) -> None:
        """Listen no more."""
        self._server.stop()


def _say_nothing(_: web.RequestHandler) -> None:
    """Log no request."""
