"""Several pictures as one: small multiples, each with its title, all on the same scale."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import msgspec

from qmio_jupyter.drawing.histogram import axis_end, histogram
from qmio_jupyter.drawing.outcomes import Pair, Sort
from qmio_jupyter.drawing.picture import Drawing, Spot
from qmio_jupyter.drawing.style import SMALL, style
from qmio_jupyter.drawing.svg import LEAST_WIDTH, MOST, check_size, document, label
from qmio_jupyter.drawing.text import SANS, clean, plural, said, tail_cut, thousands
from qmio_jupyter.errors import UsageError

#: Panels drawn; more are counted in a line below.
PANELS: Final = 24
_TITLE: Final = 22
_GAP: Final = 16
#: Width that a panel should have at least, px, and its height.
_WISHED: Final = 260
_TALL: Final = 170


class Panel(msgspec.Struct, frozen=True):
    """One of the pictures."""

    title: str
    drawing: Drawing


def small_multiples(
    panels: Sequence[Panel], *, columns: int | None = None, width: int = 560, left_out: int = 0
) -> Drawing:
    """Return several drawings side by side, in rows.

    Parameters
    ----------
    panels : sequence of Panel
        At least one, at most `PANELS` of them; those of one row should have one height.
    columns : int, optional
        Panels in a row; by default as many as fit.
    width : int
        px; panels that are wider than their place are scaled down, text and all: draw them at their width.
    left_out : int
        Further ones, which a line below counts.

    Returns
    -------
    Drawing
        With the spots of all; texts begin with the title, keys with the panel's number (``0:``).

    Raises
    ------
    UsageError
        Without panels or with too many, and for a size that cannot be drawn.
    """
    check_size(width, 200)
    if not 1 <= len(panels) <= PANELS:
        raise UsageError(f"small multiples of {len(panels)} pictures", hint=f"Give one to {PANELS}.")
    widest = max(panel.drawing.width for panel in panels)
    if columns is None:
        columns = max(1, (width + _GAP) // (widest + _GAP))
    columns = max(1, min(columns, len(panels)))
    place = (width - _GAP * (columns - 1)) / columns
    # All by the same factor: what is equal stays equal.
    scale = min(1.0, place / widest)
    body: list[str] = []
    spots: list[Spot] = []
    styles: dict[str, None] = {}
    y = 0.0
    for first in range(0, len(panels), columns):
        row = panels[first : first + columns]
        for at, panel in enumerate(row):
            x = at * (place + _GAP)
            rules, inner = _inner(panel.drawing)
            styles[rules] = None
            title = tail_cut(clean(panel.title), max(4, int(place / (SMALL * SANS * 1.08))))
            body.append(label(x + 8, y + 15, title, classes="qmio-ink qmio-strong"))
            moved = f"translate({x:.2f} {y + _TITLE:.2f}) scale({scale:.4f})"
            body.append(f'<g class="qmio-panel" data-panel="{first + at}" transform="{moved}">{inner}</g>')
            spots += _moved(panel, first + at, x, y + _TITLE, scale)
        y += _TITLE + max(panel.drawing.height for panel in row) * scale + 8
    if left_out > 0:
        body.append(label(8, y + 13, f"and {thousands(left_out)} more"))
        y += 20
    height = math.ceil(y)
    if height > MOST:
        raise UsageError(f"small multiples {height} px high", hint="Give fewer of them, or more columns.")
    alt = "; ".join(f"{said(panel.title)}: {panel.drawing.alt.rstrip('.')}" for panel in panels)
    more = f"; and {left_out} more" if left_out > 0 else ""
    return document(
        width=width,
        height=height,
        style=style("".join(styles)),
        body=body,
        alt=f"{plural(len(panels), 'picture')}. {alt}{more}.",
        spots=spots,
        kind="multiples",
    )


def histograms(
    results: Sequence[tuple[str, Sequence[Pair]]],
    *,
    asked: int | None = None,
    top: int = 12,
    sort: Sort = "bits",
    width: int = 560,
    least_end: float = 0.0,
) -> Drawing:
    """Return the histogram of each circuit, or of each binding, all with the same axis.

    Parameters
    ----------
    results : sequence of (str, pairs)
        Titles, and counts as for ``histogram.histogram``. The first `PANELS` are drawn.
    asked : int, optional
        Shots asked for of each.
    top : int
        Outcomes drawn of each at most.
    sort : {"bits", "value"}
        Order of the outcomes.
    width : int
        px
    least_end : float
        The axis ends at this share or above.

    Raises
    ------
    UsageError
        As `small_multiples` and ``histogram.histogram`` do.
    """
    shown = results[:PANELS]
    if not shown:
        raise UsageError("small multiples of no result", hint="Give one at least.")
    columns = max(1, min(len(shown), (width + _GAP) // (_WISHED + _GAP)))
    each = max(LEAST_WIDTH, (width - _GAP * (columns - 1)) // columns)
    # One that has no shots yet says nothing of the others' axis.
    end = max((axis_end(pairs, top=top) for _, pairs in shown if pairs), default=least_end or 1.0)
    end = max(end, least_end)
    panels = [
        Panel(
            title, histogram(pairs, asked=asked, top=top, sort=sort, width=each, height=_TALL, least_end=end)
        )
        for title, pairs in shown
    ]
    return small_multiples(panels, columns=columns, width=width, left_out=len(results) - len(shown))


def _inner(drawing: Drawing) -> tuple[str, str]:
    """Return the rules of a drawing that are its own, and its elements without the document around them."""
    _, _, after = drawing.svg.partition("<style>")
    rules, _, elements = after.partition("</style>")
    return rules.removeprefix(
        style().removeprefix("<style>").removesuffix("</style>")
    ), elements.removesuffix("</svg>")


def _moved(panel: Panel, at: int, x: float, y: float, scale: float) -> list[Spot]:
    title = said(panel.title)
    return [
        Spot(
            x=round(x + scale * spot.x, 2),
            y=round(y + scale * spot.y, 2),
            width=round(scale * spot.width, 2),
            height=round(scale * spot.height, 2),
            text=f"{title}: {spot.text}" if title else spot.text,
            key=f"{at}:{spot.key}",
        )
        for spot in panel.drawing.spots
    ]
