"""The routes: authenticated, authorised, guarded against forged requests, all but `PresenceHandler`; none reads a body.

A page sends its login cookie, and the value of its ``_xsrf`` cookie as ``X-XSRFToken``: Jupyter wants that with POST,
JupyterHub's servers with GET too. A program sends ``Authorization: token ...`` in place of both.
"""

from __future__ import annotations

import os
import traceback
from types import TracebackType
from typing import Any

from jupyter_server.auth.decorator import allow_unauthenticated, authorized
from jupyter_server.base.handlers import APIHandler
from tornado import web
from tornado.http1connection import HTTP1Connection

from qmio_jupyter._version import __version__
from qmio_jupyter.auth.presence import presence
from qmio_jupyter.errors import QmioError, UsageError
from qmio_jupyter.model.ids import is_id
from qmio_jupyter.server.answers import document_of, refusal_of, status_of
from qmio_jupyter.server.link import Link

#: Bytes of a body that are taken, and thrown away: every question is in the path. More ends the connection.
BODY_BYTES = 4096
#: Seconds in which a gateway that is there says so.
HEALTH_S = 1.0


@web.stream_request_body
class Handler(APIHandler):
    """What all routes share: who may ask, how much, and how they are refused.

    Parameters
    ----------
    link : Link
        The server's link to the gateway.
    timeout_s : float
        Seconds a question may take.
    """

    #: What an authoriser of the Jupyter server is asked about; actions are Jupyter's own, ``read`` and ``write``.
    auth_resource = "qmio_jupyter"

    def initialize(self, link: Link, timeout_s: float) -> None:
        """Take the link and bound the body, of which nothing has been read yet; Tornado calls it first."""
        self.link = link
        self.timeout_s = timeout_s
        if isinstance(self.request.connection, HTTP1Connection):
            self.request.connection.set_max_body_size(BODY_BYTES)

    def data_received(self, chunk: bytes) -> None:
        """Throw the body away."""

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Answer ``{"code", "message", "hint"}``; an error of ours brings its own status."""
        error = kwargs.get("exc_info", (None, None, None))[1]
        if isinstance(error, QmioError):
            self.set_status(status_of(error.code))
            self.finish(document_of(error))
        else:
            self.finish(refusal_of(status_code))

    def log_exception(
        self,
        typ: type[BaseException] | None,
        value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        """Log one line: no stack, and not the address, which may carry a token."""
        if isinstance(value, QmioError):
            self.log.info("qmio_jupyter: %s", value.one_line())
        elif isinstance(value, web.HTTPError):
            self.log.info("qmio_jupyter: refused with %d", value.status_code)
        else:
            frames = traceback.extract_tb(tb)
            where = f" in {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
            self.log.error("qmio_jupyter: a defect, %s%s", "" if typ is None else typ.__name__, where)


class CancelHandler(Handler):
    """``POST qmio_jupyter/api/tasks/ID/cancel``: ask for a task's end."""

    @web.authenticated
    @authorized
    async def post(self, task_id: str) -> None:
        """Answer ``{"task_id", "state", "revision"}``: how the task stands now.

        The state is ``cancelling`` while the device still runs it. A task that has ended stays as it is. Another
        tenant's task is answered exactly like one that does not exist.
        """
        if not (is_id(task_id) and task_id.startswith("t-")):
            raise UsageError(
                f"{task_id[:64]!r} is no task id", hint="A task id is t- and 26 digits or letters."
            )
        timeout_s = self.timeout_s
        view = await self.link.ask(lambda client: client.cancel(task_id, timeout_s=timeout_s), timeout_s)
        self.finish({"task_id": view.task_id, "state": str(view.state), "revision": view.revision})


class HealthHandler(Handler):
    """``GET qmio_jupyter/api/health``: whether this extension is here, and a gateway beside it."""

    #: A page that looks is no sign of work: a hub's culler need not count it.
    _track_activity = False

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Answer ``{"version", "gateway"}``: the extension's version, and whether a gateway answers (true or false).

        It takes a second at most, and no gateway is started.
        """
        try:
            await self.link.ask(lambda client: client.ping(HEALTH_S), HEALTH_S)
        except QmioError as error:
            self.log.debug("qmio_jupyter: no gateway, %s", error.one_line())
            self.finish({"version": __version__, "gateway": False})
        else:
            self.finish({"version": __version__, "gateway": True})


class PresenceHandler(Handler):
    """``GET qmio_jupyter/api/presence/NONCE``: show a hub that this is the server which it has started.

    Open to everybody, for it says nothing: the answer is a code under the server's own token, over a question of 64
    hexadecimal digits. A server that no hub has started has no such route.
    """

    _track_activity = False

    @allow_unauthenticated
    async def get(self, nonce: str) -> None:
        """Answer ``{"proof"}``."""
        token = os.environ.get("JUPYTERHUB_API_TOKEN", "")
        if not token:
            raise web.HTTPError(404)
        self.finish({"proof": presence(token, bytes.fromhex(nonce))})


#: Path below the server's base URL, as a pattern, and its handler.
ROUTES: tuple[tuple[str, type[Handler]], ...] = (
    (r"/qmio_jupyter/api/health", HealthHandler),
    (r"/qmio_jupyter/api/presence/([0-9a-f]{64})", PresenceHandler),
    (r"/qmio_jupyter/api/tasks/([^/]+)/cancel", CancelHandler),
)
