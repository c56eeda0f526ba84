"""How an error becomes an HTTP answer: its status, and one JSON object ``{"code", "message", "hint"}``."""

from __future__ import annotations

from http import HTTPStatus

from qmio_jupyter.errors import QmioError

#: Code, or the beginning of one -> status. The longest that fits counts; whatever has none is a defect, 500.
STATUS = {
    "usage": HTTPStatus.BAD_REQUEST,
    "auth": HTTPStatus.FORBIDDEN,
    "task": HTTPStatus.CONFLICT,
    "task.unknown": HTTPStatus.NOT_FOUND,
    "device": HTTPStatus.CONFLICT,
    "device.unknown": HTTPStatus.NOT_FOUND,
    "limit": HTTPStatus.TOO_MANY_REQUESTS,
    "limit.size": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "not_yet": HTTPStatus.NOT_IMPLEMENTED,
    "wire": HTTPStatus.BAD_GATEWAY,
    "config.other_host": HTTPStatus.SERVICE_UNAVAILABLE,
    "gateway": HTTPStatus.SERVICE_UNAVAILABLE,
    "store": HTTPStatus.SERVICE_UNAVAILABLE,
    "deadline": HTTPStatus.GATEWAY_TIMEOUT,
}

#: What is said where Jupyter itself refuses: by status, never in words that came with the request.
_REFUSED = {
    HTTPStatus.BAD_REQUEST: ("usage", "the request is malformed", "See docs/reference/server.md."),
    HTTPStatus.FORBIDDEN: (
        "auth",
        "this Jupyter server does not take the request as yours",
        "Log in again, then reload the page.",
    ),
    HTTPStatus.NOT_FOUND: ("auth", "the request comes from another site", "Open the page from this server."),
    HTTPStatus.METHOD_NOT_ALLOWED: (
        "usage",
        "the route is not asked in this way",
        "See docs/reference/server.md.",
    ),
}
_DEFECT = ("internal", "a defect in the server extension", "Report it with the Jupyter server's log.")


def status_of(code: str) -> HTTPStatus:
    """Return the HTTP status that fits an error's code."""
    parts = code.split(".")
    for end in range(len(parts), 0, -1):
        status = STATUS.get(".".join(parts[:end]))
        if status is not None:
            return status
    return HTTPStatus.INTERNAL_SERVER_ERROR


def document_of(error: QmioError) -> dict[str, str]:
    """Return what the page is told of an error of ours. Its ``detail``, meant for logs, stays here."""
    return {"code": error.code, "message": error.message, "hint": error.hint}


def refusal_of(status: int) -> dict[str, str]:
    """Return what the page is told where Jupyter refused the request with `status`, or where we have a defect."""
    code, message, hint = _DEFECT if status >= HTTPStatus.INTERNAL_SERVER_ERROR else _refused(status)
    return {"code": code, "message": message, "hint": hint}


def _refused(status: int) -> tuple[str, str, str]:
    known = HTTPStatus(status) if status in _REFUSED else HTTPStatus.BAD_REQUEST
    return _REFUSED[known]
