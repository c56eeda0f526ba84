"""Connections, and how much a stranger may still say."""

from qmio_jupyter.gateway.links import FORGIVE_MS, MAX_STRANGERS, PROVE_MS, STRANGER_BURST, Links


def test_connections_by_key():
    links = Links()
    links.add(1, "k", 0)
    links.add(2, "k", 0)
    assert links.of_key("k") == (1, 2)
    links.drop(1)
    links.drop(1)
    assert links.of_key("k") == (2,)
    assert links.key(1) is None
    assert len(links) == 1
    links.drop(2)
    assert links.of_key("k") == ()


def test_greeting_is_wanted_again_after_a_new_epoch():
    links = Links()
    links.add(1, "k", 0)
    assert not links.is_greeted(1)
    links.greet(1)
    assert links.is_greeted(1)
    links.renew()
    assert not links.is_greeted(1)
    assert not links.is_greeted(7)


def test_a_stranger_is_limited_in_rate():
    links = Links()
    assert all(links.admits_stranger("s", 0) for _ in range(STRANGER_BURST))
    assert not links.admits_stranger("s", 0)
    assert links.admits_stranger("s", 250)
    assert not links.admits_stranger("s", 250)


def test_a_strangers_time_is_its_keys_not_its_connections():
    links = Links()
    assert links.admits_stranger("s", 0)
    assert not links.admits_stranger("s", PROVE_MS + 1)
    assert links.admits_stranger("other", PROVE_MS + 1)


def test_a_stranger_may_try_again_after_a_minute():
    links = Links()
    assert links.admits_stranger("s", 0)
    assert not links.admits_stranger("s", FORGIVE_MS)
    assert links.admits_stranger("s", FORGIVE_MS + 1)


def test_strangers_remembered_are_bounded():
    links = Links()
    for number in range(3 * MAX_STRANGERS):
        links.admits_stranger(f"s{number}", 0)
    assert len(links._strangers) == MAX_STRANGERS
