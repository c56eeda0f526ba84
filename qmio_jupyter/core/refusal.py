"""How a handler refuses: it raises before it changes anything, and `Core.handle` makes the reply of it."""

from __future__ import annotations

from qmio_jupyter.errors import CODES, QmioError, from_code
from qmio_jupyter.model.task import ErrorInfo


#: No message is longer: names in it come from strangers.
_LONGEST = 300


def _one_line(message: str) -> str:
    text = " ".join(message.split())
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def refusal(code: str, message: str, *, hint: str = "", retryable: bool = False) -> QmioError:
    """Return the error to raise; the hint is the code's own unless given."""
    return from_code(code, _one_line(message), hint=hint or CODES[code][1], retryable=retryable)


def info(code: str, message: str, *, hint: str = "", retryable: bool = False) -> ErrorInfo:
    """Return the same as a value, for a task that failed."""
    return ErrorInfo(code=code, message=_one_line(message), hint=hint or CODES[code][1], retryable=retryable)


def info_of(error: QmioError) -> ErrorInfo:
    """Return an error as a value."""
    return ErrorInfo(
        code=error.code, message=_one_line(error.message), hint=error.hint, retryable=error.retryable
    )
