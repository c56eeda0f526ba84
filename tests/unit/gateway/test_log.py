"""The log says who asked what and what became of it, in bounded space, and never a secret."""

import stat

import msgspec
import pytest

from qmio_jupyter.core.records import TaskInserted, TaskUpdated
from qmio_jupyter.errors import ProtocolError
from qmio_jupyter.gateway.log import BoundedFile, GatewayLog
from qmio_jupyter.gateway.refusals import unknown_task
from qmio_jupyter.gateway.turn import Turn, reply
from qmio_jupyter.model.task import Task, TaskState
from qmio_jupyter.ports import Peer
from qmio_jupyter.testing.messages import sample
from qmio_jupyter.wire import messages as m
from qmio_jupyter.wire.codec import attach

PEER = Peer(key="abcdef" * 10 + "0123", address="127.0.0.1")


class FixedClock:
    def now_ms(self):
        return 1234


@pytest.fixture
def path(tmp_path):
    return tmp_path / "gateway.jsonl"


@pytest.fixture
def log(path):
    log = GatewayLog(path, FixedClock())
    yield log
    log.close()


def lines(path):
    return [msgspec.json.decode(line) for line in path.read_bytes().splitlines()]


def test_the_file_is_its_owners(log, path):
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_an_event_is_one_line_with_its_time(log, path):
    log.event("listening", endpoint="tcp://127.0.0.1:1")
    assert lines(path) == [
        {"at_ms": 1234, "level": "info", "endpoint": "tcp://127.0.0.1:1", "event": "listening"}
    ]


def test_secrets_are_struck_out_at_any_depth(log, path):
    log.event(
        "e",
        secret_key="S3CR3T",
        user={"token": "S3CR3T", "name": "ana", "deeper": {"Password": "S3CR3T"}},
        data=b"S3CR3T",
    )
    text = path.read_text()
    assert "S3CR3T" not in text
    assert "ana" in text
    assert "<6 bytes>" in text


def test_a_request_is_one_canonical_line_without_its_program(log, path):
    packet = attach(
        sample(m.TaskSubmit), [("text/x-openqasm; version=3", b"OPENQASM 3.0; SECRETPROGRAM")], id=7
    )
    turn = Turn((), (reply(3, 7, unknown_task("t-1")),))
    log.request(3, PEER, packet, turn)
    (line,) = lines(path)
    assert line["tag"] == "task.submit"
    assert line["peer"] == PEER.key[:12]
    assert (line["connection"], line["request"]) == (3, 7)
    assert (line["answer"], line["code"]) == ("error", "task.unknown")
    assert line["task_id"] == packet.envelope.body.task_id
    assert b"SECRETPROGRAM" not in path.read_bytes()


def test_routine_messages_are_for_debugging(path):
    for level, expected in (("info", 0), ("debug", 1)):
        log = GatewayLog(path, FixedClock(), level)
        log.request(3, PEER, attach(m.Ping(), id=1), Turn())
        log.close()
        assert len(lines(path)) == expected


def test_a_transition_is_one_line_once_on_disk(log, path):
    task = sample(Task)
    moved = msgspec.structs.replace(task, state=TaskState.RUNNING, revision=5)
    log.committed(
        (
            TaskInserted(task=task),
            TaskUpdated(
                task=moved,
                expect_state=TaskState.CLAIMED,
                expect_revision=4,
                expect_epoch=1,
                expect_attempt=1,
                cause="started",
            ),
            TaskUpdated(
                task=moved,
                expect_state=TaskState.RUNNING,
                expect_revision=5,
                expect_epoch=1,
                expect_attempt=1,
            ),
        )
    )
    first, second = lines(path)
    assert (first["before"], first["after"]) == ("", task.state.value)
    assert (second["before"], second["after"], second["cause"]) == ("claimed", "running", "started")


def test_malformed_messages_are_warned_of(log, path):
    log.malformed(PEER, ProtocolError("x" * 1000))
    (line,) = lines(path)
    assert line["level"] == "warning"
    assert len(line["error"]) < 300


def test_the_file_is_bounded(path):
    file = BoundedFile(path, max_bytes=1000)
    for _ in range(100):
        file.write(b"x" * 99 + b"\n")
    file.close()
    file.write(b"late")
    aside = path.with_name("gateway.jsonl.1")
    assert path.stat().st_size <= 1000
    assert aside.stat().st_size <= 1000
    assert {p.name for p in path.parent.iterdir()} == {path.name, aside.name}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_full_disk_does_not_stop_the_gateway(path, monkeypatch):
    file = BoundedFile(path)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.write", full)
    file.write(b"line\n")
    monkeypatch.undo()
    file.close()
