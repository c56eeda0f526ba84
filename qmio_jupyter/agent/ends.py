"""What an agent says where it cannot say what it would: results too large for a message, keys that are no agent's."""

from __future__ import annotations

from qmio_jupyter.errors import QmioError, from_code
from qmio_jupyter.model.access import Role
from qmio_jupyter.model.result import Outcome
from qmio_jupyter.model.task import ClaimRef, TaskState
from qmio_jupyter.wire.codec import encode
from qmio_jupyter.wire.frames import size_of
from qmio_jupyter.wire.messages import ClaimFinish, Envelope, Message, Packet


def message_bytes(body: Message) -> int:
    """Return how many bytes a message takes on the wire, as its limit counts them."""
    return size_of(encode(Packet(Envelope(body=body))))


def failed(ref: ClaimRef, error: QmioError, message: str, device_s: float = 0.0) -> ClaimFinish:
    """Return the end of a claim that fails with `error`, said as `message`."""
    outcome = Outcome(
        state=TaskState.FAILED,
        error_code=error.code,
        error_message=message,
        error_hint=error.hint,
        device_s=device_s,
    )
    return ClaimFinish(ref=ref, outcome=outcome)


def too_large(final: ClaimFinish, size: int, most: int) -> ClaimFinish:
    """Return the end of a claim whose own end fits in no message: it takes `size` bytes, at `most` are taken."""
    outcome = Outcome(
        state=TaskState.FAILED,
        error_code="limit.size",
        error_message=f"the result takes {size} bytes, a message carries {most}",
        error_hint="Ask for fewer shots, items or bindings, or leave out memory.",
        device_s=final.outcome.device_s,
    )
    return ClaimFinish(ref=final.ref, outcome=outcome)


def not_an_agent(role: Role) -> QmioError:
    """Return why the gateway takes nothing from a key of `role`."""
    return from_code(
        "auth.role",
        f"the gateway knows this key as {role.value!r}, not as an agent's",
        hint="Enrol the agent's key for its device.",
    )
