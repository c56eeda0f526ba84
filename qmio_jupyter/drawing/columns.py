"""Columns over an axis of shares: where they are, their labels, and the group that a script can move.

Shared by the histogram of one result and the overlay of several.
"""

from __future__ import annotations

import math
from typing import Final

import msgspec

from qmio_jupyter.drawing.picture import Spot
from qmio_jupyter.drawing.scale import ticks_to
from qmio_jupyter.drawing.style import SMALL, colour
from qmio_jupyter.drawing.svg import label, lines
from qmio_jupyter.drawing.text import MONO, escape, number, percent, thousands, width_of

#: ``data-key`` and ``Spot.key`` of the column that sums the outcomes left out.
REST: Final = "rest"
#: What stands in the place of an outcome of a program without classical bits.
NO_BITS: Final = "(no bits)"
#: Left and right of the plot, px.
LEFT: Final = 50
RIGHT: Final = 8
#: Narrowest column, px: one line of text on its side.
NARROWEST: Final = 13.0
#: Narrowest column over which a share is written, px.
VALUED: Final = 46.0
#: Room above the plot for the values of the highest bars, px; a column can be hovered there too.
ABOVE: Final = 16
#: Columns from which labels lie at 45 degrees rather than on their side, px.
_SLANTED: Final = 18.0

#: The rules that go with `opening` and the bars of the rest.
RULES: Final = (
    ".qmio-bar{transform:translateX(calc(var(--qmio-i)*var(--qmio-column)))}"
    f".qmio-fill{{fill:{colour('bar')}}}"
    f".qmio-rest .qmio-fill{{fill:{colour('paper')};stroke:{colour('rest')};stroke-dasharray:4 3}}"
    f".qmio-gap{{fill:{colour('halo')}}}"
    f".qmio-error{{stroke:{colour('error')}}}"
    "@media (prefers-reduced-motion:no-preference){.qmio-bar{transition:transform .25s ease-out}}"
)


class Frame(msgspec.Struct, frozen=True):
    """Where everything is, px."""

    width: int
    height: int
    #: Width of a column, and of what is drawn in it.
    column: float
    bar: float
    #: Top of the plot and its base line.
    top: float
    base: float
    #: Share at the top of the plot.
    end: float
    #: How labels lie: 0, -45 or -90 degrees.
    turn: int

    @property
    def tall(self) -> float:
        """Height of the plot."""
        return self.base - self.top

    def y_of(self, share: float) -> float:
        """Return the y of a share; what is beyond the axis is at its end."""
        return self.base - self.tall * min(1.0, share / self.end)


def room_for(width: int) -> int:
    """Return how many columns have room beside the one of the rest, at least 1."""
    return max(1, int((width - LEFT - RIGHT) / NARROWEST) - 1)


def rest_name(others: int) -> str:
    """Return the label of the outcomes left out, ``+180 others``."""
    return f"+{thousands(others)} " + ("other" if others == 1 else "others")


def frame_of(
    *,
    width: int,
    height: int,
    top: int,
    names: list[str],
    others: int,
    end: float,
    widest: float,
    filled: float,
) -> Frame:
    """Return where everything is.

    Parameters
    ----------
    width, height : int
        The picture, px.
    top : int
        Top of the plot, px.
    names : list of str
        Labels of the columns, whole.
    others : int
        Outcomes left out; they get a column of their own.
    end : float
        Share at the top of the plot.
    widest : float
        Widest bar (or group of bars), px.
    filled : float
        Part of a column that is drawn in.
    """
    column = (width - LEFT - RIGHT) / max(1, len(names) + bool(others))
    longest = max((width_of(name, SMALL, MONO) for name in names), default=0.0)
    fits = longest + 6 <= column
    longest = max(longest, width_of(rest_name(others), SMALL) if others else 0.0)
    most = _label_room(height)
    if fits:
        turn, below = 0, 20.0
    elif column >= _SLANTED:
        turn, below = -45, 14 + min(most, longest * math.sqrt(0.5))
    else:
        turn, below = -90, 10 + min(most, longest)
    return Frame(
        width=width,
        height=height,
        column=column,
        bar=min(widest, filled * column),
        top=top,
        base=math.floor(height - below - 4),
        end=end,
        turn=turn,
    )


def letters(frame: Frame) -> int:
    """Return how many characters of a label have room."""
    one = SMALL * MONO
    most = _label_room(frame.height)
    if frame.turn == 0:
        return max(3, int((frame.column - 4) / one))
    if frame.turn == -45:
        # The first label must not leave the picture on the left either.
        return max(3, int(min(most, LEFT + frame.column / 2 - 4) / math.sqrt(0.5) / one))
    return max(3, int(most / one))


def axis(frame: Frame) -> str:
    """Return the grid and its labels; `base_line` is drawn after the bars."""
    ticks = ticks_to(frame.end)
    decimals = max(map(_decimals, ticks))
    grid = "".join(f"M{LEFT} {_pixel(frame.y_of(tick))}H{frame.width - RIGHT}" for tick in ticks[1:])
    written = "".join(
        label(LEFT - 7, math.floor(frame.y_of(tick)) + 4.5, percent(tick, decimals), anchor="end")
        for tick in ticks
    )
    return lines(grid, "grid") + written


def base_line(frame: Frame) -> str:
    """Return the line that bars stand on."""
    return lines(f"M{LEFT} {_pixel(frame.base)}H{frame.width - RIGHT}", "axis")


def group(frame: Frame) -> str:
    """Return the start tag of the group that all columns are in."""
    return f'<g class="qmio-bars" transform="translate({LEFT} 0)" style="--qmio-column:{number(frame.column)}px">'


def opening(frame: Frame, classes: str, key: str, order: tuple[int, int, int]) -> str:
    """Return the start tag of one column and what catches the pointer in it.

    Parameters
    ----------
    frame : Frame
        Where everything is.
    classes : str
        ``qmio-bar`` with more.
    key : str
        What it is about, cleaned.
    order : tuple of int
        Its place now, by bits, and by value.
    """
    place, by_bits, by_value = order
    return (
        f'<g class="{classes}" data-key="{escape(key)}" data-bits="{by_bits}" data-value="{by_value}" '
        f'style="--qmio-i:{place}" transform="translate({number(place * frame.column)} 0)">'
        f'<rect class="qmio-hit" y="{number(frame.top - ABOVE)}" width="{number(frame.column)}" '
        f'height="{number(frame.height - frame.top + ABOVE)}" fill="none"/>'
    )


def name_under(frame: Frame, name: str, *, is_outcome: bool = True) -> str:
    """Return the label of a column: an outcome, or the rest."""
    classes, fill = ("qmio-ink qmio-mono", "ink") if is_outcome else ("", "")
    middle = frame.column / 2
    if frame.turn == 0:
        return label(middle, frame.base + 17, name, anchor="middle", classes=classes, fill=fill)
    x = middle + (3 if frame.turn == -45 else 4)
    y = frame.base + (13 if frame.turn == -45 else 8)
    return label(x, y, name, anchor="end", classes=classes, fill=fill, turn=frame.turn)


def rest_under(frame: Frame, others: int) -> str:
    """Return the label of the outcomes left out."""
    name = rest_name(others)
    if frame.turn == 0 and width_of(name, SMALL) > frame.column:
        name = f"+{thousands(others)}"
    return name_under(frame, name, is_outcome=False)


def broken(frame: Frame, left: float, right: float) -> str:
    """Return the gap with slanted edges that says: this bar goes on beyond the axis."""
    y = frame.top + 14
    reach = right - left + 6
    slant = f"l{number(reach)} -5"
    gap = f"M{number(left - 3)} {number(y)}{slant}v5l{number(-reach)} 5z"
    edges = f"M{number(left - 3)} {number(y)}{slant}M{number(left - 3)} {number(y + 5)}{slant}"
    return f'<path class="qmio-gap" d="{gap}" fill="#fff"/>' + lines(edges, "axis")


def whisker(frame: Frame, x: float, share: float, error: float, reach: float) -> str:
    """Return an error bar at `x` within a column, its ends `reach` px to either side."""
    low, high = number(frame.y_of(max(0.0, share - error))), number(frame.y_of(share + error))
    ends = "".join(f"M{number(x - reach)} {y}h{number(2 * reach)}" for y in (low, high))
    return lines(f"M{number(x)} {low}V{high}{ends}", "error", width=1.25)


def spot_of(frame: Frame, place: int, text: str, key: str) -> Spot:
    """Return the spot of the column at `place`."""
    return Spot(
        x=round(LEFT + place * frame.column, 2),
        y=frame.top - ABOVE,
        width=round(frame.column, 2),
        height=frame.height - frame.top + ABOVE,
        text=text,
        key=key,
    )


def _label_room(height: int) -> float:
    """Return the height that labels may take from the plot, px."""
    return min(84.0, 0.3 * height)


def _pixel(y: float) -> str:
    """Return the middle of a row of pixels, so that a line of 1 px is sharp."""
    return number(math.floor(y) + 0.5)


def _decimals(tick: float) -> int:
    """Return the decimals that a tick needs as a percentage."""
    written = f"{tick * 100:.8f}".rstrip("0")
    return len(written) - written.index(".") - 1
