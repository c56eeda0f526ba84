"""Any text survives the way through a magic line when it is quoted as for a shell."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from qmio_jupyter.errors import QmioError, UsageError
from qmio_jupyter.notebook.completion import candidates
from qmio_jupyter.notebook.grammar import parse_cell, parse_line
from qmio_jupyter.notebook.words import split_words

LINES = st.text(st.characters(exclude_characters="\n\r", exclude_categories=["Cs"]), max_size=60)


@given(st.lists(LINES))
def test_quoted_words_come_back(words: list[str]) -> None:
    assert split_words(shlex.join(words)) == words


def complaint(parse: Callable[[str], Any], line: str) -> str:
    """Return what is said against a line; any other error passes."""
    try:
        parse(line)
    except UsageError as error:
        return str(error)
    return ""


@given(LINES)
def test_any_line_is_words_or_one_line_of_complaint(line: str) -> None:
    for parse in (split_words, parse_cell, parse_line):
        assert "\n" not in complaint(parse, line)


@given(LINES.filter(lambda text: len(text) <= 200))
def test_a_label_is_kept_as_it_is(label: str) -> None:
    assert parse_cell(f"--label={shlex.quote(label)}").run.label == label


@given(st.sampled_from(["%qpu ", "%%qpu ", "%qpu run ", "%qpu compare ", "%qpu nonsense "]), LINES)
def test_completion_never_fails(start: str, rest: str) -> None:
    found = candidates(start + rest, lambda _: ["a", "b"])
    assert found is not None
    word, offered = found
    assert all(one.startswith(word) for one in offered)
    assert not any(isinstance(one, QmioError) for one in offered)
