"""How a handler refuses: it raises before it changes anything, and `Core.handle` makes the reply of it."""

from __future__ import annotations

from qmio_jupyter.errors import CODES, QmioError, from_code
from qmio_jupyter.model.task import ErrorInfo

#: No refusal is longer: names in it come from strangers.
_LONGEST_REFUSAL = 300
#: No failure of a task is longer: its words come from drivers.
_LONGEST_FAILURE = 1000


def _one_line(message: str, longest: int) -> str:
    text = " ".join(message.split())
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def refusal(code: str, message: str, *, hint: str = "", retryable: bool = False) -> QmioError:
    """Return the error to raise; the hint is the code's own unless given."""
    text = _one_line(message, _LONGEST_REFUSAL)
    return from_code(code, text, hint=hint or CODES[code][1], retryable=retryable)


def info(code: str, message: str, *, hint: str = "", retryable: bool = False) -> ErrorInfo:
    """Return the same as a value, for a task that failed."""
    text = _one_line(message, _LONGEST_FAILURE)
    return ErrorInfo(code=code, message=text, hint=hint or CODES[code][1], retryable=retryable)


def info_of(error: QmioError) -> ErrorInfo:
    """Return an error as a value."""
    text = _one_line(error.message, _LONGEST_REFUSAL)
    return ErrorInfo(code=error.code, message=text, hint=error.hint, retryable=error.retryable)
