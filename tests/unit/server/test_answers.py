"""Every error of ours has a status a page can act on, and tells nothing that is meant for logs."""

from __future__ import annotations

import pytest

from qmio_jupyter.errors import CODES, QmioError, from_code
from qmio_jupyter.server.answers import STATUS, document_of, refusal_of, status_of

PROMISED = {
    "usage": 400,
    "usage.option": 400,
    "auth": 403,
    "auth.session": 403,
    "task.unknown": 404,
    "task": 409,
    "task.conflict": 409,
    "task.not_finished": 409,
    "device.unknown": 404,
    "limit.rate": 429,
    "limit.size": 413,
    "internal": 500,
    "config.permissions": 500,
    "config.other_host": 503,
    "not_yet": 501,
    "wire.version": 502,
    "gateway": 503,
    "gateway.stopping": 503,
    "store": 503,
    "deadline": 504,
    "a code of a newer gateway": 500,
}


@pytest.mark.parametrize(("code", "status"), PROMISED.items())
def test_a_code_has_the_promised_status(code: str, status: int) -> None:
    assert status_of(code) == status


def test_every_entry_of_the_table_is_a_code_there_is() -> None:
    assert set(STATUS) <= set(CODES)


def test_no_code_is_answered_as_if_all_were_well() -> None:
    assert all(status_of(code) >= 400 for code in CODES)


def test_the_page_is_told_what_and_what_to_do_and_no_detail() -> None:
    error = from_code("task.unknown", "no task", hint="List yours.", detail="seen in /some/where")
    assert document_of(error) == {"code": "task.unknown", "message": "no task", "hint": "List yours."}


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 411, 500, 503])
def test_a_refusal_of_jupyters_own_has_the_same_form(status: int) -> None:
    document = refusal_of(status)
    assert set(document) == set(document_of(QmioError("x")))
    assert document["code"] in CODES
    assert (document["code"] == "internal") == (status >= 500)
    assert document["message"]
    assert document["hint"]
