"""Roles over the real socket, and another unix user at the door."""

import json
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from qmio_jupyter.auth.keys import keys_at, new_keys
from qmio_jupyter.config import connection
from qmio_jupyter.gateway.links import STRANGER_BURST
from qmio_jupyter.model.access import Role
from qmio_jupyter.model.keys import KeyPair
from qmio_jupyter.testing.messages import sample
from qmio_jupyter.wire import messages as m
from qmio_jupyter.wire.codec import MESSAGES

NOBODY = 65534


def users_keys(home):
    written = connection.read(home.places.connection_file)
    return KeyPair(public=written.public_key, secret=written.secret_key)


def code(reply):
    return reply.error.code if isinstance(reply, m.Failure) else None


def test_a_stranger_may_greet_and_nothing_else(home):
    home.start()
    task_id = home.submit(home.ready()).task_id
    stranger = home.dealer(new_keys())
    assert stranger.ask(m.Hello()).role is Role.NONE
    for body in (
        m.TaskList(),
        m.TaskShow(task_id=task_id),
        m.TaskResultGet(task_id=task_id),
        m.TaskSubmit(task_id=task_id, spec=home.task()),
        m.DeviceList(),
        m.GatewayShow(),
        m.GatewayStop(),
        msgspec.structs.replace(sample(m.KeyEnrol), role=Role.OPERATOR),
        sample(m.AgentAnnounce),
    ):
        assert code(stranger.ask(body)) == "auth.role", body
    assert home.process.poll() is None


def test_a_stranger_is_heard_for_a_moment_only(home):
    home.start()
    stranger = home.dealer(new_keys())
    numbers = [stranger.send(m.Ping()) for _ in range(3 * STRANGER_BURST)]
    assert stranger.answer(numbers[0]) is not None
    assert stranger.answer(numbers[-1], 1) is None
    assert isinstance(home.dealer(users_keys(home)).ask(m.Ping()), m.Pong)


def test_a_large_message_of_a_stranger_is_refused_unread(home):
    home.start()
    stranger = home.dealer(new_keys())
    reply = stranger.ask(m.SessionOpen(credential=bytes(5000)))
    assert code(reply) in ("limit.size", "limit")


def test_an_agents_key_is_good_for_its_device_and_nothing_else(home):
    home.start()
    client = home.ready()
    task_id = home.submit(client).task_id
    agent = home.dealer(keys_at(home.places.keys / "agent-echo.key"))
    assert agent.ask(m.Hello()).role is Role.AGENT
    for body in (m.TaskList(), m.TaskResultGet(task_id=task_id), m.GatewayStop(), m.DeviceList()):
        assert code(agent.ask(body)) == "auth.role"
    other = sample(m.AgentAnnounce)
    assert code(agent.ask(other)) == "auth.role"


def test_the_owner_is_a_user_not_an_operator(home):
    home.start()
    home.ready()
    owner = home.dealer(users_keys(home))
    assert code(owner.ask(m.TaskList())) == "auth.session", "hello comes first"
    welcome = owner.ask(m.Hello())
    assert welcome.role is Role.USER
    assert welcome.session.uid == os.getuid()
    assert welcome.session.tenant.startswith("local/")
    for tag in ("key.enrol", "key.revoke", "booking.create", "grant.create", "claim.finish", "program.get"):
        assert code(owner.ask(sample(MESSAGES[tag]))) == "auth.role", tag


def test_a_connection_file_alone_opens_nothing_under_another_key(home):
    """The server's key and a session's id are no secrets: only the user's own key speaks for her."""
    home.start()
    client = home.ready()
    session_id = client.session().session_id
    stranger = home.dealer(new_keys())
    assert stranger.ask(m.Hello()).session is None
    reply = stranger.ask(m.SessionOpen(job_id=session_id))
    assert code(reply) == "auth.credential"
    assert code(stranger.ask(m.SessionShow())) == "auth.role"


@pytest.mark.root
def test_another_unix_user_can_neither_read_nor_submit(home):
    if os.geteuid() != 0:
        from tests.conftest import missing

        missing("root, for a second unix user,")
    home.start()
    client = home.ready()
    task_id = home.submit(client, "private").task_id
    written = connection.read(home.places.connection_file)
    places = home.places
    private = (
        places.connection_file,
        places.ledger,
        places.keys,
        places.state / "gateway.jsonl",
        places.runtime,
    )
    facts = {
        "uid": NOBODY,
        "private": [str(path) for path in private],
        "endpoint": written.endpoint,
        "server_key": written.server_key,
        "task_id": task_id,
    }
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("intruder.py")), json.dumps(facts)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"uid": NOBODY, "read": [], "answers": ["none"] + ["auth.role"] * 6}
    assert client.show(task_id).label == "private"
