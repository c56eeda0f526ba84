"""The histogram of one binding's counts: shares with error bars, the most frequent outcomes, the rest summed.

The axis shows shares, so bars do not grow as shots arrive. Every bar is a group that carries its place in both orders
(``data-bits``, ``data-value``) and is moved by one custom property, ``--qmio-i``: a script re-sorts it without Python.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from qmio_jupyter.drawing import columns
from qmio_jupyter.drawing.columns import LEFT, NO_BITS, REST, RIGHT, VALUED, Frame
from qmio_jupyter.drawing.outcomes import Pair, Selection, Sort, select, standard_error
from qmio_jupyter.drawing.picture import Drawing, Spot
from qmio_jupyter.drawing.scale import end_of
from qmio_jupyter.drawing.style import TONES, style
from qmio_jupyter.drawing.svg import check_size, document, label
from qmio_jupyter.drawing.text import clean, number, percent, places, plural, said, shortened, thousands

#: Top of the plot, under the line of text and the values of the highest bars.
_TOP: Final = 40
_BASE_LINE: Final = 15
_WIDEST_BAR: Final = 72.0

_STYLE: Final = style(columns.RULES)


def axis_end(pairs: Sequence[Pair], *, top: int = 20) -> float:
    """Return the share at which the axis of :func:`histogram` ends: room for the highest bar and its error.

    Who redraws can keep the largest so far and pass it as `least_end`, so that the axis never shrinks.
    """
    return _end(select(pairs, top), 0.0)


def histogram(
    pairs: Sequence[Pair],
    *,
    asked: int | None = None,
    top: int = 20,
    sort: Sort = "bits",
    width: int = 560,
    height: int = 220,
    least_end: float = 0.0,
) -> Drawing:
    """Return the histogram of counts.

    Parameters
    ----------
    pairs : sequence of (str, int)
        Outcomes with their counts, as of ``model.result.outcomes``: bit order as there. Any number of them.
    asked : int, optional
        Shots asked for; said while fewer are done.
    top : int
        Outcomes drawn at most; fewer where the width has no room for their labels. The others are summed in one bar
        of its own look.
    sort : {"bits", "value"}
        The order at first.
    width, height : int
        px; what is drawn always has exactly this size.
    least_end : float
        The axis ends at this share or above.

    Returns
    -------
    Drawing
        Its spots are the columns; a spot's key is the outcome, ``columns.REST`` for the others.

    Raises
    ------
    UsageError
        For a size, a `top` or a count that cannot be drawn.
    """
    check_size(width, height)
    chosen = select(pairs, min(top, columns.room_for(width)))
    names = [clean(bits) or NO_BITS for bits, _ in chosen.pairs]
    frame = columns.frame_of(
        width=width,
        height=height,
        top=_TOP,
        names=names,
        others=chosen.others,
        end=_end(chosen, least_end),
        widest=_WIDEST_BAR,
        filled=0.74,
    )
    body = [columns.axis(frame), _head(chosen, asked, width)]
    spots: list[Spot] = []
    if chosen.shots:
        shown = shortened(names, columns.letters(frame))
        body.append(columns.group(frame))
        for at, (bits, count) in enumerate(chosen.pairs):
            by_value = chosen.by_value[at]
            place = at if sort == "bits" else by_value
            key = clean(bits)
            body.append(columns.opening(frame, "qmio-bar", key, (place, at, by_value)))
            body.append(_bar(frame, count, chosen.shots))
            body.append(columns.name_under(frame, shown[at]))
            body.append("</g>")
            spots.append(columns.spot_of(frame, place, _hover(names[at], count, chosen.shots), key))
        if chosen.others:
            body.append(_rest(frame, chosen))
            spots.append(columns.spot_of(frame, len(names), _rest_hover(chosen), REST))
        body.append("</g>")
        spots.sort(key=lambda spot: spot.x)
    else:
        middle = LEFT + (width - LEFT - RIGHT) / 2
        y = frame.base - frame.tall / 2
        # No line of the grid runs through the words.
        body.append(
            f'<rect class="qmio-gap" x="{number(middle - 44)}" y="{number(y - 9)}" width="88" height="18"/>'
        )
        body.append(label(middle, y + 4, "no shots yet", anchor="middle"))
    body.append(columns.base_line(frame))
    return document(
        width=width,
        height=height,
        style=_STYLE,
        body=body,
        alt=_alt(names, chosen, asked),
        spots=spots,
        kind="histogram",
    )


def _end(chosen: Selection, least: float) -> float:
    highest = max((count for _, count in chosen.pairs), default=0)
    if not highest:
        return least or 1.0
    share = highest / chosen.shots
    return max(least, min(1.0, end_of(share + standard_error(share, chosen.shots))))


def _head(chosen: Selection, asked: int | None, width: int) -> str:
    left = label(8, _BASE_LINE, "share of shots")
    return left + label(
        width - RIGHT, _BASE_LINE, _shots(chosen.shots, asked), anchor="end", classes="qmio-ink"
    )


def _shots(shots: int, asked: int | None) -> str:
    if asked is not None and asked > shots:
        return f"{thousands(shots)} of {plural(asked, 'shot')}"
    return plural(shots, "shot")


def _bar(frame: Frame, count: int, shots: int) -> str:
    share = count / shots
    error = standard_error(share, shots)
    middle = frame.column / 2
    top = min(frame.y_of(share), frame.base - 1) if count else frame.base
    drawn = (
        f'<rect class="qmio-fill" x="{number(middle - frame.bar / 2)}" y="{number(top)}" '
        f'width="{number(frame.bar)}" height="{number(frame.base - top)}" fill="{TONES["bar"].light}"/>'
    )
    if error > 0:
        drawn += columns.whisker(frame, middle, share, error, min(4.0, frame.bar / 3))
    if frame.column >= VALUED:
        above = min(top, frame.y_of(share + error)) - 6
        drawn += label(middle, above, percent(share), anchor="middle", classes="qmio-ink qmio-halo")
    return drawn


def _rest(frame: Frame, chosen: Selection) -> str:
    """Return the bar of the others; one that is higher than the axis is broken."""
    share = chosen.other_shots / chosen.shots
    at = len(chosen.pairs)
    middle = frame.column / 2
    left, right = middle - frame.bar / 2, middle + frame.bar / 2
    top = min(frame.y_of(share), frame.base - 1)
    drawn = columns.opening(frame, "qmio-bar qmio-rest", REST, (at, at, at)) + (
        f'<rect class="qmio-fill" x="{number(left)}" y="{number(top)}" width="{number(right - left)}" '
        f'height="{number(frame.base - top)}" fill="{TONES["paper"].light}" stroke="{TONES["rest"].light}" '
        'stroke-dasharray="4 3"/>'
    )
    if share > frame.end:
        drawn += columns.broken(frame, left, right)
    if share > frame.end or frame.column >= VALUED:
        # Beside its column where that is too narrow: the last column has nothing on its right.
        x, anchor = (middle, "middle") if frame.column >= VALUED else (right, "end")
        drawn += label(x, top - 6, percent(share), anchor=anchor, classes="qmio-ink qmio-halo")
    return f"{drawn}{columns.rest_under(frame, chosen.others)}</g>"


def _hover(name: str, count: int, shots: int) -> str:
    share = count / shots
    error = standard_error(share, shots)
    decimals = max(places(share), places(error))
    return (
        f"{said(name)}: {thousands(count)} of {thousands(shots)} "
        f"({percent(share, decimals)} ± {percent(error, decimals)})"
    )


def _rest_hover(chosen: Selection) -> str:
    share = chosen.other_shots / chosen.shots
    return (
        f"{plural(chosen.others, 'other outcome')}: {thousands(chosen.other_shots)} of {thousands(chosen.shots)} "
        f"({percent(share)})"
    )


def _alt(names: list[str], chosen: Selection, asked: int | None) -> str:
    if not chosen.shots:
        return "Histogram without shots yet."
    order = sorted(range(len(names)), key=chosen.by_value.__getitem__)[:3]
    first = ", ".join(f"{said(names[at])} {percent(chosen.pairs[at][1] / chosen.shots)}" for at in order)
    more = len(names) + chosen.others - len(order)
    tail = f", and {plural(more, 'other outcome')}" if more else ""
    return f"Histogram of {_shots(chosen.shots, asked)}: {first}{tail}."
