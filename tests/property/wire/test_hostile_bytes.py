"""Whatever arrives, the codec answers with a packet or an error of the tree."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from qmio_jupyter.errors import LimitError, ProtocolError
from qmio_jupyter.testing.messages import samples
from qmio_jupyter.wire.codec import MESSAGES, decode, encode
from qmio_jupyter.wire.frames import PREAMBLE
from qmio_jupyter.wire.messages import Limits, Packet

LIMITS = Limits(message_bytes=100_000)
FRAMES = {tag: encode(packet) for tag, packet in samples().items()}
good = st.sampled_from(sorted(FRAMES)).map(FRAMES.__getitem__)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def outcome(frames):
    """Decode; a packet it gives must encode, an error it raises must be answerable."""
    try:
        packet = decode(frames, LIMITS)
    except (ProtocolError, LimitError) as error:
        result = error
    else:
        assert isinstance(packet, Packet)
        encode(packet)
        return packet
    assert "\n" not in result.one_line()
    assert 0 <= result.request_id < 2**63
    return result


@given(st.lists(st.binary(max_size=200), max_size=5))
def test_random_frames(frames):
    outcome(frames)


@given(st.binary(max_size=300), st.lists(st.binary(max_size=20), max_size=2))
def test_random_envelopes(envelope, attachments):
    outcome([PREAMBLE, envelope, *attachments])


@given(values, st.sampled_from(sorted(MESSAGES)), values)
def test_envelopes_of_any_shape(body, tag, number):
    if isinstance(body, dict):
        body["type"] = tag
    outcome([PREAMBLE, msgspec.msgpack.encode({"body": body, "id": number, "attachments": number})])


@given(good, st.data())
def test_cut_frames(frames, data):
    index = data.draw(st.integers(0, len(frames) - 1))
    cut = data.draw(st.integers(0, max(0, len(frames[index]) - 1)))
    frames = [*frames[:index], frames[index][:cut], *frames[index + 1 :]]
    result = outcome(frames)
    assert isinstance(result, ProtocolError) or frames in FRAMES.values()


@given(good, st.data())
def test_flipped_bits(frames, data):
    frames = [bytearray(frame) for frame in frames]
    for _ in range(data.draw(st.integers(1, 4))):
        frame = data.draw(st.sampled_from([f for f in frames if f]))
        frame[data.draw(st.integers(0, len(frame) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    outcome([bytes(frame) for frame in frames])


@given(good, good)
def test_frames_of_two_messages_mixed(ours, theirs):
    outcome([*ours[:2], *theirs[2:]])
    outcome(ours + theirs)


@given(good, values, st.data())
def test_one_value_replaced_by_anything(frames, value, data):
    plain = msgspec.msgpack.decode(frames[1])
    body = plain["body"]
    field = data.draw(st.sampled_from(sorted(body)))
    body[field] = value
    number = plain["id"]
    result = outcome([frames[0], msgspec.msgpack.encode(plain), *frames[2:]])
    if not isinstance(result, Packet):
        assert result.request_id == number
