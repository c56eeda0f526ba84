"""How a handler refuses: it raises before it changes anything, and `Core.handle` makes the reply of it."""

from __future__ import annotations

from qmio_jupyter.errors import CODES, QmioError, from_code
from qmio_jupyter.model.task import ErrorInfo


def refusal(code: str, message: str, *, hint: str = "", retryable: bool = False) -> QmioError:
    """Return the error to raise; the hint is the code's own unless given."""
    return from_code(code, message, hint=hint or CODES[code][1], retryable=retryable)


def info(code: str, message: str, *, hint: str = "", retryable: bool = False) -> ErrorInfo:
    """Return the same as a value, for a task that failed."""
    return ErrorInfo(code=code, message=message, hint=hint or CODES[code][1], retryable=retryable)


def info_of(error: QmioError) -> ErrorInfo:
    """Return an error as a value."""
    return ErrorInfo(code=error.code, message=error.message, hint=error.hint, retryable=error.retryable)
