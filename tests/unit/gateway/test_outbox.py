"""Packets leave in order and in pieces; who does not read costs a bounded queue, and no one else anything."""

import msgspec
import pytest

from qmio_jupyter.gateway import outbox as outbox_module
from qmio_jupyter.gateway.metrics import Figures
from qmio_jupyter.gateway.outbox import Outbox, Sent, weight
from qmio_jupyter.gateway.turn import packet
from qmio_jupyter.model.result import BindingCounts, ItemResult
from qmio_jupyter.model.task import TaskState
from qmio_jupyter.testing.messages import sample
from qmio_jupyter.wire import messages as m
from qmio_jupyter.wire.codec import decode


class Transport:
    """Takes what `full` and `gone` do not forbid."""

    def __init__(self):
        self.sent = []
        self.full = set()
        self.gone = set()
        self.given_up = []
        self.encodings = set()

    def send(self, connection, frames):
        if connection in self.gone:
            return Sent.GONE
        if connection in self.full:
            return Sent.FULL
        self.encodings.add(id(frames))
        self.sent.append((connection, decode(frames, m.Limits()).envelope))
        return Sent.YES

    def bodies(self, connection):
        return [envelope.body for to, envelope in self.sent if to == connection]


@pytest.fixture
def transport():
    return Transport()


@pytest.fixture
def figures():
    return Figures()


@pytest.fixture
def outbox(transport, figures):
    return Outbox(transport.send, transport.given_up.append, figures)


def event(task_id="t", revision=1, cause="", position=None, state=TaskState.QUEUED):
    view = msgspec.structs.replace(
        sample(m.TaskEvent).view,
        task_id=task_id,
        revision=revision,
        cause=cause,
        position=position,
        state=state,
    )
    return packet(m.TaskEvent(view=view))


def pong(number):
    return packet(m.Pong(epoch=number), re=number)


def test_order_and_pieces(outbox, transport):
    for number in range(5):
        outbox.put(1, pong(number))
    assert outbox.flush(3) == 3
    assert len(outbox) == 2
    assert outbox.flush(3) == 2
    assert [body.epoch for body in transport.bodies(1)] == [0, 1, 2, 3, 4]


def test_one_encoding_for_all_watchers(outbox, transport):
    shared = event()
    for connection in (1, 2, 3):
        outbox.put(connection, shared)
    outbox.flush(10)
    assert len(transport.sent) == 3
    assert len(transport.encodings) == 1


def test_a_full_connection_holds_up_nobody_else_and_keeps_its_order(outbox, transport):
    transport.full = {1}
    for number in (1, 2):
        outbox.put(1, pong(number))
        outbox.put(2, pong(number))
    outbox.flush(10)
    assert [body.epoch for body in transport.bodies(2)] == [1, 2]
    assert outbox.has_stuck
    outbox.retry(10)
    assert transport.bodies(1) == []
    transport.full.clear()
    outbox.put(1, pong(3))
    outbox.flush(10)
    assert transport.bodies(1) == [], "a newer packet must not overtake those that wait"
    outbox.retry(10)
    assert [body.epoch for body in transport.bodies(1)] == [1, 2, 3]
    assert not outbox.has_stuck


def test_retries_are_bounded(outbox, transport):
    transport.full = {1}
    for number in range(4):
        outbox.put(1, pong(number))
    outbox.flush(10)
    transport.full.clear()
    outbox.retry(3)
    assert len(transport.bodies(1)) == 3
    outbox.retry(3)
    assert len(transport.bodies(1)) == 4


def test_only_the_newest_event_of_a_task_waits(outbox, transport, figures):
    transport.full = {1}
    outbox.put(1, event(revision=1))
    outbox.put(1, pong(1))
    outbox.put(1, event(revision=2))
    outbox.put(1, event("other", revision=1))
    outbox.flush(10)
    transport.full.clear()
    outbox.retry(10)
    views = [body.view for body in transport.bodies(1) if isinstance(body, m.TaskEvent)]
    assert [(view.task_id, view.revision) for view in views] == [("t", 2), ("other", 1)]
    assert figures.dropped_events == 1


def test_the_cause_of_a_worse_position_is_not_lost(outbox, transport):
    transport.full = {1}
    outbox.put(1, event(position=5, cause="a booking starts"))
    outbox.put(1, event(position=4))
    outbox.flush(10)
    transport.full.clear()
    outbox.retry(10)
    (body,) = transport.bodies(1)
    assert (body.view.position, body.view.cause) == (4, "a booking starts")


def test_a_cause_ends_with_the_state_it_was_told_in(outbox, transport):
    transport.full = {1}
    outbox.put(1, event(position=5, cause="a booking starts"))
    outbox.put(1, event(state=TaskState.CLAIMED, revision=2))
    outbox.flush(10)
    transport.full.clear()
    outbox.retry(10)
    (body,) = transport.bodies(1)
    assert body.view.cause == ""


def test_partial_counts_are_cumulative_so_the_newest_is_enough(outbox, transport):
    result = sample(m.TaskPartial).result
    transport.full = {1}
    for revision in (1, 2, 3):
        outbox.put(1, packet(m.TaskPartial(result=msgspec.structs.replace(result, revision=revision))))
    outbox.flush(10)
    transport.full.clear()
    outbox.retry(10)
    assert [body.result.revision for body in transport.bodies(1)] == [3]


def test_who_reads_nothing_is_given_up(outbox, transport, monkeypatch):
    monkeypatch.setattr(outbox_module, "MAX_STUCK", 3)
    transport.full = {1}
    for number in range(4):
        outbox.put(1, pong(number))
    outbox.flush(10)
    assert transport.given_up == [1]
    assert not outbox.has_stuck


def test_who_lets_too_many_bytes_pile_up_is_given_up(outbox, transport, monkeypatch):
    monkeypatch.setattr(outbox_module, "MAX_STUCK_BYTES", 100)
    transport.full = {1}
    outbox.put(1, m.Packet(m.Envelope(body=m.ProgramData()), ()))
    for number in range(20):
        outbox.put(1, pong(number))
    outbox.flush(30)
    # Given up, and full again at once: the shell drops the connection, so this settles.
    assert 1 in transport.given_up


def test_bytes_that_wait_are_counted(outbox, transport):
    shot = sample(m.SnapshotData).snapshot
    large = packet(m.SnapshotData(snapshot=msgspec.structs.replace(shot, data=bytes(100_000))), re=1)
    transport.full = {1}
    for connection in (1, 2):
        outbox.put(connection, large)
        assert 100_000 < outbox.queued_bytes(connection) < 102_000
    assert 200_000 < outbox.total_bytes < 204_000
    outbox.flush(10)
    assert outbox.queued_bytes(2) == 0
    assert 100_000 < outbox.queued_bytes(1) < 102_000, "what is stuck counts on"
    assert outbox.total_bytes == outbox.queued_bytes(1)
    transport.full.clear()
    outbox.retry(10)
    assert outbox.queued_bytes(1) == outbox.total_bytes == 0


def test_results_weigh_as_much_as_their_columns():
    columns = BindingCounts(shots=1, keys=bytes(1_000), counts=bytes(8_000), memory=bytes(500))
    item = ItemResult(n_bits=8, registers=(), bindings=(columns, columns))
    result = msgspec.structs.replace(sample(m.TaskResultData).result, items=(item, item))
    assert 38_000 <= weight(packet(m.TaskResultData(result=result))) < 40_000
    assert 38_000 <= weight(packet(m.TaskPartial(result=result))) < 40_000
    assert 5_000 <= weight(m.Packet(m.Envelope(body=m.ProgramData()), (bytes(5_000),))) < 6_000


def test_what_is_for_nobody_is_dropped(outbox, transport):
    transport.gone = {1}
    outbox.put(1, pong(1))
    outbox.flush(10)
    assert not outbox.has_stuck
    transport.full = {2}
    outbox.put(2, pong(1))
    outbox.flush(10)
    outbox.drop(2)
    assert not outbox.has_stuck
