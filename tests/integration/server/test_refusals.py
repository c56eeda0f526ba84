"""Who may not, what may not, and that nobody learns more than she should: against a real server and gateway."""

from __future__ import annotations

import json
import os
import re
import secrets
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from qmio_jupyter.auth.keys import key_id, new_keys, write_keys
from qmio_jupyter.client.spec import build_spec
from qmio_jupyter.client.sync import connect
from qmio_jupyter.client.sync_handle import TaskHandle
from qmio_jupyter.config.settings import ClientSettings, GatewayAddress
from qmio_jupyter.core.records import EnrolmentSaved
from qmio_jupyter.model.access import Enrolment, Role
from qmio_jupyter.model.ids import mint
from qmio_jupyter.model.task import TaskOptions, TaskState
from qmio_jupyter.store.sqlite import SqliteStore
from qmio_jupyter.testing import runs
from qmio_jupyter.testing.home import Home, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

PROGRAM = runs.qasm3("qubit q; bit c; c = measure q;")
#: Well-formed, and nobody's.
ABSENT = mint("t", 1_790_000_000_000, bytes(10))


def page(server: Any) -> dict[str, str]:
    """Return the cookies of a browser that logged in and opened a page."""
    cookies: dict[str, str] = {}
    for path in ("login", f"login?token={server.token}"):
        cookies |= server.ask("GET", path, token=None, cookies=cookies).cookies
    assert "_xsrf" in cookies
    assert len(cookies) == 2
    return cookies


def is_refusal(answer: Any, status: int, code: str) -> bool:
    """Return whether an answer is one of ours: JSON of three texts, no more."""
    assert answer.headers["Content-Type"].startswith("application/json"), answer
    assert set(answer.body) == {"code", "message", "hint"}, answer
    assert all(isinstance(text, str) and text for text in answer.body.values()), answer
    assert (answer.status, answer.body["code"]) == (status, code), answer
    return True


@pytest.mark.parametrize("which", ["server", "strict"])
def test_without_a_token_nothing_is_answered(which: str, request: pytest.FixtureRequest) -> None:
    server = request.getfixturevalue(which)
    for token in (None, secrets.token_hex(16)):
        assert is_refusal(server.cancel(ABSENT, token=token), 403, "auth")
        assert is_refusal(server.cancel("nonsense", token=token), 403, "auth"), "who comes before what"
        assert is_refusal(server.health(token=token), 403, "auth")


@pytest.mark.parametrize("which", ["server", "strict"])
def test_a_cookie_needs_the_xsrf_token_beside_it(which: str, request: pytest.FixtureRequest) -> None:
    server = request.getfixturevalue(which)
    cookies = page(server)
    right = {"X-XSRFToken": cookies["_xsrf"]}
    assert server.health(token=None, cookies=cookies).status == 200
    assert is_refusal(server.cancel(ABSENT, token=None, cookies=cookies), 403, "auth")
    for wrong in ("", "x", secrets.token_hex(16), f"2|00000000|{secrets.token_hex(16)}|1790000000"):
        answer = server.cancel(ABSENT, token=None, cookies=cookies, headers={"X-XSRFToken": wrong})
        assert is_refusal(answer, 403, "auth")
    only = {name: value for name, value in cookies.items() if name != "_xsrf"}
    assert is_refusal(server.cancel(ABSENT, token=None, cookies=only, headers=right), 403, "auth")
    forged = {"_xsrf": cookies["_xsrf"]}
    assert is_refusal(server.cancel(ABSENT, token=None, cookies=forged, headers=right), 403, "auth")
    # In the body it does not count: bodies are not read.
    body = f"_xsrf={cookies['_xsrf']}".encode()
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = server.cancel(ABSENT, token=None, cookies=cookies, headers=form, body=body)
    assert is_refusal(answer, 403, "auth")
    assert is_refusal(server.cancel(ABSENT, token=None, cookies=cookies, headers=right), 404, "task.unknown")


def test_a_page_of_another_site_is_turned_away(server: Any) -> None:
    cookies = page(server)
    headers = {"X-XSRFToken": cookies["_xsrf"], "Origin": "https://evil.example"}
    answer = server.cancel(ABSENT, token=None, cookies=cookies, headers=headers)
    assert is_refusal(answer, 404, "auth")
    assert "Access-Control-Allow-Origin" not in answer.headers


def test_a_page_can_cancel_with_its_cookie_and_its_xsrf_token(
    server: Any, shared: Home, submit_running: Callable[[Home], TaskHandle]
) -> None:
    handle = submit_running(shared)
    cookies = page(server)
    own = f"http://127.0.0.1:{server.port}"
    headers = {"X-XSRFToken": cookies["_xsrf"], "Origin": own, "Referer": f"{own}/lab"}
    answer = server.cancel(handle.task_id, token=None, cookies=cookies, headers=headers)
    assert answer.status == 200, answer
    assert handle.wait(30).state is TaskState.CANCELLED


def test_an_unknown_task_is_not_found(server: Any) -> None:
    answer = server.cancel(ABSENT)
    assert is_refusal(answer, 404, "task.unknown")
    assert ABSENT in answer.body["message"]


@pytest.mark.parametrize(
    "text",
    [
        "last",
        "all",
        "t-",
        ABSENT[:-1],
        ABSENT + "0",
        ABSENT.upper(),
        "s" + ABSENT[1:],
        ABSENT[:-1] + "u",
        ABSENT + "%0a",
        "%00",
        "..%2F..%2Fetc%2Fpasswd",
        "%F0%9F%92%A5",
        "%3Cscript%3Ealert(1)%3C%2Fscript%3E",
        "x" * 5000,
    ],
)
def test_what_is_no_task_id_gets_no_further(server: Any, text: str) -> None:
    answer = server.cancel(text)
    assert is_refusal(answer, 400, "usage")
    assert len(answer.body["message"]) < 200
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_a_path_that_is_no_text_is_refused(server: Any) -> None:
    assert server.cancel("%ff%fe").status == 400
    for path in (f"tasks/{ABSENT}/x/cancel", f"tasks/{ABSENT}", f"tasks/{ABSENT}/cancel/", "tasks//cancel"):
        assert server.ask("POST", f"qmio_jupyter/api/{path}").status in (403, 404, 405), path


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "HEAD"])
def test_a_task_is_cancelled_by_post_alone(server: Any, method: str) -> None:
    answer = server.ask(method, f"qmio_jupyter/api/tasks/{ABSENT}/cancel")
    assert answer.status == 405
    if method != "HEAD":
        assert is_refusal(answer, 405, "usage")


def test_a_body_is_thrown_away_and_a_long_one_ends_the_connection(server: Any) -> None:
    body = json.dumps({"task_id": "another", "x": "y" * 3000}).encode()
    assert is_refusal(server.cancel(ABSENT, body=body), 404, "task.unknown")
    assert is_refusal(server.cancel(ABSENT, body=b"\xff\x00 not JSON"), 404, "task.unknown")
    head = (
        f"POST /qmio_jupyter/api/tasks/{ABSENT}/cancel HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
        f"Authorization: token {server.token}\r\n"
    )
    for framing in ("Content-Length: 1000000000\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\nFFFFFF\r\n"):
        with socket.create_connection(("127.0.0.1", server.port), timeout=30) as line:
            line.sendall((head + framing).encode())
            # It answers, and hangs up, without a byte of that body: it does not wait for it.
            got = b"".join(iter(lambda: line.recv(4096), b""))
        assert got.startswith(b"HTTP/1.1 400"), got
    assert server.health().status == 200


def test_another_tenants_task_looks_exactly_like_an_absent_one(
    home: Home, serve: Any, start_gateway: Callable[[Home], None]
) -> None:
    # A gateway that knows a second user: her key is written into the ledger while it is down.
    start_gateway(home)
    assert home.cli("down").returncode == 0
    other = new_keys()
    enrolment = Enrolment(key=key_id(other.public), role=Role.USER, uid=os.getuid(), tenant="other/marie")
    store = SqliteStore(home.places.ledger)
    store.commit([EnrolmentSaved(enrolment=enrolment)]).result(30)
    store.close()
    start_gateway(home)
    written = home.connection()
    assert written is not None
    key_file = home.root / "marie.key"
    write_keys(key_file, other)
    address = GatewayAddress(endpoint=written.endpoint, server_key=written.server_key, key_file=str(key_file))
    server = serve(home)
    with connect(settings=ClientSettings(gateways=(address,)), environ=home.environ) as marie:
        assert marie.session().tenant == "other/marie"
        options = TaskOptions(device_options=(("seconds", "60"),))
        spec = build_spec([PROGRAM], device="echo", shots=10, options=options)
        handle = marie.submit(spec, [PROGRAM])
        wait_until(lambda: handle.state is TaskState.RUNNING, "her task runs")
        theirs, nobodys = server.cancel(handle.task_id), server.cancel(ABSENT)
        assert is_refusal(theirs, 404, "task.unknown")
        same = json.loads(json.dumps(theirs.body).replace(handle.task_id, ABSENT))
        assert same == nobodys.body
        drop = {"Date", "Set-Cookie", "Etag", "Content-Length"}
        assert {k: v for k, v in theirs.headers.items() if k not in drop} == {
            k: v for k, v in nobodys.headers.items() if k not in drop
        }
        assert marie.show(handle.task_id).state is TaskState.RUNNING
        assert marie.cancel(handle.task_id).state in (TaskState.CANCELLING, TaskState.CANCELLED)


READ_ONLY = """
from jupyter_server.auth import Authorizer


class ReadOnly(Authorizer):
    def is_authorized(self, handler, user, action, resource):
        return resource != "qmio_jupyter" or action == "read"
"""


def test_a_guest_who_may_only_look_may_not_cancel(
    shared: Home, serve: Any, submit_running: Callable[[Home], TaskHandle]
) -> None:
    (shared.root / "guests.py").write_text(READ_ONLY)
    server = serve(shared, "--ServerApp.authorizer_class=guests.ReadOnly")
    handle = submit_running(shared)
    assert server.health().status == 200
    assert is_refusal(server.cancel(handle.task_id), 403, "auth")
    assert handle.state is TaskState.RUNNING
    handle.cancel()


def test_logs_and_answers_hold_no_secret_and_no_stack(
    home: Home, serve: Any, start_gateway: Callable[[Home], None]
) -> None:
    start_gateway(home)
    server = serve(home, "--ServerApp.log_level=DEBUG")
    cookies = page(server)
    by_url = f"token={server.token}"
    answers = [
        server.health(),
        server.cancel(ABSENT),
        server.cancel("nonsense"),
        server.cancel(ABSENT, token=None, cookies=cookies),
        server.ask("POST", f"qmio_jupyter/api/tasks/nonsense/cancel?{by_url}", token=None),
        server.ask("POST", f"qmio_jupyter/api/tasks/{ABSENT}/cancel?{by_url}", token=None),
        server.ask("GET", f"qmio_jupyter/api/tasks/{ABSENT}/cancel?{by_url}", token=None),
    ]
    written = home.connection()
    assert written is not None
    assert home.cli("down").returncode == 0
    answers.append(server.cancel(ABSENT))
    # A connection file that cannot be read, and one that breaks what reads it.
    for content in ("{", '{"version": "x"}'):
        path = home.places.connection_file
        path.write_text(content)
        path.chmod(0o600)
        answers.append(server.cancel(ABSENT))
        assert is_refusal(answers[-1], 500, "config.file")
        path.unlink()
    assert server.stop() == 0
    log = server.log()
    assert "qmio_jupyter: [task.unknown]" in log
    told = log + "".join(f"{answer.body}{answer.headers}" for answer in answers)
    assert "Traceback" not in told
    assert written.secret_key not in told
    # Jupyter itself sets its cookies; nowhere else is one of them told.
    without_cookies = log + "".join(str(answer.body) for answer in answers)
    for secret in (server.token, *cookies.values()):
        assert secret not in without_cookies.replace(f"?{by_url}", "", log.count("is running at")), secret


def test_a_defect_of_ours_is_one_line_without_a_stack(
    home: Home, serve: Any, start_gateway: Callable[[Home], None]
) -> None:
    (home.root / "sitecustomize.py").write_text(
        "import qmio_jupyter.server.link as link\n"
        "async def broken(self, question, within_s):\n"
        "    raise RuntimeError('a secret of ' + repr(question))\n"
        "link.Link.ask = broken\n"
    )
    server = serve(home)
    assert is_refusal(server.cancel(ABSENT), 500, "internal")
    assert server.stop() == 0
    log = server.log()
    assert re.search(r"qmio_jupyter: a defect, RuntimeError in \S+sitecustomize\.py:3\n", log), log
    assert "Traceback" not in log
    assert "a secret of" not in log


def test_asking_is_quick_and_starts_nothing(home: Home, serve: Any) -> None:
    server = serve(home)
    server.health()
    began = time.monotonic()
    assert is_refusal(server.cancel(ABSENT), 503, "gateway")
    assert server.health().body["gateway"] is False
    assert time.monotonic() - began < 5
    assert not (Path(home.environ["QMIO_HOME"]) / "run" / "connection.json").exists()
