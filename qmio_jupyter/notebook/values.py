"""What each option accepts: text in, a value out, or `ValueError` with one line that says what is accepted. Pure."""

from __future__ import annotations

import ast
import keyword
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from qmio_jupyter.client.handle import BaseHandle
from qmio_jupyter.client.spec import CURRENT
from qmio_jupyter.errors import QmioError, UsageError
from qmio_jupyter.model.ids import check_name
from qmio_jupyter.model.parity import Parity
from qmio_jupyter.model.parity import parse as parse_parity
from qmio_jupyter.model.task import MAX_SHOTS

_LARGEST_SEED = 2**63 - 1
#: Characters of a label.
LONGEST_LABEL = 200
_MOST_TASKS = 1000


def _whole(text: str, low: int, high: int | None) -> int:
    try:
        number = int(text)
    except ValueError:
        raise ValueError(f"a whole number is expected, not {text!r}") from None
    if number < low or (high is not None and number > high):
        limits = f"{low} or more" if high is None else f"{low} to {high}"
        raise ValueError(f"{limits} is expected, not {number}")
    return number


def to_shots(text: str) -> int:
    """Return a number of shots."""
    return _whole(text, 1, MAX_SHOTS)


def to_seed(text: str) -> int:
    """Return a seed."""
    return _whole(text, 0, _LARGEST_SEED)


def to_opt_level(text: str) -> int:
    """Return an effort of the transpiler."""
    return _whole(text, 0, 3)


def to_page(text: str) -> int:
    """Return how many tasks to list."""
    return _whole(text, 1, _MOST_TASKS)


def to_seconds(text: str) -> float:
    """Return seconds above 0."""
    try:
        seconds = float(text)
    except ValueError:
        raise ValueError(f"a number of seconds is expected, not {text!r}") from None
    if not (math.isfinite(seconds) and seconds > 0):
        raise ValueError(f"seconds above 0 are expected, not {text}")
    return seconds


def to_expect(text: str) -> Parity:
    """Return a product of Z."""
    try:
        return parse_parity(text)
    except QmioError as error:
        raise ValueError(f"{error.message.removeprefix('expect: ')}. {error.hint}") from None


def to_variable(text: str) -> str:
    """Return the name of a Python variable."""
    if not text.isidentifier() or keyword.iskeyword(text):
        raise ValueError(f"{text!r} is no name of a Python variable")
    return text


def to_device(text: str) -> str:
    """Return the name of a device."""
    try:
        return check_name(text, "device")
    except QmioError as error:
        raise ValueError(error.message) from None


def to_label(text: str) -> str:
    """Return a label."""
    if len(text) > LONGEST_LABEL:
        raise ValueError(f"at most {LONGEST_LABEL} characters are accepted, not {len(text)}")
    return text


def _pair(text: str, what: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (equals and name.strip() and value.strip()):
        raise ValueError(f"{what} is expected, not {text!r}")
    return name.strip(), value.strip()


def to_bind(text: str) -> tuple[str, str]:
    """Return a parameter and its expression, which is Python."""
    name, expression = _pair(text, "NAME=EXPR")
    try:
        ast.parse(expression, mode="eval")
    except (SyntaxError, ValueError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else str(error)
        raise ValueError(f"{expression!r} is no Python expression ({reason})") from None
    return name, expression


def to_key_value(text: str) -> tuple[str, str]:
    """Return a key and its value."""
    return _pair(text, "K=V")


def to_layout(text: str) -> tuple[int, ...]:
    """Return the physical qubits, the empty tuple for ``auto``."""
    if text == "auto":
        return ()
    try:
        qubits = tuple(int(part) for part in text.split(","))
    except ValueError:
        raise ValueError(f"auto, or qubits like 0,1,4 are expected, not {text!r}") from None
    if min(qubits) < 0 or len(set(qubits)) < len(qubits):
        raise ValueError(f"distinct qubits from 0 up are expected, not {text!r}")
    return qubits


def to_snapshot(text: str) -> str:
    """Return (part of) a snapshot's id, or the word for the current one."""
    if text != CURRENT and re.fullmatch(r"[0-9a-f]{6,64}", text) is None:
        raise ValueError(f"6 to 64 hexadecimal digits, or {CURRENT}, are expected, not {text!r}")
    return text


def one_of(*allowed: str) -> Callable[[str], str]:
    """Return what accepts one of these words."""

    def convert(text: str) -> str:
        if text not in allowed:
            raise ValueError(f"one of {', '.join(allowed)} is expected, not {text!r}")
        return text

    return convert


def to_task(text: str) -> str:
    """Return a task's id, its beginning, ``last``, or what may be the name of a variable that holds one."""
    if not is_task(text) and not text.isidentifier():
        raise ValueError(f"a task id, its beginning, a task's variable, or last is expected, not {text!r}")
    return text


def is_task(text: str) -> bool:
    """Return whether a text may be a task's id, its beginning, or is ``last``."""
    return re.fullmatch(r"(?:t-)?[0-9a-hjkmnp-tv-z]{1,26}|last", text) is not None


def task_in(text: str, namespace: Mapping[str, Any]) -> str:
    """Return the id of the task that a variable of this name holds, else the text itself, an id's beginning or a word.

    Raises
    ------
    UsageError
        It is neither.
    """
    held = namespace.get(text)
    if isinstance(held, BaseHandle):
        return held.task_id
    if not is_task(text) and text != "all":
        raise UsageError(
            f"{text} is neither a task's id nor a variable that holds a task",
            code="usage.option",
            hint="%qpu tasks lists them.",
        )
    return text


def to_cancelled(text: str) -> str:
    """Return a task as `to_task` does, or ``all``."""
    return text if text == "all" else to_task(text)
