"""Splitting a magic line into words."""

from __future__ import annotations

import pytest

from qmio_jupyter.errors import UsageError
from qmio_jupyter.notebook.words import split_words


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", []),
        ("   ", []),
        ("-n 5", ["-n", "5"]),
        ("-n\t5  -q", ["-n", "5", "-q"]),
        ("-n 5 # five shots", ["-n", "5"]),
        ("# only a comment", []),
        ("--label a#b", ["--label", "a#b"]),
        ("--label '# no comment'", ["--label", "# no comment"]),
        ("--label 'two words'", ["--label", "two words"]),
        ('--label "it\'s"', ["--label", "it's"]),
        (r"--label it\'s", ["--label", "it's"]),
        (r'--label "say \"hi\""', ["--label", 'say "hi"']),
        (r'--label "a\\b\c"', ["--label", r"a\b\c"]),
        (r"--label 'a\\b'", ["--label", r"a\\b"]),
        (r"--bind x=d['it\'s']", ["--bind", r"x=d['it\'s']"]),
        ("--label=''", ["--label="]),
        ("--bind x=[1, 2]", ["--bind", "x=[1, 2]"]),
        ("--bind x=f(1, g[2, {3: 4}]) -q", ["--bind", "x=f(1, g[2, {3: 4}])", "-q"]),
        ("--bind x=d['a b'][0]", ["--bind", "x=d['a b'][0]"]),
        ("--bind x=d[')'] -q", ["--bind", "x=d[')']", "-q"]),
        ("--bind 'x=1 + 2'", ["--bind", "x=1 + 2"]),
        ("--label :)", ["--label", ":)"]),
        ("{n} $n", ["{n}", "$n"]),
        ("ends\\", ["ends\\"]),
        ("--label θ=½", ["--label", "θ=½"]),
    ],
)
def test_words(line: str, words: list[str]) -> None:
    assert split_words(line) == words


@pytest.mark.parametrize("line", ["--label it's", '"', "x=[1, 2", "x=(1]", "x=f('a)", "x=[)"])
def test_unclosed_is_refused_in_one_line(line: str) -> None:
    with pytest.raises(UsageError, match="is not closed") as caught:
        split_words(line)
    assert caught.value.code == "usage.option"
    assert "\n" not in str(caught.value)
