"""Large frames on their way: counted while ZeroMQ has them, oldest first."""

import pytest

from qmio_jupyter.transport.unsent import Unsent


class Tracker:
    """Stands for ZeroMQ's."""

    def __init__(self):
        self.done = False


@pytest.fixture
def clock():
    return [0.0]


@pytest.fixture
def unsent(clock):
    return Unsent(lambda: clock[0])


def sent(unsent, connection, sizes):
    trackers = [Tracker() for _ in sizes]
    for tracker, size in zip(trackers, sizes, strict=True):
        unsent.add(connection, tracker, size)
    return trackers


def test_bytes_are_counted_out_when_let_go(unsent, clock):
    first, second = sent(unsent, 1, [100, 20])
    sent(unsent, 2, [3])
    assert (unsent.bytes_of(1), unsent.bytes_of(2), unsent.total()) == (120, 3, 123)
    first.done = True
    assert unsent.bytes_of(1) == 20
    second.done = True
    clock[0] += 1
    assert unsent.total() == 3
    assert unsent.bytes_of(1) == 0


def test_who_takes_nothing_has_stalled(unsent, clock):
    first, _ = sent(unsent, 1, [100, 20])
    clock[0] += 50
    first.done = True
    assert unsent.stalled(60) == []
    clock[0] += 50
    assert unsent.stalled(60) == [], "it took something 50 s ago"
    clock[0] += 50
    assert unsent.stalled(60) == [1]
    unsent.forget(1)
    assert unsent.stalled(60) == []
    assert unsent.total() == 0
    unsent.forget(1)
