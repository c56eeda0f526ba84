"""The codec: packets to frames and back. Hostile bytes give an error of the tree, never anything else.

What arrives is checked in this order: number and size of the frames, preamble, envelope, attachments. An
error raised after the envelope could be read carries its number in ``request_id``, so that the receiver can
answer it; whatever cannot be answered (no envelope at all) has ``request_id`` 0.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import get_args

import msgspec

from qmio_jupyter.errors import LimitError, ProtocolError
from qmio_jupyter.model.ids import digest
from qmio_jupyter.model.program import Program
from qmio_jupyter.wire.frames import PREAMBLE, Frame, check_frames, check_major, major_of
from qmio_jupyter.wire.messages import AttachmentInfo, Envelope, Limits, Message, Packet


class _Head(msgspec.Struct, frozen=True):
    """The part of an envelope that every version shares."""

    body: msgspec.Raw = msgspec.Raw(b"")
    id: int = 0


class _Tagged(msgspec.Struct, frozen=True):
    """The tag of a body, whatever else is in it."""

    type: str = ""


#: Every message type of this major by its tag.
MESSAGES: dict[str, type] = {cls.__struct_config__.tag: cls for cls in get_args(Message)}

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Envelope)
_head_decoder = msgspec.msgpack.Decoder(_Head)
_tag_decoder = msgspec.msgpack.Decoder(_Tagged)
#: All that msgspec raises on bytes that are not what they should be: also bad UTF-8 and nesting without end.
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def encode(packet: Packet) -> list[bytes]:
    """Return the frames of `packet`: preamble, envelope, attachments (not copied).

    Raises
    ------
    ProtocolError
        ``wire`` if the envelope does not describe exactly the attachments.
    """
    infos = packet.envelope.attachments
    if len(infos) != len(packet.attachments):
        raise ProtocolError(
            f"{len(packet.attachments)} attachments, {len(infos)} described",
            hint="Make packets with attach().",
        )
    return [PREAMBLE, _encoder.encode(packet.envelope), *packet.attachments]


def decode(frames: Sequence[Frame], limits: Limits) -> Packet:
    """Return the packet that `frames` (those after the transport's own) hold.

    Parameters
    ----------
    frames : sequence of bytes or memoryview
        Preamble, envelope, attachments. Attachments given as views are copied.
    limits : Limits
        Only ``message_bytes`` is used here; see :mod:`qmio_jupyter.wire.limits` for the others.

    Raises
    ------
    ProtocolError
        ``wire`` if malformed, ``wire.version`` for another major, ``wire.unsupported`` for an unknown tag,
        ``wire.digest`` if an attachment is not what the envelope says.
    LimitError
        ``limit.size``.
    """
    try:
        check_frames(frames, limits.message_bytes)
        if frames[0] != PREAMBLE:
            check_major(major_of(frames[0]))
        try:
            envelope = _decoder.decode(frames[1])
        except _UNREADABLE as problem:
            raise _explain(frames[1], problem) from None
        attachments = tuple(bytes(frame) for frame in frames[2:]) if len(frames) > 2 else ()
        if attachments or envelope.attachments:
            _check_attachments(envelope.attachments, attachments)
    except (ProtocolError, LimitError) as error:
        error.request_id = request_id(frames[1]) if len(frames) > 1 else 0
        raise
    return Packet(envelope=envelope, attachments=attachments)


def attach(
    body: Message,
    blobs: Iterable[tuple[str, bytes]] = (),
    *,
    id: int = 0,  # noqa: A002
    re: int = 0,
) -> Packet:
    """Return a packet of `body` with `blobs`, pairs of (media type, bytes), as its attachments.

    Parameters
    ----------
    id : int
        The sender's number of the request; 0 for events.
    re : int
        The number of the request this answers.
    """
    pairs = list(blobs)
    return Packet(
        envelope=Envelope(
            body=body,
            id=id,
            re=re,
            attachments=tuple(
                AttachmentInfo(index=index, media_type=media_type, length=len(data), digest=digest(data))
                for index, (media_type, data) in enumerate(pairs)
            ),
        ),
        attachments=tuple(data for _, data in pairs),
    )


def attach_programs(
    body: Message,
    programs: Iterable[Program],
    *,
    id: int = 0,  # noqa: A002
    re: int = 0,
) -> Packet:
    """Return a packet of `body` with `programs` attached; their digests are known and not computed again."""
    stored = tuple(programs)
    return Packet(
        envelope=Envelope(
            body=body,
            id=id,
            re=re,
            attachments=tuple(
                AttachmentInfo(index=i, media_type=p.media_type, length=len(p.data), digest=p.digest)
                for i, p in enumerate(stored)
            ),
        ),
        attachments=tuple(p.data for p in stored),
    )


def programs_of(packet: Packet) -> tuple[Program, ...]:
    """Return the attachments of a decoded packet as programs (the digests were checked by :func:`decode`)."""
    return tuple(
        Program(digest=info.digest, media_type=info.media_type, data=data)
        for info, data in zip(packet.envelope.attachments, packet.attachments, strict=True)
    )


def request_id(envelope_frame: Frame) -> int:
    """Return the request number of an envelope that may be broken elsewhere; 0 if even that is unreadable."""
    try:
        number = _head_decoder.decode(envelope_frame).id
    except _UNREADABLE:
        return 0
    return number if 0 <= number < 2**63 else 0


def _explain(envelope_frame: Frame, problem: Exception) -> ProtocolError:
    """Return the error for an envelope that did not decode: an unknown tag, or something malformed."""
    try:
        tag = _tag_decoder.decode(_head_decoder.decode(envelope_frame).body).type
    except _UNREADABLE:
        tag = ""
    if tag and tag not in MESSAGES:
        return ProtocolError(
            f"Messages of type {tag[:64]!r} are not known here",
            code="wire.unsupported",
            hint="Update the older side.",
        )
    what = f"{tag}: " if tag else ""
    return ProtocolError(f"Malformed message: {what}{str(problem)[:200]}", hint="Update the sender.")


def _check_attachments(infos: tuple[AttachmentInfo, ...], attachments: tuple[bytes, ...]) -> None:
    """Compare the raw frames with what the envelope says of them."""
    if len(infos) != len(attachments):
        raise ProtocolError(
            f"{len(attachments)} attachments arrived, {len(infos)} are described", hint="Send it again."
        )
    for index, (info, data) in enumerate(zip(infos, attachments, strict=True)):
        if info.index != index or info.length != len(data):
            raise ProtocolError(
                f"Attachment {index} has {len(data)} bytes, told were {info.length} at place {info.index}",
                hint="Send it again.",
            )
        if hashlib.sha256(data).hexdigest() != info.digest:
            raise ProtocolError(
                f"Attachment {index} does not match its digest", code="wire.digest", hint="Send it again."
            )
