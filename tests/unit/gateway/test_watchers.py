"""Watches are kept two ways and never left behind."""

from qmio_jupyter.gateway.watchers import Watchers


def test_watchers_are_told_in_order_of_asking():
    watchers = Watchers()
    watchers.add(2, "a")
    watchers.add(1, "a")
    watchers.add(2, "a")
    watchers.add(1, "b")
    assert watchers.of("a") == (2, 1)
    assert watchers.of("b") == (1,)
    assert watchers.of("c") == ()


def test_an_ended_task_leaves_nothing():
    watchers = Watchers()
    watchers.add(1, "a")
    watchers.add(2, "a")
    watchers.end("a")
    watchers.end("a")
    assert watchers.of("a") == ()
    assert len(watchers) == 0
    watchers.drop(1)


def test_a_dropped_connection_leaves_nothing():
    watchers = Watchers()
    watchers.add(1, "a")
    watchers.add(1, "b")
    watchers.add(2, "b")
    watchers.drop(1)
    assert watchers.of("a") == ()
    assert watchers.of("b") == (2,)
    assert len(watchers) == 1


def test_watches_per_connection_are_bounded():
    watchers = Watchers(limit=2)
    for task in "abc":
        watchers.add(1, task)
    assert watchers.of("a") == ()
    assert watchers.of("b") == watchers.of("c") == (1,)


def test_only_who_watches_gets_a_result():
    watchers = Watchers()
    watchers.deliver(1, "t")
    assert not watchers.wants_result(1, "t")
    watchers.add(1, "t")
    watchers.deliver(1, "t")
    watchers.add(1, "t")
    assert watchers.wants_result(1, "t")
    watchers.drop(1)
    assert not watchers.wants_result(1, "t")
