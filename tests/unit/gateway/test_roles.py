"""Every row of the roles table, every (role, tag) pair, and that no request is without a row."""

import re
from pathlib import Path
from typing import get_args

import pytest

from qmio_jupyter.gateway.roles import ALLOWED, SESSIONLESS, UNANSWERED, allows
from qmio_jupyter.model.access import Role
from qmio_jupyter.wire import messages as m

TAGS = {cls.__struct_config__.tag: cls for cls in get_args(m.Message)}

#: What is never a request: replies and events, as the protocol's own docstrings name them.
ANSWERS = {
    "welcome", "pong", "error", "done", "gateway.restarted", "session.nonce", "session.state", "grant.state",
    "booking.page", "program.missing", "program.data", "task.accepted", "task.shown", "task.page",
    "task.data",
    "task.estimated", "task.event", "task.partial", "device.page", "snapshot.data", "gateway.state", "agent.welcome",
    "claim.dispatch", "claim.renewed", "claim.recorded", "claim.abort",
    "estimate.ask", "estimate.drop",
}  # fmt: skip

#: Written out again by hand, role by role: a slip in the table shows here.
BY_ROLE = {
    Role.NONE: {"hello", "ping", "session.challenge", "session.open"},
    Role.USER: {
        "hello", "ping", "session.challenge", "session.open", "session.show", "session.close", "booking.list",
        "program.query", "program.put", "task.submit", "task.cancel", "task.show", "task.watch", "task.list",
        "task.result", "task.forget", "task.estimate", "device.list", "device.show", "snapshot.get", "gateway.show",
        "gateway.stop",
    },
    Role.ISSUER: {
        "hello", "ping", "grant.create", "grant.bind", "grant.revoke", "booking.list", "device.list",
        "device.show", "gateway.show",
    },
    Role.AGENT: {
        "hello", "ping", "snapshot.get", "program.get", "agent.announce", "claim.held", "claim.started",
        "claim.renew", "claim.progress", "claim.finish", "claim.giveback", "estimate.answer",
    },
    Role.OPERATOR: {
        "hello", "ping", "booking.create", "booking.cancel", "booking.list", "task.show", "task.watch",
        "task.list", "device.list", "device.show", "snapshot.get", "gateway.show", "gateway.stop",
        "key.enrol",
        "key.revoke",
    },
    Role.NODE: {"hello", "ping", "allocation.admit", "allocation.end"},
    Role.MONITOR: {
        "hello", "ping", "booking.list", "task.show", "task.watch", "task.list", "device.list", "device.show",
        "snapshot.get", "gateway.show",
    },
}  # fmt: skip


def test_every_request_has_a_row_and_nothing_else_has():
    assert set(ALLOWED) == set(TAGS) - ANSWERS
    assert set(TAGS) >= ANSWERS


@pytest.mark.parametrize("tag", sorted(TAGS))
def test_each_pair(tag):
    assert {role for role in Role if allows(role, tag)} == {role for role in Role if tag in BY_ROLE[role]}


def test_unknown_tags_are_nobodys():
    assert not any(allows(role, "task.submitt") for role in Role)


def test_a_stranger_may_only_greet_and_prove_itself():
    assert {tag for tag in TAGS if allows(Role.NONE, tag)} == SESSIONLESS


def test_a_monitor_changes_nothing():
    changing = re.compile(
        r"create|bind|revoke|cancel|put|submit|forget|stop|enrol|close|open|claim|announce|admit|end$"
    )
    assert not [tag for tag in BY_ROLE[Role.MONITOR] if changing.search(tag)]


def test_unanswered_are_those_whose_docstring_says_no_reply():
    silent = {tag for tag in ALLOWED if "No reply" in (TAGS[tag].__doc__ or "")}
    assert silent == UNANSWERED


def test_results_are_their_owners_alone():
    assert ALLOWED["task.result"] == {Role.USER}


def test_the_table_is_data():
    source = Path(__file__).parents[3] / "qmio_jupyter/gateway/roles.py"
    assert "import" not in source.read_text().split("ALLOWED", 1)[1]
