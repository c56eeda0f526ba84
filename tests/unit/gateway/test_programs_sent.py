"""What an agent has been sent, and the bytes kept in memory."""

from qmio_jupyter.gateway.programs_sent import ProgramCache, ProgramsSent
from qmio_jupyter.model.ids import digest
from qmio_jupyter.model.program import OCTETS, QASM2, Program


def program(data, media_type=QASM2):
    return Program(digest=digest(data), media_type=media_type, data=data)


def test_sent_is_per_connection_digest_and_media_type():
    sent = ProgramsSent()
    sent.note(1, "d", QASM2)
    assert sent.has(1, "d", QASM2)
    assert not sent.has(2, "d", QASM2)
    assert not sent.has(1, "d", OCTETS)
    # What was sent last under the digest counts: the agent keeps that one.
    sent.note(1, "d", OCTETS)
    assert not sent.has(1, "d", QASM2)


def test_sent_is_bounded_and_forgets_connections():
    sent = ProgramsSent(remembered=2)
    for name in "abc":
        sent.note(1, name, QASM2)
    assert not sent.has(1, "a", QASM2)
    assert sent.has(1, "c", QASM2)
    sent.drop(1)
    assert not sent.has(1, "c", QASM2)


def test_cache_is_by_tenant_and_bounded_in_bytes():
    cache = ProgramCache(kept_bytes=10)
    first, second = program(b"12345"), program(b"67890")
    cache.put("t/a", first)
    assert cache.get("t/b", first.digest) is None
    cache.put("t/a", second)
    assert cache.get("t/a", first.digest) is first
    third = program(b"x")
    cache.put("t/a", third)
    assert cache.get("t/a", second.digest) is None
    assert cache.get("t/a", first.digest) is first
    assert cache.get("t/a", third.digest) is third


def test_cache_takes_nothing_larger_than_itself():
    cache = ProgramCache(kept_bytes=3)
    large = program(b"1234")
    cache.put("t/a", large)
    assert cache.get("t/a", large.digest) is None


def test_cache_clear():
    cache = ProgramCache()
    one = program(b"1")
    cache.put("t/a", one)
    cache.clear()
    assert cache.get("t/a", one.digest) is None
