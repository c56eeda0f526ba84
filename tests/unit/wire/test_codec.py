"""The codec, case by case."""

import msgspec
import pytest

from qmio_jupyter.errors import LimitError, ProtocolError
from qmio_jupyter.model.ids import digest
from qmio_jupyter.model.program import QASM3, Program
from qmio_jupyter.testing.messages import samples
from qmio_jupyter.wire.codec import MESSAGES, attach, attach_programs, decode, encode, programs_of
from qmio_jupyter.wire.frames import MAX_ATTACHMENTS, PREAMBLE, size_of
from qmio_jupyter.wire.limits import UNKNOWN_PEER, check_request
from qmio_jupyter.wire.messages import Limits, Ping, ProgramPut, TaskSubmit

LIMITS = Limits()
pack = msgspec.msgpack.encode


def refusal(frames, limits=LIMITS, kind=ProtocolError):
    with pytest.raises(kind) as caught:
        decode(frames, limits)
    return caught.value


@pytest.mark.parametrize("tag", sorted(MESSAGES))
def test_a_packet_survives_the_wire(tag):
    packet = samples()[tag]
    assert decode(encode(packet), LIMITS) == packet
    assert decode([memoryview(frame) for frame in encode(packet)], LIMITS) == packet


def test_the_preamble_names_the_major():
    assert encode(attach(Ping()))[0] == b"QMIO\x01" == PREAMBLE


def test_another_major_is_named_and_answerable():
    frames = encode(attach(Ping(), id=41))
    error = refusal([b"QMIO\x02", *frames[1:]])
    assert (error.code, error.request_id) == ("wire.version", 41)
    assert refusal([b"QMIO\x00", *frames[1:]]).code == "wire.version"


@pytest.mark.parametrize("preamble", [b"", b"QMIO", b"QMIO\x01\x00", b"OMIQ\x01", b"GET /"])
def test_no_preamble_is_malformed(preamble):
    assert refusal([preamble, encode(attach(Ping()))[1]]).code == "wire"


@pytest.mark.parametrize("frames", [[], [PREAMBLE], [b""]])
def test_too_few_frames(frames):
    error = refusal(frames)
    assert (error.code, error.request_id) == ("wire", 0)


def test_an_unknown_tag_is_unsupported_and_answerable():
    envelope = pack({"body": {"type": "task.teleport", "task_id": "t"}, "id": 9})
    error = refusal([PREAMBLE, envelope])
    assert (error.code, error.request_id) == ("wire.unsupported", 9)
    assert "task.teleport" in error.message


def test_a_known_tag_with_a_wrong_body_is_malformed_and_answerable():
    envelope = pack({"body": {"type": "task.cancel", "task_id": 5}, "id": 10})
    error = refusal([PREAMBLE, envelope])
    assert (error.code, error.request_id) == ("wire", 10)
    assert error.message.startswith("Malformed message: task.cancel:")


def test_unknown_fields_are_skipped_everywhere():
    packet = samples()["task.submit"]
    plain = msgspec.msgpack.decode(encode(packet)[1])
    plain["colour"] = [1, {"a": None}]
    plain["body"]["colour"] = "blue"
    plain["body"]["spec"]["options"]["colour"] = {"deep": [1.5]}
    assert decode([PREAMBLE, pack(plain), *packet.attachments], LIMITS) == packet


def test_values_out_of_bounds_are_malformed():
    plain = msgspec.msgpack.decode(encode(samples()["task.submit"])[1])
    plain["body"]["spec"]["items"][0]["shots"] = 0
    error = refusal([PREAMBLE, pack(plain), *samples()["task.submit"].attachments])
    assert error.code == "wire"
    assert "shots" in error.message


def test_a_matrix_of_the_wrong_size_is_malformed():
    packet = samples()["task.submit"]
    plain = msgspec.msgpack.decode(encode(packet)[1])
    plain["body"]["spec"]["items"][0]["parameters"]["data"] = b"short"
    assert refusal([PREAMBLE, pack(plain), *packet.attachments]).code == "wire"


def test_nesting_without_end_is_malformed():
    envelope = b"\x82\xa2id\x07\xa4junk" + b"\x91" * 100_000
    assert refusal([PREAMBLE, envelope]).code == "wire"


def test_a_huge_announced_array_costs_nothing():
    head = pack({"id": 3, "body": {"type": "program.query", "digests": []}})[:-1]
    assert refusal([PREAMBLE, head + b"\xdd\xff\xff\xff\xff"]).code == "wire"


def test_text_that_is_no_utf8_is_malformed_and_answerable():
    envelope = pack({"id": 8, "body": {"type": "task.cancel", "task_id": "?"}}).replace(b"\xa1?", b"\xa1\xff")
    error = refusal([PREAMBLE, envelope])
    assert (error.code, error.request_id) == ("wire", 8)


class TestAttachments:
    packet = attach(ProgramPut(), [(QASM3, b"OPENQASM 3.0;"), (QASM3, b"")], id=6)

    def test_the_envelope_describes_them(self):
        infos = self.packet.envelope.attachments
        assert [(i.index, i.media_type, i.length) for i in infos] == [(0, QASM3, 13), (1, QASM3, 0)]
        assert infos[0].digest == digest(b"OPENQASM 3.0;")

    def test_other_bytes_do_not_match_the_digest(self):
        preamble, envelope, _, empty = encode(self.packet)
        error = refusal([preamble, envelope, b"OPENQASM 2.0;", empty])
        assert (error.code, error.request_id) == ("wire.digest", 6)

    @pytest.mark.parametrize(
        "frames",
        [[], [b"OPENQASM 3.0;"], [b"", b"OPENQASM 3.0;"], [b"OPENQASM 3.0;", b"", b""], [b"OPEN", b""]],
    )
    def test_missing_swapped_surplus_or_cut(self, frames):
        error = refusal([*encode(self.packet)[:2], *frames])
        assert (error.code, error.request_id) == ("wire", 6)

    def test_places_must_be_in_order(self):
        plain = msgspec.msgpack.decode(encode(self.packet)[1])
        plain["attachments"][0][0] = 1
        assert refusal([PREAMBLE, pack(plain), *self.packet.attachments]).code == "wire"

    def test_undescribed_attachments_are_not_encoded(self):
        with pytest.raises(ProtocolError):
            encode(msgspec.structs.replace(self.packet, attachments=()))

    def test_programs_go_and_come_back(self):
        program = Program(digest=digest(b"abc"), media_type=QASM3, data=b"abc")
        packet = attach_programs(ProgramPut(), [program], id=2, re=3)
        assert packet == attach(ProgramPut(), [(QASM3, b"abc")], id=2, re=3)
        assert programs_of(decode(encode(packet), LIMITS)) == (program,)


class TestLimits:
    def test_a_message_at_the_limit_passes_and_one_byte_more_does_not(self):
        frames = encode(attach(ProgramPut(), [(QASM3, b"x" * 1000)], id=5))
        size = size_of(frames)
        decode(frames, Limits(message_bytes=size))
        error = refusal(frames, Limits(message_bytes=size - 1), LimitError)
        assert (error.code, error.request_id) == ("limit.size", 5)

    def test_size_counts_the_bytes_of_views(self):
        assert size_of([b"abc", memoryview(bytes(8)).cast("Q")]) == 11

    def test_too_many_attachments(self):
        frames = [*encode(attach(Ping(), id=1)), *[b""] * (MAX_ATTACHMENTS + 1)]
        error = refusal(frames, kind=LimitError)
        assert (error.code, error.request_id) == ("limit.size", 1)

    def test_a_stranger_may_say_little(self):
        assert decode(encode(attach(Ping())), UNKNOWN_PEER)
        assert refusal(encode(attach(ProgramPut(), [(QASM3, bytes(5000))])), UNKNOWN_PEER, LimitError)

    def test_requests_are_checked_before_they_are_sent(self):
        packet = samples()["task.submit"]
        check_request(packet, LIMITS)
        check_request(attach(Ping()), UNKNOWN_PEER)
        for limits, code in [
            (Limits(program_bytes=13), "limit.size"),
            (Limits(items=0), "limit.size"),
            (Limits(shots=packet.envelope.body.spec.items[0].shots - 1), "limit.shots"),
        ]:
            with pytest.raises(LimitError) as caught:
                check_request(packet, limits)
            assert caught.value.code == code
        assert isinstance(packet.envelope.body, TaskSubmit)
