"""A guide that is followed: the marked blocks of a Markdown page, in order, with what is put in place of what.

A block is followed if ``<!-- follow -->`` stands on the line before its fence. May not: run anything.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

MARK = "<!-- follow -->"
_BLOCK = re.compile(r"^(?:(#{2,3} [^\n]+)|<!-- follow -->\n```sh\n(.*?)^```)$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """A block to be run."""

    #: The heading it stands under.
    heading: str
    #: Line of its fence on the page.
    line: int
    source: str


class Instead(NamedTuple):
    """What is run in place of something that a test has not, and why: the script's own confession."""

    said: str
    done: str
    why: str


def blocks(page: str) -> list[Block]:
    """Return the blocks that are to be followed, in order.

    Raises
    ------
    ValueError
        If a mark stands before anything else than a block of ``sh``.
    """
    found: list[Block] = []
    heading = ""
    for match in _BLOCK.finditer(page):
        if match[1]:
            heading = match[1].lstrip("# ")
        else:
            found.append(Block(heading, page.count("\n", 0, match.start()) + 2, match[2]))
    if len(found) != page.count(MARK):
        raise ValueError(f"{page.count(MARK)} marks, but {len(found)} blocks of sh after one")
    return found


def put(found: Sequence[Block], instead: Sequence[Instead]) -> list[Block]:
    """Return the blocks with every substitution made wherever it applies.

    Raises
    ------
    ValueError
        If one applies nowhere: the guide has changed.
    """
    made = list(found)
    for one in instead:
        if not any(one.said in block.source for block in made):
            raise ValueError(f"the guide does not say {one.said!r} any more")
        made = [block._replace(source=block.source.replace(one.said, one.done)) for block in made]
    return made
