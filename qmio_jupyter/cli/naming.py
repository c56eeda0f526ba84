"""Errors about programs name the file they came from: workers see programs, never files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from qmio_jupyter.errors import QmioError

#: How a worker says which of several programs it means.
_WHICH: Final = re.compile(r"\bprogram (\d+) of \d+: ")
#: How a task's end is told.
_FAILED: Final = re.compile(r"^task \S+ failed: ")


@contextmanager
def naming_files(names: Sequence[str]) -> Iterator[None]:
    """Name the file in every error about a program that leaves the block.

    Parameters
    ----------
    names : sequence of str
        The file of each program, in order; several programs may come from one file.
    """
    try:
        yield
    except QmioError as error:
        if error.code.partition(".")[0] == "program":
            error.message = with_file(error.message, names)
        raise


def with_file(message: str, names: Sequence[str]) -> str:
    """Return an error's message with the file it is about; unchanged where that is not known.

    Examples
    --------
    >>> with_file("task t-1 failed: line 3, column 1: no", ["bell.qasm"])
    'task t-1 failed: bell.qasm: line 3, column 1: no'
    >>> with_file("program 2 of 2: line 3, column 1: no", ["bell.qasm", "ghz.qasm"])
    'ghz.qasm: line 3, column 1: no'
    """
    which = _WHICH.search(message)
    if which is not None and int(which[1]) <= len(names):
        index = int(which[1]) - 1
        return message[: which.start()] + f"{_named(index, names)}: " + message[which.end() :]
    if len(names) != 1 or names[0] in message:
        return message
    failed = _FAILED.match(message)
    at = failed.end() if failed is not None else 0
    return f"{message[:at]}{names[0]}: {message[at:]}"


def _named(index: int, names: Sequence[str]) -> str:
    """Return a program's file, with its number there if the file holds several."""
    name = names[index]
    if names.count(name) == 1:
        return name
    return f"{name}, circuit {names[: index + 1].count(name)}"
