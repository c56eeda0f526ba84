"""Split a magic line into words: quotes as in a shell, brackets whole, ``# comment`` dropped. Pure."""

from __future__ import annotations

import re

from qmio_jupyter.errors import UsageError

_OPENING = "([{"
_CLOSING = ")]}"
_QUOTES = "'\""
_ESCAPED = re.compile(r'\\(["\\])')


def split_words(line: str) -> list[str]:
    """Return the words of a magic line.

    Outside brackets quotes and backslashes mean what they mean in a shell. Inside brackets everything stays,
    spaces and quotes included, so that a Python expression needs no quoting. A ``#`` at the start of a word
    begins a comment.

    Raises
    ------
    UsageError
        If a quote or a bracket is not closed (``usage.option``).

    Examples
    --------
    >>> split_words("-n 5 --bind x=np.linspace(0, 1, 3) --label 'two words'  # why")
    ['-n', '5', '--bind', 'x=np.linspace(0, 1, 3)', '--label', 'two words']
    """
    words: list[str] = []
    position = 0
    while position < len(line):
        if line[position].isspace():
            position += 1
        elif line[position] == "#":
            break
        else:
            word, position = _word(line, position)
            words.append(word)
    return words


def _word(line: str, position: int) -> tuple[str, int]:
    text: list[str] = []
    while position < len(line):
        char = line[position]
        if char.isspace():
            break
        if char in _QUOTES:
            end = _quote_end(line, position, escapes=char == '"')
            inside = line[position + 1 : end]
            text.append(_ESCAPED.sub(r"\1", inside) if char == '"' else inside)
            position = end + 1
        elif char in _OPENING:
            end = _bracket_end(line, position)
            text.append(line[position : end + 1])
            position = end + 1
        elif char == "\\" and position + 1 < len(line):
            text.append(line[position + 1])
            position += 2
        else:
            text.append(char)
            position += 1
    return "".join(text), position


def _quote_end(line: str, start: int, *, escapes: bool) -> int:
    """Return the index of the quote that closes the one at `start`."""
    position = start + 1
    while position < len(line):
        if escapes and line[position] == "\\":
            position += 2
            continue
        if line[position] == line[start]:
            return position
        position += 1
    raise UsageError(
        f"the quote {line[start]} in {line[start : start + 20]!r} is not closed",
        code="usage.option",
        hint="Close it, or put a backslash before it.",
    )


def _bracket_end(line: str, start: int) -> int:
    """Return the index of the bracket that closes the one at `start`."""
    expected: list[str] = []
    position = start
    while position < len(line):
        char = line[position]
        if char in _QUOTES:
            position = _quote_end(line, position, escapes=True)  # a Python string
        elif char in _OPENING:
            expected.append(_CLOSING[_OPENING.index(char)])
        elif char in _CLOSING:
            if char != expected.pop():
                break
            if not expected:
                return position
        position += 1
    raise UsageError(
        f"the bracket {line[start]} in {line[start : start + 20]!r} is not closed",
        code="usage.option",
        hint="Close it, or quote the text.",
    )
