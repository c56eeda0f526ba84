"""Key pairs, their names, and the files they are kept in."""

from __future__ import annotations

import hashlib
import pickle
import stat
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from zmq.utils import z85

from qmio_jupyter.auth.keys import check_pair, key_id, keys_at, new_keys, raw_key, read_keys, write_keys
from qmio_jupyter.errors import AuthError, ConfigError, QmioError
from qmio_jupyter.model.keys import KeyPair

#: The pair of ZeroMQ's own documentation (zmq_curve(7)).
KNOWN = KeyPair(
    public="rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7", secret="JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6"
)


def test_a_pair_fits_together_and_no_two_are_the_same():
    first, second = new_keys(), new_keys()
    assert check_pair(first) is first
    assert len({first.public, first.secret, second.public, second.secret}) == 4


def test_the_known_pair():
    assert check_pair(KNOWN) == KNOWN
    assert key_id(KNOWN.public) == hashlib.sha256(z85.decode(KNOWN.public.encode())).hexdigest()
    assert len(raw_key(KNOWN.public)) == 32


@pytest.mark.parametrize(
    "show", [repr, str, "{}".format, "{!r}".format, lambda pair: str(pair.__rich_repr__())]
)
def test_a_secret_is_never_shown(show):
    assert KNOWN.secret not in show(KNOWN)
    assert KNOWN.public in show(KNOWN)


def test_a_pair_in_an_exception_shows_no_secret():
    with pytest.raises(ValueError, match="hidden") as told:
        raise ValueError(f"no good: {[KNOWN]}")
    assert KNOWN.secret not in str(told.value)


@pytest.mark.parametrize(
    "key", ["", "short", "x" * 39, "x" * 41, "x" * 39 + "é", "x" * 39 + " ", "~" * 40, "#" * 40]
)
def test_what_is_no_key_is_refused_without_being_repeated(key):
    with pytest.raises(AuthError) as told:
        raw_key(key)
    if key.strip():
        assert key not in told.value.one_line()


@given(st.text(max_size=60) | st.text(alphabet=st.characters(max_codepoint=127), min_size=40, max_size=40))
def test_any_text_is_a_key_or_an_error(text):
    try:
        raw = raw_key(text)
    except AuthError:
        return
    assert z85.encode(raw).decode() == text


def test_halves_of_two_pairs_are_refused():
    other = new_keys()
    with pytest.raises(AuthError, match="does not belong") as told:
        check_pair(KeyPair(public=KNOWN.public, secret=other.secret))
    assert other.secret not in told.value.one_line()


def test_a_key_file_is_private_and_comes_back(tmp_path):
    path = tmp_path / "user.key"
    write_keys(path, KNOWN)
    assert read_keys(path) == KNOWN
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["user.key"]


def test_writing_again_replaces(tmp_path):
    path = tmp_path / "user.key"
    write_keys(path, new_keys())
    write_keys(path, KNOWN)
    assert read_keys(path) == KNOWN


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not json",
        b"[]",
        b'{"version": 1}',
        b"\xff\xfe",
        msgspec.json.encode({"version": 1, "public": KNOWN.public, "secret": KNOWN.secret, "more": 1}),
        msgspec.json.encode({"version": 2, "public": KNOWN.public, "secret": KNOWN.secret}),
        msgspec.json.encode({"version": 1, "public": KNOWN.secret, "secret": KNOWN.public}),
        pickle.dumps(KNOWN.public),
    ],
)
def test_what_is_no_key_file_is_refused(tmp_path, content):
    path = tmp_path / "user.key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(QmioError) as told:
        read_keys(path)
    assert told.value.code in ("config.file", "auth")
    assert KNOWN.secret not in told.value.one_line()
    assert told.value.__cause__ is None


def test_the_first_of_many_to_ask_makes_the_keys(tmp_path):
    path = tmp_path / "server.key"
    with ThreadPoolExecutor(8) as pool:
        pairs = list(pool.map(keys_at, [path] * 32))
    assert len({pair.secret for pair in pairs}) == 1
    assert pairs[0] == read_keys(path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["server.key"]


def test_keys_are_not_made_anew_where_a_broken_file_stands(tmp_path):
    path = tmp_path / "server.key"
    path.write_text("broken")
    path.chmod(0o600)
    with pytest.raises(ConfigError):
        keys_at(path)
    assert path.read_text() == "broken"
