"""The one route on which a starting server speaks to the hub: four reports, each typed, nothing else is taken.

The first report is authenticated by the node's MUNGE, and answered with the server's secrets, sealed for its user; the
others by the server's own API token, compared with the one its spawner made. They find only that start: neither another
user's token nor an administrator's opens it, and a wrong one looks like a start that is not there. The
port is the only thing a node may set, once, and never the address: that is Slurm's address of the node.
"""

from __future__ import annotations

import hmac
from typing import Annotated, Any

import msgspec
from jupyterhub.apihandlers import default_handlers
from jupyterhub.apihandlers.base import APIHandler
from msgspec import Meta
from tornado import web

from qmio_jupyter.errors import QmioError
from qmio_jupyter.hub.office import Office
from qmio_jupyter.hub.starting import Start

#: Path below the hub's ``/api``; the grant's id is its last part.
ROUTE = "/api/qmio/starts/"
#: Pattern of a grant's id.
GRANT = r"g-[0-9a-z]{26}"
_MOST_BYTES = 4096


class Hello(msgspec.Struct, frozen=True, kw_only=True, tag="hello", forbid_unknown_fields=True):
    """The job runs on this node. Answered with the address to listen at, and the server's secrets, sealed.

    With MUNGE it is told by its credential, for the node has no token yet. With internal TLS it asks for a certificate.
    """

    credential: Annotated[str, Meta(max_length=3072)] = ""
    node: Annotated[str, Meta(pattern=r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,253}\Z")]
    #: Request for a certificate, PEM; empty: none.
    request: Annotated[str, Meta(max_length=1024)] = ""


class Opened(msgspec.Struct, frozen=True, kw_only=True, tag="opened", forbid_unknown_fields=True):
    """The session is open."""


class Listening(msgspec.Struct, frozen=True, kw_only=True, tag="listening", forbid_unknown_fields=True):
    """The server is about to listen on this port."""

    port: Annotated[int, Meta(ge=1024, le=65535)]


class Failed(msgspec.Struct, frozen=True, kw_only=True, tag="failed", forbid_unknown_fields=True):
    """It cannot be done; why, in one line."""

    why: Annotated[str, Meta(max_length=500)]


Report = Hello | Opened | Listening | Failed


class ReportHandler(APIHandler):  # type: ignore[misc]
    """Takes the reports of one start."""

    def check_xsrf_cookie(self) -> None:
        """Ask for none: no browser's cookie opens this route, only the server's token in a header."""

    async def post(self, grant_id: str) -> None:
        """Take one report."""
        try:
            self.finish(
                await answer(grant_id, self.request.body, self.request.headers.get("Authorization", ""))
            )
        except QmioError as error:
            raise web.HTTPError(409 if not error.retryable else 503, error.one_line()) from error


async def answer(grant_id: str, body: bytes, authorization: str) -> dict[str, Any]:
    """Take what was sent for a start; return what the node is answered.

    Raises
    ------
    tornado.web.HTTPError
        400 and 413 for what is no report, 404 where its sender may report of no such start.
    QmioError
        Why the report cannot be taken.
    """
    if len(body) > _MOST_BYTES:
        raise web.HTTPError(413)
    try:
        report = msgspec.json.decode(body, type=Report)
    except (msgspec.DecodeError, UnicodeDecodeError) as problem:
        raise web.HTTPError(400, "not a report") from problem
    return await take(await _start(grant_id, report, authorization), report)


async def _start(grant_id: str, report: Report, authorization: str) -> Start:
    """Return the start that the sender may report of."""
    if isinstance(report, Hello) and report.credential:
        for office in Office.all():
            start = office.starts.get(grant_id)
            if start is None:
                continue
            if not start.saga.job_id:
                # The job runs before sbatch has said its id.
                raise web.HTTPError(503)
            if await start.is_node(report.node, report.credential, report.request):
                return start
        raise web.HTTPError(404)
    scheme, _, given = authorization.partition(" ")
    for office in Office.all():
        start = office.starts.get(grant_id)
        if start is None or not start.token or scheme.lower() not in ("token", "bearer"):
            continue
        if hmac.compare_digest(start.token.encode(), given.strip().encode("utf-8", "replace")):
            return start
    raise web.HTTPError(404)


async def take(start: Start, report: Report) -> dict[str, Any]:
    """Tell a start of a report; return what the node is answered."""
    match report:
        case Hello(node=node, request=request):
            address = await start.hello(node)
            certified = await start.certified(request, address) if request else {}
            return {"address": address, "sealed": await start.sealed(), **certified}
        case Opened():
            start.opened()
        case Listening(port=port):
            if start.saga.port not in (0, port):
                raise web.HTTPError(409, "it listens already")
            if start.ports and port not in start.ports:
                raise web.HTTPError(409, "servers do not listen there")
            start.listening(await start.address(), port)
        case Failed(why=why):
            start.failed(why)
    return {}


default_handlers.append((f"{ROUTE}({GRANT})", ReportHandler))
