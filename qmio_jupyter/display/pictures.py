"""Which picture shows what of a task: the same for the live view, the static page and a handle."""

from __future__ import annotations

from collections.abc import Sequence

from qmio_jupyter.display.sections import Counted, Section
from qmio_jupyter.drawing.histogram import histogram
from qmio_jupyter.drawing.picture import Drawing

#: Size of the one picture of a task with one circuit, px.
WIDTH = 560
HEIGHT = 220


def pictures(found: Sequence[Section], *, asked: int | None = None) -> list[Drawing]:
    """Return the pictures of a result, always of the same size for the same circuits.

    Parameters
    ----------
    found : sequence of Section
        What `display.sections.sections` returned.
    asked : int, optional
        Shots asked for, of a task with one circuit.
    """
    return [
        histogram(section.pairs, asked=asked if len(found) == 1 else None, width=WIDTH, height=HEIGHT)
        for section in found
        if isinstance(section, Counted)
    ]
