"""The histogram of one binding's counts: shares with error bars, the most frequent outcomes, the rest summed.

The axis shows shares, so bars do not grow as shots arrive. Every bar is a group that carries its place in both orders
(``data-bits``, ``data-value``) and is moved by one custom property, ``--qmio-i``: a script re-sorts it without Python.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import msgspec

from qmio_jupyter.drawing.outcomes import Pair, Selection, Sort, select, standard_error
from qmio_jupyter.drawing.picture import Drawing, Spot
from qmio_jupyter.drawing.scale import end_of, ticks_to
from qmio_jupyter.drawing.style import SMALL, TONES, colour, style
from qmio_jupyter.drawing.svg import check_size, document, label, lines
from qmio_jupyter.drawing.text import (
    MONO,
    clean,
    escape,
    number,
    percent,
    places,
    plural,
    said,
    shortened,
    thousands,
    width_of,
)

#: ``data-key`` and ``Spot.key`` of the bar that sums the outcomes left out.
REST: Final = "rest"

_LEFT: Final = 50
_RIGHT: Final = 8
#: The line of text above, and room for values above the highest bar.
_TOP: Final = 40
_BASE_LINE: Final = 15
#: Narrowest column, px: one line of text on its side.
_COLUMN: Final = 13.0
_WIDEST_BAR: Final = 72.0
#: Narrowest column over which the share is written.
_VALUED: Final = 46.0
#: Columns from which labels lie at 45 degrees rather than on their side.
_SLANTED: Final = 18.0

_STYLE: Final = style(
    ".qmio-bar{transform:translateX(calc(var(--qmio-i)*var(--qmio-column)))}"
    f".qmio-fill{{fill:{colour('bar')}}}"
    f".qmio-rest .qmio-fill{{fill:{colour('paper')};stroke:{colour('rest')};stroke-dasharray:4 3}}"
    f".qmio-error{{stroke:{colour('error')}}}"
    "@media (prefers-reduced-motion:no-preference){.qmio-bar{transition:transform .25s ease-out}}"
)


class _Frame(msgspec.Struct, frozen=True):
    """Where everything is, px."""

    width: int
    height: int
    #: Width of the plot, of a column, of a bar.
    across: float
    column: float
    bar: float
    #: The base line's y, and the plot's height above it.
    base: float
    tall: float
    #: Share at the top of the plot.
    end: float
    #: How labels lie: 0, -45 or -90 degrees.
    turn: int

    def y_of(self, share: float) -> float:
        """Return the y of a share; what is beyond the axis is at its end."""
        return self.base - self.tall * min(1.0, share / self.end)


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
        Its spots are the columns; a spot's key is the outcome, `REST` for the others.

    Raises
    ------
    UsageError
        For a size, a `top` or a count that cannot be drawn.
    """
    check_size(width, height)
    across = width - _LEFT - _RIGHT
    room = max(1, int(across / _COLUMN) - 1)
    chosen = select(pairs, min(top, room) if top >= 1 else top)
    names = [clean(bits) or "(no bits)" for bits, _ in chosen.pairs]
    frame = _frame(width, height, names, chosen, _end(chosen, least_end))
    shown = shortened(names, _letters(frame)) if names else []
    body = [*_axis(frame), _head(chosen, asked, frame)]
    spots: list[Spot] = []
    if chosen.shots:
        body.append(
            f'<g class="qmio-bars" transform="translate({_LEFT} 0)" '
            f'style="--qmio-column:{number(frame.column)}px" fill="{TONES["bar"].light}">'
        )
        for at, (bits, count) in enumerate(chosen.pairs):
            by_value = chosen.by_value[at]
            place = at if sort == "bits" else by_value
            body.append(_bar(frame, clean(bits), shown[at], count, chosen.shots, (place, at, by_value)))
            spots.append(_spot(frame, place, names[at], clean(bits), count, chosen.shots))
        if chosen.others:
            body.append(_rest(frame, chosen))
            spots.append(_rest_spot(frame, chosen))
        body.append("</g>")
        spots.sort(key=lambda spot: spot.x)
    else:
        middle = (_LEFT + across / 2, frame.base - frame.tall / 2 + 4)
        body.append(label(*middle, "no shots yet", anchor="middle", classes="qmio-halo"))
    body.append(lines(f"M{_LEFT} {number(frame.base)}.5H{width - _RIGHT}", "axis"))
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
    shots = chosen.shots
    if not shots:
        return max(least, 1.0)
    share = max(count for _, count in chosen.pairs) / shots
    return max(least, min(1.0, end_of(share + standard_error(share, shots)))) if share else max(least, 1.0)


def _frame(width: int, height: int, names: list[str], chosen: Selection, end: float) -> _Frame:
    across = width - _LEFT - _RIGHT
    columns = max(1, len(names) + bool(chosen.others))
    column = across / columns
    longest = max((width_of(name, SMALL, MONO) for name in names), default=0.0)
    fits = longest + 6 <= column
    longest = max(longest, width_of(_rest_name(chosen), SMALL) if chosen.others else 0.0)
    most = _label_room(height)
    if fits:
        turn, below = 0, 20.0
    elif column >= _SLANTED:
        turn, below = -45, 14 + min(most, longest * math.sqrt(0.5))
    else:
        turn, below = -90, 10 + min(most, longest)
    base = math.floor(height - below - 4)
    return _Frame(
        width=width,
        height=height,
        across=across,
        column=column,
        bar=min(_WIDEST_BAR, 0.74 * column),
        base=base,
        tall=base - _TOP,
        end=end,
        turn=turn,
    )


def _label_room(height: int) -> float:
    """Return the height that labels may take from the plot, px."""
    return min(84.0, 0.3 * height)


def _letters(frame: _Frame) -> int:
    """Return how many characters of a label have room."""
    one = SMALL * MONO
    most = _label_room(frame.height)
    if frame.turn == 0:
        return max(3, int((frame.column - 4) / one))
    if frame.turn == -45:
        # The first label must not leave the picture on the left either.
        return max(3, int(min(most, _LEFT + frame.column / 2 - 4) / math.sqrt(0.5) / one))
    return max(3, int(most / one))


def _axis(frame: _Frame) -> list[str]:
    ticks = ticks_to(frame.end)
    decimals = max(_decimals(tick) for tick in ticks)
    grid = "".join(
        f"M{_LEFT} {number(math.floor(frame.y_of(tick)))}.5H{frame.width - _RIGHT}" for tick in ticks[1:]
    )
    written = "".join(
        label(_LEFT - 7, math.floor(frame.y_of(tick)) + 4.5, percent(tick, decimals), anchor="end")
        for tick in ticks
    )
    return [lines(grid, "grid"), written]


def _decimals(tick: float) -> int:
    """Return the decimals that a tick needs as a percentage."""
    written = f"{tick * 100:.8f}".rstrip("0")
    return len(written) - written.index(".") - 1


def _head(chosen: Selection, asked: int | None, frame: _Frame) -> str:
    left = label(8, _BASE_LINE, "share of shots", classes="qmio-head")
    right = label(
        frame.width - _RIGHT, _BASE_LINE, _shots(chosen.shots, asked), anchor="end", classes="qmio-ink"
    )
    return left + right


def _shots(shots: int, asked: int | None) -> str:
    if asked is not None and asked > shots:
        return f"{thousands(shots)} of {plural(asked, 'shot')}"
    return plural(shots, "shot")


def _bar(frame: _Frame, key: str, name: str, count: int, shots: int, order: tuple[int, int, int]) -> str:
    """Return one bar: `order` is its place now, by bits, by value."""
    share = count / shots
    error = standard_error(share, shots)
    middle = frame.column / 2
    top = min(frame.y_of(share), frame.base - 1) if count else frame.base
    parts = [
        _opening("qmio-bar", key, frame, order),
        (
            f'<rect class="qmio-fill" x="{number(middle - frame.bar / 2)}" y="{number(top)}" '
            f'width="{number(frame.bar)}" height="{number(frame.base - top)}"/>'
        ),
    ]
    highest = top
    if error > 0:
        low, high = frame.y_of(max(0.0, share - error)), frame.y_of(share + error)
        highest = min(top, high)
        reach = min(4.0, frame.bar / 3)
        ends = f"M{number(middle - reach)} {{}}h{number(2 * reach)}"
        parts.append(
            lines(
                f"M{number(middle)} {number(low)}V{number(high)}"
                + ends.format(number(low))
                + ends.format(number(high)),
                "error",
                width=1.25,
            )
        )
    if frame.column >= _VALUED:
        parts.append(
            label(middle, highest - 6, percent(share), anchor="middle", classes="qmio-ink qmio-halo")
        )
    parts.append(_name(frame, name, "qmio-ink qmio-mono"))
    parts.append("</g>")
    return "".join(parts)


def _rest(frame: _Frame, chosen: Selection) -> str:
    """Return the bar of the others; one that is higher than the axis is broken."""
    share = chosen.other_shots / chosen.shots
    at = len(chosen.pairs)
    middle = frame.column / 2
    left, right = middle - frame.bar / 2, middle + frame.bar / 2
    top = min(frame.y_of(share), frame.base - 1)
    parts = [
        _opening("qmio-bar qmio-rest", REST, frame, (at, at, at)),
        (
            f'<rect class="qmio-fill" x="{number(left)}" y="{number(top)}" width="{number(right - left)}" '
            f'height="{number(frame.base - top)}" fill="{TONES["paper"].light}" stroke="{TONES["rest"].light}" '
            'stroke-dasharray="4 3"/>'
        ),
    ]
    if share > frame.end:
        # A gap with slanted edges: this bar goes on.
        y = frame.y_of(share) + 14
        slant = f"l{number(right - left + 6)} -5"
        parts.append(
            f'<path class="qmio-paper" d="M{number(left - 3)} {number(y)}{slant}v5'
            f'l{number(left - right - 6)} 5z" fill="{TONES["paper"].light}"/>'
        )
        parts.append(
            lines(f"M{number(left - 3)} {number(y)}{slant}M{number(left - 3)} {number(y + 5)}{slant}", "axis")
        )
    if share > frame.end or frame.column >= _VALUED:
        # Beside its column where that is too narrow: the last column has nothing on its right.
        x, anchor = (middle, "middle") if frame.column >= _VALUED else (right, "end")
        parts.append(label(x, top - 6, percent(share), anchor=anchor, classes="qmio-ink qmio-halo"))
    name = _rest_name(chosen)
    if frame.turn == 0 and width_of(name, SMALL) > frame.column:
        name = f"+{thousands(chosen.others)}"
    parts.append(_name(frame, name, ""))
    parts.append("</g>")
    return "".join(parts)


def _rest_name(chosen: Selection) -> str:
    return f"+{thousands(chosen.others)} " + ("other" if chosen.others == 1 else "others")


def _opening(classes: str, key: str, frame: _Frame, order: tuple[int, int, int]) -> str:
    place, by_bits, by_value = order
    return (
        f'<g class="{classes}" data-key="{escape(key)}" data-bits="{by_bits}" data-value="{by_value}" '
        f'style="--qmio-i:{place}" transform="translate({number(place * frame.column)} 0)">'
        f'<rect class="qmio-hit" y="{_TOP - 16}" width="{number(frame.column)}" '
        f'height="{number(frame.height - _TOP + 16)}" fill="none"/>'
    )


def _name(frame: _Frame, name: str, classes: str) -> str:
    middle = frame.column / 2
    fill = "ink" if classes else ""
    if frame.turn == 0:
        return label(middle, frame.base + 17, name, anchor="middle", classes=classes, fill=fill)
    x = middle + (3 if frame.turn == -45 else 4)
    y = frame.base + (13 if frame.turn == -45 else 8)
    return label(x, y, name, anchor="end", classes=classes, fill=fill, turn=frame.turn)


def _spot(frame: _Frame, place: int, name: str, key: str, count: int, shots: int) -> Spot:
    share = count / shots
    error = standard_error(share, shots)
    decimals = max(places(share), places(error))
    text = (
        f"{said(name)}: {thousands(count)} of {thousands(shots)} "
        f"({percent(share, decimals)} ± {percent(error, decimals)})"
    )
    return _column_spot(frame, place, text, key)


def _rest_spot(frame: _Frame, chosen: Selection) -> Spot:
    share = chosen.other_shots / chosen.shots
    text = (
        f"{plural(chosen.others, 'other outcome')}: {thousands(chosen.other_shots)} of {thousands(chosen.shots)} "
        f"({percent(share)})"
    )
    return _column_spot(frame, len(chosen.pairs), text, REST)


def _column_spot(frame: _Frame, place: int, text: str, key: str) -> Spot:
    return Spot(
        x=round(_LEFT + place * frame.column, 2),
        y=_TOP - 16,
        width=round(frame.column, 2),
        height=frame.height - _TOP + 16,
        text=text,
        key=key,
    )


def _alt(names: list[str], chosen: Selection, asked: int | None) -> str:
    if not chosen.shots:
        return "Histogram without shots yet."
    order = sorted(range(len(names)), key=chosen.by_value.__getitem__)[:3]
    first = ", ".join(f"{said(names[at])} {percent(chosen.pairs[at][1] / chosen.shots)}" for at in order)
    more = len(names) + chosen.others - len(order)
    tail = f", and {plural(more, 'other outcome')}" if more else ""
    return f"Histogram of {_shots(chosen.shots, asked)}: {first}{tail}."
