"""Limits, checked by the sender: a frame over the transport's limit is dropped without a word.

The numbers themselves are the gateway's (``Welcome.limits``). Both sides call the same function, the client
before it sends and the gateway when it receives, so both refuse a request in the same words.
"""

from __future__ import annotations

from qmio_jupyter.errors import LimitError
from qmio_jupyter.wire.messages import Limits, Packet, ProgramPut, TaskEstimate, TaskSubmit

#: What a peer may send before its key is known to have a role.
UNKNOWN_PEER = Limits(message_bytes=4096, program_bytes=0, items=0, shots=0, queued_per_session=0)


def check_request(packet: Packet, limits: Limits) -> None:
    """Check what a request asks for against `limits`.

    The size of the whole message is the codec's to check, for it depends on the encoding.

    Raises
    ------
    LimitError
        ``limit.size`` for a program or a task that is too large, ``limit.shots`` for too many shots.
    """
    body = packet.envelope.body
    if isinstance(body, TaskSubmit | TaskEstimate | ProgramPut):
        for info in packet.envelope.attachments:
            if info.length > limits.program_bytes:
                raise LimitError(
                    f"Program {info.digest[:12]} has {info.length} bytes, {limits.program_bytes} are allowed",
                    code="limit.size",
                    hint="Split the program, or send QPY in place of text.",
                )
    if isinstance(body, TaskSubmit | TaskEstimate):
        if len(body.spec.items) > limits.items:
            raise LimitError(
                f"The task has {len(body.spec.items)} items, {limits.items} are allowed",
                code="limit.size",
                hint="Submit several tasks.",
            )
        for index, item in enumerate(body.spec.items):
            if item.shots > limits.shots:
                raise LimitError(
                    f"Item {index} asks for {item.shots} shots, {limits.shots} are allowed",
                    code="limit.shots",
                    hint="Ask for fewer shots.",
                )
