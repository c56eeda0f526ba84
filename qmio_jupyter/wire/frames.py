"""Frames: the preamble that opens every message, and how many frames of what size may follow.

One message is ``[preamble][envelope][raw attachment]*``. The preamble is ``b"QMIO"`` and one byte, the
protocol major; it never changes its shape, so any two builds can at least tell each other their versions.
Whatever a transport puts before these frames (ZeroMQ's routing id, a WebSocket header) is its own business.
"""

from __future__ import annotations

from collections.abc import Sequence

from qmio_jupyter.errors import LimitError, ProtocolError
from qmio_jupyter.wire.messages import MAJOR, OLDEST_MAJOR

#: First four bytes of every message.
MAGIC = b"QMIO"
#: What this build sends before every envelope.
PREAMBLE = MAGIC + bytes([MAJOR])
#: Most attachments one message may carry (a task has at most 1,000 items, each with one program).
MAX_ATTACHMENTS = 1024

Frame = bytes | memoryview


def major_of(frame: Frame) -> int:
    """Return the protocol major a preamble names.

    Raises
    ------
    ProtocolError
        ``wire`` if `frame` is no preamble.
    """
    if len(frame) != len(PREAMBLE) or bytes(frame[:4]) != MAGIC:
        raise ProtocolError("The message does not start with the preamble QMIO", hint="Is this a QMIO peer?")
    return frame[4]


def check_major(major: int) -> None:
    """Refuse a major this build does not speak.

    Raises
    ------
    ProtocolError
        ``wire.version``.
    """
    if not OLDEST_MAJOR <= major <= MAJOR:
        raise ProtocolError(
            f"Protocol major {major} is not spoken here ({OLDEST_MAJOR} to {MAJOR} are)",
            code="wire.version",
            hint="Update the older side.",
        )


def check_frames(frames: Sequence[Frame], message_bytes: int) -> None:
    """Check number and total size of a message's frames, before any of them is decoded.

    Raises
    ------
    ProtocolError
        ``wire`` if the envelope is missing.
    LimitError
        ``limit.size`` above `message_bytes` in all, or above :data:`MAX_ATTACHMENTS` attachments.
    """
    if len(frames) < 2:
        raise ProtocolError(f"A message has at least 2 frames, not {len(frames)}", hint="Update the sender.")
    if len(frames) > 2 + MAX_ATTACHMENTS:
        raise LimitError(
            f"At least {len(frames) - 2} attachments in one message, {MAX_ATTACHMENTS} are allowed",
            code="limit.size",
            hint="Upload programs in several messages.",
        )
    size = size_of(frames)
    if size > message_bytes:
        raise LimitError(
            f"The message has at least {size} bytes, {message_bytes} are allowed",
            code="limit.size",
            hint="Split the program or the parameter matrix.",
        )


def size_of(frames: Sequence[Frame]) -> int:
    """Return the bytes of all frames together, as the limit on messages counts them."""
    size = 0
    for frame in frames:
        size += len(frame) if isinstance(frame, bytes) else frame.nbytes
    return size
