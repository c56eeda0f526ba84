"""The reader of guides: what is marked is run, and nothing that was to be put in its place is forgotten."""

from __future__ import annotations

import re

import pytest

from qmio_jupyter.testing.guide import Instead, blocks, put
from qmio_jupyter.testing.host import GUIDE, INSTEAD, ROOT

PAGE = """# T

## One

<!-- follow -->
```sh
a
b
```

```sh
not this
```

## Two

<!-- follow -->
```sh
c
```
"""


def test_marked_blocks_in_order() -> None:
    found = blocks(PAGE)
    assert [(one.heading, one.line, one.source) for one in found] == [
        ("One", 6, "a\nb\n"),
        ("Two", 18, "c\n"),
    ]


def test_a_mark_before_something_else_is_refused() -> None:
    with pytest.raises(ValueError, match="1 marks, but 0 blocks"):
        blocks("<!-- follow -->\nwords\n")


def test_what_applies_nowhere_is_refused() -> None:
    made = put(blocks(PAGE), [Instead("a\n", "x\n", "why")])
    assert made[0].source == "x\nb\n"
    with pytest.raises(ValueError, match="does not say"):
        put(blocks(PAGE), [Instead("zzz", "x", "why")])


def test_the_install_guide_can_be_followed_and_names_files_that_there_are() -> None:
    found = put(blocks(GUIDE.read_text()), INSTEAD)
    assert len(found) > 12
    for path in re.findall(r"jupyterhub_config/[\w./@-]+", " ".join(one.source for one in found)):
        assert (ROOT / path).exists(), path
