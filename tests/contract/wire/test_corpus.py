"""What was ever sent under a major decodes for as long as the major is spoken."""

from pathlib import Path

import msgspec
import pytest

from qmio_jupyter.testing.messages import from_file, samples
from qmio_jupyter.wire.codec import MESSAGES, decode, encode
from qmio_jupyter.wire.messages import Limits

CORPORA = Path(__file__).parent / "corpus"
FILES = sorted(CORPORA.glob("v*/*.bin"))


def frames_of(path):
    return from_file(path.read_bytes())


def test_every_message_type_has_a_frozen_sample():
    assert {path.stem for path in CORPORA.glob("v1/*.bin")} == set(MESSAGES)


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_frozen_sample_decodes_and_encodes_again(path):
    packet = decode(frames_of(path), Limits())
    assert type(packet.envelope.body) is MESSAGES[path.stem]
    assert decode(encode(packet), Limits()) == packet
    # Fields may have been added since: everything that was frozen is still there, unchanged.
    frozen, now = (msgspec.msgpack.decode(frames[1]) for frames in (frames_of(path), encode(packet)))
    assert contains(now, frozen)


@pytest.mark.parametrize("tag", sorted(MESSAGES))
def test_a_sample_sets_every_field(tag):
    packet = samples()[tag]
    encoded = msgspec.msgpack.decode(encode(packet)[1])
    assert set(encoded["body"]) == {"type", *MESSAGES[tag].__struct_fields__}


def contains(now, frozen):
    if isinstance(frozen, dict):
        return all(key in now and contains(now[key], value) for key, value in frozen.items())
    if isinstance(frozen, list):
        return len(now) == len(frozen) and all(map(contains, now, frozen))
    return now == frozen
